"""What the tests draw: every legal plan (not only those of our policies), and pictures to go with it."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from crossfade.mixing.blend import MixUp
from crossfade.mixing.box import CutMix
from crossfade.mixing.choice import OneOf, Sometimes
from crossfade.mixing.plan import Plan
from crossfade.vision import geometry
from crossfade.vision.augment import Augmentation

BATCHES = (1, 2, 3, 7)
SIDES = ((7, 13), (13, 7), (1, 1), (4, 4), (1, 6), (5, 2))

opacities = st.one_of(
    st.sampled_from([0.0, 1.0, 0.5, 2.0**-149, 1 - 2.0**-24]), st.floats(0, 1, width=32, allow_subnormal=True)
)


@st.composite
def shapes(draw) -> tuple[int, int, int]:
    return (draw(st.sampled_from(BATCHES)), *draw(st.sampled_from(SIDES)))


@st.composite
def spans(draw, size: int) -> tuple[int, int]:
    a, b = draw(st.integers(0, size)), draw(st.integers(0, size))
    return min(a, b), max(a, b)


@st.composite
def plans(draw, *, shape=None, max_layers=4, opaque=False, masks=True, fills=True) -> Plan:
    """Any legal plan: overlapping and empty boxes, fills, masks, weights counted (or moved off the fills)."""
    batch, height, width = draw(shapes()) if shape is None else shape
    layers = draw(st.integers(1, max_layers))
    source = np.tile(np.arange(batch)[:, None], (1, layers))
    opacity, box = np.ones((batch, layers)), np.tile(np.array([0, 0, height, width]), (batch, layers, 1))
    for i in range(batch):
        for k in range(1, layers):
            source[i, k] = draw(st.integers(-1 if fills else 0, batch - 1))
            opacity[i, k] = 1 if opaque else draw(opacities)
            (top, bottom), (left, right) = draw(spans(height)), draw(spans(width))
            box[i, k] = top, left, bottom, right
    mask = None
    if masks and layers > 1 and draw(st.booleans()):
        mask = _mask(draw(st.integers(0, 2**32 - 1)), (batch, height, width))
    if (source >= 0).all():
        return Plan(source, opacity, box, mask=mask)
    return Plan(source, opacity, box, mask=mask, weight=_off_the_fills(source, opacity, box, mask))


def _mask(seed: int, shape: tuple[int, int, int]) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.where(rng.random(shape) < 0.5, rng.integers(0, 2, shape), rng.random(shape)).astype(np.float32)


def _off_the_fills(source: np.ndarray, opacity: np.ndarray, box: np.ndarray, mask: Any) -> np.ndarray:
    """The visible shares, those of constant fills given to the sample itself."""
    own = np.where(source < 0, np.arange(len(source))[:, None], source)
    weight = Plan(own, opacity, box, mask=mask).visible()
    lost = np.where(source < 0, weight, 0)
    weight = np.where(source < 0, 0, weight)
    weight[:, 0] += lost.sum(axis=1)
    return weight


alphas = st.one_of(st.sampled_from([1e-300, 1e-8, 0.2, 1.0, 1e8]), st.floats(1e-3, 1e3))


@st.composite
def policies(draw):
    """Policies as users write them."""
    partner = draw(st.sampled_from(["permute", "derange", "roll", "flip", "same_class", "cross_class"]))
    per = draw(st.sampled_from(["sample", "batch"]))
    mixup = MixUp(draw(alphas), partner=partner, per=per)
    cutmix = CutMix(draw(alphas), partner=partner, per=per, inside=draw(st.booleans()))
    some = Sometimes(mixup, draw(st.floats(0, 1)), per=per)
    return draw(
        st.sampled_from([mixup, cutmix, some, OneOf([mixup, cutmix], per=per), OneOf([some, cutmix], [1, 3], per)])
    )


def pictures(shape: tuple[int, int, int], channels: int, dtype: Any, seed: int, layout: str = "NHWC") -> np.ndarray:
    """A batch of noise: 0..255 for uint8, else normal numbers of both signs."""
    batch, height, width = shape
    size = (batch, height, width, channels) if layout == "NHWC" else (batch, channels, height, width)
    rng = np.random.default_rng(seed)
    if np.dtype(dtype) == np.uint8:
        return rng.integers(0, 256, size, dtype=np.uint8)
    return (rng.standard_normal(size) * 3).astype(dtype)


def moves(flip, offset, fill: str, size: tuple[int, int]) -> Augmentation:
    """Flipped left-right where `flip` (B,) says so, then read `offset` (B, 2) pixels further down and right."""
    offset = np.asarray(offset)
    matrix = geometry.flipped(size, flip, False) @ geometry.moved(offset[:, 0], offset[:, 1])
    return Augmentation(matrix[:, :2], fill)
