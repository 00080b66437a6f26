"""What every backend owes. Each rule is a function of a backend that raises AssertionError where it is broken."""

from __future__ import annotations

import numpy as np

import crossfade as cf
from crossfade.arrays.augment import FILLS
from crossfade.mixing import reference
from crossfade.vision.augment import Augmentation
from tests.scale import scaled
from tests.strategies import moves, pictures

# One rounding to the type of the pixels, and what a few float32 operations may add; bytes: half a step.
ROUNDING = {"float16": 2**-11, "bfloat16": 2**-8, "float32": 1e-6, "float64": 1e-13}
LAYOUTS = ("NHWC", "NCHW")
LAYOUTS_AND_CHANNELS = (("NHWC", 1), ("NCHW", 3), ("NHWC", 4), ("NCHW", 2))


def pair(shape, opacity=1.0, box=None, mask=None):
    """Each sample below the one before it."""
    return cf.Plan.two_layers(shape, np.roll(np.arange(shape[0]), 1), opacity=opacity, box=box, mask=mask)


def stack(shape, layers, seed, *, fills=True, opaque=False, mask=False):
    """Overlapping boxes of every kind: empty ones, whole ones, at the borders; fills among them."""
    batch, height, width = shape
    rng = np.random.default_rng(seed)
    rows = np.sort(rng.integers(0, height + 1, (batch, layers, 2)), axis=2)
    columns = np.sort(rng.integers(0, width + 1, (batch, layers, 2)), axis=2)
    box = np.stack([rows[..., 0], columns[..., 0], rows[..., 1], columns[..., 1]], axis=2)
    box[:, 0] = box[0, -1] = (0, 0, height, width)
    source = rng.integers(-1 if fills else 0, batch, (batch, layers))
    source[:, 0] = np.arange(batch)
    opacity = np.ones((batch, layers)) if opaque else rng.choice([0, 1, 0.25, 0.7], (batch, layers))
    opacity[:, 0] = 1
    masks = rng.random(shape).round(1).astype(np.float32) if mask else None
    weight = None
    if (source < 0).any():
        weight = np.zeros((batch, layers))
        weight[:, 0] = 1
    return cf.Plan(source, opacity, box, mask=masks, weight=weight)


def cases():
    """Plans that between them reach every branch."""
    yield "mixup", pair((3, 7, 13), opacity=np.array([0.25, 0.6, 0.9]))
    yield "cutmix", pair((3, 7, 13), box=np.array([[0, 0, 3, 4], [2, 5, 7, 13], [3, 3, 4, 11]]))
    yield "hmix", pair((2, 7, 13), opacity=0.3, box=np.array([[1, 2, 6, 9], [0, 0, 7, 1]]))
    ramp = np.linspace(0, 1, 182).reshape(2, 7, 13).astype(np.float32)
    yield "masked", pair((2, 7, 13), opacity=0.8, mask=ramp)
    yield "masked box", pair((2, 7, 13), box=np.array([[1, 4, 6, 9], [3, 12, 7, 13]]), mask=ramp)
    yield "alone", cf.MixUp().plan((1, 7, 13), rng=0)
    yield "odd batch", cf.OneOf([cf.MixUp(1.0), cf.CutMix()], per="sample").plan((7, 4, 6), rng=3)
    yield "none", cf.Plan.identity((2, 3, 4))
    yield "one pixel", pair((2, 1, 1), opacity=0.5)
    for seed in range(3):
        yield f"stack {seed}", stack((3, 7, 13), 4, seed)
        yield f"masked stack {seed}", stack((3, 5, 6), 3, seed, mask=True)


def in_turn(backend, every, i):
    """Of these, those to try in case i: all, or one where each means that something is compiled anew."""
    return every if not backend.compiles or scaled(False, True) else (every[i % len(every)],)


def assert_close(got, exact, dtype, message=""):
    """As near to the exact numbers as `dtype` can be."""
    atol = {"uint8": 0.5001, "float64": 1e-13}.get(dtype, 1e-5)
    rtol = 1.02 * ROUNDING.get(dtype, 0)
    np.testing.assert_allclose(np.asarray(got, np.float64), exact, rtol=rtol, atol=atol, err_msg=message)


