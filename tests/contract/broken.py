"""Backends that are wrong on purpose, as mixing code elsewhere has been. The contract must catch them all."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

import crossfade as cf
from crossfade.mixing.plan import Plan
from crossfade.vision.augment import Augmentation
from tests.contract.backends import NumpyKernels


class Inverted(NumpyKernels):
    """Label weights of the partner given to the sample (kornia#3077)."""

    def mix_targets(self, labels, plan, **options):
        turned = plan.weight if plan.layers == 1 else plan.weight[:, ::-1]
        moved = np.where(plan.source < 0, 0, turned)
        moved[:, 0] += 1 - moved.sum(axis=1)
        return cf.mix_targets(labels, replace(plan, weight=moved), **options)


class InvertedPixels(NumpyKernels):
    """Opacity lambda instead of 1 - lambda."""

    def mix_images(self, images, plan, layout):
        opacity = 1 - plan.opacity
        opacity[:, 0] = 1
        return cf.mix_images(images, replace(plan, opacity=opacity), layout=layout)


class Drawn(NumpyKernels):
    """Label weights of the box before it was clipped to the picture (KerasCV)."""

    def mix_targets(self, labels, plan, **options):
        weight = plan.weight.copy()
        if plan.layers == 2 and (plan.source >= 0).all():
            _, height, width = plan.shape
            top, left, bottom, right = plan.box[:, 1].T
            unclipped = (bottom - top + (bottom == height)) * (right - left + (right == width)) / (height * width)
            weight[:, 1] = np.minimum(1, unclipped * plan.opacity[:, 1])
            weight[:, 0] = 1 - weight[:, 1]
        return cf.mix_targets(labels, replace(plan, weight=weight), **options)


class Swapped(NumpyKernels):
    """Rows taken for columns."""

    def mix_images(self, images, plan, layout):
        return cf.mix_images(images, _with_boxes(plan, plan.box[..., [1, 0, 3, 2]]), layout=layout)


class ShortBox(NumpyKernels):
    """Boxes that never touch the right or the bottom border (timm#2739)."""

    def mix_images(self, images, plan, layout):
        _, height, width = plan.shape
        box = np.minimum(plan.box, [height, width, height - 1, width - 1])
        return cf.mix_images(
            images, _with_boxes(plan, np.sort(box.reshape(*box.shape[:2], 2, 2), axis=2)), layout=layout
        )


class Truncated(NumpyKernels):
    """uint8 blends cut off, not rounded."""

    def mix_images(self, images, plan, layout):
        if images.dtype != np.uint8:
            return cf.mix_images(images, plan, layout=layout)
        return cf.mix_images(images.astype(np.float32), plan, layout=layout).astype(np.uint8)


class InPlace(NumpyKernels):
    """The caller's batch is written to (timm#50)."""

    def mix_images(self, images, plan, layout):
        images[...] = cf.mix_images(images, plan, layout=layout)
        return images


class Aliased(NumpyKernels):
    """The caller's batch is handed back where there is nothing to mix."""

    def mix_images(self, images, plan, layout):
        return images if plan.layers == 1 else cf.mix_images(images, plan, layout=layout)


class OneBuffer(NumpyKernels):
    """Every result in the same memory, whoever still holds the one before."""

    def __init__(self):
        self.buffers = {}

    def mix_images(self, images, plan, layout):
        out = self.buffers.setdefault((images.shape, images.dtype), np.empty_like(images))
        return cf.mix_images(images, plan, layout=layout, out=out)


class SameClassLost(NumpyKernels):
    """A partner of the same class overwrites the sample's own entry (FFCV)."""

    def mix_targets(self, labels, plan, **options):
        if labels.ndim == 2:
            return cf.mix_targets(labels, plan, **options)
        targets = np.zeros((len(plan), options["num_classes"]), np.float32)
        for k in range(plan.layers):
            shown = plan.source[:, k] >= 0
            targets[np.flatnonzero(shown), labels[plan.source[shown, k]]] = plan.weight[shown, k]
        return targets


class LeakyBlend(NumpyKernels):
    """0 times infinity is nan."""

    def mix_images(self, images, plan, layout):
        if images.dtype.kind != "f" or plan.layers != 2 or (plan.source < 0).any() or plan.mask is not None:
            return cf.mix_images(images, plan, layout=layout)
        inside = np.zeros_like(images)
        pixels = inside if layout == "NHWC" else inside.transpose(0, 2, 3, 1)
        for i, (top, left, bottom, right) in enumerate(plan.box[:, 1]):
            pixels[i, top:bottom, left:right] = plan.opacity[i, 1]
        with np.errstate(invalid="ignore"):
            return (1 - inside) * images + inside * images[plan.source[:, 1]]


class LastForFill(NumpyKernels):
    """-1 taken for an index: the last picture shows where black should."""

    def mix_images(self, images, plan, layout):
        source = np.where(plan.source < 0, len(plan) - 1, plan.source)
        return cf.mix_images(images, replace(plan, source=source), layout=layout)


class BlendedIds(NumpyKernels):
    """Class ids blended like colours."""

    def mix_masks(self, masks, plan, layout=None):
        pixels = masks[..., None] if layout is None else masks
        mixed = cf.mix_images(pixels.astype(np.float32), plan, layout=layout or "NHWC").round().astype(masks.dtype)
        return mixed[..., 0] if layout is None else mixed


class OneAugmentation(NumpyKernels):
    """All pictures augmented as the first one."""

    def render(self, images, plan, **options):
        drawn = options.get("augment")
        if drawn is not None:
            first = np.zeros(len(plan), int)
            options["augment"] = Augmentation(drawn.matrix[first], drawn.fill)
        return cf.render(images, plan, **options)


class HalfGeometry(NumpyKernels):
    """Opacities computed in half precision."""

    def mix_images(self, images, plan, layout):
        return cf.mix_images(images, replace(plan, opacity=plan.opacity.astype(np.float16)), layout=layout)


class Transposed(NumpyKernels):
    """One layout served by the code of the other."""

    def mix_images(self, images, plan, layout):
        if layout == "NHWC":
            return cf.mix_images(images, plan, layout=layout)
        batch, _, height, width = images.shape
        first = images[:, :1].transpose(0, 2, 3, 1)
        mixed = cf.mix_images(np.ascontiguousarray(first), plan, layout="NHWC").reshape(batch, 1, height, width)
        return np.concatenate([mixed, images[:, 1:]], axis=1)


def _with_boxes(plan: Plan, box: np.ndarray) -> Plan:
    """The plan with other boxes, cut to the picture."""
    _, height, width = plan.shape
    box = np.minimum(box.reshape(plan.box.shape), [height, width, height, width])
    box[:, 0] = 0, 0, height, width
    return replace(plan, box=box)


CAUGHT_BY = {
    Inverted: ("labels_equal_pixels", "targets_match_the_reference"),
    InvertedPixels: ("images_match_the_reference", "labels_equal_pixels"),
    Drawn: ("labels_equal_pixels", "targets_match_the_reference"),
    Swapped: ("images_match_the_reference", "labels_equal_pixels", "pastes_are_exact"),
    ShortBox: ("images_match_the_reference", "labels_equal_pixels", "pastes_are_exact"),
    Truncated: ("images_match_the_reference", "bytes_are_rounded_to_nearest"),
    InPlace: ("inputs_are_untouched", "results_are_new_memory"),
    OneBuffer: ("earlier_results_stay_as_they_were",),
    Aliased: ("results_are_new_memory",),
    SameClassLost: ("target_rows_sum_to_one", "targets_match_the_reference"),
    LeakyBlend: ("weight_one_is_identity", "opacity_one_hides_what_is_below"),
    LastForFill: ("fills_are_black", "images_match_the_reference"),
    BlendedIds: ("masks_match_the_reference",),
    OneAugmentation: ("render_matches_the_reference",),
    HalfGeometry: ("images_match_the_reference",),
    Transposed: ("layouts_agree", "images_match_the_reference"),
}
