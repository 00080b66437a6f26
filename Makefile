# crossfade: `make demo` shows it, `make test` proves it. Both set up a virtual environment of their own in .venv.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
RUN    := $(BIN)/python -m

.PHONY: help demo test check bench slow clean
help:
	@echo "make demo    does mixing help on 1,797 handwritten digits? table and page, a few minutes in all"
	@echo "make test    all tests            make check   lint, types, layers"
	@echo "make bench   speed beside peers   make slow    full trainings and many kills (hours)"
	@echo "make clean   removes the virtual environment and what make wrote"

demo: .stamps/workbench
	$(BIN)/crossfade demo

test: .stamps/dev
	$(RUN) pytest

check: .stamps/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: .stamps/bench
	$(BIN)/python -m benchmarks $(DATA)

slow: .stamps/dev
	CROSSFADE_SLOW=1 $(RUN) pytest --timeout 3600

# uv installs the same wheels in seconds where it is there; pip does wherever Python is.
.stamps/%: pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@if command -v uv >/dev/null 2>&1; then \
	  uv pip install --quiet --compile-bytecode --python $(BIN)/python --constraint constraints.txt --editable '.[$*]'; \
	else \
	  $(RUN) pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[$*]'; \
	fi
	@mkdir -p $(@D) && touch $@

clean:
	rm -rf $(VENV) .stamps demo build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
