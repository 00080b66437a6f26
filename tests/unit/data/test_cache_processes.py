"""Processes and threads that help write the very cache that one alone writes."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crossfade.data import Cache, prepare
from crossfade.data import _crew as crew
from crossfade.data import _reading as reading
from crossfade.errors import CacheError
from tests.unit.data.caching import entries
from tests.unit.data.folders import pictures, write
from tests.unit.data.scanning import always_helpers, count_helpers, same, slow_down


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """600 files, some of them no pictures."""
    files = pictures({"a": 300, "b": 300}, size=16, kind="JPEG")
    for number in range(3, 290, 7):
        files[f"a/{number:03d}.jpeg"] = b"no picture"
    return write(tmp_path / "data", files)


def same_files(one: Cache, other: Cache) -> bool:
    names = ("meta.json", "pixels.npy", "sums.npy", "shapes.npy", "digests.npy", "sketches.npy")
    return all((one.folder / name).read_bytes() == (other.folder / name).read_bytes() for name in names)


def test_helpers_write_the_same_cache(mixed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index, alone = prepare(mixed, cache_dir=tmp_path / "one", workers=1)
    always_helpers(monkeypatch)
    slow_down(monkeypatch)
    started = count_helpers(monkeypatch)
    other, together = prepare(mixed, cache_dir=tmp_path / "two", workers=3)
    assert len(started) == 2
    assert same(index, other)
    assert alone.key == together.key
    assert same_files(alone, together)
    assert np.array_equal(alone.pixels, together.pixels)


def always_threads(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Have threads help; the names of those that do are in the set that is returned."""
    monkeypatch.setattr(crew, "HELPERS_HELP_SECONDS", 0.0)
    monkeypatch.setattr(crew, "THREADS_HELP_FROM", 0.0)
    monkeypatch.setattr(crew, "THREADS_HELP_UNTIL", 1e9)
    slow_down(monkeypatch)
    slow, seen = reading.Reader.chunk, set()

    def chunk(*args: Any) -> reading.Chunk:
        seen.add(threading.current_thread().name)
        return slow(*args)

    monkeypatch.setattr(reading.Reader, "chunk", chunk)
    return seen


def test_threads_write_the_same_cache_and_start_no_process(
    mixed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index, alone = prepare(mixed, cache_dir=tmp_path / "one", workers=1)
    seen = always_threads(monkeypatch)
    started = count_helpers(monkeypatch)
    other, together = prepare(mixed, cache_dir=tmp_path / "two", workers=3)
    assert seen == {"crossfade-apart", "crossfade-reader"}
    assert not started
    assert same(index, other)
    assert same_files(alone, together)


def test_an_interruption_ends_the_threads_before_the_folder_is_taken_away(
    mixed: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = always_threads(monkeypatch)
    genuine = reading.Reader._write

    def write_slowly(*args: Any) -> bytes:
        time.sleep(0.2 if threading.current_thread().name == "crossfade-reader" else 0)
        return genuine(*args)

    monkeypatch.setattr(reading.Reader, "_write", write_slowly)

    def interrupt(done: int, total: int) -> None:
        if len(seen) > 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(mixed, cache_dir=home, size=16, channels=3, workers=3, progress=interrupt)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("crossfade-")]
    assert entries(home) == []


def test_a_thread_that_fails_is_an_error(mixed: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    always_threads(monkeypatch)
    genuine = reading.Reader._write

    def write_rows(*args: Any) -> bytes:
        if threading.current_thread().name == "crossfade-reader":
            raise OSError(28, "No space left on device")
        return genuine(*args)

    monkeypatch.setattr(reading.Reader, "_write", write_rows)
    with pytest.raises(CacheError, match="No space left on device"):
        prepare(mixed, cache_dir=home, workers=2)
    assert entries(home) == []
