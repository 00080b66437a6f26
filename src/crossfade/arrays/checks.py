"""What the public functions ask of the arrays that come: each rule once, in the words of the error it raises.

Of an array that stands for a batch to come, while a function is traced, shape and type are checked, its numbers not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from crossfade.arrays.augment import FILLS, LARGEST, LARGEST_AMOUNT, Colour, DrawnAugmentation
from crossfade.arrays.backend import IMAGE_DTYPES, Backend, Layout, backend_of
from crossfade.errors import ArrayError, LabelError, PlanError
from crossfade.mixing.plan import Plan

Dims = tuple[int | None, ...]


def check_images(who: str, images: Any) -> Backend:
    """The backend of images that have four axes and a type we mix."""
    backend = backend_of(who, images)
    if len(shape_of(images)) != 4 or 0 in shape_of(images):
        raise ArrayError(f"{who}: images must be (B, C, H, W) or (B, H, W, C), none of them 0. Got {shape_of(images)}.")
    if backend.dtype_name(images) not in IMAGE_DTYPES:
        raise ArrayError(f"{who}: images must be {', '.join(IMAGE_DTYPES)}. Got {backend.dtype_name(images)}.")
    return backend


def check_out(who: str, backend: Backend, images: Any, out: Any, dtype: str) -> None:
    """Refuse an `out` that cannot take the result."""
    if out is None:
        return
    if backend.TRACES:
        raise ArrayError(
            f"{who}: out is for arrays that can be written to, which those of JAX and TensorFlow cannot. "
            f"Got images {type(images).__module__}.{type(images).__qualname__}. Leave out= away."
        )
    if backend_of(who, out) is not backend or shape_of(out) != shape_of(images) or backend.dtype_name(out) != dtype:
        got = f"{type(out).__name__} {shape_of(out)} {backend_of(who, out).dtype_name(out)}"
        raise ArrayError(f"{who}: out must be like images, {shape_of(images)} {dtype}. Got {got}.")
    if not backend.writable(out):
        raise ArrayError(f"{who}: out must be writable, in the machine's byte order. Got one that is not.")
    if backend.overlaps(images, out):
        raise ArrayError(f"{who}: out must not share memory with images, which are still read. Pass another array.")


def check_executable(who: str, backend: Backend, plan: Plan, *, pixels: bool = True) -> Plan:
    """The plan in arrays that the backend can read."""
    if pixels and plan.fit != "crop":
        raise PlanError(f'{who}: executes plans with fit "crop". Got {plan.fit!r}.')
    return plan if backend.TRACES else plan.checked()


def check_concrete(who: str, backend: Backend, array: Any) -> None:
    """Refuse to draw while a function is traced: the draw would be part of it, the same in every call."""
    if not backend.is_concrete(array):
        raise ArrayError(
            f"{who}: draws a plan, which must not happen while a function is traced: every call would mix alike. "
            f"Got {type(array).__name__}. Draw before, policy.plan(...), and pass the plan in as an argument."
        )


def check_masks(who: str, masks: Any, plan: Plan, layout: Layout | None) -> None:
    """Raise PlanError unless (B, H, W) of the masks are the plan's."""
    shape = shape_of(masks)
    axes = {None: shape, "NHWC": shape[:3], "NCHW": (*shape[:1], *shape[2:])}
    if len(shape) != (3 if layout is None else 4) or not fits(axes[layout], plan.shape):
        batch, height, width = plan.shape
        raise PlanError(
            f"{who}: the plan was drawn for {batch} pictures of {height} x {width}. Got masks {shape}, layout {layout}."
        )


def check_augment(who: str, backend: Backend, drawn: DrawnAugmentation, batch: int | None) -> None:
    """Refuse what cannot have been drawn for these samples."""
    known = isinstance(drawn.matrix, np.ndarray)
    if not known and not backend.TRACES:
        raise ArrayError(f"{who}: augment must be in NumPy arrays. Got {type(drawn.matrix).__name__}.")
    shapes = shape_of(drawn.matrix), shape_of(drawn.colours), shape_of(drawn.amounts)
    rows, entries, step = shapes[0][:1], shapes[0][1:], shapes[1][1:]
    if (
        not fits(rows, (batch,))
        or entries != ((2, 3) if known else (2, 3, 3))
        or len(step) != 1
        or not shapes[1] == shapes[2] == (*rows, *step)
    ):
        raise ArrayError(
            f"{who}: augment must be drawn for {batch} samples. "
            f"Got matrix {shapes[0]}, colours {shapes[1]}, amounts {shapes[2]}."
        )
    if drawn.fill not in FILLS:
        raise ArrayError(f"{who}: augment must have a fill of {', '.join(FILLS)}. Got {drawn.fill!r}.")
    if not isinstance(drawn.value, int | np.integer) or not 0 <= drawn.value <= 255:
        raise ArrayError(f"{who}: augment must have a value that is a level from 0 to 255. Got {drawn.value!r}.")
    if not known:
        return
    if not (np.abs(drawn.matrix) <= LARGEST).all():
        most = ", ".join(map(str, LARGEST))
        raise ArrayError(f"{who}: augment must have a matrix within {most}. Got {drawn.matrix.tolist()[:1]}.")
    if not np.isin(drawn.colours, list(Colour)).all():
        raise ArrayError(f"{who}: augment must have colours from 0 to {max(Colour)}. Got {drawn.colours.tolist()[:1]}.")
    if not (np.abs(drawn.amounts) <= LARGEST_AMOUNT).all():
        raise ArrayError(f"{who}: augment must have amounts within {LARGEST_AMOUNT}. Got {drawn.amounts.tolist()[:1]}.")


