"""What the bytes of a file say before any decoder sees them: its format, and whether its structure is whole.

Decoders are opened by the first bytes alone, never by trying one after the other, so a format that is not on the
list has no code of ours to attack.
"""

from __future__ import annotations

import re
from zlib import crc32

from crossfade.data.refusal import RefusedPicture

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

_PNG_END = b"IEND\xae\x42\x60\x82"
_MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd7\xff]")  # with a length behind it: no stuffed byte, restart or filler
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # markers with the size and the number of components

MANY_SCANS_MATTER = 10**11  # bytes times pixels of a JPEG, below which no number of scans takes a second
MAX_SCANS = 50  # of a JPEG; each costs time for the whole picture, however few bytes it has
MAX_HEADER = 1 << 20  # bytes of a JPEG in which Pillow may look for its pixels on its own
MAX_SEGMENTS = 5_000  # of a JPEG before its pixels
MAX_CHUNKS = 200_000  # of a PNG; 100 megapixels in chunks of 8 KiB have a quarter of that
MAX_RUNS = 32 << 20  # bytes of a run-length coded BMP
MAX_COMMENT = 1 << 20  # bytes in a GIF before its first frame


def format_of(data: bytes) -> str:
    """Pillow's name of the format, of those we read.

    Args:
        data: a file, or its beginning.

    Raises:
        RefusedPicture: empty_file, unsupported_format or not_an_image.
    """
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


def has_end(data: bytes) -> bool:
    """Whether a file that Pillow refused has the mark its format ends with."""
    if data[:3] == b"\xff\xd8\xff":
        return b"\xff\xd9" in data[-64:]
    if data[:4] == b"\x89PNG":
        return _PNG_END in data[-64:]
    if data[:3] == b"GIF":
        return data.rstrip(b"\0")[-1:] == b";"
    if data[:4] == b"RIFF":
        return len(data) >= int.from_bytes(data[4:8], "little") + 8
    if data[:2] == b"BM":
        return len(data) >= int.from_bytes(data[2:6], "little")
    directory = int.from_bytes(data[4:8], "little" if data[:2] == b"II" else "big")  # TIFF's list of tags
    return len(data) >= directory + 6


def check_png(data: bytes) -> None:
    """Walk a PNG's chunks up to IEND, and check the checksum of each; what follows IEND is not looked at.

    Decoding alone does not notice a wrong checksum of the pixels' chunks, nor chunks that are missing after them.
    """
    view, at = memoryview(data), 8
    for _ in range(MAX_CHUNKS):
        start = at + 8
        end = start + int.from_bytes(data[at : at + 4], "big")
        if end + 4 > len(data):
            reason = "corrupt" if has_end(data) else "truncated"
            raise RefusedPicture(reason, "a PNG whose chunks do not lead to its IEND chunk")
        kind = data[at + 4 : start]
        if crc32(view[at + 4 : end]) != int.from_bytes(data[end : end + 4], "big"):
            raise RefusedPicture("corrupt", f"a wrong checksum in chunk {kind!r}")
        if kind == b"IEND":
            return
        at = end + 4
    raise RefusedPicture("unsupported_variant", f"a PNG of more than {MAX_CHUNKS:,} chunks")


def check_gif(data: bytes) -> None:
    """Refuse a GIF with masses of comment before its first frame: Pillow's time grows with the square of it."""
    at = 13 + (3 << (data[10] & 7) + 1 if len(data) > 10 and data[10] & 0x80 else 0)
    comment = 0
    while data[at : at + 1] == b"!":
        start, is_comment = at, data[at + 1 : at + 2] == b"\xfe"
        at += 2
        while at < len(data) and data[at]:
            at += 1 + data[at]
            if is_comment and comment + at - start > MAX_COMMENT:
                raise RefusedPicture("unsupported_variant", f"a GIF with over {MAX_COMMENT:,} bytes of comment")
        at += 1
        comment += (at - start) * is_comment


def check_bmp(data: bytes) -> None:
    """Refuse a huge run-length coded BMP, which Pillow unpacks byte by byte in Python."""
    if data[30:34] in (b"\1\0\0\0", b"\2\0\0\0") and len(data) > MAX_RUNS:
        raise RefusedPicture("unsupported_variant", f"a run-length coded BMP of {len(data):,} bytes")


def promised_size(data: bytes) -> tuple[int, int]:
    """Height and width in the header of a PNG or WebP; (0, 0) where it has none, and for other formats.

    What is too large is refused by it before Pillow looks, whose WebP decoder takes memory for the whole canvas
    already when it is made.
    """
    kind = data[12:16]
    if kind == b"IHDR":
        return int.from_bytes(data[20:24], "big"), int.from_bytes(data[16:20], "big")
    if kind == b"VP8X":
        return 1 + int.from_bytes(data[27:30], "little"), 1 + int.from_bytes(data[24:27], "little")
    if kind == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return 1 + (bits >> 14 & 0x3FFF), 1 + (bits & 0x3FFF)
    if kind == b"VP8 ":
        return int.from_bytes(data[28:30], "little") & 0x3FFF, int.from_bytes(data[26:28], "little") & 0x3FFF
    return 0, 0


def jpeg_header(data: bytes) -> tuple[int, bool]:
    """Where a JPEG's first entropy-coded data begin; whether several scans may follow.

    They may in a progressive picture, and where the first scan lacks a component. (0, True) if the segments do not
    lead to a scan: decoders skip what lies between them.
    """
    at, components, progressive = 2, b"", False
    for _ in range(MAX_SEGMENTS):
        if data[at : at + 1] != b"\xff" or at + 4 > len(data):
            return 0, True
        marker, start = data[at + 1], at
        if marker == 0xFF:  # a byte to fill up with
            at += 1
            continue
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if marker in _FRAMES:
            components, progressive = data[start + 9 : start + 10], marker in (0xC2, 0xCA)
        if marker == 0xDA:
            several = progressive or data[start + 4 : start + 5] != components
            return (at, several) if at <= len(data) else (0, True)
    return 0, True


def check_jpeg(data: bytes) -> None:
    """Refuse a JPEG with megabytes of header, through which Pillow would crawl byte by byte."""
    if len(data) > MAX_HEADER and not jpeg_header(data)[0]:
        reason = "corrupt" if has_end(data) else "truncated"
        raise RefusedPicture(reason, f"a JPEG of {len(data):,} bytes whose segments do not lead to a picture")


def check_scans(data: bytes, pixels: int) -> None:
    """Refuse a JPEG with so many scans that a few bytes would keep a decoder busy for minutes."""
    if pixels * len(data) > MANY_SCANS_MATTER and (scans := _scans(data)) > MAX_SCANS:
        raise RefusedPicture("unsupported_variant", f"a JPEG of at least {scans} scans, more than {MAX_SCANS}")


def _scans(data: bytes) -> int:
    """Scans of the first picture in a JPEG; counting stops beyond `MAX_SCANS`."""
    begin = jpeg_header(data)[0]
    scans, at = (1, begin) if begin else (0, 2)
    for _ in range(MAX_SEGMENTS):
        found = _MARKER.search(data, at)
        if found is None or found[0] == b"\xff\xd9" or scans > MAX_SCANS:
            return scans
        scans += found[0] == b"\xff\xda"
        at = found.end() + int.from_bytes(data[found.end() : found.end() + 2], "big")
    return MAX_SCANS + 1  # whoever hides scans among so many segments has more of them
