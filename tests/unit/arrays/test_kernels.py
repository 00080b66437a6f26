"""The compiled passes, in the places where a kernel can go wrong alone."""

from __future__ import annotations

import numpy as np
import pytest

import crossfade as cf
from crossfade.arrays import kernels
from tests.strategies import pictures


def test_rounding_is_to_nearest_even_over_the_whole_range():
    row = np.arange(0, 255.25, 0.25, dtype=np.float32)
    out = np.empty(row.size, np.uint8)
    kernels._round(out, np.uintp(0), row, np.uintp(row.size))
    np.testing.assert_array_equal(out, np.rint(row))


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_reflection_at_any_distance(size):
    whole = np.pad(np.arange(size), 40, mode="reflect") if size > 1 else np.zeros(81, int)
    assert [kernels._reflect(at, size) for at in range(-40, size + 40)] == whole.tolist()


def test_signatures_do_not_multiply():
    """Plans of every make and both layouts reach one compiled version of each kind of array."""
    for seed in range(3):
        plan = cf.OneOf([cf.MixUp(1.0), cf.CutMix()], per="sample").plan((3, 7, 13), rng=seed)
        plan = cf.Plan(
            *(np.asfortranarray(array) for array in (plan.source, plan.opacity, plan.box)), weight=plan.weight
        )
        before = len(kernels.render.signatures)
        for layout in ("NHWC", "NCHW"):
            cf.render(pictures((3, 7, 13), 3, np.uint8, 0, layout), plan, mean=0, std=1, layout=layout)
        if seed:
            assert len(kernels.render.signatures) == before
    assert all(
        argument.layout == "C"
        for signature in kernels.render.signatures
        for argument in signature
        if hasattr(argument, "layout")
    )


def test_nothing_is_written_beyond_the_share():
    images, plan = pictures((4, 3, 5), 2, np.float32, 0), cf.MixUp(1.0).plan((4, 3, 5), rng=0)
    out = np.full((4, 1, 3, 10), 9, np.float32)
    mask = np.zeros((1, 1, 1), np.float32)
    kernels.mix_float(images.reshape(4, 1, 3, 10), out, plan.source, plan.opacity, plan.box, mask, False, 2, 1, 3)
    assert (out[[0, 3]] == 9).all()
    np.testing.assert_array_equal(out[1:3].reshape(2, 3, 5, 2), cf.mix_images(images, plan)[1:3])
