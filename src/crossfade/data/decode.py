"""Bytes of a picture file -> uint8 pixels, or a refusal with a reason.

Pillow decides what a file holds, restricted to an allow-list of formats; a full load decides whether it is
whole. simplejpeg is a fast path for plain JPEGs that gives the same pixels bit for bit; at the slightest
doubt it hands over to Pillow.

What comes out is (height, width, channels) with 1 channel for grey pictures and 3 otherwise; `colour` says how,
and `docs/reference/reading.md` says all of it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from crossfade.data.colour import check_mode, is_grey, to_pixels, upright_shape
from crossfade.data.files import read_file
from crossfade.data.fit import Fit, Size, to_row
from crossfade.data.formats import MANY_SCANS_MATTER, check_scans, jpeg_header
from crossfade.data.pillow import on_a_lead, open_picture
from crossfade.data.refusal import MAX_PIXELS, MIN_SIDE, RefusedPicture, check_size
from crossfade.data.rows import Pixels

try:
    import simplejpeg
except ImportError:  # slower, the same pixels
    simplejpeg = None

if TYPE_CHECKING:
    from PIL.Image import Image

_FILL_ROWS = 8


def decode(data: bytes, *, max_pixels: int = MAX_PIXELS) -> Pixels:
    """Decode a whole picture file held in memory.

    Args:
        data: the bytes of a JPEG (MPO too), PNG, WebP, TIFF, GIF or BMP file.
        max_pixels: larger pictures are refused before they are decoded.

    Returns:
        (H, W, C) uint8, upright; C is 1 for a grey picture, else 3.

    Raises:
        RefusedPicture: with a reason of `REASONS`.
    """
    pixels = _decode_plain_jpeg(data, max_pixels)
    return _decode_with_pillow(data, max_pixels) if pixels is None else pixels


def read_header(data: bytes, *, max_pixels: int = MAX_PIXELS) -> tuple[int, int, int]:
    """Height, width (upright) and channels without decoding. The picture may still turn out to be damaged.

    Raises:
        RefusedPicture: already the header is refused.
    """
    if simplejpeg is not None and _is_plain_jpeg(data):
        try:
            height, width, colours, _ = simplejpeg.decode_jpeg_header(data)
        except ValueError:
            pass
        else:
            check_size(height, width, max_pixels)
            return height, width, 1 if colours == "Gray" else 3
    with on_a_lead(data):
        image = open_picture(data, max_pixels)
        check_mode(image)
        return upright_shape(image, data)


def load_picture(
    path: str | os.PathLike[str],
    *,
    size: Size,
    channels: int = 3,
    fit: Fit = "stretch",
    max_pixels: int = MAX_PIXELS,
) -> Pixels:
    """Read one file as the cache would hold it.

    Returns:
        (size, size, channels) uint8.

    Raises:
        RefusedPicture: missing, unreadable, no regular file or no picture, with the reason.
    """
    return to_row(decode(read_file(path), max_pixels=max_pixels), size, channels, fit)


def _decode_with_pillow(data: bytes, max_pixels: int) -> Pixels:
    with on_a_lead(data):
        image = open_picture(data, max_pixels)
        check_mode(image)
        if image.format in ("JPEG", "MPO"):
            check_scans(data, image.height * image.width)
        grey = is_grey(image)
        image.load()
        _check_not_filled_up(image, data)
        return to_pixels(image, grey)


def _check_not_filled_up(image: Image, data: bytes) -> None:
    """Refuse a JPEG whose data end early though an end marker follows: its decoder makes up the rest, in one colour.

    Pillow does not tell what libjpeg complains of, simplejpeg does; it is asked only where the lowest rows are one
    colour. Other complaints (bytes too many, a damaged code) leave the verdict with Pillow.
    """
    if simplejpeg is None or image.format not in ("JPEG", "MPO"):
        return
    rows = np.asarray(image.crop((0, max(0, image.height - _FILL_ROWS), image.width, image.height)))
    if not (rows == rows[-1, -1]).all():
        return
    try:
        simplejpeg.decode_jpeg(data, "CMYK" if image.mode == "CMYK" else "GRAY")
    except ValueError as error:
        if "premature end" in str(error):
            raise RefusedPicture("truncated", f"{error}, the rest of the picture is missing") from None


# ---------------------------------------------------------------------------------------------- fast path


def _is_plain_jpeg(data: bytes) -> bool:
    """A JPEG that ends as it should and has no APP1 segment, where an orientation would stand.

    ff e1 cannot occur in entropy-coded data, where ff is always followed by 00 or a restart marker.
    """
    return data[:3] == b"\xff\xd8\xff" and data[-2:] == b"\xff\xd9" and b"\xff\xe1" not in data


def _plain_colours(data: bytes, max_pixels: int) -> str | None:
    """The colour space to decode a plain JPEG into, or None where Pillow has to look."""
    if simplejpeg is None or not _is_plain_jpeg(data):
        return None
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(data)
    except ValueError:
        return None
    if height * width > max_pixels or height < MIN_SIDE or width < MIN_SIDE:
        return None
    if height * width * len(data) > MANY_SCANS_MATTER and jpeg_header(data)[1]:
        check_scans(data, height * width)
    return {"YCbCr": "RGB", "RGB": "RGB", "Gray": "GRAY"}.get(colours)


def _decode_plain_jpeg(data: bytes, max_pixels: int) -> Pixels | None:
    colours = _plain_colours(data, max_pixels)
    if colours is None:
        return None
    try:
        pixels: Pixels = simplejpeg.decode_jpeg(data, colours)
    except ValueError:  # raised also for what libjpeg itself only warns about
        return None
    return pixels


class Decoder:
    """`decode` for many files in a row.

    Small pictures from one program often share every byte up to the pixels themselves (size, tables and all).
    What was found out about the first such header then holds for the others, and need not be found out again.
    """

    def __init__(self, max_pixels: int = MAX_PIXELS) -> None:
        self.max_pixels = max_pixels
        self.header: bytes | None = None
        self.colours: str | None = None

    def __call__(self, data: bytes) -> Pixels:
        """As `decode`."""
        if self.header is None:
            self._learn(data)
        if not (self.header and data.startswith(self.header) and data.endswith(b"\xff\xd9")):
            return decode(data, max_pixels=self.max_pixels)
        try:
            pixels: Pixels = simplejpeg.decode_jpeg(data, self.colours)
        except ValueError:
            return _decode_with_pillow(data, self.max_pixels)
        return pixels

    def _learn(self, data: bytes) -> None:
        """A header of several scans is not learned: how many follow has to be counted each time."""
        self.colours = _plain_colours(data, self.max_pixels)
        end, several = jpeg_header(data)
        self.header = b"" if self.colours is None or several else data[:end]
