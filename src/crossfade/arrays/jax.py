"""Executing a plan on JAX arrays, and on those that stand for arrays inside `jax.jit`, `jax.grad` and `jax.vmap`.

On the CPU the fused kernels read the array's own memory, and the result becomes one without a copy. Everything else
(traced arrays, a GPU or TPU, half precision) is mixed by JAX, where the array lies; the plan is an argument there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from crossfade.arrays import numpy as host
from crossfade.arrays import whole
from crossfade.arrays.augment import DrawnAugmentation
from crossfade.arrays.augment import augment as augment_batch
from crossfade.arrays.backend import Layout
from crossfade.arrays.ops import Ops
from crossfade.mixing.plan import Plan

Array = jax.Array
TRACES = True
HOST_DTYPES = ("uint8", "float32", "float64")


class JaxOps:
    """`crossfade.arrays.ops.Ops`."""

    def __init__(self) -> None:
        self.where, self.any, self.clip, self.round, self.floor = jnp.where, jnp.any, jnp.clip, jnp.round, jnp.floor
        self.reshape, self.sum, self.amin, self.amax = jnp.reshape, jnp.sum, jnp.min, jnp.max

    def wide(self) -> str:
        return str(jax.dtypes.canonicalize_dtype("float64"))

    def whole(self) -> str:
        return "uint32"

    def like(self, values: Any, beside: Array) -> Array:
        return jnp.asarray(values)

    def cast(self, values: Array, dtype: str) -> Array:
        return values.astype(dtype)

    def take(self, values: Array, indices: Array) -> Array:
        return values[indices]

    def put(self, values: Array, indices: Array, new: Array) -> Array:
        return values.at[indices].set(new)

    def blend(self, below: Array, above: Array, a: Array, shown: Array) -> Array:
        # One product only: of two, XLA rounds the one or the other, as the layout happens to be.
        above = jnp.where(shown, above, 0)
        return jnp.where(a == 1, above, jnp.where(a == 0, below, below + a * (above - below)))

    def only_if(self, condition: Array, change: Callable[[Array], Array], values: Array) -> Array:
        return jax.lax.cond(condition, change, lambda same: same, values)

    def roll(self, pictures: Array, down: int, right: int) -> Array:
        return jnp.roll(pictures, (down, right), (1, 2))

    def stack(self, channels: Sequence[Array]) -> Array:
        return jnp.stack(channels, axis=-1)

    def cumsum(self, values: Array) -> Array:
        return jnp.cumsum(values, axis=1)

    def bincount(self, values: Array, length: int) -> Array:
        return jnp.bincount(values, length=length)

    def span(self, count: int, beside: Array) -> Array:
        return jnp.arange(count, dtype="int32")

    def count(self, array: Array) -> int:
        return array.shape[0]

    def dtype_name(self, array: Array) -> str:
        return dtype_name(array)


OPS = cast(Ops, JaxOps())
Plan._tell_jax()


def mix_images(images: Array, plan: Plan, layout: Layout, out: None) -> Array:
    """See `crossfade.mix_images`. Gradients pass through."""
    if _runs_on_host(images, plan) and dtype_name(images) in HOST_DTYPES:
        return _beside(host.mix_images(np.asarray(images), plan, layout, None), images)
    return _mix_images(images, plan, layout)


@partial(jax.jit, static_argnames="layout")
def _mix_images(images: Array, plan: Plan, layout: Layout) -> Array:
    mixed = whole.mix_images(OPS, images, plan, layout)
    mixed = jnp.round(mixed) if images.dtype == np.uint8 else mixed
    return mixed.astype(images.dtype)


def render(
    images: Array,
    plan: Plan,
    scale: NDArray[np.float32],
    shift: NDArray[np.float32],
    layout: Layout,
    out: None,
) -> Array:
    """See `crossfade.render`."""
    if _runs_on_host(images, plan):
        return _beside(host.render(np.asarray(images), plan, scale, shift, layout, None), images)
    return _render(images, plan, scale, shift, layout)


@partial(jax.jit, static_argnames="layout")
def _render(images: Array, plan: Plan, scale: Array, shift: Array, layout: Layout) -> Array:
    mixed = whole.mix_images(OPS, images, plan, layout)
    axes = (slice(None), None, None) if layout == "NCHW" else slice(None)
    return mixed * scale[axes] + shift[axes]


def augment(images: Array, drawn: DrawnAugmentation, layout: Layout) -> Array:
    """See `crossfade.augment_images`."""
    if isinstance(drawn.matrix, np.ndarray) and is_concrete(images) and _on_this_host(images):
        return _beside(host.augment(np.asarray(images), drawn, layout), images)
    return _augment(images, drawn, layout)


@partial(jax.jit, static_argnames="layout")
def _augment(images: Array, drawn: DrawnAugmentation, layout: Layout) -> Array:
    if layout == "NHWC":
        return augment_batch(OPS, images, drawn)
    return augment_batch(OPS, images.transpose(0, 2, 3, 1), drawn).transpose(0, 3, 1, 2)


def mix_targets(labels: Array, plan: Plan, num_classes: int) -> Array:
    """See `crossfade.mix_targets`."""
    if _runs_on_host(labels, plan):
        return _beside(host.mix_targets(np.asarray(labels), plan, num_classes), labels)
    return _mix_targets(labels, plan, num_classes)


@partial(jax.jit, static_argnames="num_classes")
def _mix_targets(labels: Array, plan: Plan, num_classes: int) -> Array:
    return whole.mix_targets(OPS, labels, plan, num_classes)


def mix_masks(masks: Array, plan: Plan, layout: Layout | None) -> Array:
    """See `crossfade.mix_masks`."""
    if _runs_on_host(masks, plan):
        return _beside(host.mix_masks(np.asarray(masks), plan, layout), masks)
    return _mix_masks(masks, plan, layout)


@partial(jax.jit, static_argnames="layout")
def _mix_masks(masks: Array, plan: Plan, layout: Layout | None) -> Array:
    return whole.mix_masks(OPS, masks, plan, layout)


def take(labels: Array, indices: Any) -> Array:
    """(B,) or (B, C): ``labels[indices]``."""
    return labels[jnp.asarray(indices)]


def where(condition: Any, values: Any, others: Any) -> Any:
    """Of a plan's own arrays."""
    return (
        host.where(condition, values, others)
        if isinstance(values, np.ndarray)
        else jnp.where(condition, values, others)
    )


