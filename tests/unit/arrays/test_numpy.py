"""NumPy arrays of every make: orders, strides, bytes, read-only; kernels and plain path alike."""

from __future__ import annotations

import numpy as np
import pytest

import crossfade as cf
from crossfade.arrays import numpy as host
from crossfade.vision.augment import Augment
from tests.strategies import pictures

SHAPE = (3, 7, 13)
PLANS = [cf.MixUp(1.0).plan(SHAPE, rng=0), cf.CutMix().plan(SHAPE, rng=2)]


@pytest.fixture(params=["kernels", "plain"])
def path(request, monkeypatch):
    if request.param == "plain":
        monkeypatch.setattr(host, "load_kernels", lambda *_: None)


def read_only(array: np.ndarray) -> np.ndarray:
    array = array.copy()
    array.flags.writeable = False
    return array


def unaligned(array: np.ndarray) -> np.ndarray:
    raw = np.frombuffer(b"\0" + array.tobytes() + b"\0" * 8, np.uint8)[1 : array.nbytes + 1]
    return raw.view(array.dtype).reshape(array.shape)


MAKES = {
    "fortran": np.asfortranarray,
    "backwards": lambda array: array[:, ::-1, ::-1, ::-1].copy()[:, ::-1, ::-1, ::-1],
    "strided": lambda array: np.repeat(array, 2, axis=2)[:, :, ::2],
    "channels first in memory": lambda array: np.ascontiguousarray(array.transpose(0, 3, 1, 2)).transpose(0, 2, 3, 1),
    "big endian": lambda array: array.astype(array.dtype.newbyteorder(">")),
    "read only": read_only,
    "unaligned": unaligned,
    "broadcast": lambda array: np.broadcast_to(array[:1], array.shape),
}


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("make", MAKES.values(), ids=MAKES)
@pytest.mark.usefixtures("path")
def test_arrays_of_every_make(make, dtype):
    images = make(pictures(SHAPE, 3, dtype, 0))
    for plan in PLANS:
        want = cf.mix_images(np.array(images, dtype, order="C"), plan)
        got = cf.mix_images(images, plan)
        assert got.dtype == images.dtype
        assert got.flags.c_contiguous
        assert got.flags.writeable
        np.testing.assert_array_equal(got, want)
        if dtype == "uint8":
            want = cf.render(np.array(images, order="C"), plan, mean=0.5, std=0.25)
            np.testing.assert_array_equal(cf.render(images, plan, mean=0.5, std=0.25), want)


@pytest.mark.usefixtures("path")
def test_labels_of_every_make():
    labels = np.array([0, 1, 2])
    for plan in PLANS:
        want = cf.mix_targets(labels, plan, num_classes=3)
        for made in (labels[::-1].copy()[::-1], labels.astype(">i8"), read_only(labels)):
            np.testing.assert_array_equal(cf.mix_targets(made, plan, num_classes=3), want)
        soft = np.asfortranarray(np.eye(3)[labels])
        np.testing.assert_allclose(cf.mix_targets(soft, plan), want, atol=1e-7)


def test_kernels_and_plain_path_agree_to_the_last_byte(monkeypatch):
    rng = np.random.default_rng(0)
    augment = Augment(flip=True, pad=3).draw(np.arange(7), seed=0, epoch=0, size=(9, 11))
    for seed in range(10):
        plan = cf.OneOf([cf.MixUp(1.0), cf.CutMix()], per="sample").plan((7, 9, 11), rng=seed)
        images = rng.integers(0, 256, (7, 9, 11, 3), dtype=np.uint8)
        fast = cf.mix_images(images, plan), cf.render(images, plan, mean=0.4, std=0.2, augment=augment)
        with monkeypatch.context() as patch:
            patch.setattr(host, "load_kernels", lambda *_: None)
            plain = cf.mix_images(images, plan), cf.render(images, plan, mean=0.4, std=0.2, augment=augment)
        np.testing.assert_array_equal(fast[0], plain[0])
        np.testing.assert_allclose(fast[1], plain[1], atol=2e-6)


def test_half_precision_computes_in_single():
    """A step of 2^-11 relative is all that half precision may lose."""
    images = (np.random.default_rng(0).random((2, 5, 5, 3)) * 1000).astype(np.float16)
    plan = cf.Plan.two_layers((2, 5, 5), np.array([1, 0]), opacity=1 / 3)
    exact = cf.mix_images(images.astype(np.float64), plan)
    np.testing.assert_array_equal(cf.mix_images(images, plan), exact.astype(np.float32).astype(np.float16))
    top = np.full((2, 5, 5, 3), np.float16(65504))
    np.testing.assert_array_equal(cf.mix_images(top, plan), top)


def test_a_half_transparent_infinity_spreads_without_a_warning():
    plan = cf.Plan.two_layers((2, 1, 1), np.array([1, 0]), opacity=0.5)
    for dtype in (np.float16, np.float32, np.float64):
        values = np.array([np.inf, -np.inf], dtype).reshape(2, 1, 1, 1)
        assert np.isnan(cf.mix_images(values, plan, layout="NHWC")).all()


def test_only_a_missing_numba_is_forgiven(monkeypatch):
    def broken(name):
        raise ModuleNotFoundError("no llvmlite", name="llvmlite")

    monkeypatch.setattr(host, "import_module", broken)
    with pytest.raises(ModuleNotFoundError, match="llvmlite"):
        host.load_kernels.__wrapped__()

    def missing(name):
        raise ModuleNotFoundError("no numba", name="numba")

    monkeypatch.setattr(host, "import_module", missing)
    assert host.load_kernels.__wrapped__() is None


def test_the_render_result_is_channels_last_to_torch():
    torch = pytest.importorskip("torch")
    out = cf.render(pictures(SHAPE, 3, np.uint8, 0), PLANS[0], mean=0, std=1)
    seen = torch.from_numpy(out).permute(0, 3, 1, 2)
    assert seen.is_contiguous(memory_format=torch.channels_last)
    assert seen.data_ptr() == out.ctypes.data


def test_memory_is_that_of_the_result(monkeypatch):
    """One batch of float32 and no second one on the way."""
    import tracemalloc

    images = pictures((16, 64, 64), 3, np.uint8, 0)
    plan = cf.CutMix().plan((16, 64, 64), rng=0)
    cf.render(images, plan, mean=0, std=1)
    tracemalloc.start()
    cf.render(images, plan, mean=0, std=1)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < images.nbytes * 4 * 1.1
