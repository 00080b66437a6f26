"""Augmentation: drawn on the host for each sample, executed inside the fused pass.

What is drawn for a sample is a function of (seed, epoch, sample id), so it does not depend on the batch it is in,
on the arm of a comparison, or on the number of threads.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crossfade.arrays.grid import Padding
from crossfade.errors import ConfigError
from crossfade.rng import Stream, sample_uniforms


@dataclass(frozen=True)
class Augmentation:
    """What was drawn for a batch; `crossfade.arrays.grid.DrawnAugmentation` says how it is read."""

    flip: NDArray[np.bool_]
    offset: NDArray[np.int64]
    padding: Padding = "reflect"


@dataclass(frozen=True)
class FlipCrop:
    """Flip left-right with probability one half, pad the picture by `pad` pixels and crop its size anywhere.

    Args:
        flip: whether to flip at all.
        pad: 0 or more pixels; shifts are uniform over -pad..pad in both directions.
        padding: what lies beyond the border, "reflect" or "constant" (black).

    Source:
        He et al. 2015, Deep residual learning, arXiv:1512.03385, sec. 4.2 (pad 4). Differs: reflected border.
    """

    flip: bool = True
    pad: int = 0
    padding: Padding = "reflect"

    def __post_init__(self) -> None:
        whole = isinstance(self.pad, int) and not isinstance(self.pad, bool) and self.pad >= 0
        if not whole or not isinstance(self.flip, bool) or self.padding not in ("reflect", "constant"):
            raise ConfigError(
                "FlipCrop: flip is true or false, pad a whole number from 0 on, padding reflect or constant. "
                f"Got {self.flip!r}, {self.pad!r}, {self.padding!r}."
            )

    def draw(self, ids: ArrayLike, *, seed: int, epoch: int) -> Augmentation | None:
        """Draw for samples `ids` (B,); None where there is nothing to do."""
        if not self.flip and self.pad == 0:
            return None
        uniform = sample_uniforms(ids, 3, seed, Stream.AUGMENT, epoch)
        offset = np.floor(uniform[:, 1:] * (2 * self.pad + 1)).astype(np.int64) - self.pad
        return Augmentation(flip=self.flip & (uniform[:, 0] < 0.5), offset=offset, padding=self.padding)
