"""The public functions: check what came, find the framework it belongs to, and let that execute the plan.

A backend is a module with the functions of `Backend`. It is looked up among the modules that are loaded already:
an array of a framework cannot exist before the framework does, so nothing is imported on suspicion.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, Literal, Protocol, cast, get_args

import numpy as np
from numpy.typing import NDArray

from crossfade.arrays.augment import FILLS, LARGEST, LARGEST_AMOUNT, Colour, DrawnAugmentation
from crossfade.errors import ArrayError, LabelError, PlanError
from crossfade.mixing.plan import Plan, Shape
from crossfade.mixing.policy import Policy, check_fraction

Layout = Literal["NCHW", "NHWC"]
IMAGE_DTYPES = ("uint8", "float16", "bfloat16", "float32", "float64")
_FRAMEWORKS = {"torch": "Tensor"}


class Backend(Protocol):
    """What each of the modules beside this one provides. Arguments are checked before they arrive."""

    def mix_images(self, images: Any, plan: Plan, layout: Layout, out: Any) -> Any: ...
    def render(
        self,
        images: Any,
        plan: Plan,
        scale: NDArray[np.float32],
        shift: NDArray[np.float32],
        layout: Layout,
        out: Any,
    ) -> Any: ...
    def augment(self, images: Any, drawn: DrawnAugmentation, layout: Layout) -> Any: ...
    def mix_targets(self, labels: Any, plan: Plan, num_classes: int) -> Any: ...
    def mix_masks(self, masks: Any, source: NDArray[np.int64], layout: Layout | None) -> Any: ...
    def take(self, labels: Any, indices: NDArray[np.int64]) -> Any: ...
    def weigh(self, values: Any, weights: NDArray[np.float64]) -> Any: ...
    def argmax(self, scores: Any) -> Any: ...
    def to_host(self, array: Any) -> NDArray[Any]: ...
    def dtype_name(self, array: Any) -> str: ...
    def overlaps(self, a: Any, b: Any) -> bool: ...
    def writable(self, array: Any) -> bool: ...


def apply(
    policy: Policy,
    images: Any,
    labels: Any,
    *,
    rng: np.random.Generator | int,
    num_classes: int | None = None,
    layout: Layout | None = None,
) -> tuple[Any, Any]:
    """Draw a plan and mix a batch by it; ``policy(images, labels, ...)`` calls this.

    Args:
        policy: draws the plan.
        images: (B, C, H, W) or (B, H, W, C) per `layout`; not written to.
        labels: (B,) class numbers, then `num_classes` is needed; or (B, C) soft or multi-hot.
        rng: a generator, or an int seed.
        layout: None infers it where one of the two channel axes is 1, 3 or 4 long and the others are longer.

    Returns:
        New images, like the old ones; targets (B, C) float32.
    """
    _check_images("apply", images)
    _check_layout("apply", layout)
    shape = _shape_in(images, layout or _layout_of(images))
    _check_labels("apply", labels, shape[0], num_classes)
    plan = policy.plan(shape, rng=rng, labels=_backend("apply", labels).to_host(labels), images=images)
    targets = mix_targets(labels, plan, num_classes=num_classes)
    return mix_images(images, plan, layout=layout or _layout_of(images)), targets


def mix_images(images: Any, plan: Plan, *, layout: Layout | None = None, out: Any = None) -> Any:
    """Mix a batch of images as the plan says.

        out    <- images[source[i, 0]]
        out[p] <- (1 - a_k[p]) out[p] + a_k[p] images[source[i, k]][p]          k = 1 .. K-1, p inside box[i, k]

    uint8 pastes are exact and blends rounded to nearest; half precision is computed in float32. An opacity of
    0 or 1 is exact even beside inf and nan.

    Args:
        images: (B, C, H, W) or (B, H, W, C) per `layout`; uint8 in 0..255 or floating, any range.
        plan: drawn for the same B, H, W.
        layout: None finds the axes by the plan's H and W, where only one reading is possible.
        out: where to write, like `images` and apart from it; new memory if None.

    Returns:
        Same framework, device, dtype and shape; `images` is not written to.

    Raises:
        PlanError: the plan was drawn for another shape.
        ArrayError: `images` or `out` is no such array.
    """
    backend = _check_images("mix_images", images)
    layout = _layout_for(plan, images, layout, "mix_images")
    _check_executable("mix_images", plan)
    _check_out("mix_images", backend, images, out, backend.dtype_name(images))
    return backend.mix_images(images, plan, layout, out)


def render(
    images: Any,
    plan: Plan,
    *,
    mean: float | Sequence[float],
    std: float | Sequence[float],
    layout: Layout = "NHWC",
    augment: DrawnAugmentation | None = None,
    out: Any = None,
) -> Any:
    """Make of a uint8 batch what the model sees, in one pass: augmented, mixed, normalised.

        out = (mix(augment(images)) / 255 - mean) / std

    Args:
        images: (B, H, W, C) or (B, C, H, W) per `layout`, uint8.
        plan: drawn for the same B, H, W.
        mean, std: of pixels in 0..1; a number, or one per channel.
        augment: what was drawn for each sample, see `augment_images`; None for nothing.
        out: float32 of the same shape, apart from `images`; new memory if None.

    Returns:
        float32, same framework, device, shape and layout. An NHWC result seen as NCHW is what PyTorch calls
        channels-last: ``torch.from_numpy(out).permute(0, 3, 1, 2)`` copies nothing.

    Raises:
        PlanError: the plan was drawn for another shape.
        ArrayError: `images` is not uint8; `mean`, `std` or `augment` does not fit it.
    """
    backend = _check_images("render", images)
    layout = _layout_for(plan, images, layout, "render")
    _check_executable("render", plan)
    if backend.dtype_name(images) != "uint8":
        raise ArrayError(f"render: images must be uint8. Got {backend.dtype_name(images)}. See mix_images for floats.")
    channels = images.shape[1 if layout == "NCHW" else 3]
    scale, shift = _affine(mean, std, channels)
    _check_out("render", backend, images, out, "float32")
    if augment is not None:
        _check_augment("render", augment, len(plan))
        images = backend.augment(images, augment, layout)
    return backend.render(images, plan, scale, shift, layout, out)


def augment_images(images: Any, drawn: DrawnAugmentation, *, layout: Layout = "NHWC") -> Any:
    """Warp and recolour each picture of a batch as it was drawn; `crossfade.vision.augment` draws.

        warped[y, x] = image(matrix @ (y, x, 1))        between pixels bilinear, beyond the border by `fill`
        changed      = each of the drawn `Colour` steps in turn

    Each stage is rounded to nearest.

    Args:
        images: (B, H, W, C) or (B, C, H, W) per `layout`, uint8; not written to.
        drawn: for as many samples.

    Returns:
        uint8, same framework, device, shape and layout.

    Raises:
        ArrayError: `images` is not uint8, or `drawn` is for another number of samples.
    """
    backend = _check_images("augment_images", images)
    if backend.dtype_name(images) != "uint8":
        raise ArrayError(f"augment_images: images must be uint8. Got {backend.dtype_name(images)}.")
    if layout not in get_args(Layout):
        raise ArrayError(f'augment_images: layout must be "NCHW" or "NHWC". Got {layout!r}.')
    _check_augment("augment_images", drawn, len(images))
    return backend.augment(images, drawn, layout)


def mix_targets(labels: Any, plan: Plan, *, num_classes: int | None = None, smoothing: float = 0.0) -> Any:
    """Mix labels as the plan says, each by the weight of its layer.

        target[i] = (1 - s) sum_k weight[i, k] y[source[i, k]] + s / C          s = smoothing

    Args:
        labels: (B,) class numbers, or (B, C) soft or multi-hot.
        num_classes: C; needed for class numbers.
        smoothing: label smoothing, 0..1.

    Returns:
        (B, C) float32, same framework and device. Rows of class numbers sum to 1, also where a sample was mixed
        with one of its own class.

    Raises:
        LabelError: class numbers without `num_classes` or outside it, or another number of samples.
    """
    check_fraction("mix_targets", "smoothing", smoothing)
    backend = _backend("mix_targets", labels)
    classes = _check_labels("mix_targets", labels, len(plan), num_classes)
    targets = backend.mix_targets(labels, plan, classes)
    return targets if smoothing == 0 else targets * (1 - float(smoothing)) + float(smoothing) / classes


def mixed_loss(loss_fn: Callable[[Any, Any], Any], logits: Any, labels: Any, plan: Plan) -> Any:
    """The mean over the batch of the losses against each layer's label, weighed; no one-hot array is made.

        loss = 1/B sum_i sum_k weight[i, k] loss_fn(logits[i], labels[source[i, k]])

    For a loss that is linear in the target, such as cross-entropy, this equals the loss against `mix_targets`.

    Args:
        loss_fn: (logits, labels) -> (B,) losses, unreduced, such as
            ``functools.partial(torch.nn.functional.cross_entropy, reduction="none")``.
        logits: (B, ...), of the mixed images.
        labels: (B,) or (B, C), of the unmixed ones.

    Returns:
        A scalar of the framework of `logits`.

    Raises:
        ArrayError: `loss_fn` reduces over the batch.
    """
    backend = _check_logits("mixed_loss", logits, labels, len(plan))
    total = 0
    for source, weight in _label_layers(plan):
        losses = loss_fn(logits, backend.take(labels, source))
        shape = tuple(losses.shape) if hasattr(losses, "shape") else type(losses).__name__
        if shape != (len(plan),):
            raise ArrayError(
                f"mixed_loss: loss_fn must return one loss a sample, ({len(plan)},). Got {shape}. "
                'Pass reduction="none", say.'
            )
        total = total + backend.weigh(losses, weight)
    return cast(Any, total).mean()


def mixed_accuracy(logits: Any, labels: Any, plan: Plan) -> Any:
    """The share of label weight that the predictions hit: 0..1.

        accuracy = 1/B sum_i sum_k weight[i, k] [argmax logits[i] = y[source[i, k]]]

    This is not the accuracy on unmixed pictures: a perfect model reaches only the mean of the larger weights.

    Args:
        logits: (B, C), of the mixed images.
        labels: (B,) class numbers, or (B, C), of which the largest counts.

    Returns:
        A scalar of the framework of `logits`.
    """
    backend = _check_logits("mixed_accuracy", logits, labels, len(plan))
    if len(logits.shape) != 2:
        raise ArrayError(f"mixed_accuracy: logits must be (B, C). Got {_shape(logits)}.")
    classes = backend.argmax(labels) if len(labels.shape) == 2 else labels
    predicted = backend.argmax(logits)
    hits = 0
    for source, weight in _label_layers(plan):
        hits = hits + backend.weigh(predicted == backend.take(classes, source), weight)
    return cast(Any, hits).mean()


def mix_masks(masks: Any, plan: Plan, *, layout: Layout | None = None) -> Any:
    """Mix segmentation masks by the very same plan; class ids stay class ids.

    Each pixel takes the id of the layer that contributes most to it (the lower one where two are even).

    Args:
        masks: (B, H, W) class ids; or with a channel axis of any length, per `layout`.
        layout: needed where there is a channel axis.

    Returns:
        Same framework, device, dtype and shape. A constant fill has id 0.
    """
    backend = _backend("mix_masks", masks)
    _check_layout("mix_masks", layout)
    batch, height, width = plan.shape
    shapes = {None: masks.shape, "NHWC": masks.shape[:3], "NCHW": (masks.shape[0], *masks.shape[2:])}
    if len(masks.shape) != (3 if layout is None else 4) or tuple(shapes[layout]) != plan.shape:
        raise PlanError(
            f"mix_masks: the plan was drawn for {batch} pictures of {height} x {width}. "
            f"Got masks {tuple(masks.shape)}, layout {layout}."
        )
    _check_executable("mix_masks", plan)
    rows = np.arange(batch)[:, None, None]
    return backend.mix_masks(masks, plan.source[rows, plan.dominant()], layout)


def _label_layers(plan: Plan) -> list[tuple[NDArray[np.int64], NDArray[np.float64]]]:
    """For each layer, whose label counts and how much; a layer of weight 0 asks for the sample's own."""
    own = plan.source[:, 0]
    return [(np.where(plan.weight[:, k] > 0, plan.source[:, k], own), plan.weight[:, k]) for k in range(plan.layers)]


