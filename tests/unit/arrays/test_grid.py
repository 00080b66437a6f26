"""Where each augmented pixel comes from."""

from __future__ import annotations

import numpy as np
import pytest

from crossfade.arrays.grid import sample_grid
from crossfade.mixing import reference
from crossfade.vision.augment import Augmentation


@pytest.mark.parametrize("padding", ["reflect", "constant"])
@pytest.mark.parametrize("size", [(1, 1), (2, 3), (7, 5)])
def test_the_grid_is_the_references(padding, size):
    height, width = size
    rng = np.random.default_rng(0)
    picture = np.arange(1, height * width + 1, dtype=float).reshape(height, width, 1)
    augment = Augmentation(rng.random(30) < 0.5, rng.integers(-12, 13, (30, 2)), padding)
    rows, columns = sample_grid(augment, height, width)
    for i in range(30):
        for y in range(height):
            for x in range(width):
                black = rows[i, y] < 0 or columns[i, x] < 0
                seen = 0 if black else picture[rows[i, y], columns[i, x], 0]
                drawn = bool(augment.flip[i]), augment.offset[i], padding
                assert seen == reference.augmented_pixel(picture, *drawn, y, x, 0)
