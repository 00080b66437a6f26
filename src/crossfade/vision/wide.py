"""The operations of TrivialAugment and RandAugment, drawn for many samples at once.

Each draw takes an operation, a level and a sign; the policies differ in how many they take and how far a level goes.

    TrivialAugment   one operation, its level uniform over 0..30
    RandAugment      n operations, all of one level

Source:
    Mueller and Hutter 2021, TrivialAugment, arXiv:2103.10158, table 1 ("wide"). Cubuk et al. 2019, RandAugment,
    arXiv:1909.13719, sec. 3; amounts at each level as in torchvision.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from crossfade.arrays.augment import Colour
from crossfade.vision import geometry
from crossfade.vision.geometry import Matrices, Size

OPERATIONS = (
    "identity", "shear_x", "shear_y", "translate_x", "translate_y", "rotate",
    "brightness", "saturation", "contrast", "sharpness", "posterize", "solarize", "autocontrast", "equalize",
)  # fmt: skip
LEVELS = 31
_SIGNED = frozenset({"brightness", "saturation", "contrast", "sharpness"})


@dataclass(frozen=True)
class Drawn:
    """(B, 3, 3) all geometry in one map; (B, n) colour steps and their amounts."""

    matrix: Matrices
    colours: NDArray[np.int64]
    amounts: NDArray[np.float64]


def draw(policy: Literal["trivial", "rand"], uniforms: NDArray[np.float64], magnitude: int, size: Size) -> Drawn:
    """Turn uniform numbers (B, n, 3) into operations; "trivial" looks at the first of n only."""
    uniforms = uniforms[:, :1] if policy == "trivial" else uniforms
    batch, ops = uniforms.shape[:2]
    operation = np.floor(uniforms[:, :, 0] * len(OPERATIONS)).astype(np.int64)
    trivial = policy == "trivial"
    level = np.floor(uniforms[:, :, 1] * LEVELS) if trivial else np.full((batch, ops), float(magnitude))
    part, sign = level / (LEVELS - 1), np.where(uniforms[:, :, 2] < 0.5, -1.0, 1.0)
    matrix = np.broadcast_to(np.eye(3), (batch, 3, 3))
    for n in range(ops):
        matrix = matrix @ _geometry(operation[:, n], part[:, n] * sign[:, n], size, trivial=trivial)
    colours = np.array([Colour.__members__.get(name.upper(), Colour.NONE) for name in OPERATIONS])[operation]
    return Drawn(matrix, colours, _amounts(operation, part, sign, trivial=trivial))


def _geometry(operation: NDArray[np.int64], part: NDArray[np.float64], size: Size, *, trivial: bool) -> Matrices:
    height, width = size
    lean, angle = (0.99, 135) if trivial else (0.3, 30)
    reach = (32, 32) if trivial else (150 / 331 * height, 150 / 331 * width)
    chosen = {name: part * (operation == number) for number, name in enumerate(OPERATIONS)}
    about = geometry.sheared(*(np.degrees(np.arctan(lean * chosen[name])) for name in ("shear_y", "shear_x")))
    about = about @ geometry.turned(angle * chosen["rotate"])
    about = about @ geometry.moved(*(np.trunc(r * chosen[f"translate_{a}"]) for r, a in zip(reach, "yx", strict=True)))
    return geometry.about_centre(size, about)


def _amounts(
    operation: NDArray[np.int64], part: NDArray[np.float64], sign: NDArray[np.float64], *, trivial: bool
) -> NDArray[np.float64]:
    """Factors go up to 1 +- 0.99 (0.9), bits from 8 down to 2 (4), the level of solarize from 255 down to 0."""
    reach, bits = (0.99, 6) if trivial else (0.9, 4)
    factor = 1 + reach * part * sign
    amounts = np.zeros(operation.shape)
    for number, name in enumerate(OPERATIONS):
        if name in _SIGNED:
            amounts = np.where(operation == number, factor, amounts)
    amounts = np.where(operation == OPERATIONS.index("posterize"), 8 - np.rint(bits * part), amounts)
    return np.where(operation == OPERATIONS.index("solarize"), 255 * (1 - part), amounts)
