"""Picture files that no library writes for us: made byte by byte."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping, Sequence

PNG_START = b"\x89PNG\r\n\x1a\n"
Tags = Mapping[int, tuple[int, Sequence[int]]]
SHORT, LONG = 3, 4


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(
    width: int, height: int, *, depth: int = 8, colour: int = 0, rows: bytes | None = None, extra: bytes = b""
) -> bytes:
    """A PNG whose compressed rows are `rows` (black ones if not said), with `extra` chunks before them."""
    samples = {0: 1, 2: 3, 4: 2, 6: 4}[colour]
    rows = zlib.compress(bytes((1 + width * samples * depth // 8) * height)) if rows is None else rows
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return PNG_START + chunk(b"IHDR", header) + extra + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def zeros(count: int) -> bytes:
    """`count` zero bytes, compressed by a factor of about 1,000."""
    packer = zlib.compressobj(9)
    block = bytes(1 << 20)
    parts = [packer.compress(block[: min(len(block), count - at)]) for at in range(0, count, len(block))]
    return b"".join(parts) + packer.flush()


def tiff(tags: Tags, strip: bytes, order: str = "<") -> bytes:
    """A TIFF of one strip with these tags, each (type, values); where the strip lies is added."""
    code = {SHORT: "H", LONG: "I"}
    strips: Tags = {273: (LONG, [0]), 279: (LONG, [len(strip)])}
    table = dict(sorted({**strips, **tags}.items()))
    packed = {tag: struct.pack(f"{order}{len(v)}{code[kind]}", *v) for tag, (kind, v) in table.items()}
    at = 8 + 2 + 12 * len(table) + 4
    places = {}
    for tag, data in packed.items():
        if len(data) > 4:
            places[tag] = at
            at += len(data)
    packed[273] = struct.pack(f"{order}I", at)
    out = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}IH", 8, len(table))
    for tag, (kind, values) in table.items():
        value = struct.pack(f"{order}I", places[tag]) if tag in places else packed[tag].ljust(4, b"\0")
        out += struct.pack(f"{order}HHI", tag, kind, len(values)) + value
    return out + bytes(4) + b"".join(packed[tag] for tag in places) + strip


def grey_tiff(
    width: int, height: int, bits: int, strip: bytes, *, white_is_zero: bool = False, order: str = "<"
) -> bytes:
    tags = {
        256: (SHORT, [width]),
        257: (SHORT, [height]),
        258: (SHORT, [bits]),
        259: (SHORT, [1]),
        262: (SHORT, [0 if white_is_zero else 1]),
        277: (SHORT, [1]),
        278: (SHORT, [height]),
    }
    return tiff(tags, strip, order)


def gif(width: int, height: int, *, frame: tuple[int, int, int, int], before: bytes = b"") -> bytes:
    """A GIF of one frame (left, top, width, height), after the blocks `before`: both colours of its table, once."""
    table = bytes([10, 20, 30, 200, 210, 220])
    start = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + table
    return start + before + b"," + struct.pack("<HHHHB", *frame, 0) + b"\x02\x02\x44\x0a\0;"
