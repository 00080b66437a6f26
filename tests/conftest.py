"""How Hypothesis searches: the same examples on every run, unless HYPOTHESIS_PROFILE=explore asks for new ones."""

from __future__ import annotations

import os
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, settings

from crossfade.arrays import parallel

# TensorFlow, and triton of PyTorch's CUDA wheels, each bring an LLVM; where triton's is the second, the process aborts.
with suppress(ImportError):
    import triton  # noqa: F401

_common = {"deadline": None, "print_blob": True, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("ci", derandomize=True, database=None, max_examples=40, **_common)
settings.register_profile("explore", max_examples=1000, **_common)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


@pytest.fixture
def threads():
    """`set_threads`, taken back afterwards."""
    yield parallel.set_threads
    parallel.set_threads(None)
