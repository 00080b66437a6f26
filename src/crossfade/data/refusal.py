"""Why a file is not used as a picture: the closed list of reasons, and the limits that every picture must keep."""

from __future__ import annotations

from crossfade.errors import DataError

MAX_PIXELS = 100_000_000
MAX_BYTES = 1 << 30
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


def check_pixels(height: int, width: int, max_pixels: int) -> None:
    """Refuse a picture with more than `max_pixels` pixels."""
    if height * width > max_pixels:
        raise RefusedPicture("too_many_pixels", f"{width} x {height} pixels, more than {max_pixels}")


def check_size(height: int, width: int, max_pixels: int) -> None:
    """Refuse a picture with more than `max_pixels` pixels, or with a side under `MIN_SIDE`."""
    check_pixels(height, width, max_pixels)
    if min(height, width) < MIN_SIDE:
        raise RefusedPicture("too_small", f"{width} x {height} pixels, a side under {MIN_SIDE}")
