"""Pictures that are decoded as they are needed are those a cache would hold."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest

from crossfade.data import Cache, Decoded, Index, Loader, prepare
from crossfade.data import _reading as reading
from crossfade.errors import DataError
from tests.unit.data.folders import encode, noise, pictures, write
from tests.unit.data.scanning import same


@pytest.fixture
def root(tmp_path: Path) -> Path:
    files = pictures({"a": 9, "b": 9}, size=20, kind="JPEG")
    grey = encode(noise(30, 17, 1), "PNG")
    return write(tmp_path / "data", {**files, "a/grey.png": grey, "b/bad.jpeg": b"no picture"})


def both(root: Path, home: Path, **options: object) -> tuple[Index, Cache, Index, Cache]:
    stored = prepare(root, cache_dir=home / "stored", **options)  # type: ignore[arg-type]
    return *stored, *prepare(root, cache_dir=home / "fly", bound=0, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("options", [{}, {"size": 24, "fit": "crop"}, {"channels": 1}])
def test_the_same_index_and_the_same_pixels(root: Path, tmp_path: Path, options: dict[str, object]) -> None:
    index, stored, other, fly = both(root, tmp_path, **options)
    assert same(index, other)
    assert (fly.on_the_fly, stored.on_the_fly) == (True, False)
    assert isinstance(fly.pixels, Decoded)
    assert fly.pixels.shape == stored.pixels.shape
    assert fly.pixels.nbytes == stored.pixels.nbytes
    assert np.array_equal(fly.pixels[:], stored.pixels)
    assert np.array_equal(fly.pixels[3], stored.pixels[3])
    assert np.array_equal(fly.pixels[np.array([7, 7, 0])], stored.pixels[[7, 7, 0]])
    assert not list((tmp_path / "fly").glob("*/pixels.npy"))
    assert np.array_equal(pickle.loads(pickle.dumps(fly.pixels))[:], stored.pixels)


@pytest.mark.parametrize("threads", [0, 1, 3])
def test_a_loader_yields_the_same_batches(root: Path, tmp_path: Path, threads: int) -> None:
    index, stored, _, fly = both(root, tmp_path)
    ids = np.arange(len(index))
    loaders = [
        Loader(cache.pixels, index.labels, ids, batch_size=5, seed=3, threads=threads) for cache in (stored, fly)
    ]
    for one, other in zip(*(loader.epoch(1) for loader in loaders), strict=True):
        assert np.array_equal(one.images, other.images)
        assert np.array_equal(one.ids, other.ids)


def test_the_second_call_decodes_nothing(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index, cache = prepare(root, cache_dir=tmp_path / "home", bound=0)
    monkeypatch.setattr(reading, "Decoder", None)
    again, reused = prepare(root, cache_dir=tmp_path / "home", bound=0)
    assert (reused.on_the_fly, reused.reused, reused.key) == (True, True, cache.key)
    assert same(index, again)


def test_what_is_stored_already_is_used_whatever_the_bound(root: Path, tmp_path: Path) -> None:
    prepare(root, cache_dir=tmp_path / "home")
    assert not prepare(root, cache_dir=tmp_path / "home", bound=0)[1].on_the_fly


def test_once_there_is_room_pictures_are_stored(root: Path, tmp_path: Path) -> None:
    assert prepare(root, cache_dir=tmp_path / "home", size=16, bound=20 * 768 - 1)[1].on_the_fly
    stored = prepare(root, cache_dir=tmp_path / "home", size=16, bound=20 * 768)[1]
    assert not stored.on_the_fly
    assert prepare(root, cache_dir=tmp_path / "home", size=16)[1].key == stored.key


def test_the_bound_is_half_of_what_is_free(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage._replace(free=2 * 20 * 768 - 1))
    assert prepare(root, cache_dir=tmp_path / "home", size=16)[1].on_the_fly


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda path: path.unlink(), "No such file"),
        (lambda path: path.write_bytes(encode(noise(20, 20, seed=5), "JPEG")), "other bytes than when"),
        (lambda path: path.write_bytes(b""), "other bytes than when"),
    ],
)
def test_a_file_that_is_no_longer_what_it_was_is_named(root: Path, tmp_path: Path, damage: object, words: str) -> None:
    index, cache = prepare(root, cache_dir=tmp_path / "home", bound=0)
    damage(root / index.paths[4])  # type: ignore[operator]
    with pytest.raises(DataError, match=rf"^decode: .*Got .*{words}.* for '{index.paths[4]}'"):
        cache.pixels.take([0, 4])
    assert np.array_equal(cache.pixels[3], cache.pixels[3])


def test_only_whole_pictures_of_the_index_can_be_taken(root: Path, tmp_path: Path) -> None:
    _, cache = prepare(root, cache_dir=tmp_path / "home", bound=0)
    for wrong in ([len(cache.pixels)], [-1], [[0]]):
        with pytest.raises(IndexError, match="take"):
            cache.pixels.take(wrong)
