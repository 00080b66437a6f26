"""Normalising, against its formulas written out in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from crossfade.errors import ArrayError, ConfigError
from crossfade.vision.normalise import Normalisation, histogram, measure, normalise

HOW = ["divide", "minmax", "percentile", "standard"]
IMAGES = np.random.default_rng(0).integers(20, 230, (4, 9, 7, 3), dtype=np.uint8)


def by_formula(picture: np.ndarray, how: str) -> np.ndarray:
    x = picture.astype(np.float64)
    if how == "divide":
        return x / 255
    if how == "standard":
        return (x - x.mean(axis=(0, 1))) / x.std(axis=(0, 1))
    low, high = (x.min(), x.max()) if how == "minmax" else np.percentile(x, [5, 95])
    return (x - low) / (high - low)


@pytest.mark.parametrize("how", HOW)
def test_each_picture_by_the_formula(how: str) -> None:
    kept = IMAGES.copy()
    found = normalise(IMAGES, how)
    assert found.dtype == np.float32
    for picture, got in zip(IMAGES, found, strict=True):
        np.testing.assert_allclose(got, by_formula(picture, how), atol=1e-5)
    assert np.array_equal(IMAGES, kept)


@pytest.mark.parametrize("how", HOW)
def test_by_what_was_measured_on_other_pictures(how: str) -> None:
    counts = histogram(IMAGES[:3]).sum(axis=0)
    mean, std = measure(counts, how)
    found = normalise(IMAGES[3:], by=Normalisation(mean.tolist(), std.tolist()))
    joined = np.concatenate(list(IMAGES[:3]))
    scale = {"divide": (0, 255), "minmax": (joined.min(), np.ptp(joined))}
    if how == "percentile":
        low, high = np.percentile(joined, [5, 95])
        scale[how] = (low, high - low)
    if how == "standard":
        scale[how] = (joined.mean(axis=(0, 1)), joined.std(axis=(0, 1)))
    low, span = scale[how]
    np.testing.assert_allclose(found[0], (IMAGES[3] - low) / span, atol=1e-5)


def test_minmax_reaches_exactly_0_and_1() -> None:
    found = normalise(IMAGES, "minmax")
    assert (found.min(axis=(1, 2, 3)) == 0).all()
    assert (found.max(axis=(1, 2, 3)) == 1).all()


@pytest.mark.parametrize("how", ["minmax", "percentile", "standard"])
def test_a_constant_picture_becomes_0_to_the_last_bit(how: str) -> None:
    constant = np.arange(256, dtype=np.uint8)[:, None, None, None].repeat(2, 1).repeat(3, 2).repeat(3, 3)
    assert (normalise(constant, how) == 0).all()
    assert (measure(histogram(constant), how)[1] == 1).all()


def test_a_picture_without_spread_between_its_percentiles_keeps_its_own() -> None:
    sparse = np.zeros((1, 10, 10, 1), np.uint8)
    sparse[0, 0, 0] = 255
    assert normalise(sparse, "percentile").max() == 1


@given(
    arrays(np.uint8, st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 3]))),
)
def test_percentiles_are_those_of_numpy(images: np.ndarray) -> None:
    mean, std = measure(histogram(images), "percentile")
    for picture, low, span in zip(images, mean[:, 0], std[:, 0], strict=True):
        five, ninety_five = np.percentile(picture, [5, 95]) / 255
        assert low == pytest.approx(five, abs=1e-12)
        assert span == pytest.approx(ninety_five - five if ninety_five - five > 1e-6 else 1.0, abs=1e-12)


def test_what_is_no_batch_of_uint8_is_refused() -> None:
    for images in (IMAGES[0], IMAGES.astype(np.float32)):
        with pytest.raises(ArrayError, match=r"must be \(B, H, W, C\) uint8"):
            normalise(images, "minmax")
        with pytest.raises(ArrayError, match=r"must be \(B, H, W, C\) uint8"):
            normalise(images, by=Normalisation([0.5] * 3, [0.5] * 3))
    with pytest.raises(ArrayError, match=r"Got uint8 \(4, 0, 7, 3\)"):
        normalise(IMAGES[:, :0])
    with pytest.raises(ConfigError, match="Got 'zscore'"):
        normalise(IMAGES, "zscore")  # type: ignore[arg-type]


@pytest.mark.parametrize("by", ["training", Normalisation([0.5], [0.5]), Normalisation([0.5] * 3, [0.5, 0.0, 0.5])])
def test_what_is_no_measure_of_these_pictures_is_refused(by: object) -> None:
    with pytest.raises(ConfigError, match=r"^normalise: by .* Got "):
        normalise(IMAGES, "minmax", by=by)  # type: ignore[arg-type]
