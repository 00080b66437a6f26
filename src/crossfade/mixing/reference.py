"""The oracle: plans executed pixel by pixel in plain loops, straight from the equations, in Python floats.

Slow on purpose, and imported by no other module: every fast path is tested against it. NumPy only stores.

    a_k[p]    = opacity[i, k] * (p inside box[i, k]) * mask[i, p]      (the mask acts on layer 1 only)
    out       <- image[i];   for k = 1 .. K-1:   out[p] <- (1 - a_k[p]) out[p] + a_k[p] image[source[i, k]][p]
    weight[i, k] = mean over p of  a_k[p] * prod_{m > k} (1 - a_m[p])
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from crossfade.mixing.plan import Plan
from crossfade.mixing.visibility import EVEN

Layout = Literal["NCHW", "NHWC"]
Array = NDArray[Any]


class Augmentation(Protocol):
    """What was drawn for each sample, as far as geometry goes."""

    matrix: Any
    fill: Any
    value: Any


def opacity_at(plan: Plan, i: int, k: int, y: int, x: int) -> float:
    """a_k[p]: how opaque layer k of sample i is at pixel p = (y, x)."""
    top, left, bottom, right = (int(edge) for edge in plan.box[i, k])
    if not (top <= y < bottom and left <= x < right):
        return 0.0
    a = float(plan.opacity[i, k])
    return a * float(plan.mask[i, y, x]) if plan.mask is not None and k == 1 else a


def blend(below: float, above: float, a: float) -> float:
    """(1 - a) below + a above; where a is 0 or 1 the other number does not count, not even if it is inf or nan."""
    if a == 0:
        return below
    return above if a == 1 else (1 - a) * below + a * above


def mix_pixel(values: Sequence[float], opacities: Sequence[float]) -> float:
    """One number of one pixel: ``values[k]`` of layer k laid over those below it."""
    out = values[0]
    for above, a in zip(values[1:], opacities[1:], strict=True):
        out = blend(out, above, a)
    return out


def visible_at(opacities: Sequence[float]) -> list[float]:
    """For each layer of a pixel: a_k * prod_{m > k} (1 - a_m)."""
    shares = []
    for k, a in enumerate(opacities):
        share = a
        for above in opacities[k + 1 :]:
            share *= 1 - above
        shares.append(share)
    return shares


def visible(plan: Plan) -> NDArray[np.float64]:
    """(B, K): the share of the picture that shows each layer, counted pixel by pixel."""
    batch, height, width = plan.shape
    shares = np.zeros((batch, plan.layers))
    for i in range(batch):
        for y in range(height):
            for x in range(width):
                for k, share in enumerate(visible_at(_opacities(plan, i, y, x))):
                    shares[i, k] += share
    return shares / (height * width)


def mix_images(images: Array, plan: Plan, layout: Layout) -> Array:
    """Mixed images, like `images`; uint8 rounded once, to nearest (half to even)."""
    pixels, out = _pixels(images, layout), np.zeros_like(images)
    mixed = _pixels(out, layout)
    for i, y, x, c in np.ndindex(pixels.shape):
        value = mix_pixel(_values(pixels, plan, i, y, x, c), _opacities(plan, i, y, x))
        mixed[i, y, x, c] = round(value) if images.dtype == np.uint8 else value
    return out


def warped_pixel(picture: Array, matrix: Array, fill: str, value: int, y: int, x: int, c: int) -> int:
    """Pixel (y, x) of a picture (H, W, C) looked up at ``matrix @ (y, x, 1)``, to the nearest 64th, bilinear.

    The matrix counts in 2^-32 of a pixel.
    """
    units = [[round(float(entry) * 2**32) for entry in line] for line in matrix]
    row, column = (math.floor((a * y + b * x + offset) / 2**26 + 0.5) / 64 for a, b, offset in units)
    top, left = math.floor(row), math.floor(column)
    total = 0.0
    for down, right in ((0, 0), (0, 1), (1, 0), (1, 1)):
        share = (row - top if down else 1 - (row - top)) * (column - left if right else 1 - (column - left))
        total += share * _beyond(picture, fill, value, top + down, left + right, c)
    return math.floor(total + 0.5)


def _beyond(picture: Array, fill: str, value: int, y: int, x: int, c: int) -> float:
    """Pixel (y, x), which may lie beyond the border: walk back inside, step by step."""
    places = []
    for at, size in ((y, picture.shape[0]), (x, picture.shape[1])):
        while not 0 <= at < size:
            if fill == "constant":
                return float(value)
            if fill == "wrap":
                at += size if at < 0 else -size
            elif fill == "nearest":
                at += 1 if at < 0 else -1
            elif fill == "mirror":  # the edge pixel once
                at = 0 if size == 1 else -at if at < 0 else 2 * (size - 1) - at
            else:  # reflect: the edge pixel twice
                at = -1 - at if at < 0 else 2 * size - 1 - at
        places.append(at)
    return float(picture[places[0], places[1], c])


def render(
    images: Array,
    plan: Plan,
    mean: Sequence[float],
    std: Sequence[float],
    layout: Layout,
    augment: Augmentation | None = None,
) -> NDArray[np.float32]:
    """(mix(augment(images)) / 255 - mean) / std with a mean and a std per channel."""
    pixels = _pixels(images, layout).astype(np.float64)
    if augment is not None:
        original, pixels = pixels, np.zeros_like(pixels)
        for i, y, x, c in np.ndindex(pixels.shape):
            drawn = augment.matrix[i], augment.fill, augment.value
            pixels[i, y, x, c] = warped_pixel(original[i], *drawn, y, x, c)
    out = np.zeros(images.shape, np.float32)
    normalised = _pixels(out, layout)
    for i, y, x, c in np.ndindex(pixels.shape):
        value = mix_pixel(_values(pixels, plan, i, y, x, c), _opacities(plan, i, y, x))
        normalised[i, y, x, c] = (value / 255 - mean[c]) / std[c]
    return out


def mix_targets(labels: Array, plan: Plan, num_classes: int, smoothing: float = 0.0) -> NDArray[np.float64]:
    """(B, C): (1 - s) sum_k weight[i, k] y[source[i, k]] + s / C, with y one-hot or as given."""
    targets = np.zeros((len(plan), num_classes))
    for i in range(len(plan)):
        for k in range(plan.layers):
            weight = float(plan.weight[i, k])
            if weight == 0:
                continue
            label = labels[plan.source[i, k]]
            for c in range(num_classes):
                y = float(label[c]) if labels.ndim == 2 else float(int(label) == c)
                targets[i, c] += (1 - smoothing) * weight * y
        for c in range(num_classes):
            targets[i, c] += smoothing / num_classes
    return targets


def mix_masks(masks: Array, plan: Plan) -> Array:
    """(B, H, W) class ids: each pixel from the layer that shows most there, the lower one where two are even."""
    out = np.zeros_like(masks)
    for i, y, x in np.ndindex(masks.shape):
        shares = visible_at(_opacities(plan, i, y, x))
        best = 0
        for k, share in enumerate(shares):
            best = k if share > shares[best] * (1 + EVEN) else best
        source = int(plan.source[i, best])
        out[i, y, x] = masks[source, y, x] if source >= 0 else 0
    return out


def _opacities(plan: Plan, i: int, y: int, x: int) -> list[float]:
    return [opacity_at(plan, i, k, y, x) for k in range(plan.layers)]


def _values(pixels: Array, plan: Plan, i: int, y: int, x: int, c: int) -> list[float]:
    sources = (int(source) for source in plan.source[i])
    return [float(pixels[j, y, x, c]) if j >= 0 else 0.0 for j in sources]


def _pixels(images: Array, layout: Layout) -> Array:
    """The (B, H, W, C) view."""
    return images.transpose(0, 2, 3, 1) if layout == "NCHW" else images