def images_match_the_reference(backend):
    for i, (name, plan) in enumerate(cases()):
        for dtype in in_turn(backend, backend.dtypes, i):
            for layout, channels in in_turn(backend, LAYOUTS_AND_CHANNELS, i):
                noise = pictures(plan.shape, channels, "uint8" if dtype == "uint8" else "float64", 7, layout)
                given = backend.round_trip(noise, dtype)
                got = backend.mix_images(backend.enter(noise, dtype), plan, layout)
                exact = reference.mix_images(given.astype(np.float64), plan, layout)
                assert_close(backend.leave(got), exact, dtype, f"{name} {dtype} {layout}")


def kind_and_shape_are_kept(backend):
    plan = pair((3, 7, 13), opacity=0.3)
    for dtype in backend.dtypes:
        images = backend.enter(pictures(plan.shape, 3, "uint8", 0), dtype)
        got = backend.mix_images(images, plan, "NHWC")
        assert type(got).__module__ == type(images).__module__
        assert (got.dtype, tuple(got.shape)) == (images.dtype, tuple(images.shape))


def inputs_are_untouched(backend):
    some = list(cases())[:: 4 if backend.compiles else 1]
    for i, (_, plan) in enumerate(some):
        for dtype in in_turn(backend, backend.dtypes, i):
            images = backend.enter(pictures(plan.shape, 3, "uint8", 0), dtype)
            before = backend.leave(images).copy()
            backend.mix_images(images, plan, "NHWC")
            np.testing.assert_array_equal(backend.leave(images), before)
        pixels = backend.enter(pictures(plan.shape, 3, "uint8", 1))
        labels = backend.enter(np.arange(len(plan)))
        before = [backend.leave(pixels).copy(), backend.leave(labels).copy()]
        backend.render(pixels, plan, mean=0.5, std=0.25)
        backend.mix_targets(labels, plan, num_classes=len(plan))
        backend.mix_masks(pixels, plan, layout="NHWC")
        np.testing.assert_array_equal(backend.leave(pixels), before[0])
        np.testing.assert_array_equal(backend.leave(labels), before[1])


def results_are_new_memory(backend):
    """Unless nobody can write into it."""
    for name, plan in cases():
        for dtype in () if backend.immutable else backend.dtypes:
            images = backend.enter(pictures(plan.shape, 3, "uint8", 0), dtype)
            got = backend.leave(backend.mix_images(images, plan, "NHWC"))
            assert not np.shares_memory(got, backend.leave(images)), f"{name} {dtype}"


def earlier_results_stay_as_they_were(backend):
    """Also where only a view of them is still held."""
    plan, held = pair((3, 7, 13), opacity=0.3), []
    for seed in range(12):
        images = backend.enter(pictures(plan.shape, 3, "uint8", seed), backend.dtypes[seed % len(backend.dtypes)])
        pixels = backend.enter(pictures(plan.shape, 3, "uint8", seed))
        for got in (backend.mix_images(images, plan, "NHWC"), backend.render(pixels, plan, mean=0.5, std=0.25)):
            view = backend.leave(got)[1:, ::-1, 2:]
            held.append((view, view.copy()))
        del got, images, pixels
        if seed % 3 == 2:
            held.pop(0)
    for view, copy in held:
        np.testing.assert_array_equal(view, copy)


def weight_one_is_identity(backend):
    """Also beside inf and nan: what is not shown does not count."""
    plan = pair((3, 2, 2), opacity=np.array([0.0, 0.0, 0.0]))
    boxes = pair((3, 2, 2), box=np.array([[0, 0, 0, 2], [1, 1, 1, 1], [2, 0, 2, 2]]))
    for dtype in backend.dtypes:
        if dtype == "uint8":
            continue
        values = np.array([1.5, np.inf, np.nan, -np.inf, 2, 3, 4, 5, -np.inf, np.nan, 0, 1]).reshape(3, 2, 2, 1)
        for nothing in (plan, boxes, cf.Plan.identity((3, 2, 2))):
            got = backend.leave(backend.mix_images(backend.enter(values, dtype), nothing, "NHWC"))
            np.testing.assert_array_equal(got, backend.round_trip(values, dtype))


