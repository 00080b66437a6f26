"""How Hypothesis searches: the same examples on every run, unless HYPOTHESIS_PROFILE=explore asks for new ones.

And in which order tests come: JAX and TensorFlow keep threads, which a fork does not survive, so those that start
them come after those that fork.
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

STARTS_THREADS = (
    "contract/",
    "integration/test_jit_page.py",
    "integration/test_keras_layers.py",
    "integration/test_tf_data.py",
    "property/test_images.py",
    "property/test_targets.py",
    "unit/arrays/test_tracing.py",
    "unit/keras/",
    "unit/test_trees.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort by that alone."""
    here = Path(__file__).parent
    items.sort(key=lambda item: item.path.relative_to(here).as_posix().startswith(STARTS_THREADS))


@pytest.fixture
def threads():
    """`set_threads`, taken back afterwards."""
    yield parallel.set_threads
    parallel.set_threads(None)
