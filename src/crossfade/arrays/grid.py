"""Where each pixel of a flipped and shifted picture comes from: what `render` needs to know of an augmentation."""

from __future__ import annotations

from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Padding = Literal["reflect", "constant"]


class DrawnAugmentation(Protocol):
    """What was drawn for each sample of a batch; `crossfade.vision.augment` draws it.

    Pixel (y, x) of the augmented picture is pixel (y + offset[i, 0], x + offset[i, 1]) of the picture, which was
    flipped left-right first where flip[i]. Beyond the border it is mirrored ("reflect") or black ("constant").
    """

    @property
    def flip(self) -> NDArray[np.bool_]:
        """(B,)"""

    @property
    def offset(self) -> NDArray[np.int64]:
        """(B, 2) rows down, columns right."""

    @property
    def padding(self) -> Padding:
        """What lies beyond the border."""


def sample_grid(augment: DrawnAugmentation, height: int, width: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows (B, H) and columns (B, W) of the original that the augmented picture shows; -1 is black."""
    rows = _places(np.arange(height) + augment.offset[:, :1], height, augment.padding)
    columns = _places(np.arange(width) + augment.offset[:, 1:], width, augment.padding)
    flipped = np.where(columns >= 0, width - 1 - columns, -1)
    return rows, np.where(augment.flip[:, None], flipped, columns)


def _places(at: NDArray[np.int64], size: int, padding: Padding) -> NDArray[np.int64]:
    if padding == "constant":
        return np.where((at >= 0) & (at < size), at, -1)
    period = max(1, 2 * (size - 1))
    at = at % period
    return np.where(at < size, at, period - at)
