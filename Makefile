# crossfade: `make demo` shows it, `make test` proves it. Both set up a virtual environment of their own in .venv.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
RUN    := $(BIN)/python -m

# The oldest Keras 3 and JAX that pyproject.toml states; TensorFlow and PyTorch are those of constraints.txt.
OLDEST := keras==3.8.0 jax==0.5.3 jaxlib==0.5.3
BESIDE := $(CURDIR)/$(VENV)/keras-oldest
DOOR   := tests/unit/keras

# Two processes at once, the output of each by itself where make can; one thread each, as two would wait for each other.
TWO    = $(MAKE) --no-print-directory --jobs 2 $(if $(filter output-sync,$(.FEATURES)),--output-sync)
ALONE  := OMP_NUM_THREADS=1 $(RUN)
QUIET  := -q -p no:cacheprovider

.PHONY: help demo test test-frameworks test-others test-keras-oldest check bench slow results clean
help:
	@echo "make demo    does mixing help on 1,797 handwritten digits? table and page, a few minutes in all"
	@echo "make test    all tests            make check   lint, types, layers"
	@echo "make bench   speed beside peers   make slow    the tests that loop, in full"
	@echo "make test-keras-oldest   the Keras door on the oldest Keras 3 we support, on every backend"
	@echo "make results DATA=folder   the recipes in full, some hours on two cores"
	@echo "make clean   removes the virtual environment and what make wrote"

demo: .venv/.stamps/workbench
	$(BIN)/crossfade demo

test: .venv/.stamps/dev
	$(TWO) test-frameworks test-others test-on-jax test-on-tensorflow

test-frameworks: .venv/.stamps/dev
	$(ALONE) pytest $(QUIET) --frameworks only

test-others: .venv/.stamps/dev
	$(ALONE) pytest $(QUIET) --frameworks without

test-keras-oldest: .venv/.stamps/dev .venv/.stamps/keras-oldest
	$(TWO) test-oldest-on-torch test-oldest-on-jax test-oldest-on-tensorflow

test-on-%: .venv/.stamps/dev
	KERAS_BACKEND=$* $(ALONE) pytest $(QUIET) $(DOOR)

test-oldest-on-%: .venv/.stamps/dev .venv/.stamps/keras-oldest
	@PYTHONPATH=$(BESIDE) KERAS_BACKEND=$* TF_CPP_MIN_LOG_LEVEL=3 $(BIN)/python -c "import keras; assert keras.__version__ == '3.8.0', keras.__version__"
	PYTHONPATH=$(BESIDE) KERAS_BACKEND=$* $(ALONE) pytest $(QUIET) $(DOOR)

check: .venv/.stamps/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: .venv/.stamps/bench
	$(BIN)/python -m benchmarks $(DATA)

slow: .venv/.stamps/dev
	CROSSFADE_SLOW=1 $(RUN) pytest --timeout 3600 -m slow

# R1 comes last: its ImageNet weights are fetched from timm's hub; without a network, give it --no-pretrained by hand.
results: .venv/.stamps/workbench
	@test -n "$(DATA)" || { echo "make results DATA=folder-with-cifar10-flowers2-caltech4"; exit 2; }
	for recipe in r3-mixup-cnn4 r2-cutmix-resnet20; do \
	  $(BIN)/crossfade compare $(DATA)/cifar10 -c recipes/$$recipe.toml --out runs/$$recipe || exit; \
	done
	$(BIN)/crossfade train $(DATA)/cifar10 -c recipes/fast-cifar10.toml --out runs/fast-cifar10
	$(BIN)/crossfade train $(DATA)/cifar10 -c recipes/airbench96-cifar10.toml --out runs/airbench96-cifar10
	$(BIN)/crossfade train $(DATA)/flowers2 -c recipes/r4-flowers.toml --out runs/r4-flowers
	$(BIN)/crossfade compare $(DATA)/caltech4 -c recipes/r1-mixup-vgg16.toml --out runs/r1-mixup-vgg16

# uv installs the same wheels in seconds where it is there; pip does wherever Python is.
define install
	@if command -v uv >/dev/null 2>&1; then \
	  uv pip install --quiet --compile-bytecode --python $(BIN)/python $(1); \
	else \
	  $(RUN) pip install --quiet --disable-pip-version-check $(1); \
	fi
endef

.venv/.stamps/%: pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(call install,--constraint constraints.txt --editable '.[$*]')
	@mkdir -p $(@D) && touch $@

# Beside the environment, without their dependencies, which are those of .[dev].
.venv/.stamps/keras-oldest: Makefile | .venv/.stamps/dev
	@rm -rf $(BESIDE)
	$(call install,--no-deps --target $(BESIDE) $(OLDEST))
	@touch $@

clean:
	rm -rf $(VENV) demo build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
