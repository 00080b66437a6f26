"""What may happen to a picture on its way to a camera's file, at five strengths each: uint8 pictures in and out.

What is drawn for a picture (its noise, the side it is turned to) is a function of the seed and the picture's number:
the same at every strength, for every network and in every batch, so that curves and networks can be compared.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from crossfade.arrays.augment import Colour
from crossfade.arrays.dispatch import augment_images
from crossfade.rng import Stream, derive_rng, sample_uniforms
from crossfade.vision import geometry
from crossfade.vision.augment import Augmentation

Pictures = NDArray[np.uint8]
Numbers = NDArray[np.int64]


class Draw(IntEnum):
    """The second step of the paths below `Stream.ROBUSTNESS`. Never renumber."""

    NOISE = 1
    ROTATION = 2
    PGD = 3
    SUBSET = 4


@dataclass(frozen=True)
class Corruption:
    """One way to spoil pictures.

    Attributes:
        title, unit: for a figure's axis.
        strengths: five, the mildest first.
        apply: (pictures (B, H, W, C) uint8, strength, numbers (B,) of the pictures, seed) -> new pictures, same shape.
    """

    title: str
    unit: str
    strengths: tuple[float, ...]
    apply: Callable[[Pictures, float, Numbers, int], Pictures]


def brighten(pictures: Pictures, levels: float, numbers: Numbers, seed: int) -> Pictures:
    """Add `levels` to every value; cut off at 255."""
    shape = (len(pictures), 1)
    still = np.broadcast_to(np.eye(3)[:2], (len(pictures), 2, 3))
    drawn = Augmentation(still, colours=np.full(shape, int(Colour.SHIFT)), amounts=np.full(shape, float(levels)))
    return augment_images(pictures, drawn)


def add_noise(pictures: Pictures, deviation: float, numbers: Numbers, seed: int) -> Pictures:
    """Add deviation * n to every value, n ~ N(0, 1); rounded to nearest, cut off at 0 and 255."""
    spoiled = np.empty_like(pictures)
    for row, number in enumerate(numbers.tolist()):
        rng = derive_rng(seed, Stream.ROBUSTNESS, Draw.NOISE, number)
        noise = rng.standard_normal(pictures.shape[1:], np.float32)
        spoiled[row] = _as_pixels(pictures[row] + np.float32(deviation) * noise)
    return spoiled


def blur(pictures: Pictures, share: float, numbers: Numbers, seed: int) -> Pictures:
    """Gaussian blur with a standard deviation of `share` percent of the side; the border is held out."""
    from scipy.ndimage import gaussian_filter

    sides = [share / 100 * side for side in pictures.shape[1:3]]
    smoothed = gaussian_filter(pictures.astype(np.float32), (0, *sides, 0), mode="nearest")
    return _as_pixels(smoothed)


def compress(pictures: Pictures, quality: float, numbers: Numbers, seed: int) -> Pictures:
    """Written as JPEG of that quality (libjpeg's scale, 4:2:0) and read again, by Pillow."""
    from PIL import Image

    spoiled = np.empty_like(pictures)
    for row, picture in enumerate(pictures):
        file = io.BytesIO()
        Image.fromarray(picture.squeeze(-1) if picture.shape[-1] == 1 else picture).save(
            file, format="JPEG", quality=round(quality), subsampling="4:2:0"
        )
        spoiled[row] = np.asarray(Image.open(file)).reshape(picture.shape)
    return spoiled


def rotate(pictures: Pictures, degrees: float, numbers: Numbers, seed: int) -> Pictures:
    """Turned about the middle, to the side drawn for each; bilinear, the border mirrored."""
    left = sample_uniforms(numbers, 1, seed, Stream.ROBUSTNESS, Draw.ROTATION)[:, 0] < 0.5
    maps = geometry.about_centre(pictures.shape[1:3], geometry.turned(np.where(left, degrees, -degrees)))
    return augment_images(pictures, Augmentation(maps[:, :2], "mirror"))


def _as_pixels(values: NDArray[np.float32]) -> Pictures:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


CORRUPTIONS: dict[str, Corruption] = {
    "brightness": Corruption("Brightness", "levels of 255 added", (25, 50, 75, 100, 125), brighten),
    "noise": Corruption("Noise", "standard deviation in levels of 255", (5, 10, 20, 30, 45), add_noise),
    "blur": Corruption("Blur", "standard deviation in % of the side", (1.5, 2, 2.5, 3, 4), blur),
    "jpeg": Corruption("JPEG", "quality", (75, 50, 25, 15, 8), compress),
    "rotation": Corruption("Rotation", "degrees to either side", (5, 10, 15, 20, 30), rotate),
}
"""Kinds and strengths after Hendrycks & Dietterich 2019, arXiv:1903.12261. Differs: theirs are fitted to pictures of
224 or of 32 pixels a side, ours are in levels and in shares of the side and serve for both; rotation is not theirs."""