def _backend(who: str, array: Any) -> Backend:
    if isinstance(array, np.ndarray):
        return cast(Backend, import_module("crossfade.arrays.numpy"))
    for name, array_type in _FRAMEWORKS.items():
        framework = sys.modules.get(name)
        if framework is not None and isinstance(array, getattr(framework, array_type)):
            return cast(Backend, import_module(f"crossfade.arrays.{name}"))
    kind = f"{type(array).__module__}.{type(array).__qualname__}"
    raise ArrayError(f"{who}: needs a NumPy array or a PyTorch tensor. Got {kind}. numpy.asarray may help.")


def _check_images(who: str, images: Any) -> Backend:
    backend = _backend(who, images)
    if len(images.shape) != 4 or 0 in tuple(images.shape):
        raise ArrayError(f"{who}: images must be (B, C, H, W) or (B, H, W, C), none of them 0. Got {_shape(images)}.")
    if backend.dtype_name(images) not in IMAGE_DTYPES:
        raise ArrayError(f"{who}: images must be {', '.join(IMAGE_DTYPES)}. Got {backend.dtype_name(images)}.")
    return backend


def _check_out(who: str, backend: Backend, images: Any, out: Any, dtype: str) -> None:
    if out is None:
        return
    if _backend(who, out) is not backend or _shape(out) != _shape(images) or backend.dtype_name(out) != dtype:
        got = f"{type(out).__name__} {_shape(out)} {_backend(who, out).dtype_name(out)}"
        raise ArrayError(f"{who}: out must be like images, {_shape(images)} {dtype}. Got {got}.")
    if not backend.writable(out):
        raise ArrayError(f"{who}: out must be writable, in the machine's byte order. Got one that is not.")
    if backend.overlaps(images, out):
        raise ArrayError(f"{who}: out must not share memory with images, which are still read. Pass another array.")


