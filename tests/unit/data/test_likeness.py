from __future__ import annotations

import time
from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from crossfade.data.decode import decode
from crossfade.data.likeness import NEAR, PLAIN, Pairs, distance, near_identical
from crossfade.data.sketch import Sketcher
from tests.scale import scaled
from tests.unit.data.folders import noise


def sketches(images: list[np.ndarray]) -> np.ndarray:
    sketcher = Sketcher()
    for row, image in enumerate(images):
        sketcher.add(row, image)
    return sketcher.finish(len(images))


def sizes(images: list[np.ndarray]) -> np.ndarray:
    return np.array([image.shape[:2] for image in images], np.int32)


def found(pairs: Pairs) -> set[tuple[int, int]]:
    return set(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True))


def encoded(picture: Image.Image, kind: str, **options: int) -> np.ndarray:
    buffer = BytesIO()
    picture.save(buffer, kind, **options)
    return decode(buffer.getvalue())


def resized(picture: Image.Image, factor: float) -> np.ndarray:
    size = round(picture.width * factor), round(picture.height * factor)
    return np.asarray(picture.resize(size, Image.Resampling.BICUBIC))


COPIES = {
    "jpeg 60": lambda p: encoded(p, "JPEG", quality=60),
    "jpeg 95": lambda p: encoded(p, "JPEG", quality=95),
    "png": lambda p: encoded(p, "PNG"),
    "half": lambda p: resized(p, 0.5),
    "0.7": lambda p: resized(p, 0.7),
    "double": lambda p: resized(p, 2),
    "darker": lambda p: np.asarray(ImageEnhance.Brightness(p).enhance(0.85)),
    "flatter": lambda p: np.asarray(ImageEnhance.Contrast(p).enhance(0.85)),
}


@pytest.mark.parametrize("how", COPIES)
def test_copies_are_found_and_nothing_else(how: str) -> None:
    originals = [resized(Image.fromarray(noise(24, 32, seed=seed)), 4) for seed in range(40)]
    copies = [COPIES[how](Image.fromarray(image)) for image in originals]
    images = originals + copies
    assert found(near_identical(sketches(images), sizes(images))) == {(i, i + 40) for i in range(40)}


def test_the_nearest_come_first() -> None:
    one, other = noise(64, 64, seed=0), noise(64, 64, seed=1)
    images = [one, other, resized(Image.fromarray(one), 0.5), other]
    pairs = near_identical(sketches(images), sizes(images))
    assert list(zip(pairs.first, pairs.second, strict=True)) == [(1, 3), (0, 2)]
    assert pairs.distance[0] == 0 < pairs.distance[1] < NEAR


def test_another_ratio_of_the_sides_is_another_picture() -> None:
    image = noise(64, 64)
    images = [image, np.asarray(Image.fromarray(image).resize((96, 64)))]
    assert distance(sketches(images)[:1], sketches(images)[1:])[0] < NEAR
    assert not found(near_identical(sketches(images), sizes(images)))


def test_the_same_shape_in_another_colour_is_another_picture() -> None:
    image = noise(64, 64)
    images = [image, image[:, :, ::-1]]
    assert not found(near_identical(sketches(images), sizes(images)))


def test_pictures_of_one_colour_are_not_judged() -> None:
    rng = np.random.default_rng(0)
    images = [np.full((16, 16, 3), value, np.uint8) for value in (0, 100, 100, 255)]
    images += [(100 + rng.integers(0, 2, (16, 16, 3))).astype(np.uint8) for _ in range(4)]
    assert sketches(images)[:, :64].std(axis=1).max() < PLAIN
    assert not len(near_identical(sketches(images), sizes(images)))


def test_of_no_picture_there_is_no_pair() -> None:
    assert not len(near_identical(np.zeros((0, 96), np.uint8), np.zeros((0, 2), np.int32)))


def test_near_pairs_are_found_among_all_by_looking_at_few() -> None:
    """Against all pairs compared: nothing missed up to the threshold, nothing beyond it."""
    rng = np.random.default_rng(0)
    first = rng.integers(30, 220, (500, 96)).astype(np.float64)
    second = first + rng.normal(0, 1, (500, 96)) * rng.uniform(0, 12, (500, 1))
    every = np.rint(np.concatenate([first, second])).clip(0, 255).astype(np.uint8)
    pairs = found(near_identical(every, np.full((1000, 2), 32, np.int32)))
    near = np.flatnonzero(distance(every[:500], every[500:]) < NEAR)
    assert 100 < len(near) < 400
    assert {(i, i + 500) for i in near.tolist()} == pairs


@pytest.mark.slow
def test_many_pictures_take_little_time() -> None:
    number = scaled(20_000, 1_000_000)
    many = np.random.default_rng(0).integers(0, 256, (number, 96), dtype=np.uint8)
    many[-10:] = many[:10]
    start = time.perf_counter()
    assert len(near_identical(many, np.full((number, 2), 32, np.int32))) == 10
    assert time.perf_counter() - start < 60
