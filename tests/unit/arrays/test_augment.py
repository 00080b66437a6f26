"""Warping and recolouring: the compiled loops, NumPy and PyTorch give the same bytes; colours are Pillow's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps

import crossfade as cf
from crossfade.arrays import augment, parallel
from crossfade.arrays import numpy as host
from crossfade.arrays import torch as device
from crossfade.arrays.augment import FILLS, Colour
from crossfade.vision.augment import Augment, Augmentation

AMOUNTS = {
    Colour.BRIGHTNESS: (0, 0.4, 1.7), Colour.CONTRAST: (0, 0.4, 1.7), Colour.SATURATION: (0, 0.4, 1.9),
    Colour.HUE: (0.25, -0.1, 0.5), Colour.SHARPNESS: (0, 0.5, 3), Colour.SHIFT: (-300, -20, 40),
    Colour.POSTERIZE: (1, 4, 8), Colour.SOLARIZE: (0, 100, 256), Colour.AUTOCONTRAST: (0,), Colour.EQUALIZE: (0,),
}  # fmt: skip


def photographs(count: int, height: int, width: int, channels: int, seed: int = 0) -> np.ndarray:
    """Waves with noise on them, some of them pale, one of them constant."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width] / 5
    waves = np.stack([np.sin(y + c) * np.cos(x - c) for c in range(channels)], axis=2)
    noisy = 110 + rng.uniform(10, 90, (count, 1, 1, 1)) * waves + rng.normal(0, 15, (count, height, width, channels))
    noisy[-1] = 60
    return np.clip(noisy, 0, 255).astype(np.uint8)


def any_augmentation(count: int, fill: str, seed: int) -> Augmentation:
    rng = np.random.default_rng(seed)
    matrix = np.eye(3)[:2] + rng.normal(0, 0.3, (count, 2, 3)) * (1, 1, 15)
    matrix[::3] = np.eye(3)[:2]
    matrix[::3, :, 2] = rng.integers(-20, 20, (len(matrix[::3]), 2))
    matrix[::6, 1, 1] = -1
    colours = rng.integers(0, len(Colour), (count, 3))
    amounts = [[rng.choice(AMOUNTS.get(Colour(c), (0,))) for c in row] for row in colours.tolist()]
    return Augmentation(matrix, fill, 30, colours, np.array(amounts, float))


@pytest.mark.parametrize("fill", FILLS)
@pytest.mark.parametrize("shape", [(16, 16), (7, 13), (1, 1), (2, 5), (3, 1)])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_every_way_gives_the_same_bytes(fill, shape, channels):
    images, drawn = photographs(12, *shape, channels), any_augmentation(12, fill, sum(shape))
    want = augment.augment(host.OPS, images.copy(), drawn)
    before = images.copy()
    np.testing.assert_array_equal(host.augment_rows(images, np.arange(12), drawn), want)
    np.testing.assert_array_equal(augment.augment(device.OPS, torch.from_numpy(images), drawn).numpy(), want)
    np.testing.assert_array_equal(images, before)


def test_layouts_rows_and_memory_maps(tmp_path):
    images, drawn = photographs(12, 8, 9, 3), any_augmentation(12, "mirror", 0)
    want = cf.augment_images(images, drawn)
    turned = np.ascontiguousarray(images.transpose(0, 3, 1, 2))
    np.testing.assert_array_equal(cf.augment_images(turned, drawn, layout="NCHW").transpose(0, 2, 3, 1), want)
    tensor = cf.augment_images(torch.from_numpy(turned), drawn, layout="NCHW")
    np.testing.assert_array_equal(tensor.numpy().transpose(0, 2, 3, 1), want)
    rows = np.array([3, 0, 11])
    some = Augmentation(drawn.matrix[rows], drawn.fill, drawn.value, drawn.colours[rows], drawn.amounts[rows])
    np.save(tmp_path / "many.npy", images)
    mapped = np.load(tmp_path / "many.npy", mmap_mode="r")
    np.testing.assert_array_equal(host.augment_rows(mapped, rows, some), want[rows])


