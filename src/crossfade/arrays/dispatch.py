"""The public functions: check what came, find the framework it belongs to, and let that execute the plan."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar, get_args

import numpy as np

from crossfade.arrays.augment import DrawnAugmentation
from crossfade.arrays.backend import Backend, Layout, backend_of
from crossfade.arrays.checks import (
    affine,
    check_augment,
    check_concrete,
    check_executable,
    check_images,
    check_labels,
    check_layout,
    check_logits,
    check_masks,
    check_out,
    fits,
    layout_for,
    layout_of,
    shape_in,
    shape_of,
)
from crossfade.errors import ArrayError
from crossfade.mixing.plan import Plan
from crossfade.mixing.policy import Policy, check_fraction

Function = TypeVar("Function", bound=Callable[..., Any])


def as_it_is(function: Function) -> Function:
    """Keep TensorFlow's AutoGraph from rewriting a function, which takes seconds and gives its errors another type."""
    function.autograph_info__ = {}  # type: ignore[attr-defined]  # what `tf.autograph.experimental.do_not_convert` sets
    return function


@as_it_is
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
    check_concrete("apply", check_images("apply", images), images)
    check_layout("apply", layout)
    layout = layout or layout_of(images)
    shape = shape_in(images, layout)
    check_labels("apply", labels, shape[0], num_classes)
    backend = backend_of("apply", labels)
    check_concrete("apply", backend, labels)
    plan = policy.plan(shape, rng=rng, labels=backend.to_host(labels), images=images)
    return mix_images(images, plan, layout=layout), mix_targets(labels, plan, num_classes=num_classes)


@as_it_is
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
    backend = check_images("mix_images", images)
    layout = layout_for(plan, images, layout, "mix_images")
    plan = check_executable("mix_images", backend, plan)
    check_out("mix_images", backend, images, out, backend.dtype_name(images))
    return backend.mix_images(images, plan, layout, out)


@as_it_is
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
    backend = check_images("render", images)
    layout = layout_for(plan, images, layout, "render")
    plan = check_executable("render", backend, plan)
    if backend.dtype_name(images) != "uint8":
        raise ArrayError(f"render: images must be uint8. Got {backend.dtype_name(images)}. See mix_images for floats.")
    scale, shift = affine(mean, std, images.shape[1 if layout == "NCHW" else 3])
    check_out("render", backend, images, out, "float32")
    if augment is not None:
        check_augment("render", backend, augment, plan.shape[0])
        images = backend.augment(images, augment, layout)
    return backend.render(images, plan, scale, shift, layout, out)


@as_it_is
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
    backend = check_images("augment_images", images)
    if backend.dtype_name(images) != "uint8":
        raise ArrayError(f"augment_images: images must be uint8. Got {backend.dtype_name(images)}.")
    if layout not in get_args(Layout):
        raise ArrayError(f'augment_images: layout must be "NCHW" or "NHWC". Got {layout!r}.')
    check_augment("augment_images", backend, drawn, shape_of(images)[0])
    return backend.augment(images, drawn, layout)


@as_it_is
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
    backend = backend_of("mix_targets", labels)
    classes = check_labels("mix_targets", labels, plan.shape[0], num_classes)
    plan = check_executable("mix_targets", backend, plan, pixels=False)
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
    backend = check_logits("mixed_loss", logits, labels, plan.shape[0])
    total = 0
    for source, weight in _label_layers(backend, check_executable("mixed_loss", backend, plan, pixels=False)):
        losses = loss_fn(logits, backend.take(labels, source))
        shape = shape_of(losses) if hasattr(losses, "shape") else type(losses).__name__
        if not isinstance(shape, tuple) or not fits(shape, plan.shape[:1]):
            raise ArrayError(
                f"mixed_loss: loss_fn must return one loss a sample, ({plan.shape[0]},). Got {shape}. "
                'Pass reduction="none", say.'
            )
        total = total + backend.weigh(losses, weight)
    return backend.mean(total)


@as_it_is
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
    backend = check_logits("mixed_accuracy", logits, labels, plan.shape[0])
    if len(logits.shape) != 2:
        raise ArrayError(f"mixed_accuracy: logits must be (B, C). Got {shape_of(logits)}.")
    classes = backend.argmax(labels) if len(labels.shape) == 2 else labels
    predicted = backend.argmax(logits)
    hits = 0
    for source, weight in _label_layers(backend, check_executable("mixed_accuracy", backend, plan, pixels=False)):
        hits = hits + backend.weigh(backend.equal(predicted, backend.take(classes, source)), weight)
    return backend.mean(hits)


@as_it_is
def mix_masks(masks: Any, plan: Plan, *, layout: Layout | None = None) -> Any:
    """Mix segmentation masks by the very same plan; class ids stay class ids.

    Each pixel takes the id of the layer that contributes most to it (the lower one where two are even).

    Args:
        masks: (B, H, W) class ids; or with a channel axis of any length, per `layout`.
        layout: needed where there is a channel axis.

    Returns:
        Same framework, device, dtype and shape. A constant fill has id 0.
    """
    backend = backend_of("mix_masks", masks)
    check_layout("mix_masks", layout)
    check_masks("mix_masks", masks, plan, layout)
    return backend.mix_masks(masks, check_executable("mix_masks", backend, plan), layout)


def _label_layers(backend: Backend, plan: Plan) -> list[tuple[Any, Any]]:
    """For each layer, whose label counts and how much; a layer of weight 0 asks for the sample's own."""
    own = plan.source[:, 0]
    weights = [plan.weight[:, k] for k in range(plan.layers)]
    return [(backend.where(weight > 0, plan.source[:, k], own), weight) for k, weight in enumerate(weights)]
