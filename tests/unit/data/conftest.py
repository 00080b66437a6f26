"""A folder of pictures and a home for caches."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.data.folders import pictures, write


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write(tmp_path / "data", pictures({"a": 5, "b": 6}, size=16))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "caches"
