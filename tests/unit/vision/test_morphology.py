"""Views, thresholds and morphology, against plain loops."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from crossfade.data.fit import to_channels
from crossfade.errors import ArrayError, ConfigError, MissingExtra
from crossfade.vision.morphology import footprint, morphology, threshold, view

RNG = np.random.default_rng(0)
COLOUR = RNG.integers(0, 256, (3, 11, 9, 3), dtype=np.uint8)
BINARY = np.where(RNG.random((2, 12, 13, 1)) < 0.5, np.uint8(255), np.uint8(0))


def by_loops(picture: np.ndarray, element: np.ndarray, least: bool) -> np.ndarray:
    """The smallest (or largest) value under the element at every place of one channel, mirrored at the border."""
    radius = len(element) // 2
    wide = np.pad(picture, radius, mode="symmetric")
    out = np.empty_like(picture)
    for y, x in np.ndindex(picture.shape):
        under = wide[y : y + len(element), x : x + len(element)][element.astype(bool)]
        out[y, x] = under.min() if least else under.max()
    return out


def slowly(picture: np.ndarray, operation: str, element: np.ndarray) -> np.ndarray:
    steps = {"erosion": [True], "dilation": [False], "opening": [True, False], "closing": [False, True]}
    for least in steps[operation]:
        picture = by_loops(picture, element, least)
    return picture


@pytest.mark.parametrize("element", ["disk", "square", "cross"])
@pytest.mark.parametrize("operation", ["erosion", "dilation", "opening", "closing"])
@pytest.mark.parametrize("images", [COLOUR, BINARY], ids=["colour", "binary"])
def test_every_operation_with_every_element(images: np.ndarray, operation: str, element: str) -> None:
    kept = images.copy()
    found = morphology(images, operation, element=element, radius=2)
    for picture, got in zip(images, found, strict=True):
        for channel in range(picture.shape[2]):
            expected = slowly(picture[:, :, channel], operation, footprint(element, 2))
            assert np.array_equal(got[:, :, channel], expected)
    assert np.array_equal(images, kept)
    assert set(np.unique(morphology(BINARY, operation, element=element))) <= {0, 255}


def test_elements() -> None:
    assert footprint("disk", 1).tolist() == footprint("cross", 1).tolist() == [[0, 1, 0], [1, 1, 1], [0, 1, 0]]
    assert footprint("square", 1).tolist() == [[1] * 3] * 3
    assert footprint("disk", 3).sum() == 29
    assert footprint("cross", 3).sum() == 13


def test_a_disk_of_radius_3_on_a_square_of_known_size() -> None:
    picture = np.zeros((1, 21, 21, 1), np.uint8)
    picture[0, 5:16, 5:16] = 255
    eroded = morphology(picture, "erosion", radius=3)
    assert (eroded[0, 8:13, 8:13] == 255).all()
    assert (eroded > 0).sum() == 25
    assert (morphology(picture, "dilation", element="square", radius=3) > 0).sum() == 17 * 17


def test_the_threshold_of_r4() -> None:
    assert np.array_equal(threshold(COLOUR, 125, channel=0), 255 * (COLOUR[..., :1] > 125))
    assert np.array_equal(threshold(COLOUR, 125), 255 * (COLOUR > 125))


def test_otsu_parts_two_heaps_for_each_picture_and_channel_by_itself() -> None:
    heaps = np.where(BINARY > 0, [180, 90, 250], [160, 20, 249]).astype(np.uint8)
    assert np.array_equal(threshold(heaps, "otsu"), BINARY.repeat(3, axis=3))


def test_otsu_has_the_largest_variance_between_the_classes() -> None:
    picture = np.clip(RNG.normal(90, 40, (1, 30, 30, 1)), 0, 255).astype(np.uint8)
    x = picture.ravel().astype(float)

    def between(t: int) -> float:
        low, high = x[x <= t], x[x > t]
        return len(low) * len(high) * (low.mean() - high.mean()) ** 2 if len(low) and len(high) else -1.0

    best = max(range(256), key=between)
    assert np.array_equal(threshold(picture, "otsu"), threshold(picture, best))


def test_a_constant_picture_is_not_above_its_otsu_threshold() -> None:
    assert (threshold(np.full((1, 4, 4, 3), 77, np.uint8), "otsu") == 0).all()


def test_no_picture_at_all() -> None:
    for at in (125, "otsu"):
        assert threshold(COLOUR[:0], at).shape == (0, 11, 9, 3)


def test_views() -> None:
    for channel, name in enumerate(("red", "green", "blue")):
        assert np.array_equal(view(COLOUR, name), COLOUR[..., channel : channel + 1])
    assert np.array_equal(view(COLOUR, "grey"), np.stack([to_channels(image, 1) for image in COLOUR]))
    assert view(BINARY, "blue") is BINARY


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: threshold(COLOUR, 256), ConfigError, 'from 0 to 255, or "otsu". Got 256'),
        (lambda: threshold(COLOUR, "mean"), ConfigError, "Got 'mean'"),
        (lambda: threshold(COLOUR, True), ConfigError, "Got True"),
        (lambda: threshold(COLOUR, 125, channel=3), ConfigError, "channel must be from 0 to 2. Got 3"),
        (lambda: threshold(COLOUR, 125, channel=-1), ConfigError, "channel must be from 0 to 2. Got -1"),
        (lambda: view(COLOUR[..., :2], "blue"), ArrayError, r"1 or 3 channels. Got \(3, 11, 9, 2\)"),
        (lambda: threshold(COLOUR[0], 3), ArrayError, r"\(B, H, W, C\) uint8"),
        (lambda: morphology(COLOUR, "tophat"), ConfigError, "erosion, dilation, opening, closing. Got 'tophat'"),
        (lambda: morphology(COLOUR, "erosion", element="star"), ConfigError, "disk, square, cross. Got 'star'"),
        (lambda: morphology(COLOUR, "erosion", radius=0), ConfigError, "1 or more"),
        (lambda: view(COLOUR, "alpha"), ConfigError, "red, green, blue, grey. Got 'alpha'"),
        (lambda: view([1], "red"), ArrayError, "Got list"),
    ],
)
def test_mistakes_are_letters(call, error, words) -> None:
    with pytest.raises(error, match=words):
        call()


def test_without_scikit_image_the_pip_line_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "skimage", None)
    monkeypatch.setitem(sys.modules, "skimage.morphology", None)
    with pytest.raises(MissingExtra, match=r"pip install 'crossfade\[workbench\]'"):
        morphology(COLOUR, "erosion")
