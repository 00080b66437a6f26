"""The compiled passes, in the places where a kernel can go wrong alone."""

from __future__ import annotations

import numpy as np
import pytest

import crossfade as cf
from crossfade.arrays import augment_kernels, kernels, parallel
from crossfade.arrays import numpy as host
from crossfade.arrays.augment import FILLS
from crossfade.vision.augment import Augment
from tests.contract.rules import stack
from tests.strategies import moves, pictures

SHAPE = (4, 7, 13)
PLANS = {
    "pairs": cf.OneOf([cf.MixUp(1.0), cf.CutMix()], per="sample").plan(SHAPE, rng=1),
    "stack": stack(SHAPE, 4, 0),
    "masked": stack(SHAPE, 3, 1, mask=True),
    "single": cf.Plan.identity(SHAPE),
}
every_plan = pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)


@pytest.fixture(params=["through the cache", "past the cache"], autouse=True)
def delivery(request, monkeypatch):
    monkeypatch.setattr(host, "BYPASS_BYTES", 0 if request.param == "past the cache" else 1 << 40)


def passes(plan: cf.Plan, layout: str = "NHWC", *, augmented: bool = True) -> list:
    """Every pass that this plan can take: (function of out, an array like its result)."""
    made = []
    for dtype in ("uint8", "float32", "float64"):
        images = pictures(SHAPE, 3, dtype, 0, layout)
        made.append((lambda out, images=images: cf.mix_images(images, plan, layout=layout, out=out), images))
    pixels = pictures(SHAPE, 3, "uint8", 0, layout)
    drawn = Augment(flip=True, pad=4).draw(np.arange(4), seed=0, epoch=0, size=SHAPE[1:])
    for augment in (None, drawn) if augmented else (None,):
        options = {"mean": 0.5, "std": 0.25, "layout": layout, "augment": augment}
        made.append((lambda out, options=options: cf.render(pixels, plan, out=out, **options), pixels.astype("f4")))
    return made


@pytest.mark.parametrize("opacity", [0.25, 0.5, 0.75])
def test_rounding_is_to_nearest_even_over_the_whole_range(opacity):
    """Numbers that float32 holds exactly: whole ones and a quarter, a half, three quarters."""
    images = np.stack([np.arange(255), np.arange(1, 256)]).astype(np.uint8).reshape(2, 1, 255, 1)
    plan = cf.Plan.two_layers((2, 1, 255), np.array([1, 0]), opacity=opacity)
    mixed = cf.mix_images(images, plan, layout="NHWC").reshape(2, 255)
    np.testing.assert_array_equal(mixed[0], np.rint(np.arange(255) + opacity))
    np.testing.assert_array_equal(mixed[1], np.rint(np.arange(1, 256) - opacity))


def signatures() -> dict[str, list]:
    made = {**vars(kernels), **vars(augment_kernels)}
    return {name: list(kernel.signatures) for name, kernel in made.items() if hasattr(kernel, "signatures")}


@every_plan
def test_no_pass_is_compiled_twice_for_one_kind_of_array(plan):
    """Compiling takes seconds: neither a layout nor a plan of another make may set it off."""

    def run(plan):
        for layout in ("NHWC", "NCHW"):
            for call, like in passes(plan, layout):
                call(np.empty_like(like))

    run(plan)
    before = signatures()
    fortran = {name: np.asfortranarray(getattr(plan, name)) for name in ("source", "opacity", "box", "weight")}
    run(cf.Plan(**fortran, mask=None if plan.mask is None else np.asfortranarray(plan.mask)))
    assert signatures() == before
    types = [argument for made in before.values() for signature in made for argument in signature]
    assert {argument.layout for argument in types if hasattr(argument, "layout")} == {"C"}


@every_plan
@pytest.mark.parametrize("layout", ["NHWC", "NCHW"])
def test_nothing_is_written_beyond_the_share(plan, layout, monkeypatch):
    for call, like in passes(plan, layout, augmented=False):
        whole, part = call(np.empty_like(like)), np.full_like(like, 9)
        with monkeypatch.context() as patch:
            patch.setattr(parallel, "share", lambda work, samples, size: work(1, 3))
            call(part)
        assert (part[[0, 3]] == 9).all()
        np.testing.assert_array_equal(part[1:3], whole[1:3])


@every_plan
@pytest.mark.parametrize("layout", ["NHWC", "NCHW"])
def test_nothing_is_written_beyond_the_array(plan, layout):
    """Flat offsets are not checked: a wrong one would write into a neighbour."""
    for call, like in passes(plan, layout):
        guarded = np.full(like.size + 256, 9, like.dtype)
        out = guarded[128:-128].reshape(like.shape)
        np.testing.assert_array_equal(call(out), call(np.empty_like(like)))
        assert (guarded[:128] == 9).all()
        assert (guarded[-128:] == 9).all()


@pytest.mark.parametrize("far", [-(2**19), -100, -14, -13, -1, 0, 1, 12, 13, 14, 100, 2**19])
@pytest.mark.parametrize("fill", FILLS)
def test_shifts_of_any_size(far, fill, monkeypatch):
    """Shifts beyond the picture, either way, agree with the plain path."""
    pixels = pictures(SHAPE, 3, np.uint8, 0)
    offset = np.array([[far, 0], [0, far], [far, far], [-far, far]])
    augment = moves(np.array([True, False, True, False]), offset, fill, SHAPE[1:])
    for plan in PLANS.values():
        fast = cf.render(pixels, plan, mean=0.5, std=0.25, augment=augment)
        with monkeypatch.context() as patch:
            patch.setattr(host, "load_kernels", lambda *_: None)
            plain = cf.render(pixels, plan, mean=0.5, std=0.25, augment=augment)
        np.testing.assert_allclose(fast, plain, atol=2e-6)


@pytest.mark.parametrize("lead", range(17))
def test_lines_may_begin_anywhere(lead):
    """Whole lines are stored past the cache, what lies before and after them by ordinary stores."""
    plan, images = cf.MixUp(1.0).plan((2, 5, 9), rng=0), pictures((2, 5, 9), 3, np.float32, 0)
    memory = np.full(images.size + 64, 9, np.float32)
    out = memory[lead : lead + images.size].reshape(images.shape)
    np.testing.assert_array_equal(cf.mix_images(images, plan, out=out), cf.mix_images(images, plan))
    assert (memory[:lead] == 9).all()
    assert (memory[lead + images.size :] == 9).all()


def test_numbers_off_their_own_size_are_stored_through_the_cache():
    plan, images = cf.MixUp(1.0).plan((2, 5, 9), rng=0), pictures((2, 5, 9), 3, np.float32, 0)
    out = np.zeros(images.nbytes + 1, np.uint8)[1:].view(np.float32).reshape(images.shape)
    np.testing.assert_array_equal(cf.mix_images(images, plan, out=out), cf.mix_images(images, plan))