def _check_count(who: str, labels: Any, batch: int | None) -> None:
    shape = shape_of(labels)
    if len(shape) not in (1, 2) or not fits(shape[:1], (batch,)):
        raise LabelError(f"{who}: needs a label for each of {batch} samples, (B,) or (B, C). Got {shape_of(labels)}.")


def check_logits(who: str, logits: Any, labels: Any, batch: int | None) -> Backend:
    """The backend of logits and labels of so many samples."""
    backend = backend_of(who, logits)
    if backend_of(who, labels) is not backend:
        kinds = f"{type(logits).__name__} and {type(labels).__name__}"
        raise ArrayError(f"{who}: logits and labels must be of one framework. Got {kinds}.")
    _check_count(who, labels, batch)
    if not fits(shape_of(logits)[:1], (batch,)):
        raise ArrayError(f"{who}: needs logits of {batch} samples. Got {shape_of(logits)}.")
    return backend


def check_layout(who: str, layout: object) -> None:
    """Refuse any other word."""
    if layout not in (None, *get_args(Layout)):
        raise ArrayError(f'{who}: layout must be "NCHW" or "NHWC". Got {layout!r}.')


def check_labels(who: str, labels: Any, batch: int | None, num_classes: int | None) -> int:
    """The number of classes, once the labels are known to be right."""
    backend = backend_of(who, labels)
    _check_count(who, labels, batch)
    dtype = backend.dtype_name(labels)
    if len(labels.shape) == 2:
        classes = shape_of(labels)[1]
        if None not in (classes, num_classes) and num_classes != classes:
            raise LabelError(f"{who}: labels {shape_of(labels)} have {classes} classes. Got num_classes={num_classes}.")
        if classes is None and num_classes is None:
            raise LabelError(f"{who}: labels {shape_of(labels)} need num_classes. Got None.")
        return int(classes or num_classes or 0)
    if not dtype.startswith(("int", "uint")):
        raise LabelError(f"{who}: labels (B,) must be class numbers. Got {dtype}. Pass (B, C) for soft labels.")
    if num_classes is None:
        raise LabelError(
            f"{who}: integer labels need num_classes. Got labels {dtype} {shape_of(labels)}, num_classes=None. "
            "Pass num_classes=10, say."
        )
    if not isinstance(num_classes, int | np.integer) or isinstance(num_classes, bool) or num_classes < 1:
        raise LabelError(f"{who}: num_classes must be a whole number from 1 on. Got {num_classes!r}.")
    if not backend.is_concrete(labels):
        return int(num_classes)
    host = backend.to_host(labels)
    if host.min() < 0 or host.max() >= num_classes:
        raise LabelError(
            f"{who}: labels must be in 0..{num_classes - 1}. Got {host.min()}..{host.max()}. "
            "Check num_classes, or the labels."
        )
    return int(num_classes)


def layout_of(images: Any) -> Layout:
    """The layout, inferred only where one of the channel axes is 1, 3 or 4 long and all others are longer."""
    _, a, b, c = images.shape
    first, last = a in (1, 3, 4) and min(b, c) > 4, c in (1, 3, 4) and min(a, b) > 4
    if first == last:
        raise ArrayError(f'layout: cannot be told from images {shape_of(images)}. Pass layout="NCHW" or "NHWC".')
    return "NCHW" if first else "NHWC"


def layout_for(plan: Plan, images: Any, layout: Layout | None, who: str) -> Layout:
    """The layout in which the images have the plan's B, H and W."""
    check_layout(who, layout)
    candidates: tuple[Layout, ...] = ("NCHW", "NHWC") if layout is None else (layout,)
    fitting = [candidate for candidate in candidates if fits(shape_in(images, candidate), plan.shape)]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise ArrayError(f'{who}: images {shape_of(images)} can be read in two ways. Pass layout="NCHW" or "NHWC".')
    batch, height, width = plan.shape
    raise PlanError(
        f"{who}: the plan was drawn for {batch} pictures of {height} x {width}. Got images {shape_of(images)}, "
        f"layout {layout}. Draw a plan for this batch."
    )


def shape_in(images: Any, layout: Layout) -> Any:
    """(B, H, W)."""
    batch, a, b, c = shape_of(images)
    return (batch, b, c) if layout == "NCHW" else (batch, a, b)


def shape_of(array: Any) -> Dims:
    """Its axes, None where TensorFlow does not know how long one will be."""
    if getattr(array.shape, "rank", 0) is None:
        raise ArrayError("shape: the number of axes must be known. Got a tensor of unknown rank. set_shape may help.")
    return tuple(None if n is None else int(n) for n in array.shape)


def fits(shape: Dims, wanted: Dims) -> bool:
    """Whether two shapes are the same as far as they are known."""
    known = zip(shape, wanted, strict=False)
    return len(shape) == len(wanted) and all(a == b or None in (a, b) for a, b in known)


def affine(
    mean: float | Sequence[float], std: float | Sequence[float], channels: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(C,) scale and shift with ``(x / 255 - mean) / std == x * scale + shift``."""
    try:
        means = np.broadcast_to(np.asarray(mean, np.float64), (channels,))
        stds = np.broadcast_to(np.asarray(std, np.float64), (channels,))
    except ValueError as error:
        raise ArrayError(
            f"render: mean and std are a number, or {channels} of them. Got {mean!r} and {std!r}."
        ) from error
    if not (np.isfinite(means).all() and np.isfinite(stds).all() and (stds > 0).all()):
        raise ArrayError(f"render: mean must be finite and std above 0. Got {mean!r} and {std!r}.")
    return (1 / (255 * stds)).astype(np.float32), (-means / stds).astype(np.float32)