def _check_executable(who: str, plan: Plan) -> None:
    if plan.fit != "crop":
        raise PlanError(f'{who}: executes plans with fit "crop". Got {plan.fit!r}.')


def _check_augment(who: str, drawn: DrawnAugmentation, batch: int) -> None:
    steps = drawn.colours.shape[1:]
    shapes = drawn.matrix.shape, drawn.colours.shape, drawn.amounts.shape
    if shapes != ((batch, 2, 3), (batch, *steps), (batch, *steps)) or len(steps) != 1:
        raise ArrayError(
            f"{who}: augment must be drawn for {batch} samples. "
            f"Got matrix {shapes[0]}, colours {shapes[1]}, amounts {shapes[2]}."
        )
    if not (np.abs(drawn.matrix) <= LARGEST).all():
        most = ", ".join(map(str, LARGEST))
        raise ArrayError(f"{who}: augment must have a matrix within {most}. Got {drawn.matrix.tolist()[:1]}.")
    if not np.isin(drawn.colours, list(Colour)).all():
        raise ArrayError(f"{who}: augment must have colours from 0 to {max(Colour)}. Got {drawn.colours.tolist()[:1]}.")
    if not (np.abs(drawn.amounts) <= LARGEST_AMOUNT).all():
        raise ArrayError(f"{who}: augment must have amounts within {LARGEST_AMOUNT}. Got {drawn.amounts.tolist()[:1]}.")
    if drawn.fill not in FILLS:
        raise ArrayError(f"{who}: augment must have a fill of {', '.join(FILLS)}. Got {drawn.fill!r}.")
    if not isinstance(drawn.value, int | np.integer) or not 0 <= drawn.value <= 255:
        raise ArrayError(f"{who}: augment must have a value that is a level from 0 to 255. Got {drawn.value!r}.")


