"""Any legal plan on any picture: every path against the oracle."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import crossfade as cf
from crossfade.arrays.augment import FILLS
from crossfade.mixing import reference
from crossfade.vision.augment import Augmentation
from tests.contract.backends import BACKENDS
from tests.contract.rules import assert_close
from tests.strategies import moves, pictures, plans

seeds = st.integers(0, 2**32)
every_backend = pytest.mark.parametrize("backend", BACKENDS, ids=lambda backend: backend.name)
channels = st.sampled_from([1, 3, 4])
layouts = st.sampled_from(["NHWC", "NCHW"])


@every_backend
@given(data=st.data(), plan=plans(), channels=channels, layout=layouts, seed=seeds)
def test_images_match_the_reference(backend, data, plan, channels, layout, seed):
    dtype = data.draw(st.sampled_from(backend.dtypes))
    noise = pictures(plan.shape, channels, "uint8" if dtype == "uint8" else "float64", seed, layout)
    with backend.active():
        given_to_both = backend.round_trip(noise, dtype)
        kept = given_to_both.copy()
        images = backend.enter(noise, dtype)
        got = backend.leave(backend.mix_images(images, plan, layout))
    np.testing.assert_array_equal(backend.leave(images), kept)
    exact = reference.mix_images(given_to_both.astype(np.float64), plan, layout)
    assert_close(got, exact, dtype)


@every_backend
@given(plan=plans(opaque=True, masks=False), channels=channels, layout=layouts, seed=seeds)
def test_pastes_are_exact_also_of_infinity(backend, plan, channels, layout, seed):
    for dtype in backend.dtypes:
        noise = pictures(plan.shape, channels, "uint8" if dtype == "uint8" else "float64", seed, layout)
        if dtype != "uint8":
            spots = np.random.default_rng(seed).integers(0, 8, noise.shape)
            noise = np.choose(np.minimum(spots, 3), [np.inf, np.nan, -np.inf, noise])
        with backend.active():
            got = backend.leave(backend.mix_images(backend.enter(noise, dtype), plan, layout))
            given_to_both = backend.round_trip(noise, dtype)
        np.testing.assert_array_equal(got, reference.mix_images(given_to_both, plan, layout))


@every_backend
@given(plan=plans(), channels=channels, seed=seeds)
def test_layouts_agree(backend, plan, channels, seed):
    noise = pictures(plan.shape, channels, "uint8", seed)
    for dtype in backend.dtypes:
        with backend.active():
            last = backend.leave(backend.mix_images(backend.enter(noise, dtype), plan, "NHWC"))
            turned = np.ascontiguousarray(noise.transpose(0, 3, 1, 2))
            first = backend.leave(backend.mix_images(backend.enter(turned, dtype), plan, "NCHW"))
        np.testing.assert_array_equal(first.transpose(0, 2, 3, 1), last)


@every_backend
@given(plan=plans(), channels=channels, seed=seeds)
def test_where_nothing_is_mixed_nothing_changes(backend, plan, channels, seed):
    """Rows whose upper layers all have opacity 0 or an empty box, beside inf and nan everywhere."""
    noise = np.random.default_rng(seed).choice([np.inf, -np.inf, np.nan, 1.5], (*plan.shape, channels))
    area = (plan.box[..., 2] - plan.box[..., 0]) * (plan.box[..., 3] - plan.box[..., 1])
    still = ((area == 0) | (plan.opacity == 0))[:, 1:].all(axis=1)
    assume(still.any())
    for dtype in backend.dtypes:
        if dtype != "uint8":
            with backend.active():
                got = backend.leave(backend.mix_images(backend.enter(noise, dtype), plan, "NHWC"))
                given_to_both = backend.round_trip(noise, dtype)
            np.testing.assert_array_equal(got[still], given_to_both[still])


@st.composite
def augmentations(draw, shape):
    """Flips and shifts up to three pictures away, and any affine map."""
    batch, height, width = shape
    rng = np.random.default_rng(draw(seeds))
    reach = draw(st.sampled_from([0, 1, 3]))
    offset = np.stack([rng.integers(-reach * n, reach * n + 1, batch) for n in (height, width)], axis=1)
    fill = draw(st.sampled_from(FILLS))
    if draw(st.booleans()):
        return moves(rng.random(batch) < 0.5, offset, fill, (height, width))
    matrix = np.eye(3)[:2] + rng.normal(0, 0.5, (batch, 2, 3)) * (1, 1, max(height, width))
    return Augmentation(matrix, fill, int(rng.integers(256)))


@every_backend
@given(data=st.data(), plan=plans(), channels=channels, layout=layouts, seed=seeds, into=st.booleans())
def test_render_matches_the_reference(backend, data, plan, channels, layout, seed, into):
    augment = data.draw(st.one_of(st.none(), augmentations(plan.shape)))
    rng = np.random.default_rng(seed)
    mean, std = tuple(rng.random(channels).tolist()), tuple((rng.random(channels) + 0.1).tolist())
    pixels = pictures(plan.shape, channels, "uint8", seed, layout)
    options = {"mean": mean, "std": std, "layout": layout, "augment": augment}
    if into and not backend.immutable:
        options["out"] = backend.enter(np.full(pixels.shape, 99), "float32")
        if getattr(options["out"], "requires_grad", False):
            options["out"] = options["out"].detach()
    with backend.active():
        got = backend.render(backend.enter(pixels), plan, **options)
    assert got is options.get("out", got)
    exact = reference.render(pixels, plan, mean, std, layout, augment)
    np.testing.assert_allclose(backend.leave(got), exact, rtol=1e-5, atol=3e-5)


@every_backend
@given(plan=plans(), seed=seeds, dtype=st.sampled_from(["uint8", "int16", "int64", "bool"]))
def test_masks_match_the_reference(backend, plan, seed, dtype):
    masks = np.random.default_rng(seed).integers(0, 2 if dtype == "bool" else 100, plan.shape).astype(dtype)
    with backend.active():
        got = backend.leave(backend.mix_masks(backend.enter(masks), plan))
    np.testing.assert_array_equal(got, reference.mix_masks(masks, plan))


@settings(max_examples=15)
@given(plan=plans(shape=(3, 7, 13)), seed=seeds)
def test_all_paths_say_the_same(plan, seed):
    """uint8 to the last bit but for ties; floats to the last bits of their type."""
    noise = pictures(plan.shape, 3, "uint8", seed)
    results = []
    for backend in BACKENDS:
        dtype = "uint8" if "uint8" in backend.dtypes else "float32"
        with backend.active():
            got = backend.leave(backend.mix_images(backend.enter(noise, dtype), plan, "NHWC"))
        results.append(got.astype(np.float64))
    for got in results[1:]:
        assert np.abs(got - results[0]).max() <= 1


@given(plan=plans(masks=False, fills=False), seed=seeds)
def test_mixing_is_linear(plan, seed):
    """mix(a x + b y) = a mix(x) + b mix(y)."""
    x, y = (pictures(plan.shape, 1, "float64", seed + n) for n in (0, 1))
    both = cf.mix_images(2 * x - 3 * y, plan, layout="NHWC")
    apart = 2 * cf.mix_images(x, plan, layout="NHWC") - 3 * cf.mix_images(y, plan, layout="NHWC")
    np.testing.assert_allclose(both, apart, atol=1e-10)
