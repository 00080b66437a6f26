"""Each map on a picture whose pixels are known, beside Pillow, NumPy and SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

import crossfade as cf
from crossfade.vision import geometry
from crossfade.vision.augment import Augmentation

RNG = np.random.default_rng(0)
SQUARE = RNG.integers(0, 256, (1, 9, 9, 3), dtype=np.uint8)
WIDE = RNG.integers(0, 256, (1, 6, 10, 3), dtype=np.uint8)


def smooth(height: int, width: int) -> np.ndarray:
    """A picture of slow waves: resampling it at nearly the same places gives nearly the same levels."""
    y, x = np.mgrid[:height, :width]
    waves = [np.sin(y / 7 + c) * np.cos(x / 9 - c) for c in range(3)]
    return (127 + 120 * np.stack(waves, axis=2)).astype(np.uint8)[None]


def seen(picture: np.ndarray, matrix: np.ndarray, fill: str = "constant", value: int = 0) -> np.ndarray:
    return cf.augment_images(picture, Augmentation(np.atleast_3d(matrix).reshape(-1, 3, 3)[:, :2], fill, value))


def about(picture: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    return geometry.about_centre(picture.shape[1:3], matrix)


class TestToThePixel:
    @pytest.mark.parametrize("quarters", [1, 2, 3, -1])
    def test_quarter_turns(self, quarters):
        got = seen(SQUARE, about(SQUARE, geometry.turned(90 * quarters)))
        np.testing.assert_array_equal(got[0], np.rot90(SQUARE[0], quarters))

    def test_flips(self):
        size = WIDE.shape[1:3]
        np.testing.assert_array_equal(seen(WIDE, geometry.flipped(size, True, False)), WIDE[:, :, ::-1])
        np.testing.assert_array_equal(seen(WIDE, geometry.flipped(size, False, True)), WIDE[:, ::-1])
        np.testing.assert_array_equal(seen(WIDE, geometry.flipped(size, True, True)), WIDE[:, ::-1, ::-1])

    def test_moves_to_up_and_left(self):
        want = np.zeros_like(WIDE)
        want[:, :-1, :-2] = WIDE[:, 1:, 2:]
        np.testing.assert_array_equal(seen(WIDE, geometry.moved(1, 2)), want)

    @pytest.mark.parametrize(
        ("fill", "mode"), [("nearest", "edge"), ("mirror", "reflect"), ("reflect", "symmetric"), ("wrap", "wrap")]
    )
    def test_what_lies_beyond_the_border(self, fill, mode):
        """NumPy's names differ from SciPy's and Keras', which are ours."""
        for down, right in ((3, -4), (-5, 5), (2, 9)):
            padded = np.pad(WIDE[0], ((5, 5), (9, 9), (0, 0)), mode=mode)
            want = padded[5 + down : 11 + down, 9 + right : 19 + right]
            np.testing.assert_array_equal(seen(WIDE, geometry.moved(down, right), fill)[0], want)

    def test_a_constant(self):
        got = seen(WIDE, geometry.moved(0, 4), "constant", 77)
        assert (got[:, :, 6:] == 77).all()

    def test_twice_as_large_about_the_middle(self):
        """Of 5 x 5 pixels, the inner 3 x 3 at the corners, edges and middle of the result."""
        picture = RNG.integers(0, 256, (1, 5, 5, 1), dtype=np.uint8)
        got = seen(picture, about(picture, geometry.scaled(2)))
        np.testing.assert_array_equal(got[0, ::2, ::2], picture[0, 1:4, 1:4])
        between = (picture[0, 1, 1].astype(int) + picture[0, 1, 2] + 1) // 2
        np.testing.assert_array_equal(got[0, 0, 1], between)

    def test_half_as_large(self):
        picture = RNG.integers(0, 256, (1, 9, 9, 1), dtype=np.uint8)
        got = seen(picture, about(picture, geometry.scaled(0.5)))
        np.testing.assert_array_equal(got[0, 2:7, 2:7], picture[0, ::2, ::2])
        assert (got[0, [0, 1, 7, 8]] == 0).all()

    def test_a_shear_of_45_degrees(self):
        """Each row slides by one pixel more than the row above it."""
        got = seen(SQUARE, about(SQUARE, geometry.sheared(0, 45)), "wrap")
        for y in range(9):
            np.testing.assert_array_equal(got[0, y], np.roll(SQUARE[0, y], -(y - 4), axis=0))
        upright = seen(SQUARE, about(SQUARE, geometry.sheared(45, 0)), "wrap")
        np.testing.assert_array_equal(upright[0].swapaxes(0, 1), seen(
            SQUARE.swapaxes(1, 2).copy(), about(SQUARE, geometry.sheared(0, 45)), "wrap")[0])  # fmt: skip

    def test_a_crop_of_half_the_side_doubles_pixels(self):
        """Edges meet edges: each pixel centre lies a quarter of a pixel from its source."""
        picture = np.zeros((1, 4, 4, 1), np.uint8)
        picture[0, 1, 1] = 160
        got = seen(picture, geometry.cropped((4, 4), 1, 1, 2, 2), "nearest")
        assert got[0, :, 0, 0].tolist() == [90, 90, 30, 0]


class TestBesideOthers:
    """Smooth pictures, the inside of the result; places are rounded to a 64th of a pixel, levels to whole ones."""

    @pytest.mark.parametrize("degrees", [5, 33, 120])
    def test_rotation_is_pillows(self, degrees):
        picture = smooth(41, 41)
        want = np.asarray(Image.fromarray(picture[0]).rotate(degrees, Image.Resampling.BILINEAR)).astype(int)
        got = seen(picture, about(picture, geometry.turned(degrees))).astype(int)
        assert abs(got[0] - want)[12:-12, 12:-12].max() <= 2

    def test_any_map_is_scipys(self):
        picture, rng = smooth(40, 50), np.random.default_rng(1)
        matrix = np.eye(3)[None].repeat(20, 0)
        matrix[:, :2] += rng.normal(0, 0.2, (20, 2, 3)) * (1, 1, 10)
        for fill in ("nearest", "mirror", "reflect", "constant"):
            got = seen(picture.repeat(20, 0), matrix, fill).astype(int)
            mode = {"constant": "grid-constant"}.get(fill, fill)
            for i in range(20):
                for c in range(3):
                    want = ndimage.affine_transform(
                        picture[0, :, :, c].astype(float), matrix[i, :2, :2], matrix[i, :2, 2], order=1, mode=mode
                    )
                    assert abs(got[i, :, :, c] - want).max() <= (3 if fill == "constant" else 1.5)

    def test_a_resized_crop_is_pillows(self):
        picture = smooth(40, 40)
        box = (8.0, 4.0, 28.0, 24.0)
        image = Image.fromarray(picture[0])
        want = np.asarray(image.resize((40, 40), Image.Resampling.BILINEAR, box=box)).astype(int)
        got = seen(picture, geometry.cropped((40, 40), 4, 8, 20, 20)).astype(int)
        assert abs(got[0] - want).max() <= 2