def test_threads_share_the_work(monkeypatch):
    images, drawn = photographs(12, 64, 64, 3), any_augmentation(12, "wrap", 1)
    want = cf.augment_images(images, drawn)
    monkeypatch.setattr(parallel, "_threads", 3)
    monkeypatch.setattr(parallel, "_BYTES_WORTH_A_THREAD", 1)
    np.testing.assert_array_equal(cf.augment_images(images, drawn), want)


def test_mirrored_runs_of_every_length():
    """Five pixels are stored at once where that many are left: nothing else is written, in the row or beyond it."""
    kernels = host.load_kernels("augment_kernels")
    for width in (1, 4, 5, 6, 7, 11, 16):
        shifts = np.arange(-2 * width, 2 * width)
        images = photographs(len(shifts), 2, width, 3)
        matrix = np.eye(3)[None, :2].repeat(len(shifts), 0)
        matrix[:, 1, 1], matrix[:, 1, 2] = -1, width - 1 + shifts
        drawn = Augmentation(matrix, "constant", 7)
        room = np.full((len(shifts) + 2, *images.shape[1:]), 99, np.uint8)
        how = augment.whole_matrix(matrix), FILLS.index("constant"), 7, drawn.colours, drawn.amounts
        for i in reversed(range(len(shifts))):  # so that no later picture covers what one writes too much
            kernels.augment(images, np.arange(len(shifts)), room[1:-1], *how, i, i + 1)
        np.testing.assert_array_equal(room[1:-1], augment.augment(host.OPS, images, drawn))
        assert (room[[0, -1]] == 99).all()


def recoloured(images: np.ndarray, colour: Colour, amount: float) -> np.ndarray:
    still = np.broadcast_to(np.eye(3)[:2], (len(images), 2, 3))
    steps = np.full((len(images), 1), int(colour))
    return cf.augment_images(images, Augmentation(still, "constant", 0, steps, np.full(steps.shape, float(amount))))


PILLOW = {
    Colour.BRIGHTNESS: lambda image, a: ImageEnhance.Brightness(image).enhance(a),
    Colour.CONTRAST: lambda image, a: ImageEnhance.Contrast(image).enhance(a),
    Colour.SATURATION: lambda image, a: ImageEnhance.Color(image).enhance(a),
    Colour.SHARPNESS: lambda image, a: ImageEnhance.Sharpness(image).enhance(a),
    Colour.POSTERIZE: lambda image, a: ImageOps.posterize(image, int(a)),
    Colour.SOLARIZE: lambda image, a: ImageOps.solarize(image, a),
    Colour.AUTOCONTRAST: lambda image, a: ImageOps.autocontrast(image),
    Colour.EQUALIZE: lambda image, a: ImageOps.equalize(image),
}
EXACT = {Colour.POSTERIZE, Colour.SOLARIZE, Colour.EQUALIZE}


@pytest.mark.parametrize("colour", PILLOW)
def test_colours_are_pillows(colour):
    """Pillow cuts off where we round, so most steps may differ by one level."""
    images = photographs(6, 20, 30, 3)
    for amount in AMOUNTS[colour]:
        want = np.stack([np.asarray(PILLOW[colour](Image.fromarray(image), amount)) for image in images]).astype(int)
        difference = recoloured(images, colour, amount) - want
        assert abs(difference).max() <= (0 if colour in EXACT else 1), amount


@pytest.mark.parametrize("colour", [c for c in PILLOW if c != Colour.SATURATION])
def test_grey_pictures_are_pillows_too(colour):
    images = photographs(6, 20, 30, 1)
    for amount in AMOUNTS[colour]:
        want = [np.asarray(PILLOW[colour](Image.fromarray(image[:, :, 0]), amount))[:, :, None] for image in images]
        assert abs(recoloured(images, colour, amount) - np.stack(want).astype(int)).max() <= 1


@pytest.mark.parametrize("colour", [Colour.SATURATION, Colour.HUE])
def test_grey_has_no_colours_to_change(colour):
    images = photographs(2, 5, 5, 1)
    np.testing.assert_array_equal(recoloured(images, colour, 0.3), images)


