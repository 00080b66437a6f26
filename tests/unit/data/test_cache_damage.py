"""Damaged caches: damaged pictures are decoded again, damaged notes make a cache anew."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crossfade.data import _reading as reading
from crossfade.data import prepare
from tests.unit.data.caching import edit, entries, flip, truth
from tests.unit.data.folders import encode, noise, write
from tests.unit.data.scanning import same

DAMAGED_PIXELS = {
    "first byte": (lambda pixels: flip(pixels, 128), 1),
    "a byte in the middle": (lambda pixels: flip(pixels, 128 + 5 * 768 + 77), 1),
    "last byte": (lambda pixels: flip(pixels, -1), 1),
    "header": (lambda pixels: flip(pixels, 20), 0),
    "two rows": (lambda pixels: (flip(pixels, 128 + 768), flip(pixels, 128 + 2 * 768)), 2),
    "top bits of two words, which a sum of words would not see": (
        lambda pixels: (flip(pixels, 128 + 7, 128), flip(pixels, 128 + 15, 128)),
        1,
    ),
    "cut off": (lambda pixels: os.truncate(pixels, 128 + 9 * 768 + 5), 2),
    "empty": (lambda pixels: os.truncate(pixels, 0), 11),
    "longer": (lambda pixels: os.truncate(pixels, 20_000), 0),
}


@pytest.mark.parametrize("damage", DAMAGED_PIXELS)
def test_only_damaged_pictures_are_decoded_again(
    root: Path, home: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    index, cache = prepare(root, cache_dir=home)
    decoded: list[bytes] = []

    class Counting(reading.Decoder):
        def __call__(self, data: bytes) -> np.ndarray:
            decoded.append(data)
            return super().__call__(data)

    monkeypatch.setattr(reading, "Decoder", Counting)
    harm, pictures = DAMAGED_PIXELS[damage]
    harm(cache.folder / "pixels.npy")
    again, mended = prepare(root, cache_dir=home)
    assert (mended.reused, mended.key, mended.mended) == (True, cache.key, pictures)
    assert len(decoded) == pictures
    assert same(index, again)
    assert np.array_equal(mended.pixels, truth(again, mended))
    assert np.array_equal(np.load(mended.folder / "pixels.npy"), mended.pixels)
    assert np.array_equal(cache.pixels, mended.pixels), "who has it open sees it mended"
    assert entries(home) == [cache.key]
    assert prepare(root, cache_dir=home)[1].mended == 0


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: flip(folder / "sums.npy", -1),
        lambda folder: flip(folder / "digests.npy", -1),
        lambda folder: flip(folder / "sketches.npy", -1),
        lambda folder: flip(folder / "shapes.npy", 3),
        lambda folder: flip(folder / "shapes.npy", -5),
        lambda folder: os.truncate(folder / "sums.npy", 100),
        lambda folder: os.truncate(folder / "meta.json", 30),
        lambda folder: (folder / "meta.json").write_text("[]"),
        lambda folder: edit(folder / "meta.json", '"stretch"', '"crop"'),
        lambda folder: edit(folder / "meta.json", '"size": 16', '"size": 17'),
        lambda folder: (folder / "meta.json").unlink(),
        lambda folder: (folder / "pixels.npy").unlink(),
    ],
)
def test_a_cache_whose_notes_are_damaged_is_made_anew(root: Path, home: Path, damage: Any) -> None:
    index, cache = prepare(root, cache_dir=home)
    damage(cache.folder)
    again, anew = prepare(root, cache_dir=home)
    assert not anew.reused
    assert anew.key == cache.key
    assert same(index, again)
    assert np.array_equal(anew.pixels, truth(again, anew))
    assert entries(home) == [cache.key]


def test_a_damaged_row_of_a_file_that_changed_is_not_mended_with_other_pixels(root: Path, home: Path) -> None:
    """With trust="size" nobody notices that a file changed, until its row has to be decoded again."""
    _, cache = prepare(root, cache_dir=home, trust="size")
    bitmap = {"kind": "BMP"}
    write(root, {"a/000.png": encode(noise(16, 16, seed=1), **bitmap)})
    _, cache = prepare(root, cache_dir=home, trust="size")
    write(root, {"a/000.png": encode(noise(16, 16, seed=2), **bitmap)})
    flip(cache.folder / "pixels.npy", 200)
    index, anew = prepare(root, cache_dir=home, trust="size")
    assert not anew.reused
    assert np.array_equal(anew.pixels, truth(index, anew))


def test_row_sums_see_any_changed_byte() -> None:
    for length in (1, 7, 8, 9, 75, 768):
        rows = np.random.default_rng(length).integers(0, 256, (3, length), dtype=np.uint8)
        before = reading.row_sums(rows)
        for at in range(length):
            changed = rows.copy()
            changed[1, at] ^= 0x10
            assert (reading.row_sums(changed) == before).tolist() == [True, False, True]
