from __future__ import annotations

import numpy as np
import pytest

from crossfade.data.sketch import MOST_LINES, SMALL, Sketcher, sketch
from tests.unit.data.folders import noise


def slow_sketch(image: np.ndarray) -> np.ndarray:
    """Every pixel divided into 8 x 8, so that every cell is whole."""
    wide = image.astype(np.int64).repeat(8, axis=0).repeat(8, axis=1)
    if wide.shape[2] == 1:
        wide = wide.repeat(3, axis=2)
    height, width = image.shape[:2]
    red, green, blue = np.moveaxis(wide, 2, 0)

    def means(values: np.ndarray, cells: int) -> np.ndarray:
        boxes = values.reshape(cells, 8 * height // cells, cells, 8 * width // cells)
        return boxes.mean(axis=(1, 3))

    colour = np.concatenate([means(red, 4), means(blue, 4)], axis=1)
    grey = means(red + 2 * green + blue, 8) / 4
    return np.floor(np.concatenate([grey.ravel(), colour.ravel()]) + 0.5).astype(np.uint8)


@pytest.mark.parametrize(
    "shape", [(8, 8, 3), (32, 32, 3), (4, 5, 1), (37, 23, 3), (30, SMALL + 3, 3), (MOST_LINES, 90, 1)]
)
def test_a_sketch_is_the_mean_over_exact_shares(shape: tuple[int, int, int]) -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, *shape), dtype=np.uint8)
    assert np.array_equal(sketch(images), [slow_sketch(image) for image in images])


def test_white_does_not_overflow() -> None:
    images = np.full((1, MOST_LINES, 5000, 3), 255, np.uint8)
    assert (sketch(images) == 255).all()


def test_of_many_lines_evenly_spread_ones_are_looked_at() -> None:
    image = np.zeros((1000, 16, 3), np.uint8)
    image[500:] = 200
    sketcher = Sketcher()
    sketcher.add(0, image)
    grey = sketcher.finish(1)[0, :64].reshape(8, 8)
    assert (grey[:4] == 0).all()
    assert (grey[4:] == 200).all()


def test_shapes_in_any_order_come_back_in_their_rows() -> None:
    images = [noise(16, 16, seed=1), noise(20, 12, seed=2), noise(16, 16, seed=3), noise(300, 40, seed=4)]
    sketcher = Sketcher()
    for row, image in zip((0, 2, 3, 4), images, strict=True):
        sketcher.add(row, image)
    together = sketcher.finish(5)
    assert not together[1].any()
    for row, image in zip((0, 2, 3), images, strict=False):
        assert np.array_equal(together[row], sketch(image[None])[0])
    assert not sketcher.finish(5).any()
