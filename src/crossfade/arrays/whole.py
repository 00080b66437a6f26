"""Executing a plan by operations on whole batches: for arrays whose numbers are not known yet, or not in this memory.

`Ops` are the operations of the framework whose arrays they are.
"""

from __future__ import annotations

from typing import Any

from crossfade.arrays.backend import Layout
from crossfade.arrays.ops import Ops
from crossfade.mixing.plan import Plan
from crossfade.mixing.visibility import EVEN


def mix_images(xp: Ops, images: Any, plan: Plan, layout: Layout) -> Any:
    """All samples with all their layers, in float32 or wider."""
    precision = "float64" if xp.dtype_name(images) == "float64" else "float32"
    mixed = xp.cast(images, precision)
    for k in range(1, plan.layers):
        source = xp.like(plan.source[:, k], images)
        above = xp.cast(xp.take(images, _inside_batch(xp, source)), precision)
        a = _opacity(xp, plan, k, images, precision)
        a = a[:, None] if layout == "NCHW" else a[..., None]
        mixed = xp.blend(mixed, above, a, (source >= 0)[:, None, None, None])
    return mixed


def mix_targets(xp: Ops, labels: Any, plan: Plan, num_classes: int) -> Any:
    """See `crossfade.mix_targets`; every class number against every class, so that layers of one class add up."""
    classes = xp.span(num_classes, labels)
    targets = 0
    for k in range(plan.layers):
        own, source = (xp.like(plan.source[:, layer], labels) for layer in (0, k))
        weight = xp.cast(xp.like(plan.weight[:, k], labels), xp.wide())[:, None]
        label = xp.take(labels, xp.where(source >= 0, source, own))
        one_hot = label if len(label.shape) == 2 else xp.cast(label, "int32")[:, None] == classes
        targets = targets + weight * xp.cast(one_hot, xp.wide())
    return xp.cast(targets, "float32")


def mix_masks(xp: Ops, masks: Any, plan: Plan, layout: Layout | None) -> Any:
    """See `crossfade.mix_masks`."""
    best = _dominant(xp, plan, masks)
    best = best if layout is None else best[:, None] if layout == "NCHW" else best[..., None]
    mixed = masks
    for k in range(1, plan.layers):
        source = xp.like(plan.source[:, k], masks)
        shown = xp.take(masks, _inside_batch(xp, source))
        axes = (slice(None), *(None for _ in masks.shape[1:]))
        shown = xp.where(source[axes] >= 0, shown, xp.cast(0 * source[axes], xp.dtype_name(masks)))
        mixed = xp.where(best == k, shown, mixed)
    return mixed


def _dominant(xp: Ops, plan: Plan, beside: Any) -> Any:
    """`Plan.dominant`, (B, H, W)."""
    opacities = [_opacity(xp, plan, k, beside, xp.wide()) for k in range(plan.layers)]
    best, highest = 0, 0.0
    for k, share in enumerate(opacities):
        for above in opacities[k + 1 :]:
            share = share * (1 - above)
        higher = share > highest * (1 + EVEN)
        best = xp.where(higher, k, best)
        highest = xp.where(higher, share, highest)
    return best


def _opacity(xp: Ops, plan: Plan, k: int, beside: Any, precision: str) -> Any:
    """a_k (B, H, W): the opacity of layer k at each pixel."""
    _, height, width = plan.shape
    box = xp.like(plan.box[:, k], beside)
    top, left, bottom, right = (box[:, edge, None] for edge in range(4))
    rows, columns = xp.span(height, beside), xp.span(width, beside)
    inside_rows, inside_columns = (top <= rows) & (rows < bottom), (left <= columns) & (columns < right)
    a = xp.cast(inside_rows[:, :, None] & inside_columns[:, None, :], precision)
    a = a * xp.cast(xp.like(plan.opacity[:, k], beside), precision)[:, None, None]
    if plan.mask is not None and k == 1:
        a = a * xp.cast(xp.like(plan.mask, beside), precision)
    return a


def _inside_batch(xp: Ops, source: Any) -> Any:
    """A constant fill, -1, shows no picture of the batch; any will do to be hidden."""
    return xp.where(source >= 0, source, 0 * source)
