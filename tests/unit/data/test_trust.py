"""How a cache is checked: by the bytes of the files, by their sizes and times, or by their sizes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crossfade.data import _reading as reading
from crossfade.data import decode, prepare
from crossfade.errors import ConfigError
from tests.unit.data.folders import encode, noise, pictures, write
from tests.unit.data.scanning import same

LONG_AGO = 1_600_000_000 * 10**9


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Bitmaps, all of one length in bytes, last changed long ago."""
    folder = write(tmp_path / "data", pictures({"a": 4, "b": 4}, size=16, kind="BMP"))
    for path in folder.glob("*/*"):
        os.utime(path, ns=(LONG_AGO, LONG_AGO))
    return folder


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "caches"


def change(root: Path, *, when: int) -> None:
    """Other pixels in a file of the same length."""
    path = root / "a/001.bmp"
    length = path.stat().st_size
    path.write_bytes(encode(noise(16, 16, seed=99), "BMP"))
    assert path.stat().st_size == length
    os.utime(path, ns=(when, when))


def opens_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: Any, **__: Any) -> bytes:
        raise AssertionError("a picture was opened")

    monkeypatch.setattr(reading, "read_below", forbidden)


@pytest.mark.parametrize("trust", ["mtime", "size"])
def test_trusted_files_are_not_opened(root: Path, home: Path, monkeypatch: pytest.MonkeyPatch, trust: Any) -> None:
    index, cache = prepare(root, cache_dir=home, trust=trust)
    opens_nothing(monkeypatch)
    again, reused = prepare(root, cache_dir=home, trust=trust)
    assert reused.reused
    assert same(index, again)
    assert np.array_equal(reused.pixels, cache.pixels)


@pytest.mark.parametrize("trust", ["mtime", "size"])
def test_trust_begins_with_the_first_look_at_the_content(
    root: Path, home: Path, monkeypatch: pytest.MonkeyPatch, trust: Any
) -> None:
    """Also where the cache was made by somebody who trusts nobody."""
    prepare(root, cache_dir=home)
    assert prepare(root, cache_dir=home, trust=trust)[1].reused
    opens_nothing(monkeypatch)
    assert prepare(root, cache_dir=home, trust=trust)[1].reused


@pytest.mark.parametrize(
    ("trust", "when", "noticed"),
    [
        ("content", LONG_AGO, True),
        ("mtime", LONG_AGO + 1, True),
        ("mtime", LONG_AGO, False),
        ("size", LONG_AGO + 1, False),
    ],
)
def test_what_each_kind_of_trust_notices(root: Path, home: Path, trust: Any, when: int, noticed: bool) -> None:
    prepare(root, cache_dir=home, trust=trust)
    change(root, when=when)
    index, cache = prepare(root, cache_dir=home, trust=trust)
    assert cache.reused != noticed
    right = np.array_equal(cache.pixels[1], decode((root / index.paths[1]).read_bytes()))
    assert right == noticed


@pytest.mark.parametrize("trust", ["mtime", "size"])
@pytest.mark.parametrize("damage", [b"longer", b""])
def test_another_size_is_noticed_by_all(root: Path, home: Path, trust: Any, damage: bytes) -> None:
    prepare(root, cache_dir=home, trust=trust)
    (root / "b/002.bmp").write_bytes(damage)
    index, cache = prepare(root, cache_dir=home, trust=trust)
    assert not cache.reused
    assert [refusal.path for refusal in index.refused] == ["b/002.bmp"]


def test_a_file_written_just_now_is_not_trusted_by_its_time(root: Path, home: Path) -> None:
    """It may change once more within what a file system counts as one moment."""
    now = os.stat(root).st_mtime_ns
    change(root, when=now)
    prepare(root, cache_dir=home, trust="mtime")
    write(root, {"a/001.bmp": encode(noise(16, 16, seed=98), "BMP")})
    os.utime(root / "a/001.bmp", ns=(now, now))
    assert not prepare(root, cache_dir=home, trust="mtime")[1].reused


def test_a_touched_file_costs_one_look(root: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, cache = prepare(root, cache_dir=home, trust="mtime")
    os.utime(root / "a/001.bmp", ns=(LONG_AGO + 5, LONG_AGO + 5))
    assert prepare(root, cache_dir=home, trust="mtime")[1].key == cache.key
    opens_nothing(monkeypatch)
    assert prepare(root, cache_dir=home, trust="mtime")[1].reused


def test_two_folders_with_one_cache_are_trusted_each_by_its_own_times(root: Path, home: Path, tmp_path: Path) -> None:
    prepare(root, cache_dir=home, trust="size")
    copy = write(tmp_path / "copy", {str(path.relative_to(root)): path.read_bytes() for path in root.glob("*/*")})
    change(copy, when=LONG_AGO)
    index, cache = prepare(copy, cache_dir=home, trust="size")
    assert not cache.reused, "nobody has looked at this folder yet"
    assert np.array_equal(cache.pixels[1], decode((copy / index.paths[1]).read_bytes()))


@pytest.mark.parametrize("trust", ["content", "mtime", "size"])
def test_a_byte_written_into_the_cache_is_found_whatever_is_trusted(root: Path, home: Path, trust: Any) -> None:
    for _ in range(2):
        _, cache = prepare(root, cache_dir=home, trust=trust)
    with open(cache.folder / "pixels.npy", "r+b") as file:
        file.seek(128 + 3 * 768 + 5)
        file.write(bytes([cache.pixels[3].reshape(-1)[5] ^ 1]))
    index, mended = prepare(root, cache_dir=home, trust=trust)
    assert mended.mended == 1
    assert np.array_equal(mended.pixels[3], decode((root / index.paths[3]).read_bytes()))


def test_no_such_trust(root: Path, home: Path) -> None:
    with pytest.raises(ConfigError, match=r"trust must be .*Got 'blind'"):
        prepare(root, cache_dir=home, trust="blind")  # type: ignore[arg-type]
