"""Folders that refuse us, disks that are full, builds that are stopped, pictures that will not stand still."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from crossfade.data import _crew as crew
from crossfade.data import _reading as reading
from crossfade.data import prepare
from crossfade.errors import CacheError, DataError
from tests.unit.data.caching import entries, truth
from tests.unit.data.folders import encode, noise, pictures, write
from tests.unit.data.scanning import always_helpers, slow_down


def test_a_cache_folder_that_cannot_be_made(root: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(CacheError, match=r"^cache: its folder must be writable\. Got .* Pass another cache_dir"):
        prepare(root, cache_dir=tmp_path / "file/caches")
    with pytest.raises(CacheError, match="must be writable"):
        prepare(root, cache_dir=tmp_path / "file")


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_a_read_only_cache_folder(root: Path, home: Path) -> None:
    home.mkdir(mode=0o500)
    with pytest.raises(CacheError, match="must be writable"):
        prepare(root, cache_dir=home)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_full_disk(root: Path, home: Path, monkeypatch: pytest.MonkeyPatch, workers: int) -> None:
    write(root, pictures({"a": 100, "b": 100}, size=16, first=50))
    if workers > 1:
        always_helpers(monkeypatch)
        slow_down(monkeypatch)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, hard))
    try:
        with pytest.raises(CacheError, match=r"could not be written\. Got: .*Free some space"):
            prepare(root, cache_dir=home, workers=workers)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert entries(home) == []
    assert not prepare(root, cache_dir=home)[1].reused


def test_a_finished_cache_is_read_from_a_folder_we_may_not_write(root: Path, home: Path) -> None:
    prepare(root, cache_dir=home)
    os.chmod(home, 0o500)
    try:
        assert prepare(root, cache_dir=home)[1].reused
    finally:
        os.chmod(home, 0o700)


def test_bad_pictures_publish_nothing(tmp_path: Path, home: Path) -> None:
    root = write(tmp_path / "data", {**pictures({"a": 2}), "b/0.png": b"x"})
    with pytest.raises(DataError, match="class 'b'"):
        prepare(root, cache_dir=home)
    assert entries(home) == []


def after_chunks(monkeypatch: pytest.MonkeyPatch, happen: Callable[[int], object]) -> None:
    """Let something happen after each chunk, of which the first is one file; it is told where the chunk began."""
    monkeypatch.setattr(crew, "PROBE_FILES", 1)
    genuine = reading.Reader.chunk

    def chunk(reader: reading.Reader, first: int, names: Sequence[str]) -> reading.Chunk:
        found = genuine(reader, first, names)
        happen(first)
        return found

    monkeypatch.setattr(reading.Reader, "chunk", chunk)


def test_an_interrupted_build_leaves_nothing(root: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    after_chunks(monkeypatch, lambda first: time.sleep(0.2))

    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(root, cache_dir=home, progress=interrupt)
    assert entries(home) == []


def test_what_a_dead_build_left_is_cleared_away_but_not_what_a_living_one_needs(root: Path, home: Path) -> None:
    fcntl = pytest.importorskip("fcntl")
    for name in (".building-dead", ".building-alive"):
        write(home / name, {"pixels.npy": b"half"})
    handle = os.open(home / ".building-alive", os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    _, cache = prepare(root, cache_dir=home)
    assert entries(home) == [".building-alive", cache.key]
    os.close(handle)


def test_a_file_that_vanishes_while_it_is_read_is_refused(
    root: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    after_chunks(monkeypatch, lambda first: (root / "a/004.png").unlink(missing_ok=True))
    index, cache = prepare(root, cache_dir=home, size=16, channels=3, workers=1)
    assert [(refusal.path, refusal.reason) for refusal in index.refused] == [("a/004.png", "unreadable")]
    assert np.array_equal(cache.pixels, truth(index, cache))
    assert index.counts == {"a": 4, "b": 6}


def test_pictures_that_change_at_every_pass_are_an_error(
    root: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def restless(first: int) -> None:
        for path in root.glob("*/*.png") if first == 0 else ():
            side = np.asarray(Image.open(path)).shape[0] + 16
            path.write_bytes(encode(noise(side, side)))

    after_chunks(monkeypatch, restless)
    with pytest.raises(CacheError, match="must not change while they are read"):
        prepare(root, cache_dir=home, workers=1)
    assert entries(home) == []
