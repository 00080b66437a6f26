from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
from PIL import Image

from crossfade.data import prepare, scan
from crossfade.data.likeness import NEAR, distance
from crossfade.data.sketch import sketch
from crossfade.data.twins import conflicts, find_twins, join_sets, leaks, members, tell
from tests.unit.data.folders import encode, noise, write


def messy(root: Path) -> Path:
    """A copy and a smaller one from part to part, a picture under two classes, and others."""
    files = {
        f"{part}/{name}/{i}.png": encode(noise(32, 32, seed=hash_of(part, name, i)))
        for part in ("train", "test")
        for name in ("cat", "dog")
        for i in range(4)
    }
    files["test/cat/copy.png"] = files["train/cat/0.png"]
    files["train/dog/wrong.png"] = files["train/cat/1.png"]
    small = Image.fromarray(noise(32, 32, seed=hash_of("train", "dog", 2))).resize((16, 16))
    files["test/dog/small.bmp"] = encode(small, "BMP")
    return write(root, files)


def hash_of(part: str, name: str, number: int) -> int:
    return number + 10 * ("train", "test").index(part) + 100 * ("cat", "dog").index(name)


def test_leaks_and_conflicts_are_listed(tmp_path: Path) -> None:
    found = scan(messy(tmp_path / "data")).as_dict()
    assert found["duplicates"] == [["test/cat/copy.png", "train/cat/0.png"], ["train/cat/1.png", "train/dog/wrong.png"]]
    assert found["near_duplicates"] == [["test/dog/small.bmp", "train/dog/2.png"]]
    assert found["conflicts"] == [
        {"kind": "identical", "classes": ["cat", "dog"], "paths": ["train/cat/1.png", "train/dog/wrong.png"]}
    ]
    parts = ["train", "test"]
    assert found["leaks"] == [
        {"kind": "identical", "parts": parts, "paths": ["test/cat/copy.png", "train/cat/0.png"]},
        {"kind": "near_identical", "parts": parts, "paths": ["test/dog/small.bmp", "train/dog/2.png"]},
    ]
    assert tell(found["leaks"]) == "1 identical, 1 near-identical"


def test_groups_in_two_parts_are_leaks(tmp_path: Path) -> None:
    index = scan(messy(tmp_path / "data"))
    groups = np.array([int(path[-5]) if path[-5].isdigit() else 100 + i for i, path in enumerate(index.paths)])
    kinds = [one["kind"] for one in index.as_dict(groups)["leaks"]]
    assert kinds == ["identical", "near_identical"] + ["group"] * 4


def test_scan_and_cache_agree_also_when_it_is_reused(tmp_path: Path) -> None:
    root = messy(tmp_path / "data")
    (root / "train/cat/broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    scanned = scan(root, workers=2)
    for _ in range(2):
        index, cache = prepare(root, cache_dir=tmp_path / "home", size=8)
        assert np.array_equal(index.sketches, scanned.sketches)
    assert cache.reused
    picture = np.asarray(Image.open(root / index.paths[3]))
    assert np.array_equal(index.sketches[3], sketch(picture[None])[0])


def test_the_order_of_the_pictures_changes_nothing(tmp_path: Path) -> None:
    index = scan(messy(tmp_path / "data"))
    turned = np.random.default_rng(0).permutation(len(index))
    other = dataclasses.replace(
        index,
        paths=tuple(index.paths[i] for i in turned),
        parts=tuple(index.parts[i] for i in turned),
        **{name: getattr(index, name)[turned] for name in ("labels", "sizes", "digests", "sketches")},
    )
    keys = ("duplicates", "near_duplicates", "conflicts", "leaks")
    assert [index.as_dict()[key] for key in keys] == [other.as_dict()[key] for key in keys]


def test_a_chain_of_small_steps_does_not_gather_everything() -> None:
    """Each of 60 pictures is near the next, and the first is far from the last."""
    rng = np.random.default_rng(0)
    start, end = rng.integers(20, 235, (2, 1, 96))
    steps = np.linspace(0, 1, 60)[:, None]
    chain = np.rint(start * (1 - steps) + end * steps).astype(np.uint8)
    assert (distance(chain[:-1], chain[1:]) < NEAR).all()
    digests = np.zeros((60, 16), np.uint8)
    digests[:, 0] = np.arange(60)
    paths = [f"a/{i:02d}.png" for i in range(60)]
    twins = find_twins(paths, digests, chain, np.full((60, 2), 32, np.int32))
    assert len(twins.together) > 3
    for pictures in twins.together:
        assert distance(chain[pictures[:1]], chain[pictures[-1:]])[0] <= 4 * NEAR
    # What could not be kept together is said where it lies in two parts.
    parts = ["train"] * 60
    first = twins.together[0][-1] + 1
    parts[first] = "val"
    assert leaks(paths, parts, twins)


def test_a_hundred_copies_are_one_set() -> None:
    digests = np.zeros((100, 16), np.uint8)
    sketches = np.tile(np.arange(96, dtype=np.uint8), (100, 1))
    twins = find_twins([f"{i:03d}" for i in range(100)], digests, sketches, np.full((100, 2), 8, np.int32))
    assert [len(pictures) for pictures in twins.copies] == [100]
    assert twins.together[0].tolist() == list(range(100))
    assert not len(twins.near)
    assert not conflicts([str(i) for i in range(100)], np.zeros(100, np.int64), ["a"], twins)


def test_without_sketches_only_bytes_are_compared() -> None:
    digests = np.array([[1] * 16, [2] * 16, [1] * 16], np.uint8)
    twins = find_twins(["a", "b", "c"], digests, np.zeros((0, 96), np.uint8), np.full((3, 2), 8, np.int32))
    assert [pictures.tolist() for pictures in twins.together] == [[0, 2]]


def test_sets_with_a_picture_in_common_are_joined() -> None:
    numbers = join_sets(7, [np.array([0, 3]), np.array([5, 3]), np.array([1, 2])])
    assert sorted(pictures.tolist() for pictures in members(numbers)) == [[0, 3, 5], [1, 2]]
    assert not list(members(np.zeros(0, np.int64)))
