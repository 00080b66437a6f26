"""How Hypothesis searches: the same examples on every run, unless HYPOTHESIS_PROFILE=explore asks for new ones.

And which tests run, and in which order: JAX and TensorFlow keep threads, which a fork does not survive, so those that
start them come after those that fork, and `--frameworks only` and `--frameworks without` part them.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from crossfade.arrays import parallel

# TensorFlow, and triton of PyTorch's CUDA wheels, each bring an LLVM; where triton's is the second, the process aborts.
with suppress(ImportError):
    import triton  # noqa: F401

os.environ.setdefault("KERAS_BACKEND", "torch")  # before anyone imports Keras
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

# A shell that starts the tests in the background has them ignore SIGINT, and all that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)

_common = {"deadline": None, "print_blob": True, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("ci", derandomize=True, database=None, max_examples=40, **_common)
settings.register_profile("explore", max_examples=1000, **_common)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

FRAMEWORKS = (
    "contract/",
    "integration/test_examples.py",
    "integration/test_jit_page.py",
    "integration/test_keras_layers.py",
    "integration/test_tf_data.py",
    "property/test_images.py",
    "property/test_targets.py",
    "unit/arrays/test_tracing.py",
    "unit/keras/",
    "unit/test_trees.py",
)


def starts_frameworks(path: Path) -> bool:
    """Whether the tests of a file start JAX or TensorFlow."""
    here = Path(__file__).parent
    return path.is_relative_to(here) and path.relative_to(here).as_posix().startswith(FRAMEWORKS)


def pytest_addoption(parser: pytest.Parser) -> None:
    """So that `make test` can run both kinds at once, each in a process of its own."""
    told = "only the tests that start JAX or TensorFlow, or all others"
    parser.addoption("--frameworks", choices=("only", "without"), help=told)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Files of the kind that is not asked for; those that are named on the command line always run."""
    wanted = config.getoption("--frameworks")
    if wanted is None or collection_path.is_dir():
        return None
    return starts_frameworks(collection_path) != (wanted == "only") or None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort by that alone."""
    items.sort(key=lambda item: starts_frameworks(item.path))


@pytest.fixture
def threads():
    """`set_threads`, taken back afterwards."""
    yield parallel.set_threads
    parallel.set_threads(None)
