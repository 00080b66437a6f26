"""Pillow on a short lead: one plugin at a time, our own limits, no warnings, and every error a refusal."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from io import BytesIO
from typing import TYPE_CHECKING, Any

from crossfade.data.formats import check_bmp, check_gif, check_jpeg, check_png, format_of, has_end, promised_size
from crossfade.data.refusal import RefusedPicture, check_pixels, check_size
from crossfade.errors import MissingExtra
from crossfade.interrupts import Held

if TYPE_CHECKING:
    from PIL.Image import Image

_PLUGINS = {
    "JPEG": "JpegImagePlugin",
    "PNG": "PngImagePlugin",
    "GIF": "GifImagePlugin",
    "BMP": "BmpImagePlugin",
    "TIFF": "TiffImagePlugin",
    "WEBP": "WebPImagePlugin",
}
_CHECKS = {"JPEG": check_jpeg, "PNG": check_png, "GIF": check_gif, "BMP": check_bmp}
_TILE_WIDTH, _TILE_LENGTH = 322, 323
_VARIANT_WORDS = ("unsupported", "not supported", "cannot handle", "not available", "unknown", "too large")


def pillow(module: str) -> Any:
    """A module of Pillow, loaded when it is first needed: most JPEGs need none."""
    try:
        return import_module(f"PIL.{module}")
    except ImportError as error:
        raise MissingExtra(
            "decode: this picture needs Pillow, which is not installed. Got no module PIL. "
            "Run: pip install 'crossfade[workbench]'"
        ) from error


def open_picture(data: bytes, max_pixels: int) -> Image:
    """A file of an allowed format, its structure and size checked, nothing decoded yet; call inside `on_a_lead`.

    Raises:
        RefusedPicture: the format, the structure or the size.
    """
    name = format_of(data)
    if name in ("PNG", "WEBP"):
        check_pixels(*promised_size(data), max_pixels)
    if check := _CHECKS.get(name):
        check(data)
    pillow(_PLUGINS[name])
    # The plugin itself: Image.open would apply its own, process-wide pixel limit, and try other formats.
    factory, _ = pillow("Image").OPEN[name]
    image: Image = factory(BytesIO(data), "")
    check_size(image.height, image.width, max_pixels)
    if name == "TIFF":
        _check_tile(image, max_pixels)
    return image


def _check_tile(image: Any, max_pixels: int) -> None:
    """A tile is decoded whole, even where the picture is only a corner of it."""
    width, height = image.tag_v2.get(_TILE_WIDTH, 0), image.tag_v2.get(_TILE_LENGTH, 0)
    if width * height > max_pixels:
        raise RefusedPicture("too_many_pixels", f"tiles of {width} x {height} pixels, more than {max_pixels}")


@contextmanager
def on_a_lead(data: bytes) -> Iterator[None]:
    """Turn whatever Pillow raises over `data` into a `RefusedPicture`, and keep its warnings from the user."""
    with Held(), _settings:
        try:
            yield
        except (RefusedPicture, MissingExtra):
            raise
        except Exception as error:
            text = " ".join(str(error).split()) or type(error).__name__
            raise RefusedPicture(_reason(error, data), text[:200]) from error


def _reason(error: Exception, data: bytes) -> str:
    text = str(error).lower()
    if isinstance(error, MemoryError):
        return "too_many_pixels"
    if "truncated" in text or "unexpected end" in text or isinstance(error, EOFError):
        return "truncated"
    if not has_end(data):
        return "truncated"
    if any(words in text for words in _VARIANT_WORDS):
        return "unsupported_variant"
    return "corrupt"


class _Settings:
    """Pillow's process-wide settings as we need them, while any of our threads is inside.

    A program may have asked Pillow to make up the end of truncated files, or set its pixel limit; both belong to
    the process, as does the list of warning filters. The first of us to enter saves them and the last to leave
    restores them, so that threads of ours that overlap cannot leave them changed.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.inside = 0
        self.filters: Any = None
        self.others: tuple[bool, int | None] = (False, None)

    def __enter__(self) -> None:
        image, file = pillow("Image"), pillow("ImageFile")
        with self.lock:
            if self.inside == 0:
                self.filters = warnings.catch_warnings()
                self.filters.__enter__()
                warnings.simplefilter("ignore")
                self.others = file.LOAD_TRUNCATED_IMAGES, image.MAX_IMAGE_PIXELS
                file.LOAD_TRUNCATED_IMAGES, image.MAX_IMAGE_PIXELS = False, None
            self.inside += 1

    def __exit__(self, *_: object) -> None:
        image, file = pillow("Image"), pillow("ImageFile")
        with self.lock:
            self.inside -= 1
            if self.inside == 0:
                file.LOAD_TRUNCATED_IMAGES, image.MAX_IMAGE_PIXELS = self.others
                self.filters.__exit__(None, None, None)


_settings = _Settings()
