"""Executing a plan on NumPy arrays: by the fused kernels where Numba is installed, else by plain NumPy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from crossfade.arrays import parallel
from crossfade.arrays.augment import FILLS, DrawnAugmentation, whole_matrix
from crossfade.arrays.augment import augment as augment_plain
from crossfade.arrays.backend import Layout
from crossfade.arrays.ops import Ops
from crossfade.memory import buffers
from crossfade.mixing.plan import Plan

Array = NDArray[Any]
TRACES = False
BYPASS_BYTES = 8 << 20
LONG = 4096  # numbers in a row that is joined of several
_NO_MASK = np.zeros((1, 1, 1), np.float32)


class NumpyOps:
    """`crossfade.arrays.ops.Ops`."""

    def __init__(self) -> None:
        self.where, self.clip, self.round, self.floor = np.where, np.clip, np.rint, np.floor
        self.reshape, self.sum, self.amin, self.amax = np.reshape, np.sum, np.amin, np.amax

    def wide(self) -> str:
        return "float64"

    def whole(self) -> str:
        return "int64"

    def like(self, values: Array, beside: Array) -> Array:
        return values

    def span(self, count: int, beside: Array) -> Array:
        return np.arange(count, dtype=np.int32)

    def count(self, array: Array) -> int:
        return len(array)

    def dtype_name(self, array: Array) -> str:
        return dtype_name(array)

    def cast(self, values: Array, dtype: str) -> Array:
        return values.astype(dtype)

    def take(self, values: Array, indices: Array) -> Array:
        return values[indices]

    def put(self, values: Array, indices: Array, new: Array) -> Array:
        values[indices] = new
        return values

    def blend(self, below: Array, above: Array, a: Array, shown: Array) -> Array:
        above = np.where(shown, above, 0)
        with np.errstate(invalid="ignore"):
            blend = (1 - a) * below + a * above
        return np.where(a == 1, above, np.where(a == 0, below, blend))

    def roll(self, pictures: Array, down: int, right: int) -> Array:
        return np.roll(pictures, (down, right), (1, 2))

    def stack(self, channels: Sequence[Array]) -> Array:
        return np.stack(channels, axis=-1)

    def cumsum(self, values: Array) -> Array:
        return values.cumsum(axis=1)

    def bincount(self, values: Array, length: int) -> Array:
        return np.bincount(values, minlength=length)


OPS = cast(Ops, NumpyOps())


def augment(images: Array, drawn: DrawnAugmentation, layout: Layout) -> Array:
    """See `crossfade.augment_images`."""
    pixels = augment_rows(np.ascontiguousarray(_pixels(images, layout)), np.arange(len(images)), drawn)
    return pixels if layout == "NHWC" else np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))


def augment_rows(pictures: Array, rows: NDArray[np.int64], drawn: DrawnAugmentation) -> Array:
    """(B, H, W, C): rows `rows` of the (N, H, W, C) uint8 pictures, augmented as they are read from where they lie."""
    kernels = load_kernels("augment_kernels")
    if kernels is None or not pictures.flags.c_contiguous:
        return np.asarray(augment_plain(OPS, pictures[rows], drawn))
    out = buffers.empty((len(rows), *pictures.shape[1:]), np.uint8)
    pictures = np.asarray(pictures).view()
    pictures.flags.writeable = False  # as a memory map is: one kind of array to compile for
    how = (whole_matrix(drawn.matrix), FILLS.index(drawn.fill), drawn.value, drawn.colours, drawn.amounts)
    parallel.share(
        lambda start, stop: kernels.augment(pictures, rows, out, *how, start, stop), len(rows), 16 * out.nbytes
    )
    return out


def mix_images(images: Array, plan: Plan, layout: Layout, out: Array | None) -> Array:
    """See `crossfade.mix_images`."""
    out = buffers.empty(images.shape, images.dtype) if out is None else out
    kernels = load_kernels()
    if kernels is None or images.dtype not in (np.uint8, np.float32, np.float64) or not out.flags.c_contiguous:
        _mix_plain(_pixels(images, layout), plan, _pixels(out, layout))
        return out
    source, target = _planes(images, layout), _planes(out, layout)
    step = 1 if layout == "NCHW" else images.shape[3]
    pairs = _pairs(plan)
    if images.dtype == np.uint8 and pairs is not None:
        source, target, pairs = _long_rows(source, target, pairs, step)
        _share(kernels.mix_byte_pairs, plan, source, target, *pairs, step)
    elif images.dtype == np.uint8:
        _share(kernels.mix_bytes, plan, source, target, *_stack(plan), step)
    elif pairs is not None:
        _share(kernels.mix_pairs, plan, source, target, *_delivery(target), *pairs, step)
    else:
        _share(kernels.mix_float, plan, source, target, *_delivery(target), *_stack(plan), step)
    return out


def render(
    images: Array,
    plan: Plan,
    scale: NDArray[np.float32],
    shift: NDArray[np.float32],
    layout: Layout,
    out: Array | None,
) -> Array:
    """See `crossfade.render`."""
    out = buffers.empty(images.shape, np.float32) if out is None else out
    kernels = load_kernels()
    if kernels is None or not out.flags.c_contiguous:
        _render_plain(_pixels(images, layout), plan, scale, shift, _pixels(out, layout))
        return out
    source, target = _planes(images, layout), _planes(out, layout)
    step = 1 if layout == "NCHW" else images.shape[3]
    scales, shifts = (_along_rows(values, layout, target.shape[3]) for values in (scale, shift))
    delivery, pairs = _delivery(target), _pairs(plan)
    if pairs is not None:
        _share(kernels.render_pairs, plan, source, target, *delivery, *pairs, step, scales, shifts)
    else:
        _share(kernels.render, plan, source, target, *delivery, *_stack(plan), step, scales, shifts)
    return out


def mix_targets(labels: Array, plan: Plan, num_classes: int) -> NDArray[np.float32]:
    """See `crossfade.mix_targets`."""
    own = plan.source[:, :1]
    source = np.where(plan.source >= 0, plan.source, own)
    if labels.ndim == 2:
        mixed = np.einsum("bk,bkc->bc", plan.weight, labels[source].astype(np.float64))
        return mixed.astype(np.float32)
    classes = labels[source]
    targets = np.zeros((len(plan), num_classes), np.float32)
    # Layers of one class share one entry: each writes the sum of them all, so the row still sums to 1.
    same = classes[:, :, None] == classes[:, None, :]
    targets[np.arange(len(plan))[:, None], classes] = (same * plan.weight[:, None, :]).sum(axis=2)
    return targets


def mix_masks(masks: Array, plan: Plan, layout: Layout | None) -> Array:
    """See `crossfade.mix_masks`."""
    source = mask_sources(plan)
    pixels = masks[..., None] if layout is None else _pixels(masks, layout)
    rows, columns = np.ogrid[: source.shape[1], : source.shape[2]]
    mixed = np.where(source[..., None] >= 0, pixels[source, rows, columns], 0).astype(masks.dtype)
    if layout is None:
        return mixed[..., 0]
    return np.ascontiguousarray(mixed.transpose(0, 3, 1, 2)) if layout == "NCHW" else mixed


def mask_sources(plan: Plan) -> NDArray[np.int64]:
    """(B, H, W): the picture each pixel takes its class id from, -1 for id 0."""
    return np.asarray(plan.source[np.arange(len(plan))[:, None, None], plan.dominant()])


def take(labels: Array, indices: NDArray[np.int64]) -> Array:
    """(B,) or (B, C): ``labels[indices]``."""
    return labels[indices]


def where(condition: Array, values: Array, others: Array) -> Array:
    """Of a plan's own arrays."""
    return np.where(condition, values, others)


