"""Bytes of a picture file -> uint8 pixels, or a refusal with a reason.

Pillow decides what a file holds, restricted to an allow-list of formats; a full load decides whether it is
whole. simplejpeg is a fast path for plain JPEGs that gives the same pixels bit for bit; at the slightest
doubt it hands over to Pillow.

What comes out is (height, width, channels) with 1 channel for grey pictures and 3 otherwise: turned upright
as EXIF says, transparent parts laid on white, 16-bit grey divided by 257, the first frame of an animation.
"""

from __future__ import annotations

import threading
import warnings
from importlib import import_module
from io import BytesIO
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from crossfade.errors import DataError, MissingExtra

try:
    import simplejpeg
except ImportError:  # slower, the same pixels
    simplejpeg = None

if TYPE_CHECKING:
    from PIL.Image import Image

    from crossfade.data.fit import Fit

Pixels = NDArray[np.uint8]

MAX_PIXELS = 100_000_000
MIN_SIDE = 4

REASONS = (
    "corrupt",
    "truncated",
    "empty_file",
    "not_an_image",
    "unsupported_format",
    "unsupported_variant",
    "too_many_pixels",
    "too_small",
    "unreadable",
    "not_a_regular_file",
    "outside_root",
)


class RefusedPicture(DataError):
    """A file that is not used as a picture.

    Attributes:
        reason: one of `REASONS`.
        detail: what came, in a few words.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"picture: refused as {reason}. Got {detail}.")
        self.reason = reason
        self.detail = detail


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
            _check_size(height, width, max_pixels)
            return height, width, 1 if colours == "Gray" else 3
    with _quiet, _translated(data):
        image = _open(data, max_pixels)
        height, width = image.height, image.width
        # Pillow answers for TIFF with the sides already swapped.
        if image.format != "TIFF" and _orientation(image) >= 5:
            height, width = width, height
        return height, width, 1 if _is_grey(image) else 3


def load_picture(
    path: Any, *, size: int, channels: int = 3, fit: Fit = "stretch", max_pixels: int = MAX_PIXELS
) -> Pixels:
    """Read one file as the cache would hold it.

    Returns:
        (size, size, channels) uint8.

    Raises:
        RefusedPicture: missing, unreadable or no picture, with the reason.
    """
    from crossfade.data.fit import fit_square, to_channels  # which builds on this module

    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        raise RefusedPicture("unreadable", error.strerror or str(error)) from error
    return to_channels(fit_square(decode(data, max_pixels=max_pixels), size, fit), channels)


def _check_size(height: int, width: int, max_pixels: int) -> None:
    if height * width > max_pixels:
        raise RefusedPicture("too_many_pixels", f"{width} x {height} pixels, more than {max_pixels}")
    if min(height, width) < MIN_SIDE:
        raise RefusedPicture("too_small", f"{width} x {height} pixels, a side under {MIN_SIDE}")


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
        self.colours = _plain_colours(data, self.max_pixels)
        self.header = b"" if self.colours is None else data[: _end_of_header(data)]


def _end_of_header(data: bytes) -> int:
    """Where the first scan's entropy-coded data begins; 0 if the segments do not lead there."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        at += 2 + length
        if marker == 0xDA:
            return at if at <= len(data) else 0
    return 0


# ------------------------------------------------------------------------------------------- Pillow's path

# What each allowed format starts with. Our own look at the first bytes keeps every other decoder shut.
_ALLOWED = (
    ("JPEG", b"\xff\xd8\xff"),
    ("PNG", b"\x89PNG\r\n\x1a\n"),
    ("GIF", b"GIF87a"),
    ("GIF", b"GIF89a"),
    ("BMP", b"BM"),
    ("TIFF", b"II*\0"),
    ("TIFF", b"MM\0*"),
    ("TIFF", b"II+\0"),
    ("TIFF", b"MM\0+"),
)
_PLUGINS = {
    "JPEG": "JpegImagePlugin",
    "PNG": "PngImagePlugin",
    "GIF": "GifImagePlugin",
    "BMP": "BmpImagePlugin",
    "TIFF": "TiffImagePlugin",
    "WEBP": "WebPImagePlugin",
}
_OTHERS = (
    ("Photoshop", 0, b"8BPS"),
    ("PostScript", 0, b"%!PS"),
    ("PDF", 0, b"%PDF"),
    ("ICO", 0, b"\0\0\1\0"),
    ("JPEG 2000", 0, b"\0\0\0\x0cjP  "),
    ("JPEG 2000", 0, b"\xff\x4f\xff\x51"),
    ("JPEG XL", 0, b"\0\0\0\x0cJXL "),
    ("JPEG XL", 0, b"\xff\x0a"),
    ("OpenEXR", 0, b"v/1\x01"),
    ("DDS", 0, b"DDS "),
    ("FITS", 0, b"SIMPLE  ="),
    ("QOI", 0, b"qoif"),
    ("AVIF", 4, b"ftypavi"),
    ("HEIC", 4, b"ftyphe"),
    ("HEIF", 4, b"ftypmif1"),
)


def _format_of(data: bytes) -> str:
    for name, start in _ALLOWED:
        if data.startswith(start):
            return name
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if not data:
        raise RefusedPicture("empty_file", "0 bytes")
    for name, offset, start in _OTHERS:
        if data.startswith(start, offset):
            raise RefusedPicture("unsupported_format", name)
    if data[:1] == b"P" and data[1:2] in b"1234567" and data[2:3].isspace():
        raise RefusedPicture("unsupported_format", "Netpbm")
    if b"<svg" in data[:1024]:
        raise RefusedPicture("unsupported_format", "SVG")
    raise RefusedPicture("not_an_image", f"a file that starts with {data[:8].hex(' ')}")


