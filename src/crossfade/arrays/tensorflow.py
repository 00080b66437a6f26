"""Executing a plan on TensorFlow tensors, and on those that stand for tensors inside `tf.function` and `tf.data`.

On the CPU the fused kernels read the tensor's own memory. Everything else (symbolic tensors, a GPU, half precision) is
mixed by TensorFlow, where the tensor lies.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from crossfade.arrays import numpy as host
from crossfade.arrays import whole
from crossfade.arrays.augment import DrawnAugmentation
from crossfade.arrays.augment import augment as augment_batch
from crossfade.arrays.backend import Layout
from crossfade.arrays.ops import Ops
from crossfade.memory import ALIGNMENT
from crossfade.mixing.plan import Plan

Tensor = Any  # tf.Tensor; TensorFlow comes without types
TRACES = True
HOST_DTYPES = ("uint8", "float32", "float64")


class TensorFlowOps:
    """`crossfade.arrays.ops.Ops`."""

    def __init__(self) -> None:
        self.where, self.any, self.clip, self.round = tf.where, tf.reduce_any, tf.clip_by_value, tf.round
        self.floor, self.reshape, self.sum, self.cast = tf.floor, tf.reshape, tf.reduce_sum, tf.cast
        self.amin, self.amax = tf.reduce_min, tf.reduce_max

    def wide(self) -> str:
        return "float64"

    def whole(self) -> str:
        return "int64"

    def like(self, values: Any, beside: Tensor) -> Tensor:
        return tf.convert_to_tensor(values)

    def take(self, values: Tensor, indices: Tensor) -> Tensor:
        return tf.gather(values, indices)

    def put(self, values: Tensor, indices: Tensor, new: Tensor) -> Tensor:
        return tf.tensor_scatter_nd_update(values, indices[:, None], new)

    def blend(self, below: Tensor, above: Tensor, a: Tensor, shown: Tensor) -> Tensor:
        # `tf.where` takes twenty times as long, and so does what is spread over the channels by the product itself.
        keep, seen = (tf.broadcast_to(part, tf.shape(below)) for part in (1 - a, a * tf.cast(shown, a.dtype)))
        return tf.math.multiply_no_nan(below, keep) + tf.math.multiply_no_nan(above, seen)

    def only_if(self, condition: Tensor, change: Callable[[Tensor], Tensor], values: Tensor) -> Tensor:
        return tf.cond(condition, lambda: change(values), lambda: values)

    def roll(self, pictures: Tensor, down: int, right: int) -> Tensor:
        return tf.roll(pictures, (down, right), (1, 2))

    def stack(self, channels: Sequence[Tensor]) -> Tensor:
        return tf.stack(channels, axis=-1)

    def cumsum(self, values: Tensor) -> Tensor:
        return tf.cumsum(values, axis=1)

    def bincount(self, values: Tensor, length: Any) -> Tensor:
        return tf.math.bincount(values, minlength=length, maxlength=length)

    def span(self, count: Any, beside: Tensor) -> Tensor:
        return tf.range(count, dtype=tf.int32)

    def count(self, array: Tensor) -> Any:
        return tf.shape(array)[0] if array.shape[0] is None else array.shape[0]

    def dtype_name(self, array: Tensor) -> str:
        return dtype_name(array)


OPS = cast(Ops, TensorFlowOps())


def mix_images(images: Tensor, plan: Plan, layout: Layout, out: None) -> Tensor:
    """See `crossfade.mix_images`. Gradients pass through."""
    if not _runs_on_host(images, plan) or dtype_name(images) not in HOST_DTYPES:
        return _mix_images(images, plan, layout)
    if dtype_name(images) == "uint8":
        return _beside(host.mix_images(np.asarray(images), plan, layout, None), images)
    return _mix_on_host(images, plan, layout)


def _mix_on_host(images: Tensor, plan: Plan, layout: Layout) -> Tensor:
    """By the kernels, which no tape sees; mixing is linear, so what flows back does not ask what the pixels were."""

    @tf.custom_gradient
    def mix(pixels: Tensor) -> tuple[Tensor, Any]:
        def back(upstream: Tensor) -> Tensor:
            with tf.GradientTape() as tape:
                tape.watch(pixels)
                mixed = _mix_images(pixels, plan, layout)
            return tape.gradient(mixed, pixels, upstream)

        return _beside(host.mix_images(np.asarray(pixels), plan, layout, None), pixels), back

    return mix(images)


def _mix_images(images: Tensor, plan: Plan, layout: Layout) -> Tensor:
    mixed = whole.mix_images(OPS, images, plan, layout)
    mixed = tf.round(mixed) if images.dtype == tf.uint8 else mixed
    return tf.cast(mixed, images.dtype)


def render(
    images: Tensor,
    plan: Plan,
    scale: NDArray[np.float32],
    shift: NDArray[np.float32],
    layout: Layout,
    out: None,
) -> Tensor:
    """See `crossfade.render`."""
    if _runs_on_host(images, plan):
        return _beside(host.render(np.asarray(images), plan, scale, shift, layout, None), images)
    axes = (slice(None), None, None) if layout == "NCHW" else slice(None)
    return whole.mix_images(OPS, images, plan, layout) * scale[axes] + shift[axes]


def augment(images: Tensor, drawn: DrawnAugmentation, layout: Layout) -> Tensor:
    """See `crossfade.augment_images`."""
    if isinstance(drawn.matrix, np.ndarray) and is_concrete(images) and _on_this_host(images):
        return _beside(host.augment(np.asarray(images), drawn, layout), images)
    if layout == "NHWC":
        return augment_batch(OPS, images, drawn)
    return tf.transpose(augment_batch(OPS, tf.transpose(images, (0, 2, 3, 1)), drawn), (0, 3, 1, 2))


def mix_targets(labels: Tensor, plan: Plan, num_classes: int) -> Tensor:
    """See `crossfade.mix_targets`."""
    if _runs_on_host(labels, plan) and not labels.dtype.is_floating:
        return _beside(host.mix_targets(np.asarray(labels), plan, num_classes), labels)
    return whole.mix_targets(OPS, labels, plan, num_classes)


def mix_masks(masks: Tensor, plan: Plan, layout: Layout | None) -> Tensor:
    """See `crossfade.mix_masks`."""
    if _runs_on_host(masks, plan):
        return _beside(host.mix_masks(np.asarray(masks), plan, layout), masks)
    return whole.mix_masks(OPS, masks, plan, layout)


def take(labels: Tensor, indices: Any) -> Tensor:
    """(B,) or (B, C): ``labels[indices]``."""
    return tf.gather(labels, indices)


def where(condition: Any, values: Any, others: Any) -> Any:
    """Of a plan's own arrays."""
    return (
        host.where(condition, values, others) if isinstance(values, np.ndarray) else tf.where(condition, values, others)
    )


