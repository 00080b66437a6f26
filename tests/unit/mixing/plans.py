"""A legal plan of three layers, to be spoiled."""

from __future__ import annotations

import numpy as np

FULL = [0, 0, 4, 6]
ONES = np.ones((2, 4, 6), np.float32)


def legal(**changes) -> dict:
    """The fields of a plan for two samples of 4 x 6 pixels in three layers, some of them changed."""
    return {
        "source": np.array([[0, 1, 1], [1, 0, 1]]),
        "opacity": np.array([[1, 0.5, 1], [1, 1, 0.25]]),
        "box": np.array([[FULL, [0, 0, 2, 3], FULL], [FULL, [1, 1, 1, 1], [3, 0, 4, 6]]]),
        "mask": None,
        "fit": "crop",
    } | changes
