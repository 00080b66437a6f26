"""A decoded picture of any kind -> upright uint8 pixels, grey or RGB.

Orientation as EXIF (or XMP) says; transparent parts laid on white; depths beyond 8 bits scaled by what the depth
can hold, never by what the picture holds; palettes, CMYK, YCbCr, LAB and 1-bit converted; colour profiles ignored.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from crossfade.data.pillow import pillow
from crossfade.data.refusal import RefusedPicture

if TYPE_CHECKING:
    from PIL.Image import Image

_GREY = frozenset({"1", "L", "LA", "La", "I;16", "I;16L", "I;16B", "I;16N"})
_SIXTEEN = frozenset({"I;16", "I;16L", "I;16B", "I;16N"})
_READABLE = _GREY | {"P", "PA", "RGB", "RGBX", "RGBA", "RGBa", "CMYK", "YCbCr", "LAB", "HSV"}
_ORIENTATION = 0x0112
_PNG_METADATA = (b"eXIf", b"tEXt", b"zTXt", b"iTXt")
_BITS_PER_SAMPLE, _PHOTOMETRIC = 258, 262


def check_mode(image: Image) -> None:
    """Refuse pixels of which nobody knows what is black and what is white: 32-bit, signed and floating ones."""
    if image.mode not in _READABLE:
        raise RefusedPicture("unsupported_variant", f"{image.format} with pixels of Pillow's mode {image.mode}")


def upright_shape(image: Image, data: bytes) -> tuple[int, int, int]:
    """Height, width and channels that `to_pixels` will give for the opened picture of a file."""
    grey = is_grey(image)
    height, width = image.height, image.width
    # Pillow answers for TIFF with the sides already swapped, and for PNG only after it has decoded all of it.
    known = image.format == "TIFF" or (image.format == "PNG" and not any(kind in data for kind in _PNG_METADATA))
    if not known and orientation(image) >= 5:
        height, width = width, height
    return height, width, 1 if grey else 3


def is_grey(image: Any) -> bool:
    """Whether an opened picture, not yet loaded, has no colours; Pillow takes PNG's 16-bit grey with alpha as RGBA."""
    return image.mode in _GREY or any(tile[3] == "LA;16B" for tile in image.tile)


def to_pixels(image: Image, grey: bool) -> NDArray[np.uint8]:
    """(H, W, C) uint8 of a loaded picture; C is 1 if it is `grey`, else 3."""
    image = _upright(image)
    if image.mode in _SIXTEEN:
        return _eight_bits(image)[:, :, None]
    pixels = np.asarray(_opaque(image).convert("L" if grey else "RGB"))
    return pixels.reshape(image.height, image.width, 1 if grey else 3)


def orientation(image: Image) -> int:
    """1..8 as in EXIF; 1 where there is none or where it is damaged."""
    try:
        value = image.getexif().get(_ORIENTATION, 1)
        return int(value) if value in range(2, 9) else 1
    except Exception:  # metadata that cannot be read says nothing about the pixels
        return 1


def _upright(image: Image) -> Image:
    Transpose = pillow("Image").Transpose
    turns = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }
    turn = turns.get(orientation(image))
    return image if turn is None else image.transpose(turn)


def _eight_bits(image: Any) -> NDArray[np.uint8]:
    """(H, W) uint8: v * 255 / (2^bits - 1), rounded to nearest; in place, for such pictures are large."""
    values = np.asarray(image).astype(np.uint32)
    transparent = values == image.info["transparency"] if "transparency" in image.info else None
    tags = getattr(image, "tag_v2", {})
    largest = 2 ** min(tags.get(_BITS_PER_SAMPLE, (16,))) - 1
    values *= 255
    values += largest // 2
    values //= largest
    pixels = values.astype(np.uint8)
    if tags.get(_PHOTOMETRIC) == 0:  # white is zero, which Pillow heeds up to 8 bits only
        np.subtract(255, pixels, out=pixels)
    if transparent is not None:
        pixels[transparent] = 255
    return pixels


def _opaque(image: Image) -> Image:
    """The picture without transparency (laid on white) and in a mode that converts to L or RGB."""
    if image.mode == "LAB":
        cms = pillow("ImageCms")
        lab, rgb = cms.createProfile("LAB"), cms.createProfile("sRGB")
        converted: Image = cms.profileToProfile(image, lab, rgb, outputMode="RGB")
        return converted
    if image.mode in ("La", "RGBa"):
        image = image.convert("LA" if image.mode == "La" else "RGBA")
    if image.mode in ("LA", "PA", "RGBA") or "transparency" in image.info:
        white: Image = pillow("Image").new("RGBA", image.size, "white")
        white.alpha_composite(image.convert("RGBA"))
        return white
    return image