def test_a_shift_adds_levels():
    images = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
    np.testing.assert_array_equal(recoloured(images, Colour.SHIFT, 40)[0].ravel(), np.minimum(np.arange(256) + 40, 255))
    np.testing.assert_array_equal(recoloured(images, Colour.SHIFT, -9)[0].ravel(), np.maximum(np.arange(256) - 9, 0))


def test_a_third_of_the_circle_moves_the_channels_on():
    """Hue turned by 120 degrees: red becomes green, green blue, blue red. Greys stay."""
    images = photographs(5, 10, 10, 3)
    np.testing.assert_array_equal(recoloured(images, Colour.HUE, 1 / 3), images[..., [2, 0, 1]])
    np.testing.assert_array_equal(recoloured(images, Colour.HUE, -1 / 3), images[..., [1, 2, 0]])
    np.testing.assert_array_equal(recoloured(images, Colour.HUE, 1), images)


def test_steps_are_taken_in_the_order_drawn():
    image = np.full((1, 1, 2, 1), 100, np.uint8)
    still, amounts = np.eye(3)[None, :2], np.array([[2.0, 30.0]])
    steps = [Colour.BRIGHTNESS, Colour.SHIFT]
    forwards = cf.augment_images(image, Augmentation(still, colours=np.array([steps]), amounts=amounts))
    backwards = cf.augment_images(
        image, Augmentation(still, colours=np.array([steps[::-1]]), amounts=amounts[:, ::-1].copy())
    )
    assert (forwards.max(), backwards.max()) == (230, 255)


def test_render_augments_then_mixes():
    images = photographs(6, 12, 12, 3)
    drawn = Augment(rotation=20, brightness=(0.5, 1.5)).draw(np.arange(6), seed=0, epoch=0, size=(12, 12))
    plan = cf.MixUp(1.0).plan((6, 12, 12), rng=0)
    want = cf.render(cf.augment_images(images, drawn), plan, mean=0.5, std=0.25)
    np.testing.assert_array_equal(cf.render(images, plan, mean=0.5, std=0.25, augment=drawn), want)


def test_what_is_refused():
    images, drawn = photographs(3, 4, 4, 3), any_augmentation(3, "wrap", 0)
    with pytest.raises(cf.ArrayError, match="augment_images: images must be uint8"):
        cf.augment_images(images / 255, drawn)
    with pytest.raises(cf.ArrayError, match="layout must be"):
        cf.augment_images(images, drawn, layout="HWC")
    with pytest.raises(cf.ArrayError, match="drawn for 2 samples"):
        cf.augment_images(images[:2], drawn)
    with pytest.raises(cf.ArrayError, match="must have a fill of"):
        cf.augment_images(images, Augmentation(drawn.matrix, "edge"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"matrix": np.full((1, 2, 3), np.nan)}, "a matrix within 1024, 1024, 1048576. Got"),
        ({"matrix": np.full((1, 2, 3), 1025.0)}, "a matrix within 1024, 1024, 1048576. Got"),
        ({"colours": np.array([[11]])}, r"colours from 0 to 10. Got \[\[11\]\]"),
        ({"colours": np.array([[-1]])}, r"colours from 0 to 10. Got \[\[-1\]\]"),
        ({"amounts": np.array([[1e9]])}, r"amounts within 1024. Got \[\[1000000000.0\]\]"),
        ({"amounts": np.array([[np.nan]])}, r"amounts within 1024. Got \[\[nan\]\]"),
        ({"value": 256}, "a level from 0 to 255. Got 256"),
        ({"value": 0.5}, "a level from 0 to 255. Got 0.5"),
    ],
)
def test_what_cannot_have_been_drawn_is_refused(change, words):
    """A hue of a thousand million turns would keep a kernel turning for ever."""
    still = Augmentation(np.eye(3)[None, :2], "constant", 0, np.array([[int(Colour.HUE)]]), np.array([[0.1]]))
    with pytest.raises(cf.ArrayError, match=f"augment_images: augment must have .*{words}"):
        cf.augment_images(photographs(1, 4, 4, 3), replace(still, **change))