def weigh(values: Array, weights: NDArray[np.float64]) -> Array:
    """(B,): values times weights."""
    return values * weights


def argmax(scores: Array) -> Array:
    """(B,) of (B, C)."""
    return scores.argmax(axis=1)


def equal(a: Array, b: Array) -> Array:
    """(B,): where two arrays of class numbers agree."""
    return a == b


def mean(values: Array) -> Any:
    """A scalar."""
    return values.mean()


def is_concrete(array: Array) -> bool:
    """Whether its numbers are known: always."""
    return True


def to_host(array: Array) -> Array:
    """The array itself."""
    return array


def dtype_name(array: Array) -> str:
    """Such as "float32"."""
    return _name(array.dtype)


@cache  # NumPy puts a name together anew each time, which takes as long as a small sum
def _name(dtype: np.dtype[Any]) -> str:
    return dtype.name


def overlaps(a: Array, b: Array) -> bool:
    """Whether the two may share memory."""
    return np.may_share_memory(a, b)


def writable(array: Array) -> bool:
    """Whether results can be written into it, in the machine's own byte order."""
    return bool(array.flags.writeable) and array.dtype.isnative


@cache
def load_kernels(name: str = "kernels") -> ModuleType | None:
    """A module of Numba kernels, or None where Numba is not installed."""
    try:
        return import_module(f"crossfade.arrays.{name}")
    except ModuleNotFoundError as error:
        if error.name != "numba":
            raise
        return None


