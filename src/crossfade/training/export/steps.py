"""The way of a picture from its pixels to what the network sees, as ONNX nodes.

Each function is the twin of one in `crossfade.data` or `crossfade.vision` and computes the same numbers: whole ones to
the last bit, and the weights of `data.resize` in float64 in the same order. Height and width are known only when the
graph runs.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from crossfade.data.fit import PAD_FILL
from crossfade.data.resize import BITS
from crossfade.training.export.graph import Graph, Value
from crossfade.vision.morphology import footprint
from crossfade.vision.normalise import HIGH, LOW, NO_SPREAD, Normalisation
from crossfade.vision.preprocess import Preprocess

ROWS, COLUMNS, CHANNELS = 1, 2, 3
_LUMA = (19595, 38470, 7471)  # of 65536: ITU-R 601 as Pillow rounds it
_INT, _REAL, _SINGLE = np.int64, np.float64, np.float32


def picture_to_values(
    graph: Graph, picture: Value, size: int, channels: int, preprocess: Preprocess, normalisation: Normalisation
) -> Value:
    """(N, H, W, 1 or 3) uint8 -> (N, C, size, size) float32, what the network sees."""
    pixels = fit(graph, in_colour(graph, picture), size, preprocess.fit)
    # What `drop` finds too small ends here; 0 keeps the number of pictures, or several would become one.
    pixels = graph.op("Reshape", pixels, graph.constant((0, size, size, 3), _INT))
    pixels = to_channels(graph, pixels, channels)
    if preprocess.view is not None:
        pixels = view(graph, pixels, preprocess.view, channels)
    if preprocess.threshold is not None:
        pixels = threshold(graph, pixels, preprocess.threshold, size)
    if preprocess.morphology is not None:
        shape = footprint(preprocess.element, preprocess.radius)
        pixels = morphology(graph, pixels, preprocess.morphology, shape, size)
    values = normalise(graph, pixels, preprocess, normalisation, size)
    return graph.op("Transpose", values, perm=[0, 3, 1, 2])


# ------------------------------------------------------------------------------------------- data.fit and data.resize


def in_colour(graph: Graph, picture: Value) -> Value:
    """(N, H, W, 3) of (N, H, W, 1 or 3): grey is repeated; of a grey network the way back loses nothing."""
    return graph.op("Expand", picture, graph.constant((1, 1, 1, 3), _INT))


def fit(graph: Graph, picture: Value, size: int, how: str) -> Value:
    """See `crossfade.data.fit.fit_to`; int32."""
    height, width = graph.shape(picture, ROWS), graph.shape(picture, COLUMNS)
    if how == "drop":
        return _centre(graph, picture, height, width, size).astype(np.int32)
    whole = graph.constant(size, _INT)
    down, across = height.astype(_REAL), width.astype(_REAL)
    if how == "crop":
        side = graph.op("Min", down, across)
        left, top = (across - side) / 2, (down - side) / 2
        return resize(graph, picture, whole, whole, (left, top, left + side, top + side))
    zero = graph.constant(0, _REAL)
    if how == "stretch":
        return resize(graph, picture, whole, whole, (zero, zero, across, down))
    longest = graph.op("Max", down, across)
    rows, columns = (graph.op("Max", graph.op("Round", one * size / longest), 1).astype(_INT) for one in (down, across))
    inner = resize(graph, picture, rows, columns, (zero, zero, across, down))
    top, left = (whole - rows) // 2, (whole - columns) // 2
    pads = graph.stack(0, top, left, 0, 0, whole - rows - top, whole - columns - left, 0)
    return graph.op("Pad", inner, pads, graph.constant(PAD_FILL, np.int32))


def _centre(graph: Graph, picture: Value, height: Value, width: Value, size: int) -> Value:
    top, left = (height - size) // 2, (width - size) // 2
    starts, ends = graph.stack(top, left), graph.stack(top + size, left + size)
    return graph.op("Slice", picture, starts, ends, graph.constant((ROWS, COLUMNS), _INT))


def resize(graph: Graph, picture: Value, height: Value, width: Value, box: tuple[Value, ...]) -> Value:
    """See `crossfade.data.resize.resize`: across, then down, each rounded to whole levels; int32."""
    left, top, right, bottom = box
    across = _resize_axis(graph, picture, COLUMNS, width, left, right)
    return _resize_axis(graph, across, ROWS, height, top, bottom)


def _resize_axis(graph: Graph, picture: Value, axis: int, size: Value, start: Value, end: Value) -> Value:
    length = graph.shape(picture, axis)
    first, count, weights = _weights(graph, length, size, start, end)
    beside = (1,) if axis == COLUMNS else (1, 2)  # rows: the same weight for all columns and channels

    def term(inner: Graph, n: Value) -> Value:
        place = inner.op("Min", inner.op("Add", n, first), inner.op("Sub", length, 1))
        column = inner.op("Gather", picture, place, axis=axis).astype(np.int32)
        return column * inner.unsqueeze(inner.op("Gather", weights, n, axis=1), *beside)

    # Half a level, in the shape of the result.
    some = graph.op("Gather", picture, graph.op("Mul", first, 0), axis=axis).astype(np.int32)
    start_at = some * 0 + (1 << (BITS - 1))
    total = graph.add_up(graph.reduce("ReduceMax", count, keep=False), start_at, term)
    return graph.op("Min", total // (1 << BITS), 255)


def _weights(graph: Graph, length: Value, size: Value, start: Value, end: Value) -> tuple[Value, Value, Value]:
    """First pixel, how many, and (size, most) int32 weights: `crossfade.data.resize._weights`, line by line."""
    scale = (end - start) / size.astype(_REAL)
    stretch = graph.op("Max", scale, 1)
    centre = start + (graph.range(size).astype(_REAL) + 0.5) * scale
    first = graph.op("Max", (centre - stretch + 0.5).astype(_INT), 0)
    count = graph.op("Min", (centre + stretch + 0.5).astype(_INT), length) - first
    places = graph.range(graph.op("Ceil", stretch).astype(_INT) * 2 + 1)
    column = graph.unsqueeze(first, 1) + places
    offset = column.astype(_REAL) - graph.unsqueeze(centre, 1) + 0.5
    distance = graph.op("Abs", offset * graph.op("Reciprocal", stretch))
    triangle = graph.op("Max", -distance + 1, 0)
    inside = places < graph.unsqueeze(count, 1)
    weights = graph.op("Where", inside, triangle, graph.constant(0, _REAL), dtype=_REAL)
    summed = graph.op("CumSum", weights, graph.constant(1, _INT))  # from left to right
    total = graph.op("Gather", summed, graph.constant([-1], _INT), axis=1)
    return first, count, graph.op("Floor", weights / total * (1 << BITS) + 0.5).astype(np.int32)


def to_channels(graph: Graph, pixels: Value, channels: int) -> Value:
    """See `crossfade.data.fit.to_channels`, of (N, H, W, 3)."""
    return pixels if channels == 3 else luma(graph, pixels)


def luma(graph: Graph, pixels: Value) -> Value:
    """(N, H, W, 3) int32 -> (N, H, W, 1), as Pillow rounds it."""
    return (graph.reduce("ReduceSum", pixels * _LUMA, CHANNELS) + 0x8000) // 0x10000


# ---------------------------------------------------------------------------------------------- vision.morphology


def view(graph: Graph, pixels: Value, which: str, channels: int) -> Value:
    """See `crossfade.vision.morphology.view`."""
    if channels == 1:
        return pixels
    if which == "grey":
        return luma(graph, pixels)
    channel = ("red", "green", "blue").index(which)
    return graph.op("Gather", pixels, graph.constant([channel], _INT), axis=CHANNELS)


def threshold(graph: Graph, pixels: Value, at: float | str, size: int) -> Value:
    """See `crossfade.vision.morphology.threshold`: a whole number is above `at` if it is above its floor."""
    limit = otsu(graph, pixels, size) if at == "otsu" else int(at)  # type: ignore[arg-type]
    return (pixels > limit).astype(np.int32) * 255


def otsu(graph: Graph, pixels: Value, size: int) -> Value:
    """(N, 1, 1, C): the level that parts each channel's histogram best, as scikit-image finds it.

        between[t] = n0[t] n1[t] (mean0[t] - mean1[t])^2           n0 pixels up to t, n1 above;  the first largest

    scikit-image counts in float32, of which the product n0 n1 keeps the rounding.
    """
    flat = graph.op("Reshape", pixels.astype(_INT), graph.constant((0, size * size, -1), _INT))
    ones = graph.op("Add", flat * 0, 1).astype(_REAL)
    empty = graph.op("Expand", graph.reduce("ReduceSum", ones, 1) * 0, graph.constant((1, 256, 1), _INT))
    counts = graph.op("ScatterElements", empty, flat, ones, axis=1, reduction="add")
    levels = graph.constant(np.arange(256)[:, None], _REAL)
    below, sums = (graph.op("CumSum", one, graph.constant(1, _INT)) for one in (counts, counts * levels))
    above = -below + size * size
    whole = graph.reduce("ReduceSum", counts * levels, 1)
    gap = sums / below - (whole - sums) / above
    product = (below.astype(_SINGLE) * above.astype(_SINGLE)).astype(_REAL)
    both = graph.op("And", below > 0, above > 0, dtype=bool)
    between = graph.op("Where", both, product * gap * gap, graph.constant(-1, _REAL), dtype=_REAL)
    best = graph.op("ArgMax", between, axis=1, keepdims=1, dtype=_INT).astype(np.int32)
    low, high = (graph.reduce(kind, flat, 1).astype(np.int32) for kind in ("ReduceMin", "ReduceMax"))
    constant = graph.op("Where", low < high, best, high, dtype=np.int32)
    return graph.unsqueeze(constant, 1)


def morphology(graph: Graph, pixels: Value, operation: str, element: Any, size: int) -> Value:
    """See `crossfade.vision.morphology.morphology`."""
    grow = {"erosion": [-1], "dilation": [1], "opening": [-1, 1], "closing": [1, -1]}[operation]
    values = graph.op("Transpose", pixels.astype(_SINGLE), perm=[0, 3, 1, 2])
    for sign in grow:
        values = _largest_under(graph, values * sign, element, size) * sign
    return graph.op("Transpose", values, perm=[0, 2, 3, 1]).astype(np.int32)


def _largest_under(graph: Graph, values: Value, element: Any, size: int) -> Value:
    """(N, C, H, W): the largest value under the element, row by row of it; beyond the border mirrored, edge twice."""
    radius = len(element) // 2
    mirrored = np.pad(np.arange(size), radius, mode="symmetric")
    for axis in (2, 3):
        values = graph.op("Gather", values, graph.constant(mirrored, _INT), axis=axis)
    rows = []
    for down, row in enumerate(element):
        width = int(row.sum())  # every row of an element of ours is one run about its middle
        inset = radius - width // 2
        starts, ends = (down, inset), (down + size, inset + size + width - 1)
        window = graph.op("Slice", values, *(graph.constant(one, _INT) for one in (starts, ends, (2, 3))))
        rows.append(graph.op("MaxPool", window, kernel_shape=[1, width]))
    return graph.op("Max", *rows)


# ----------------------------------------------------------------------------------------------- vision.normalise


def normalise(graph: Graph, pixels: Value, preprocess: Preprocess, normalisation: Normalisation, size: int) -> Value:
    """(N, H, W, C) int32 -> float32; see `crossfade.render` and `crossfade.vision.normalise`."""
    values = pixels.astype(_SINGLE)
    if preprocess.normalise_by == "training":
        mean, std = (np.asarray(one, np.float64) for one in (normalisation.mean, normalisation.std))
        return values * (1 / (255 * std)) + -mean / std
    mean, std = _measured(graph, pixels.astype(_REAL), preprocess.normalise, size)
    std = graph.op("Where", std > NO_SPREAD, std, graph.constant(1, _REAL), dtype=_REAL)
    low, span = ((one * 255).astype(_SINGLE) for one in (mean, std))
    return (values - low) / span


def _measured(graph: Graph, pixels: Value, how: str, size: int) -> tuple[Value, Value]:
    """Of each picture (N, H, W, C) float64, in 0..1; see `crossfade.vision.normalise.measure`."""
    if how == "divide":
        zero = graph.reduce("ReduceMin", pixels, ROWS, COLUMNS) * 0
        return zero, zero + 1
    if how == "standard":
        shares = pixels / 255
        mean = graph.reduce("ReduceMean", shares, ROWS, COLUMNS)
        square = graph.reduce("ReduceMean", shares * shares, ROWS, COLUMNS) - mean * mean
        return mean, graph.op("Sqrt", graph.op("Max", square, 0))
    flat = graph.op("Reshape", pixels.astype(_SINGLE), graph.constant((0, -1), _INT))
    if how == "minmax":
        low, high = (graph.reduce(kind, flat, 1).astype(_REAL) for kind in ("ReduceMin", "ReduceMax"))
    else:
        low, high = (_quantile(graph, flat, q) for q in (LOW, HIGH))
    low, high = (graph.unsqueeze(one, 2, 3) / 255 for one in (low, high))
    return low, high - low


def _quantile(graph: Graph, flat: Value, q: float) -> Value:
    """(N, 1) float64 of (N, n) float32: between two neighbours in order, linearly."""
    n = graph.shape(flat, 1)
    ordered, _ = graph.op("TopK", flat, graph.unsqueeze(n, 0), axis=1, largest=0, outputs=2)
    place = (n - 1).astype(_REAL) * q
    below = graph.op("Floor", place)
    ranks = (below.astype(_INT), graph.op("Ceil", place).astype(_INT))
    lower, upper = (graph.op("Gather", ordered, graph.unsqueeze(rank, 0), axis=1).astype(_REAL) for rank in ranks)
    return lower + (upper - lower) * (place - below)
