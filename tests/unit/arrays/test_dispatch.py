"""The public functions of images and masks: what they refuse and how, which array goes where, what comes back."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import torch

import crossfade as cf
from crossfade.vision.augment import Augmentation
from tests.strategies import pictures
from tests.unit.arrays.samples import BYTES, FLOATS, PLAN, RESIZE, SHAPE, both


class TestWhatImagesAre:
    @pytest.mark.parametrize(
        "call", [cf.mix_images, functools.partial(cf.render, mean=0, std=1)], ids=["mix", "render"]
    )
    def test_refused(self, call):
        with pytest.raises(cf.ArrayError, match=r"needs a NumPy array, .* or a TensorFlow tensor. Got builtins.list"):
            call([[1]], PLAN)
        with pytest.raises(
            cf.ArrayError, match=r"needs a NumPy array, .* or a TensorFlow tensor. Got builtins.NoneType"
        ):
            call(None, PLAN)
        for images in both(BYTES):
            with pytest.raises(cf.ArrayError, match=r"must be \(B, C, H, W\) or \(B, H, W, C\).* Got \(7, 13, 3\)"):
                call(images[0], PLAN)
            with pytest.raises(cf.ArrayError, match=r"none of them 0. Got \(4, 7, 13, 0\)"):
                call(images[..., :0], PLAN)
            with pytest.raises(cf.ArrayError, match=r"none of them 0. Got \(0, 7, 13, 3\)"):
                call(images[:0], PLAN)
            with pytest.raises(cf.ArrayError, match=r'layout must be "NCHW" or "NHWC". Got \'nhwc\''):
                call(images, PLAN, layout="nhwc")
            with pytest.raises(cf.PlanError, match=r"drawn for 4 pictures of 7 x 13. Got images \(3, 7, 13, 3\)"):
                call(images[:3], PLAN, layout="NHWC")
            with pytest.raises(
                cf.PlanError, match=r"Got images \(4, 7, 13, 3\), layout NCHW. Draw a plan for this batch"
            ):
                call(images, PLAN, layout="NCHW")
            with pytest.raises(cf.PlanError, match="drawn for 4 pictures of 7 x 13"):
                call(images[:, :, :12], PLAN)
            with pytest.raises(cf.PlanError, match=r"executes plans with fit \"crop\". Got 'resize'"):
                call(images, RESIZE)

    @pytest.mark.parametrize("dtype", ["int8", "int32", "int64", "bool", "complex64", "uint16"])
    def test_dtypes_refused(self, dtype):
        for images in (BYTES.astype(dtype), torch.from_numpy(BYTES).to(getattr(torch, dtype))):
            with pytest.raises(cf.ArrayError, match=f"must be uint8, float16, bfloat16, float32, float64. Got {dtype}"):
                cf.mix_images(images, PLAN)

    @pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
    def test_render_takes_bytes(self, dtype):
        for images in both(BYTES.astype(dtype)):
            with pytest.raises(cf.ArrayError, match=f"render: images must be uint8. Got {dtype}. See mix_images"):
                cf.render(images, PLAN, mean=0, std=1)

    def test_the_plan_finds_the_layout(self):
        for images in both(BYTES):
            first = images.transpose(0, 3, 1, 2) if isinstance(images, np.ndarray) else images.permute(0, 3, 1, 2)
            np.testing.assert_array_equal(cf.mix_images(images, PLAN), cf.mix_images(images, PLAN, layout="NHWC"))
            np.testing.assert_array_equal(cf.mix_images(first, PLAN), cf.mix_images(first, PLAN, layout="NCHW"))

    def test_or_says_that_it_cannot(self):
        plan = cf.MixUp().plan((2, 5, 5), rng=0)
        with pytest.raises(cf.ArrayError, match=r"images \(2, 5, 5, 5\) can be read in two ways. Pass layout"):
            cf.mix_images(np.zeros((2, 5, 5, 5)), plan)


class TestOut:
    @pytest.mark.parametrize("dtype", ["uint8", "float16", "float32", "float64"])
    @pytest.mark.parametrize("layout", ["NHWC", "NCHW"])
    def test_filled_and_given_back(self, dtype, layout):
        for images in both(pictures(SHAPE, 3, dtype, 0, layout)):
            out = images * 0 + 7
            assert cf.mix_images(images, PLAN, layout=layout, out=out) is out
            np.testing.assert_array_equal(out, cf.mix_images(images, PLAN, layout=layout))

    @pytest.mark.parametrize("layout", ["NHWC", "NCHW"])
    def test_render_into(self, layout):
        for images in both(pictures(SHAPE, 3, np.uint8, 0, layout)):
            want = cf.render(images, PLAN, mean=0.5, std=0.2, layout=layout)
            out = want * 0
            assert cf.render(images, PLAN, mean=0.5, std=0.2, layout=layout, out=out) is out
            np.testing.assert_array_equal(out, want)

    def test_not_contiguous(self):
        for images in both(FLOATS):
            wide = np.zeros((4, 7, 26, 3), np.float32)
            out = wide[:, :, ::2] if isinstance(images, np.ndarray) else torch.from_numpy(wide)[:, :, ::2]
            cf.mix_images(images, PLAN, out=out)
            np.testing.assert_array_equal(wide[:, :, ::2], cf.mix_images(images, PLAN))
            assert (wide[:, :, 1::2] == 0).all()

    def test_another_shape_or_dtype(self):
        for images, small in zip(both(FLOATS), both(FLOATS[:3]), strict=True):
            with pytest.raises(
                cf.ArrayError, match=r"out must be like images, \(4, 7, 13, 3\) float32. Got .*\(3, 7, 13, 3\)"
            ):
                cf.mix_images(images, PLAN, out=small)
        for images, double in zip(both(FLOATS), both(FLOATS.astype(float)), strict=True):
            with pytest.raises(cf.ArrayError, match=r"out must be like images, .* float32. Got .* float64"):
                cf.mix_images(images, PLAN, out=double)
        with pytest.raises(cf.ArrayError, match=r"out must be like images, .* float32. Got .* uint8"):
            cf.render(BYTES, PLAN, mean=0, std=1, out=BYTES.copy())

    def test_another_framework_or_none(self):
        for out in (torch.from_numpy(FLOATS.copy()), [1], 3):
            with pytest.raises(cf.ArrayError, match=r"mix_images"):
                cf.mix_images(FLOATS, PLAN, out=out)

    @pytest.mark.parametrize("dtype", ["uint8", "float16", "float32"])
    def test_read_only(self, dtype):
        out = FLOATS.astype(dtype)
        out.flags.writeable = False
        with pytest.raises(cf.ArrayError, match="out must be writable"):
            cf.mix_images(BYTES.astype(dtype), PLAN, out=out)

    def test_the_other_byte_order(self):
        for call in (
            lambda out: cf.mix_images(FLOATS, PLAN, out=out), lambda out: cf.render(BYTES, PLAN, mean=0, std=1, out=out)
        ):  # fmt: skip
            with pytest.raises(cf.ArrayError, match="byte order"):
                call(np.empty(BYTES.shape, np.dtype(np.float32).newbyteorder()))

    def test_shared_memory(self):
        for images in both(FLOATS):
            with pytest.raises(cf.ArrayError, match="out must not share memory with images"):
                cf.mix_images(images, PLAN, out=images)
        twice = np.concatenate([FLOATS, FLOATS])
        for buffer in both(twice):
            with pytest.raises(cf.ArrayError, match="share memory"):
                cf.mix_images(buffer[:4], PLAN, out=buffer[2:6])

    def test_halves_of_one_buffer_are_apart(self):
        for buffer in both(np.concatenate([FLOATS, FLOATS])):
            cf.mix_images(buffer[:4], PLAN, out=buffer[4:])
            np.testing.assert_array_equal(buffer[:4], FLOATS)
            np.testing.assert_array_equal(buffer[4:], cf.mix_images(FLOATS, PLAN))

    def test_a_memory_map_beside_an_array(self, tmp_path):
        mapped = np.memmap(tmp_path / "pixels", np.uint8, "w+", shape=BYTES.shape)
        mapped[...] = BYTES
        out = np.empty_like(BYTES)
        np.testing.assert_array_equal(cf.mix_images(mapped, PLAN, out=out), cf.mix_images(BYTES, PLAN))
        assert type(cf.mix_images(mapped, PLAN)) is np.ndarray

    def test_a_parameter_beside_a_tensor(self):
        images = torch.nn.Parameter(torch.from_numpy(FLOATS), requires_grad=False)
        np.testing.assert_array_equal(
            cf.mix_images(images, PLAN, out=torch.empty(images.shape)), cf.mix_images(FLOATS, PLAN)
        )


class TestRenderParameters:
    @pytest.mark.parametrize(
        ("mean", "std"),
        [
            ([0.5, 0.5], 1),
            (0.5, [1, 1]),
            (0.5, 0),
            (0.5, [1, 1, -1]),
            (float("nan"), 1),
            (0, float("inf")),
            ("a", 1),
            (None, 1),
            (0, None),
        ],
    )
    def test_bad_mean_and_std(self, mean, std):
        for images in both(BYTES):
            with pytest.raises(cf.ArrayError, match="render: mean"):
                cf.render(images, PLAN, mean=mean, std=std)

    def test_numbers_lists_arrays_and_tensors(self):
        want = cf.render(BYTES, PLAN, mean=[0.5, 0.5, 0.5], std=[0.25] * 3)
        for mean, std in (
            (0.5, 0.25),
            (np.full(3, 0.5), np.float32(0.25)),
            (torch.full((3,), 0.5), torch.tensor(0.25)),
        ):
            np.testing.assert_array_equal(cf.render(BYTES, PLAN, mean=mean, std=std), want)

    def test_an_augmentation_of_another_batch(self):
        still = np.broadcast_to(np.eye(3)[:2], (4, 2, 3))
        for drawn in (Augmentation(still[:3]), Augmentation(still, colours=np.zeros((3, 1), int))):
            with pytest.raises(cf.ArrayError, match="augment must be drawn for 4 samples"):
                cf.render(BYTES, PLAN, mean=0, std=1, augment=drawn)

    def test_an_augmentation_that_is_no_map(self):
        for matrix in (np.full((4, 2, 3), np.nan), np.full((4, 2, 3), 2.0**21)):
            with pytest.raises(cf.ArrayError, match="augment must have a matrix within"):
                cf.render(BYTES, PLAN, mean=0, std=1, augment=Augmentation(matrix))


class TestMasks:
    def test_refused(self):
        for masks in both(BYTES[..., 0].copy()):
            with pytest.raises(
                cf.PlanError, match=r"mix_masks: the plan was drawn for 4 pictures of 7 x 13. Got masks \(3, 7, 13\)"
            ):
                cf.mix_masks(masks[:3], PLAN)
            with pytest.raises(cf.PlanError, match="mix_masks"):
                cf.mix_masks(masks, PLAN, layout="NHWC")
            with pytest.raises(cf.ArrayError, match=r'layout must be "NCHW" or "NHWC". Got \'nhwc\''):
                cf.mix_masks(masks, PLAN, layout="nhwc")
            with pytest.raises(cf.PlanError, match="resize"):
                cf.mix_masks(masks, RESIZE)
        for masks in both(BYTES):
            with pytest.raises(cf.PlanError, match="layout None"):
                cf.mix_masks(masks, PLAN)
            with pytest.raises(cf.PlanError, match="layout NCHW"):
                cf.mix_masks(masks, PLAN, layout="NCHW")
        with pytest.raises(cf.ArrayError, match=r"builtins.list"):
            cf.mix_masks([[[1]]], PLAN)

    @pytest.mark.parametrize("dtype", ["bool", "uint8", "int16", "uint16", "int32", "uint32", "int64", "float32"])
    def test_every_type_of_id(self, dtype):
        plan = cf.CutMix().plan(SHAPE, rng=3)
        ids = BYTES[..., 0].copy()
        want = cf.mix_masks(ids, plan)
        for masks in (ids.astype(dtype), torch.from_numpy(ids).to(getattr(torch, dtype))):
            got = cf.mix_masks(masks, plan)
            assert got.dtype == masks.dtype
            np.testing.assert_array_equal(got, want.astype(dtype))

    def test_masks_follow_their_pictures(self):
        """A mask cut out by colour is the mask cut out of the mixed picture."""
        plan = cf.CutMix().plan(SHAPE, rng=3)
        np.testing.assert_array_equal(cf.mix_masks(BYTES > 128, plan, layout="NHWC"), cf.mix_images(BYTES, plan) > 128)