def _pairs(plan: Plan) -> tuple[Array, ...] | None:
    """(source, opacity, box) of two layers, if the plan is of the common kind that has kernels of its own."""
    if plan.mask is not None or plan.layers > 2 or (plan.source < 0).any():
        return None
    if plan.layers == 2:
        return plan.source, plan.opacity, plan.box
    opacity = np.pad(plan.opacity, ((0, 0), (0, 1)))
    return plan.source.repeat(2, axis=1), opacity, plan.box.repeat(2, axis=1)


def _long_rows(
    source: Array, target: Array, pairs: tuple[Array, ...], step: int
) -> tuple[Array, Array, tuple[Array, ...]]:
    """The same work in rows of up to `LONG` numbers, where every layer fills the picture: each row costs a start."""
    batch, planes, height, length = source.shape
    indices, opacity, box = pairs
    joined = max((n for n in range(1, LONG // length + 1) if planes * height % n == 0), default=1)
    if joined == 1 or (box[:, 1] != box[0, 0]).any():
        return source, target, pairs
    shape = batch, 1, planes * height // joined, length * joined
    whole = np.zeros_like(box)
    whole[:, :, 2:] = shape[2], shape[3] // step
    return source.reshape(shape), target.reshape(shape), (indices, opacity, whole)


def _stack(plan: Plan) -> tuple[Any, ...]:
    """The plan as the kernels for any number of layers take it."""
    mask = _NO_MASK if plan.mask is None else plan.mask
    return plan.source, plan.opacity, plan.box, mask, plan.mask is not None


def _delivery(out: Array) -> tuple[bool, np.uintp]:
    """Whether `out` is stored past the cache, which it would overflow, and the first number that begins a line."""
    ahead = -out.ctypes.data % 64
    return out.nbytes >= BYPASS_BYTES and ahead % out.itemsize == 0, np.uintp(ahead // out.itemsize)


def _share(kernel: Callable[..., None], plan: Plan, source: Array, out: Array, *arguments: Any) -> None:
    parallel.share(lambda start, stop: kernel(source, out, *arguments, start, stop), len(plan), out.nbytes)


def _planes(images: Array, layout: Layout) -> Array:
    """(B, P, H, L) as the kernels see it; a view, unless the memory is in another order."""
    images = np.ascontiguousarray(images)
    return images if layout == "NCHW" else images.reshape(images.shape[0], 1, images.shape[1], -1)


def _along_rows(values: NDArray[np.float32], layout: Layout, length: int) -> NDArray[np.float32]:
    """(P, L): a value per channel, laid along the rows of `_planes`."""
    if layout == "NHWC":
        return np.tile(values, length // len(values))[None]
    return np.repeat(values[:, None], length, axis=1)


def _pixels(images: Array, layout: Layout) -> Array:
    """The (B, H, W, C) view."""
    return images.transpose(0, 2, 3, 1) if layout == "NCHW" else images


def _mix_plain(images: Array, plan: Plan, out: Array) -> None:
    """The definition of a plan, a sample at a time, on (B, H, W, C) views."""
    for i in range(len(plan)):
        mixed = _stacked(images, plan, i)
        out[i] = np.rint(mixed) if out.dtype == np.uint8 else mixed


def _render_plain(
    images: Array,
    plan: Plan,
    scale: NDArray[np.float32],
    shift: NDArray[np.float32],
    out: Array,
) -> None:
    for i in range(len(plan)):
        out[i] = _stacked(images, plan, i) * scale + shift


def _stacked(images: Array, plan: Plan, i: int) -> Array:
    """Sample i with all its layers, (H, W, C) in float32 or wider."""
    precision = np.float64 if images.dtype == np.float64 else np.float32
    mixed = images[i].astype(precision)
    for k in range(1, plan.layers):
        top, left, bottom, right = plan.box[i, k]
        below = mixed[top:bottom, left:right]
        above = images[plan.source[i, k], top:bottom, left:right].astype(precision)
        opacity: Array = np.full((1, 1, 1), plan.opacity[i, k], precision)
        if plan.mask is not None and k == 1:
            opacity = opacity * plan.mask[i, top:bottom, left:right, None].astype(precision)
        below[...] = OPS.blend(below, above, opacity, plan.source[i, k] >= 0)
    return mixed