def _check_count(who: str, labels: Any, batch: int) -> None:
    if len(labels.shape) not in (1, 2) or labels.shape[0] != batch:
        raise LabelError(f"{who}: needs a label for each of {batch} samples, (B,) or (B, C). Got {_shape(labels)}.")


def _check_logits(who: str, logits: Any, labels: Any, batch: int) -> Backend:
    backend = _backend(who, logits)
    if _backend(who, labels) is not backend:
        kinds = f"{type(logits).__name__} and {type(labels).__name__}"
        raise ArrayError(f"{who}: logits and labels must be of one framework. Got {kinds}.")
    _check_count(who, labels, batch)
    if len(logits.shape) < 1 or logits.shape[0] != batch:
        raise ArrayError(f"{who}: needs logits of {batch} samples. Got {_shape(logits)}.")
    return backend


def _check_layout(who: str, layout: object) -> None:
    if layout not in (None, *get_args(Layout)):
        raise ArrayError(f'{who}: layout must be "NCHW" or "NHWC". Got {layout!r}.')


def _check_labels(who: str, labels: Any, batch: int, num_classes: int | None) -> int:
    """The number of classes, once the labels are known to be right."""
    backend = _backend(who, labels)
    _check_count(who, labels, batch)
    dtype = backend.dtype_name(labels)
    if len(labels.shape) == 2:
        classes = int(labels.shape[1])
        if num_classes not in (None, classes):
            raise LabelError(f"{who}: labels {_shape(labels)} have {classes} classes. Got num_classes={num_classes}.")
        return classes
    if not dtype.startswith(("int", "uint")):
        raise LabelError(f"{who}: labels (B,) must be class numbers. Got {dtype}. Pass (B, C) for soft labels.")
    if num_classes is None:
        raise LabelError(
            f"{who}: integer labels need num_classes. Got labels {dtype} {_shape(labels)}, num_classes=None. "
            "Pass num_classes=10, say."
        )
    if not isinstance(num_classes, int | np.integer) or isinstance(num_classes, bool) or num_classes < 1:
        raise LabelError(f"{who}: num_classes must be a whole number from 1 on. Got {num_classes!r}.")
    host = backend.to_host(labels)
    if host.min() < 0 or host.max() >= num_classes:
        raise LabelError(
            f"{who}: labels must be in 0..{num_classes - 1}. Got {host.min()}..{host.max()}. "
            "Check num_classes, or the labels."
        )
    return int(num_classes)


