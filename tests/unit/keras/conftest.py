"""Keras on the backend KERAS_BACKEND says (PyTorch unless told); small folders of pictures, and a cache of our own."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.folders import write_corners


@pytest.fixture(scope="session", autouse=True)
def _cache_of_our_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CROSSFADE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def corners(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes of 20 pictures, 12 x 12 x 3."""
    return write_corners(tmp_path_factory.mktemp("keras") / "corners")


@pytest.fixture(scope="session")
def two_corners(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of 20 pictures."""
    return write_corners(tmp_path_factory.mktemp("keras") / "two", classes=2)


@pytest.fixture(scope="session")
def corners_in_parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """train/, val/ and test/ of three classes of 6 pictures each."""
    return write_corners(tmp_path_factory.mktemp("keras") / "parts", each=6, parts=("train", "val", "test"))


@pytest.fixture(autouse=True)
def _forks_are_told_of() -> Iterator[None]:
    """JAX and Python say of any fork beside threads that it may lock up. Ours run nothing but NumPy and Numba."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*fork", category=RuntimeWarning)
        warnings.filterwarnings("ignore", message=".*fork", category=DeprecationWarning)
        yield