def weigh(values: Tensor, weights: Any) -> Tensor:
    """(B,): values times weights, in the values' precision, float32 for hits."""
    values = values if values.dtype.is_floating else tf.cast(values, tf.float32)
    return values * tf.cast(weights, values.dtype)


def argmax(scores: Tensor) -> Tensor:
    """(B,) of (B, C)."""
    return tf.argmax(scores, axis=1)


def equal(a: Tensor, b: Tensor) -> Tensor:
    """(B,): where two tensors of class numbers agree."""
    return a == tf.cast(b, a.dtype)


def mean(values: Tensor) -> Tensor:
    """A scalar."""
    return tf.reduce_mean(values)


def is_concrete(array: Tensor) -> bool:
    """Whether its numbers are known: not inside `tf.function` and `tf.data`."""
    return hasattr(array, "numpy")


def to_host(array: Tensor) -> NDArray[Any]:
    """A NumPy array; waits for the device."""
    return np.asarray(array)


def dtype_name(array: Tensor) -> str:
    """Such as "float32"."""
    return str(array.dtype.name)


def overlaps(a: Tensor, b: Tensor) -> bool:
    """Whether what is written into one is seen in the other: nothing is written into."""
    return False


def writable(array: Tensor) -> bool:
    """Whether results can be written into it."""
    return False


def _runs_on_host(array: Tensor, plan: Plan) -> bool:
    return plan.is_checked and is_concrete(array) and _on_this_host(array)


def _on_this_host(array: Tensor) -> bool:
    return "CPU:" in array.device


def _beside(result: NDArray[Any], images: Tensor) -> Tensor:
    """The result as a tensor, placed as the images are; without a copy where it lies as TensorFlow wants it."""
    if result.ctypes.data % ALIGNMENT == 0 and result.dtype != np.bool_:
        return tf.experimental.dlpack.from_dlpack(result.__dlpack__())
    with tf.device(images.device):
        return tf.convert_to_tensor(result)
