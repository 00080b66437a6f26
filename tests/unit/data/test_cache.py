"""What a cache holds, which wish it answers, and when it is read again."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crossfade.data import _reading as reading
from crossfade.data import prepare, scan
from crossfade.data._store import npy_header
from crossfade.data._workshop import default_cache_dir
from crossfade.errors import ConfigError
from tests.unit.data.caching import entries, truth
from tests.unit.data.folders import encode, noise, pictures, write
from tests.unit.data.scanning import same, snapshot


def test_the_cache_holds_the_pictures_of_the_index(root: Path, home: Path) -> None:
    before = snapshot(root)
    index, cache = prepare(root, cache_dir=home)
    assert same(index, scan(root))
    assert np.array_equal(cache.pixels, truth(index, cache))
    assert (cache.size, cache.channels, cache.reused) == (16, 3, False)
    assert cache.pixels.shape == (11, 16, 16, 3)
    assert isinstance(cache.pixels, np.memmap)
    assert not cache.pixels.flags.writeable
    assert entries(home) == [cache.key]
    assert snapshot(root) == before


@pytest.mark.parametrize("size", [(10, 24), (24, 10), (16, 20)])
@pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
def test_pictures_may_be_rectangles(root: Path, home: Path, size: tuple[int, int], fit: Any) -> None:
    index, cache = prepare(root, size=size, fit=fit, cache_dir=home)
    assert cache.pixels.shape == (11, *size, 3)
    assert np.array_equal(cache.pixels, truth(index, cache))
    assert cache.key.endswith(f"-{size[0]}x{size[1]}x3")
    again = prepare(root, size=size, fit=fit, cache_dir=home)[1]
    assert (again.reused, again.size) == (True, size)
    assert np.array_equal(again.pixels, cache.pixels)
    assert not prepare(root, size=size[::-1], fit=fit, cache_dir=home)[1].reused


def test_a_rectangle_of_equal_sides_is_the_square(root: Path, home: Path) -> None:
    square = prepare(root, size=16, cache_dir=home)[1]
    same = prepare(root, size=(16, 16), cache_dir=home)[1]
    assert (same.reused, same.key, same.size) == (True, square.key, 16)


def test_rectangles_that_are_too_many_are_decoded_each_time(root: Path, home: Path) -> None:
    index, cache = prepare(root, size=(10, 24), cache_dir=home, bound=100)
    assert cache.on_the_fly
    assert np.array_equal(cache.pixels[:], truth(index, cache))


def test_any_program_can_read_the_pixels(root: Path, home: Path) -> None:
    _, cache = prepare(root, cache_dir=home)
    assert np.array_equal(np.load(cache.folder / "pixels.npy"), cache.pixels)
    header = npy_header((123456789012, 224, 224, 3))
    assert len(header) == 128
    assert header.endswith(b"\n")


def test_the_second_call_decodes_nothing(root: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index, cache = prepare(root, cache_dir=home)
    monkeypatch.setattr(reading, "Decoder", None)
    again, reused = prepare(root, cache_dir=home)
    assert same(index, again)
    assert reused.reused
    assert reused.key == cache.key
    assert np.array_equal(reused.pixels, cache.pixels)


def test_the_same_pictures_elsewhere_share_the_cache(root: Path, home: Path, tmp_path: Path) -> None:
    _, cache = prepare(root, cache_dir=home)
    shutil.copytree(root, tmp_path / "copy")
    index, other = prepare(tmp_path / "copy", cache_dir=home)
    assert other.reused
    assert other.key == cache.key
    assert index.root == tmp_path / "copy"


def change_content(root: Path) -> None:
    status = os.stat(root / "a/000.png")
    (root / "a/000.png").write_bytes(encode(noise(16, 16, seed=99)))
    os.utime(root / "a/000.png", ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.mark.parametrize(
    "change",
    [
        change_content,
        lambda root: (root / "a/000.png").unlink(),
        lambda root: (root / "a/000.png").rename(root / "a/zero.png"),
        lambda root: (root / "a/004.png").rename(root / "a/004b.png"),
        lambda root: (root / "a/004.png").rename(root / "b/!.png"),
        lambda root: (root / "a/000.png").rename(root / "b/zero.png"),
        lambda root: (root / "b/new.png").write_bytes(encode(noise(16, 16, seed=98))),
        lambda root: (root / "b/bad.png").write_bytes(b"no picture"),
    ],
)
def test_a_changed_folder_is_read_again(root: Path, home: Path, change: Any) -> None:
    prepare(root, cache_dir=home)
    change(root)
    index, cache = prepare(root, cache_dir=home)
    assert not cache.reused
    assert same(index, scan(root))
    assert np.array_equal(cache.pixels, truth(index, cache))


def test_a_repaired_picture_is_taken_in(root: Path, home: Path) -> None:
    good = (root / "a/001.png").read_bytes()
    (root / "a/001.png").write_bytes(good[:50])
    index, cache = prepare(root, cache_dir=home)
    assert len(index) == len(cache.pixels) == 10
    (root / "a/001.png").write_bytes(good)
    assert len(prepare(root, cache_dir=home)[0]) == 11


@pytest.mark.parametrize("options", [{"size": 8}, {"channels": 1}, {"size": 16, "fit": "crop"}, {"max_pixels": 300}])
def test_another_wish_is_another_cache(root: Path, home: Path, options: dict[str, Any]) -> None:
    _, one = prepare(root, cache_dir=home)
    index, other = prepare(root, cache_dir=home, **options)
    assert one.key != other.key
    assert np.array_equal(other.pixels, truth(index, other))
    assert len(entries(home)) == 2


def test_another_fit_is_another_cache(tmp_path: Path, home: Path) -> None:
    files = {f"{name}/{i}.png": encode(noise(20, 40, seed=i)) for name in "ab" for i in range(2)}
    root = write(tmp_path / "data", files)
    pixels = {}
    for fit in ("stretch", "crop", "drop", "pad"):
        index, cache = prepare(root, cache_dir=home, size=16, fit=fit)
        assert np.array_equal(cache.pixels, truth(index, cache))
        assert cache.fit == fit
        pixels[fit] = cache.pixels
    assert len({picture.tobytes() for picture in pixels.values()}) == len(pixels)
    assert prepare(root, cache_dir=home, size=16, fit="crop")[1].reused


def test_another_code_version_is_another_cache(root: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, one = prepare(root, cache_dir=home)
    monkeypatch.setattr("crossfade.data._store.VERSION", 999)
    _, other = prepare(root, cache_dir=home)
    assert not other.reused
    assert one.key != other.key


def test_refused_files_leave_no_gap_and_no_wrong_label(tmp_path: Path, home: Path) -> None:
    files = pictures({"a": 30, "b": 30}, size=15)
    for name in ("a/000.png", "a/007.png", "a/008.png", "b/012.png", "b/029.png"):
        files[name] = b"no picture"
    index, cache = prepare(write(tmp_path / "data", files), cache_dir=home)
    assert len(index) == 55
    assert len(index.refused) == 5
    assert np.array_equal(cache.pixels, truth(index, cache))
    again, reused = prepare(tmp_path / "data", cache_dir=home)
    assert reused.reused
    assert same(index, again)


# --------------------------------------------------------------------------------------- size and channels


@pytest.mark.parametrize(
    ("sides", "size"),
    [
        ([(16, 16)] * 4, 16),
        ([(33, 33)] * 4, 33),
        ([(300, 300)] * 4, 128),
        ([(16, 16)] * 3 + [(20, 20)], 16),
        ([(40, 60), (60, 50), (48, 90), (47, 47)], 32),
        ([(47, 60), (60, 50), (49, 90), (90, 47)], 48),
        ([(9, 10)] * 4, 16),
        ([(200, 300)] * 4, 128),
    ],
)
def test_the_chosen_size(tmp_path: Path, home: Path, sides: list[tuple[int, int]], size: int) -> None:
    files = {f"{'ab'[i % 2]}/{i}.png": encode(noise(h, w, seed=i)) for i, (h, w) in enumerate(sides)}
    index, cache = prepare(write(tmp_path / "data", files), cache_dir=home)
    assert cache.size == size
    assert np.array_equal(cache.pixels, truth(index, cache))


def test_a_guess_that_proves_wrong_is_made_good(tmp_path: Path, home: Path) -> None:
    """The few files looked at first are grey and 16 x 16; among the others is a larger one in colour."""
    files = {f"{name}/{i:03d}.png": encode(noise(16, 16, 1, seed=i)) for name in "ab" for i in range(100)}
    files["b/001.png"] = encode(noise(20, 24))
    root = write(tmp_path / "data", files)
    index, cache = prepare(root, cache_dir=home)
    assert (cache.size, cache.channels, index.channels) == (16, 3, 3)
    assert np.array_equal(cache.pixels, truth(index, cache))
    assert prepare(root, cache_dir=home)[1].reused


def test_grey_pictures_keep_one_channel(tmp_path: Path, home: Path) -> None:
    files = {f"{name}/{i}.png": encode(noise(16, 16, 1, seed=i)) for name in "ab" for i in range(3)}
    root = write(tmp_path / "data", files)
    assert prepare(root, cache_dir=home)[1].pixels.shape == (6, 16, 16, 1)
    assert prepare(root, cache_dir=home, channels=3)[1].pixels.shape == (6, 16, 16, 3)


@pytest.mark.parametrize(
    "options", [{"size": 0}, {"size": (8, 0)}, {"size": (8, 8, 3)}, {"size": 8.5}, {"channels": 2}, {"fit": "squash"}]
)
def test_wishes_that_make_no_sense(root: Path, home: Path, options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"Got|must be"):
        prepare(root, cache_dir=home, **options)


def test_where_caches_live(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("CROSSFADE_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert default_cache_dir() == tmp_path / ".cache/crossfade"
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert default_cache_dir() == Path("/x/crossfade")
    monkeypatch.setenv("CROSSFADE_CACHE", "/y")
    assert default_cache_dir() == Path("/y")


def test_progress_reaches_the_total(root: Path, home: Path) -> None:
    for _ in range(2):
        seen: list[tuple[int, int]] = []
        prepare(root, cache_dir=home, progress=lambda done, total: seen.append((done, total)))  # noqa: B023
        assert seen[-1] == (11, 11)


def test_what_stays_in_memory_is_under_300_bytes_a_picture() -> None:
    import tracemalloc

    from crossfade.data import Loader, split
    from crossfade.data._reading import Findings
    from crossfade.data.listing import Listing
    from crossfade.data.scan import join

    number = 60_000

    def listing() -> Listing:
        made = Listing(Path("/data"), classes=("airplane", "ship"))
        made.paths = [f"train/{made.classes[i % 2]}/{i:06d}.jpeg" for i in range(number)]
        made.labels = [i % 2 for i in range(number)]
        made.parts = ["train"] * number
        return made

    tracemalloc.start()
    try:
        digests = np.random.default_rng(0).integers(0, 256, (number, 16), dtype=np.uint8)
        shapes = np.full((number, 3), 32, np.int32)
        sketches = np.random.default_rng(1).integers(0, 256, (number, 96), dtype=np.uint8)
        index = join(listing(), Findings(digests, shapes, np.zeros(number, np.uint32), sketches, []))
        done = split(index, seed=0)
        pixels = np.lib.stride_tricks.as_strided(
            np.zeros(48, np.uint8).reshape(1, 4, 4, 3), (number, 4, 4, 3), (0, 12, 3, 1)
        )
        loader = Loader(pixels, index.labels, done.train, batch_size=128, seed=0)
        batches = loader.epoch(0)
        next(batches)
        del digests, shapes, sketches
        used = tracemalloc.get_traced_memory()[0] / number
        batches.close()
    finally:
        tracemalloc.stop()
    assert 50 < used < 300


def test_json_notes_are_plain(root: Path, home: Path) -> None:
    _, cache = prepare(root, cache_dir=home)
    meta = json.loads((cache.folder / "meta.json").read_text())
    assert len(meta.pop("notes")) == 32
    assert meta == {
        "version": 4,
        "size": 16,
        "channels": 3,
        "fit": "stretch",
        "pictures": 11,
        "stored": True,
        "refused": [],
    }