def weigh(values: Array, weights: Any) -> Array:
    """(B,): values times weights, in the values' precision, float32 for hits."""
    return values * jnp.asarray(weights, values.dtype if jnp.issubdtype(values.dtype, jnp.floating) else jnp.float32)


def argmax(scores: Array) -> Array:
    """(B,) of (B, C)."""
    return jnp.argmax(scores, axis=1)


def equal(a: Array, b: Array) -> Array:
    """(B,): where two arrays of class numbers agree."""
    return a == b


def mean(values: Array) -> Array:
    """A scalar."""
    return values.mean()


def is_concrete(array: Array) -> bool:
    """Whether its numbers are known: not while a function is traced."""
    return not isinstance(array, jax.core.Tracer)


def to_host(array: Array) -> NDArray[Any]:
    """A NumPy array; waits for the device."""
    return np.asarray(array)


def dtype_name(array: Array) -> str:
    """Such as "float32"."""
    return str(array.dtype)


def overlaps(a: Array, b: Array) -> bool:
    """Whether what is written into one is seen in the other: nothing is written into."""
    return False


def writable(array: Array) -> bool:
    """Whether results can be written into it."""
    return False


def _runs_on_host(array: Array, plan: Plan) -> bool:
    return plan.is_checked and is_concrete(array) and _on_this_host(array)


def _on_this_host(array: Array) -> bool:
    devices = array.devices()
    return len(devices) == 1 and next(iter(devices)).platform == "cpu"


def _beside(result: NDArray[Any], images: Array) -> Array:
    """The result as an array of JAX, placed as the images are."""
    return jax.device_put(result, images.sharding if images.committed else None)
