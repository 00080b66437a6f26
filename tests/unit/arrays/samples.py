"""A small batch, its labels and its plan."""

from __future__ import annotations

import numpy as np
import torch

import crossfade as cf
from crossfade.mixing.plan import Plan
from tests.strategies import pictures

SHAPE = (4, 7, 13)
PLAN = cf.MixUp(1.0).plan(SHAPE, rng=0)
RESIZE = Plan.two_layers(SHAPE, np.array([1, 0, 3, 2]))
object.__setattr__(RESIZE, "fit", "resize")
LABELS = np.array([0, 1, 2, 0])
BYTES = pictures(SHAPE, 3, np.uint8, 0)
FLOATS = pictures(SHAPE, 3, np.float32, 0)


def both(array):
    """As a NumPy array and as a tensor."""
    return [array, torch.from_numpy(array.copy())]