def opacity_one_hides_what_is_below(backend):
    values = np.array([np.nan, np.inf, 1.0, 2.0]).reshape(2, 2, 1, 1)
    for dtype in backend.dtypes:
        if dtype != "uint8":
            got = backend.leave(backend.mix_images(backend.enter(values, dtype), pair((2, 2, 1)), "NHWC"))
            np.testing.assert_array_equal(got, backend.round_trip(values[::-1], dtype))


def fills_are_black(backend):
    """Whatever the batch holds; -1 is no index."""
    full = np.tile([0, 0, 2, 2], (2, 2, 1))
    weight = [[1, 0], [1, 0]]
    plan = cf.Plan([[0, -1], [1, -1]], [[1, 1], [1, 0.5]], full, weight=weight)
    values = np.full((2, 2, 2, 1), np.nan)
    values[1] = 8
    for dtype in backend.dtypes:
        if dtype != "uint8":
            got = backend.leave(backend.mix_images(backend.enter(values, dtype), plan, "NHWC"))
            np.testing.assert_array_equal(got[:, 0, 0, 0], [0, 4])


def pastes_are_exact(backend):
    for dtype in backend.dtypes:
        shape = (3, 7, 13)
        plan = stack(shape, 4, 5, fills=False, opaque=True)
        noise = pictures(shape, 3, "uint8" if dtype == "uint8" else "float64", 2)
        given = backend.round_trip(noise, dtype)
        got = backend.leave(backend.mix_images(backend.enter(noise, dtype), plan, "NHWC"))
        np.testing.assert_array_equal(got, reference.mix_images(given, plan, "NHWC"))


def bytes_are_rounded_to_nearest(backend):
    if "uint8" not in backend.dtypes:
        return
    images = np.zeros((2, 1, 256, 1), np.uint8)
    images[0] = np.arange(256).reshape(1, 256, 1)
    for opacity in (1 / 3, 0.25, 0.9, 0.499):
        plan = pair((2, 1, 256), opacity=opacity)
        a = float(np.float32(opacity))
        got = backend.leave(backend.mix_images(backend.enter(images), plan, "NHWC")).astype(float)
        want = images[[0, 1]] * (1 - a) + images[[1, 0]] * a
        assert np.abs(got - want).max() <= 0.5001


def layouts_agree(backend):
    for i, (name, plan) in enumerate(cases()):
        for dtype in in_turn(backend, backend.dtypes, i):
            noise = pictures(plan.shape, 3, "uint8", 3)
            last = backend.leave(backend.mix_images(backend.enter(noise, dtype), plan, "NHWC"))
            first = backend.enter(noise.transpose(0, 3, 1, 2), dtype)
            first = backend.leave(backend.mix_images(first, plan, "NCHW"))
            np.testing.assert_array_equal(first.transpose(0, 2, 3, 1), last, err_msg=name)


def labels_equal_pixels(backend):
    """Sample j shines in channel j only: after mixing, the mean of channel j is the weight of label j."""
    for name, plan in cases():
        if (plan.source < 0).any():
            continue
        batch, height, width = plan.shape
        lights = np.zeros((batch, height, width, batch))
        lights[np.arange(batch), :, :, np.arange(batch)] = 1
        dtype = "float64" if "float64" in backend.dtypes else "float32"
        mixed = backend.leave(backend.mix_images(backend.enter(lights, dtype), plan, "NHWC"))
        targets = backend.leave(backend.mix_targets(backend.enter(np.arange(batch)), plan, num_classes=batch))
        np.testing.assert_allclose(targets, mixed.astype(float).mean(axis=(1, 2)), atol=2e-7, err_msg=name)


