"""Resizing: compiled and plain give the same bytes, which are Pillow's up to the order of its two passes."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from crossfade.data import resize as module
from crossfade.data.resize import resize

RNG = np.random.default_rng(0)


def noise(height: int, width: int, channels: int = 3) -> np.ndarray:
    return RNG.integers(0, 256, (height, width, channels), dtype=np.uint8)


def pillows(image: np.ndarray, height: int, width: int, box=None) -> np.ndarray:
    picture = Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image)
    resized = picture.resize((width, height), Image.Resampling.BILINEAR, box=box)
    return np.asarray(resized).reshape(height, width, image.shape[2])


SHAPES = [(4, 4), (5, 300), (300, 5), (64, 48), (48, 64), (224, 224), (223, 225), (1, 7), (7, 1), (1, 1)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("size", [(1, 1), (8, 8), (32, 20), (224, 224)])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_compiled_and_plain_give_the_same_bytes(shape, size, channels, monkeypatch):
    image = noise(*shape, channels)
    boxes = [None, (0.25, 0.0, shape[1] - 0.5, float(shape[0]))] if min(shape) > 1 else [None]
    for box in boxes:
        fast = resize(image, *size, box)
        monkeypatch.setattr(module, "_compiled", lambda: None)
        np.testing.assert_array_equal(resize(image, *size, box), fast)
        monkeypatch.undo()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("size", [(8, 8), (32, 20), (224, 224)])
@pytest.mark.parametrize("channels", [1, 3])
def test_it_is_pillows_filter(shape, size, channels):
    """Bit for bit along one axis; a level apart where Pillow may take the axes the other way round."""
    image = noise(*shape, channels)
    np.testing.assert_array_equal(resize(image, shape[0], size[1]), pillows(image, shape[0], size[1]))
    np.testing.assert_array_equal(resize(image, size[0], shape[1]), pillows(image, size[0], shape[1]))
    both = resize(image, *size).astype(int) - pillows(image, *size)
    assert abs(both).max() <= 1
    if shape[0] <= shape[1]:
        assert not both.any()


def test_a_box_between_pixels():
    image = noise(60, 81)
    box = (10.5, 0.0, 70.5, 60.0)
    np.testing.assert_array_equal(resize(image, 24, 24, box), pillows(image, 24, 24, box))


def test_constant_pictures_stay_constant():
    for level in (0, 1, 127, 254, 255):
        assert (resize(np.full((37, 91, 3), level, np.uint8), 50, 20) == level).all()


def test_nothing_to_do_gives_the_picture_itself():
    image = noise(9, 7)
    assert resize(image, 9, 7) is image
    assert resize(image, 9, 7, (0.0, 0.0, 7.0, 9.0)) is image
    assert resize(image, 7, 9, (0.0, 0.0, 7.0, 9.0)).shape == (7, 9, 3)


def test_views_that_are_not_in_order():
    image = noise(40, 30)
    turned = image.swapaxes(0, 1)
    np.testing.assert_array_equal(resize(turned, 16, 16), resize(np.ascontiguousarray(turned), 16, 16))


def test_a_few_pictures_load_no_compiler():
    """One picture to predict, or a scan of a small folder, need not wait for it."""
    program = """
import sys
import numpy as np
from crossfade.data.resize import FEW, resize
image = np.random.default_rng(0).integers(0, 256, (30, 20, 3), dtype=np.uint8)
first = resize(image, 8, 8)
before = "numba" in sys.modules
same = all(np.array_equal(resize(image, 8, 8), first) for _ in range(FEW))
print(before, same, "numba" in sys.modules)
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["False", "True", "True"]
