"""Tensors: memory formats, gradients, devices' path, half precision."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import crossfade as cf
from crossfade.arrays import torch as backend
from crossfade.vision.augment import Augment

SHAPE = (4, 7, 13)
PLANS = {
    "mixup": cf.MixUp(1.0).plan(SHAPE, rng=0),
    "cutmix": cf.CutMix().plan(SHAPE, rng=2),
    "none": cf.Plan.identity(SHAPE),
}
DTYPES = [torch.uint8, torch.float16, torch.bfloat16, torch.float32, torch.float64]


@pytest.fixture(params=["fast", "generic"])
def path(request, monkeypatch):
    if request.param == "generic":
        monkeypatch.setattr(backend, "_runs_on_host", lambda images: False)


def noise(dtype=torch.float32, *, channels_last=False) -> torch.Tensor:
    images = torch.rand(4, 3, 7, 13, generator=torch.Generator().manual_seed(0)).mul(255).to(dtype)
    return images.contiguous(memory_format=torch.channels_last) if channels_last else images


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
@pytest.mark.usefixtures("path")
def test_the_memory_format_is_kept(plan, dtype):
    last = cf.mix_images(noise(dtype, channels_last=True), plan, layout="NCHW")
    first = cf.mix_images(noise(dtype), plan, layout="NCHW")
    assert last.is_contiguous(memory_format=torch.channels_last)
    assert first.is_contiguous()
    torch.testing.assert_close(last, first, rtol=0, atol=0)
    nhwc = noise(dtype).permute(0, 2, 3, 1)
    assert cf.mix_images(nhwc.contiguous(), plan, layout="NHWC").is_contiguous()
    torch.testing.assert_close(cf.mix_images(nhwc, plan, layout="NHWC").permute(0, 3, 1, 2), first, rtol=0, atol=0)


@pytest.mark.usefixtures("path")
def test_render_keeps_the_memory_format():
    plan = PLANS["mixup"]
    last = cf.render(noise(torch.uint8, channels_last=True), plan, mean=0.5, std=0.2, layout="NCHW")
    first = cf.render(noise(torch.uint8), plan, mean=0.5, std=0.2, layout="NCHW")
    assert last.is_contiguous(memory_format=torch.channels_last)
    assert first.is_contiguous()
    torch.testing.assert_close(last, first, rtol=0, atol=2e-6)


def test_nothing_is_copied_on_the_way_to_the_kernels(monkeypatch):
    """The kernels see the tensor's own memory, in either format."""
    seen = []
    monkeypatch.setattr(
        backend.host, "mix_images", lambda images, plan, layout, out: seen.append((images, layout, out))
    )
    for channels_last in (False, True):
        images = noise(channels_last=channels_last)
        out = cf.mix_images(images, PLANS["mixup"], layout="NCHW")
        pixels, layout, target = seen.pop()
        assert (pixels.ctypes.data, target.ctypes.data) == (images.data_ptr(), out.data_ptr())
        assert layout == ("NHWC" if channels_last else "NCHW")
        assert pixels.flags.c_contiguous
        assert target.flags.c_contiguous


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
def test_gradients_are_those_of_the_equation(plan):
    images = noise(torch.float64).requires_grad_()
    weights = torch.rand(4, 3, 7, 13, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    (cf.mix_images(images, plan, layout="NCHW") * weights).sum().backward()
    with torch.no_grad():
        for i in range(4):
            lights = torch.zeros(4, 1, 7, 13, dtype=torch.float64)
            lights[i] = 1
            share = cf.mix_images(lights, plan, layout="NCHW")
            torch.testing.assert_close(images.grad[i], (share * weights).sum(dim=0))


def test_gradients_stay_finite_beside_infinity():
    images = torch.tensor([1.0, float("inf")]).reshape(2, 1, 1, 1).requires_grad_()
    plan = cf.Plan.two_layers((2, 1, 1), np.array([1, 0]), opacity=np.array([0.0, 1.0]))
    cf.mix_images(images, plan, layout="NCHW").sum().backward()
    assert images.grad.ravel().tolist() == [2, 0]


def test_without_gradients_the_fast_path_is_taken(monkeypatch):
    called = []
    original = backend.host.mix_images
    monkeypatch.setattr(backend.host, "mix_images", lambda *given: called.append(1) or original(*given))
    images = noise().requires_grad_()
    cf.mix_images(images, PLANS["mixup"], layout="NCHW")
    assert not called
    with torch.no_grad():
        cf.mix_images(images, PLANS["mixup"], layout="NCHW")
    with torch.inference_mode():
        cf.mix_images(noise(), PLANS["mixup"], layout="NCHW")
    assert len(called) == 2


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_unmixed_batches_are_copies(dtype):
    """The caller may go on writing into either."""
    images = noise(dtype).requires_grad_()
    mixed = cf.mix_images(images, PLANS["none"], layout="NCHW")
    assert mixed.data_ptr() != images.data_ptr()
    torch.testing.assert_close(mixed, images, rtol=0, atol=0)


@pytest.mark.usefixtures("path")
def test_fills_are_black_whatever_the_batch_holds():
    plan = cf.Plan([[0, -1], [1, -1]], [[1, 1], [1, 0.5]], np.tile([0, 0, 2, 2], (2, 2, 1)), weight=[[1, 0]] * 2)
    for dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
        images = torch.full((2, 1, 2, 2), float("nan"), dtype=dtype)
        images[1] = 8
        got = cf.mix_images(images, plan, layout="NCHW")
        assert got[:, 0, 0, 0].tolist() == [0, 4]


def test_strided_and_expanded_tensors():
    plan = PLANS["mixup"]
    wide = torch.rand(4, 3, 7, 26, generator=torch.Generator().manual_seed(0))
    for images in (wide[..., ::2], wide[..., :13], wide[:1, :, :, :13].expand(4, 3, 7, 13), wide.flip(3)[..., 13:]):
        want = cf.mix_images(images.clone(memory_format=torch.contiguous_format), plan, layout="NCHW")
        torch.testing.assert_close(cf.mix_images(images, plan, layout="NCHW"), want, rtol=0, atol=0)


@pytest.mark.usefixtures("path")
def test_both_paths_mix_bytes_alike():
    images = noise(torch.uint8)
    for plan in PLANS.values():
        want = cf.mix_images(images.numpy(), plan, layout="NCHW")
        np.testing.assert_array_equal(cf.mix_images(images, plan, layout="NCHW"), want)


@pytest.mark.usefixtures("path")
def test_both_paths_render_alike():
    images = noise(torch.uint8)
    for fill in ("mirror", "constant"):
        augment = Augment(flip=True, pad=5, fill=fill).draw(np.arange(4), seed=0, epoch=0, size=images.shape[2:])
        want = cf.render(images.numpy(), PLANS["cutmix"], mean=0.4, std=0.2, layout="NCHW", augment=augment)
        got = cf.render(images, PLANS["cutmix"], mean=0.4, std=0.2, layout="NCHW", augment=augment)
        np.testing.assert_allclose(got, want, atol=2e-6)


def test_bfloat16_labels_are_counted_in_double():
    """Class ids in bfloat16 lose count at 257 (kornia#4657); soft ones come back in float32."""
    soft = torch.eye(4, dtype=torch.bfloat16)
    got = cf.mix_targets(soft, PLANS["mixup"])
    assert got.dtype == torch.float32
    np.testing.assert_allclose(got.numpy(), cf.mix_targets(np.eye(4), PLANS["mixup"]), atol=1e-7)
    labels = torch.tensor([257, 511, 999, 1023])
    assert cf.mix_targets(labels, PLANS["none"], num_classes=1024).argmax(1).tolist() == labels.tolist()


def test_losses_in_half_precision_stay_half():
    plan = PLANS["mixup"]
    for dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
        losses = torch.ones(4, dtype=dtype)
        got = cf.mixed_loss(
            lambda logits, labels, losses=losses: losses, torch.zeros(4, 3), torch.zeros(4, dtype=torch.long), plan
        )
        assert got.dtype == dtype
        assert float(got) == pytest.approx(1, abs=1e-2)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_gpu_agrees(dtype):
    for plan in PLANS.values():
        images = noise(dtype)
        got = cf.mix_images(images.cuda(), plan, layout="NCHW")
        assert got.is_cuda
        torch.testing.assert_close(got.cpu(), cf.mix_images(images, plan, layout="NCHW"), rtol=1e-5, atol=1)