def targets_match_the_reference(backend):
    for name, plan in cases():
        labels = np.arange(len(plan)) // 2
        for smoothing in (0.0, 0.1):
            got = backend.leave(backend.mix_targets(backend.enter(labels), plan, num_classes=5, smoothing=smoothing))
            exact = reference.mix_targets(labels, plan, 5, smoothing)
            assert got.dtype == np.float32
            np.testing.assert_allclose(got, exact, atol=1e-6, err_msg=name)
        soft = np.random.default_rng(0).random((len(plan), 4))
        got = backend.leave(backend.mix_targets(backend.enter(soft), plan, smoothing=0.1))
        np.testing.assert_allclose(got, reference.mix_targets(soft, plan, 4, 0.1), atol=1e-6, err_msg=name)


def target_rows_sum_to_one(backend):
    for _, plan in cases():
        for labels in (np.zeros(len(plan), np.int64), np.arange(len(plan)) % 2):
            got = backend.leave(backend.mix_targets(backend.enter(labels), plan, num_classes=50_000))
            np.testing.assert_allclose(got.astype(np.float64).sum(axis=1), 1, atol=1e-6)
            assert ((got != 0).sum(axis=1) <= plan.layers).all()


def masks_match_the_reference(backend):
    for i, (name, plan) in enumerate(cases()):
        for dtype in in_turn(backend, ("uint8", "int64"), i):
            masks = np.random.default_rng(1).integers(1, 200, plan.shape).astype(dtype)
            entered = backend.enter(masks)
            got = backend.mix_masks(entered, plan)
            assert got.dtype == entered.dtype
            np.testing.assert_array_equal(backend.leave(got), reference.mix_masks(masks, plan), err_msg=name)
            for layout, axis in in_turn(backend, (("NHWC", 3), ("NCHW", 1)), i):
                both = np.stack([masks, masks[:, ::-1]], axis=axis)
                got = backend.leave(backend.mix_masks(backend.enter(both), plan, layout=layout))
                want = [reference.mix_masks(each, plan) for each in (masks, np.ascontiguousarray(masks[:, ::-1]))]
                np.testing.assert_array_equal(got, np.stack(want, axis=axis))


def render_matches_the_reference(backend):
    """Augmented by each source's own draw, then mixed, then normalised per channel."""
    mean, std = (0.1, 0.5, 0.9), (0.2, 0.3, 1.5)
    for i, (name, plan) in enumerate(cases()):
        batch, height, width = plan.shape
        rng = np.random.default_rng(4)
        offset = np.stack([rng.integers(-n, n + 1, batch) for n in (2 * height, 2 * width)], axis=1)
        drawn = [moves(np.arange(batch) % 2 == 0, offset, fill, (height, width)) for fill in FILLS]
        drawn.append(Augmentation(np.eye(3)[:2] + rng.normal(0, 0.3, (batch, 2, 3)) * (1, 1, height), "nearest"))
        for augment in (None, *in_turn(backend, drawn, i)):
            for layout in in_turn(backend, LAYOUTS, i):
                pixels = pictures(plan.shape, 3, "uint8", 5, layout)
                options = {"mean": mean, "std": std, "layout": layout, "augment": augment}
                got = backend.leave(backend.render(backend.enter(pixels), plan, **options))
                assert (got.dtype, got.shape) == (np.float32, pixels.shape)
                exact = reference.render(pixels, plan, mean, std, layout, augment)
                np.testing.assert_allclose(got, exact, atol=2e-5, rtol=1e-5, err_msg=f"{name} {layout} {augment}")


RULES = (
    images_match_the_reference,
    kind_and_shape_are_kept,
    inputs_are_untouched,
    results_are_new_memory,
    earlier_results_stay_as_they_were,
    weight_one_is_identity,
    opacity_one_hides_what_is_below,
    fills_are_black,
    pastes_are_exact,
    bytes_are_rounded_to_nearest,
    layouts_agree,
    labels_equal_pixels,
    targets_match_the_reference,
    target_rows_sum_to_one,
    masks_match_the_reference,
    render_matches_the_reference,
)
