"""Spoiled pictures: nothing at strength 0, more at every strength, and the same in any batch."""

from __future__ import annotations

import numpy as np
import pytest

from crossfade.experiments.evaluation.corruptions import CORRUPTIONS, add_noise, blur, brighten, compress, rotate


def pictures(n: int = 6, side: int = 24, channels: int = 3) -> np.ndarray:
    """Soft blobs, as photographs are soft."""
    coarse = np.random.default_rng(0).integers(20, 200, (n, 4, 4, channels)).astype(float)
    rows = np.linspace(0, 3, side)
    low, part = rows.astype(int).clip(max=2), (rows - rows.astype(int).clip(max=2))
    down = coarse[:, low] + (coarse[:, low + 1] - coarse[:, low]) * part[:, None, None]
    across = down[:, :, low] + (down[:, :, low + 1] - down[:, :, low]) * part[None, :, None]
    return np.rint(across).astype(np.uint8)


def spoiled(kind: str, images: np.ndarray, strength: float, numbers: np.ndarray | None = None) -> np.ndarray:
    numbers = np.arange(len(images)) if numbers is None else numbers
    return CORRUPTIONS[kind].apply(images, strength, numbers, 7)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", ["brightness", "noise", "blur", "rotation"])
def test_strength_zero_is_no_change(kind: str, channels: int) -> None:
    images = pictures(channels=channels)
    np.testing.assert_array_equal(spoiled(kind, images, 0), images)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_each_strength_changes_more_than_the_one_before(kind: str, channels: int) -> None:
    images = pictures(channels=channels)
    before = images.copy()
    found = [spoiled(kind, images, strength) for strength in CORRUPTIONS[kind].strengths]
    assert all(one.shape == images.shape and one.dtype == np.uint8 for one in found)
    changes = [np.abs(one.astype(int) - images).mean() for one in found]
    assert len(changes) == 5
    assert changes[0] > 0
    assert (np.diff(changes) > 0).all()
    np.testing.assert_array_equal(images, before)


@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_a_picture_is_spoiled_alike_in_any_batch(kind: str) -> None:
    images, numbers = pictures(), np.array([3, 14, 15, 92, 65, 35])
    together = spoiled(kind, images, CORRUPTIONS[kind].strengths[2], numbers)
    alone = spoiled(kind, images[4:5], CORRUPTIONS[kind].strengths[2], numbers[4:5])
    np.testing.assert_array_equal(together[4:5], alone)


def test_brightness_adds_and_cuts_off() -> None:
    images = np.array([0, 100, 240], np.uint8).reshape(1, 1, 3, 1)
    assert brighten(images, 50, np.array([0]), 0).ravel().tolist() == [50, 150, 255]


def test_noise_has_the_deviation_asked_for() -> None:
    grey = np.full((4, 64, 64, 3), 128, np.uint8)
    noise = add_noise(grey, 20, np.arange(4), 0).astype(float) - 128
    assert noise.std() == pytest.approx(20, rel=0.02)
    assert noise.mean() == pytest.approx(0, abs=0.5)
    assert (noise[0] != noise[1]).any()


def test_blur_spreads_a_point_as_a_gaussian_of_that_share_of_the_side() -> None:
    point = np.zeros((1, 32, 32, 1), np.uint8)
    point[0, 15, 15] = 255
    bell = np.exp(-((np.arange(32) - 15) ** 2) / (2 * 1.6**2))
    bell /= bell.sum()
    expected = 255 * bell[:, None] * bell
    assert np.abs(blur(point, 5, np.array([0]), 0)[0, :, :, 0] - expected).max() <= 0.51


def test_jpeg_of_high_quality_is_nearly_the_picture_and_grey_stays_grey() -> None:
    images = pictures(channels=1)
    assert np.abs(compress(images, 100, np.arange(6), 0).astype(int) - images).max() <= 2


def test_pictures_are_turned_to_both_sides() -> None:
    images = np.zeros((40, 21, 21, 1), np.uint8)
    images[:, 2, 10] = 255
    column = rotate(images, 20, np.arange(40), 0)[..., 0].max(axis=1).argmax(axis=1)
    assert {bool(one) for one in column > 10} == {True, False}
    assert (column != 10).all()