def _layout_of(images: Any) -> Layout:
    """The layout, inferred only where one of the channel axes is 1, 3 or 4 long and all others are longer."""
    _, a, b, c = images.shape
    first, last = a in (1, 3, 4) and min(b, c) > 4, c in (1, 3, 4) and min(a, b) > 4
    if first == last:
        raise ArrayError(f'layout: cannot be told from images {_shape(images)}. Pass layout="NCHW" or "NHWC".')
    return "NCHW" if first else "NHWC"


def _layout_for(plan: Plan, images: Any, layout: Layout | None, who: str) -> Layout:
    """The layout in which the images have the plan's B, H and W."""
    _check_layout(who, layout)
    candidates: tuple[Layout, ...] = ("NCHW", "NHWC") if layout is None else (layout,)
    fitting = [candidate for candidate in candidates if _shape_in(images, candidate) == plan.shape]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise ArrayError(f'{who}: images {_shape(images)} can be read in two ways. Pass layout="NCHW" or "NHWC".')
    batch, height, width = plan.shape
    raise PlanError(
        f"{who}: the plan was drawn for {batch} pictures of {height} x {width}. Got images {_shape(images)}, "
        f"layout {layout}. Draw a plan for this batch."
    )


def _shape_in(images: Any, layout: Layout) -> Shape:
    batch, a, b, c = (int(n) for n in images.shape)
    return (batch, b, c) if layout == "NCHW" else (batch, a, b)


def _shape(array: Any) -> tuple[int, ...]:
    return tuple(int(n) for n in array.shape)


def _affine(
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