def _open(data: bytes, max_pixels: int) -> Image:
    name = _format_of(data)
    _pillow(_PLUGINS[name])
    # The plugin itself: Image.open would apply its own, process-wide pixel limit, and try other formats.
    factory, _ = _pillow("Image").OPEN[name]
    image: Image = factory(BytesIO(data), "")
    _check_size(image.height, image.width, max_pixels)
    if image.mode not in _READABLE:
        raise RefusedPicture("unsupported_variant", f"{name} with pixels of Pillow's mode {image.mode}")
    return image


_GREY = frozenset({"1", "L", "LA", "La", "I;16", "I;16L", "I;16B", "I;16N"})
_SIXTEEN = frozenset({"I;16", "I;16L", "I;16B", "I;16N"})
_READABLE = _GREY | {"P", "PA", "RGB", "RGBX", "RGBA", "RGBa", "CMYK", "YCbCr", "LAB", "HSV"}


def _is_grey(image: Image) -> bool:
    return image.mode in _GREY


def _decode_with_pillow(data: bytes, max_pixels: int) -> Pixels:
    with _quiet, _translated(data):
        image = _open(data, max_pixels)
        image.load()
        image = _upright(image)
        grey = _is_grey(image)
        if image.mode in _SIXTEEN:
            wide = np.asarray(image).astype(np.uint32)
            return ((wide + 128) // 257).astype(np.uint8)[:, :, None]
        image = _opaque(image)
        pixels = np.asarray(image.convert("L" if grey else "RGB"))
        return pixels.reshape(image.height, image.width, 1 if grey else 3)


def _orientation(image: Image) -> int:
    """1..8 as in EXIF; 1 where there is none or where it is damaged."""
    try:
        value = int(image.getexif().get(0x0112, 1))
    except Exception:  # metadata that cannot be read says nothing about the pixels
        return 1
    return value if 1 <= value <= 8 else 1


def _upright(image: Image) -> Image:
    Transpose = _pillow("Image").Transpose
    turns = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }
    turn = turns.get(_orientation(image))
    return image if turn is None else image.transpose(turn)


def _opaque(image: Image) -> Image:
    """The picture without transparency (laid on white) and in a mode that converts to L or RGB."""
    if image.mode == "LAB":
        cms = _pillow("ImageCms")
        lab, rgb = cms.createProfile("LAB"), cms.createProfile("sRGB")
        converted: Image = cms.profileToProfile(image, lab, rgb, outputMode="RGB")
        return converted
    if image.mode in ("La", "RGBa"):
        image = image.convert("LA" if image.mode == "La" else "RGBA")
    if image.mode in ("LA", "PA", "RGBA") or "transparency" in image.info:
        white: Image = _pillow("Image").new("RGBA", image.size, "white")
        white.alpha_composite(image.convert("RGBA"))
        return white
    return image


def _pillow(module: str) -> Any:
    """A module of Pillow, loaded when it is first needed: most JPEGs need none."""
    try:
        return import_module(f"PIL.{module}")
    except ImportError as error:
        raise MissingExtra(
            "decode: this picture needs Pillow, which is not installed. Got no module PIL. "
            "Run: pip install 'crossfade[workbench]'"
        ) from error


class _translated:
    """Turn whatever Pillow raises into a `RefusedPicture` with a reason."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, Exception) and not isinstance(error, RefusedPicture | MissingExtra):
            raise RefusedPicture(_reason(error, self.data), _detail(error)) from error


_VARIANT_WORDS = ("unsupported", "not supported", "cannot handle", "not available", "unknown")


def _reason(error: Exception, data: bytes) -> str:
    text = str(error).lower()
    if isinstance(error, MemoryError):
        return "too_many_pixels"
    if "truncated" in text or "unexpected end" in text or isinstance(error, EOFError):
        return "truncated"
    if not _has_end(data):
        return "truncated"
    if any(words in text for words in _VARIANT_WORDS):
        return "unsupported_variant"
    return "corrupt"


def _detail(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text[:200]


def _has_end(data: bytes) -> bool:
    """Whether a file that Pillow refused has the mark its format ends with."""
    if data[:3] == b"\xff\xd8\xff":
        return b"\xff\xd9" in data[-64:]
    if data[:4] == b"\x89PNG":
        return b"IEND" in data[-64:]
    if data[:3] == b"GIF":
        return data.rstrip(b"\0")[-1:] == b";"
    if data[:4] == b"RIFF":
        return len(data) >= int.from_bytes(data[4:8], "little") + 8
    if data[:2] == b"BM":
        return len(data) >= int.from_bytes(data[2:6], "little")
    directory = int.from_bytes(data[4:8], "little" if data[:2] == b"II" else "big")  # TIFF's list of tags
    return len(data) >= directory + 6


class _Quiet:
    """Keeps Pillow's warnings from the user while any of our threads is inside.

    The list of warning filters belongs to the process. The first to enter saves it and the last to leave
    restores it, so that threads of ours that overlap cannot leave it changed.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.inside = 0
        self.saved: Any = None

    def __enter__(self) -> None:
        with self.lock:
            if self.inside == 0:
                self.saved = warnings.catch_warnings()
                self.saved.__enter__()
                warnings.simplefilter("ignore")
            self.inside += 1

    def __exit__(self, *_: object) -> None:
        with self.lock:
            self.inside -= 1
            if self.inside == 0:
                self.saved.__exit__(None, None, None)


_quiet = _Quiet()
