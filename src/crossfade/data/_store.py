"""The files of one cache, and whether they are what was written.

    pixels.npy   (N, height, width, channels) uint8; any program that reads .npy can read it. Not there where the
                 pictures are decoded each time they are needed
    sums.npy     (N,) uint32, the CRC-32 of each picture
    shapes.npy   (M, 3) int32 height, width, channels of all M files; zeros where a file is refused
    digests.npy  (M, 16) uint8, BLAKE2b of each file
    sketches.npy (M, 96) uint8, by which near-identical pictures are found, see `sketch`
    meta.json    version, size, channels, fit, the refused files with their reasons, a hash of all these notes
    stamps-*.npy (M, 2) int64 bytes and times of the files in one root folder, where files are trusted by them
    checked.json bytes and time of a pixels.npy that was found whole and brought to the disk

Nothing is forced to the disk when a cache is made: what a power cut tears is found by the sums.
"""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossfade.data._crew import Crew
from crossfade.data._reading import DIGEST_BYTES, Findings, row_sums
from crossfade.data.fit import Fit, Size, sides
from crossfade.data.rows import Pixels
from crossfade.data.sketch import SKETCH_BYTES

VERSION = 4  # raise it whenever the same files would give other pixels or another layout
HEADER_BYTES = 128
PIXELS = "pixels.npy"
_CHECKED = "checked.json"
_BLOCK = 4 << 20


@dataclass(frozen=True)
class Notes:
    """What a cache says about itself: M files, N pictures.

    Attributes:
        size, channels, fit: of the pictures.
        found: digests, shapes, sketches and refusals of the M files, and the sums of the N pictures.
        stored: whether the pixels are kept.
    """

    size: Size
    channels: int
    fit: Fit
    found: Findings
    stored: bool

    @property
    def kept(self) -> NDArray[np.int64]:
        """(N,) numbers of the files that are pictures."""
        return np.flatnonzero(self.found.shapes[:, 0] > 0)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Of the pixels."""
        return (len(self.kept), *sides(self.size), self.channels)

    def write(self, folder: Path) -> None:
        """Write everything but the pixels."""
        np.save(folder / "sums.npy", self.found.sums)
        np.save(folder / "shapes.npy", self.found.shapes)
        np.save(folder / "digests.npy", self.found.digests)
        np.save(folder / "sketches.npy", self.found.sketches)
        meta = {
            "version": VERSION,
            "size": self.size,
            "channels": self.channels,
            "fit": self.fit,
            "pictures": len(self.kept),
            "stored": self.stored,
            "refused": [list(refusal) for refusal in self.found.refused],
        }
        (folder / "meta.json").write_text(json.dumps({**meta, "notes": _digest_of(meta, self.found)}), "ascii")


def read_notes(folder: Path, files: int) -> Notes | None:
    """The notes of a cache of so many files, or None where they are not whole."""
    try:
        meta = json.loads((folder / "meta.json").read_text("ascii"))
        sums, shapes, digests, sketches = (
            np.load(folder / f"{name}.npy", allow_pickle=False) for name in ("sums", "shapes", "digests", "sketches")
        )
        said = meta.pop("notes")
        found = Findings(digests, shapes, sums, sketches, meta["refused"])
        size = tuple(meta["size"]) if isinstance(meta["size"], list) else meta["size"]
        notes = Notes(size, meta["channels"], meta["fit"], found, meta["stored"])
        whole = (
            meta["version"] == VERSION
            and shapes.shape == (files, 3)
            and digests.shape == (files, DIGEST_BYTES)
            and sketches.shape == (files, SKETCH_BYTES)
            and meta["pictures"] == len(notes.kept)
            and len(sums) == (len(notes.kept) if notes.stored else 0)
            and said == _digest_of(meta, found)
        )
    except Exception:  # NumPy's reader meets a damaged file with errors of many kinds
        return None
    return notes if whole else None


def content_of(found: Findings) -> str:
    """A hash of the bytes of all files."""
    return blake2b(found.digests.tobytes(), digest_size=16).hexdigest()


def _digest_of(meta: dict[str, Any], found: Findings) -> str:
    notes = blake2b(json.dumps(meta, sort_keys=True).encode(), digest_size=16)
    for values in (found.shapes, found.sums, found.digests, found.sketches):
        notes.update(np.ascontiguousarray(values).data)
    return notes.hexdigest()


# ------------------------------------------------------------------------------------------------- the pixels


def finish_pixels(path: Path, kept: NDArray[np.int64], files: int, shape: tuple[int, ...]) -> None:
    """Close the gaps that refused files left, and write the .npy header in front."""
    row_bytes = int(np.prod(shape))
    with open(path, "r+b") as file:
        file.truncate(HEADER_BYTES + files * row_bytes)
        if len(kept) < files:
            _close_gaps(file, kept, row_bytes)
            file.truncate(HEADER_BYTES + len(kept) * row_bytes)
        file.seek(0)
        file.write(npy_header((len(kept), *shape)))


def _close_gaps(file: Any, kept: NDArray[np.int64], row_bytes: int) -> None:
    step = max(1, (16 << 20) // row_bytes)
    start = int(np.argmax(kept != np.arange(len(kept)))) if kept[-1] >= len(kept) else len(kept)
    while start < len(kept):
        rows = kept[start : start + step]
        first, last = int(rows[0]), int(rows[-1])
        file.seek(HEADER_BYTES + first * row_bytes)
        block = np.frombuffer(file.read((last - first + 1) * row_bytes), np.uint8).reshape(-1, row_bytes)
        file.seek(HEADER_BYTES + start * row_bytes)
        file.write(block[rows - first].tobytes())
        start += len(rows)


def npy_header(shape: tuple[int, ...]) -> bytes:
    """A .npy header of exactly `HEADER_BYTES` (NumPy's own may grow with the shape)."""
    text = repr({"descr": "|u1", "fortran_order": False, "shape": shape}).encode()
    start = b"\x93NUMPY\x01\x00" + (HEADER_BYTES - 10).to_bytes(2, "little")
    return start + text.ljust(HEADER_BYTES - 11) + b"\n"


def frame_is_whole(path: Path, shape: tuple[int, ...]) -> bool:
    """Whether header and length are right."""
    with open(path, "rb") as file:
        return file.read(HEADER_BYTES) == npy_header(shape) and os.fstat(file.fileno()).st_size == _length(shape)


def mend_frame(path: Path, shape: tuple[int, ...]) -> None:
    """Put header and length right; rows that were cut off become zeros, whose sums are wrong."""
    with open(path, "r+b") as file:
        file.truncate(_length(shape))
        file.write(npy_header(shape))


def _length(shape: tuple[int, ...]) -> int:
    return HEADER_BYTES + int(np.prod(shape))


def map_pixels(path: Path, shape: tuple[int, ...]) -> Pixels:
    """The pixels as a read-only memory map."""
    return np.memmap(path, np.uint8, "r", HEADER_BYTES, shape)


def bad_rows(pixels: Pixels, sums: NDArray[np.uint32], crew: Crew) -> NDArray[np.int64]:
    """The numbers of the pictures that are not what was written; all are read."""
    step = max(1, _BLOCK // int(np.prod(pixels.shape[1:])))

    def look(first: int) -> NDArray[np.int64]:
        crew.check()
        part = slice(first, first + step)
        return first + np.flatnonzero(row_sums(pixels[part]) != sums[part])

    with ThreadPoolExecutor(crew.workers) as pool:
        return np.concatenate([np.zeros(0, np.int64), *pool.map(look, range(0, len(pixels), step))])


def write_rows(path: Path, rows: NDArray[np.int64], scratch: Path) -> None:
    """Put the pictures of another file, one after the other, into the rows of a cache, and bring it to the disk."""
    with open(path, "r+b") as file, open(scratch, "rb") as source:
        row_bytes = os.fstat(source.fileno()).st_size // len(rows)
        for row in rows.tolist():
            file.seek(HEADER_BYTES + row * row_bytes)
            file.write(source.read(row_bytes))
        file.flush()
        os.fsync(file.fileno())


# ------------------------------------------------------------------------- what need not be read once more


def is_checked(folder: Path) -> bool:
    """Whether the pixels were found whole, brought to the disk, and nobody has written to them since."""
    try:
        return json.loads((folder / _CHECKED).read_text("ascii")) == _mark(folder / PIXELS)
    except (OSError, ValueError):
        return False


def mark_checked(folder: Path) -> None:
    """The pixels were just found whole: bring them to the disk and say so."""
    with suppress(OSError):  # in a folder that we may only read they are checked each time
        with open(folder / PIXELS, "r+b") as file:
            os.fsync(file.fileno())
        _replace(folder / _CHECKED, json.dumps(_mark(folder / PIXELS)).encode())


def _mark(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]


def read_stamps(folder: Path, root: Path) -> NDArray[np.int64] | None:
    """Bytes and times of the files of `root` when they were read, or None."""
    try:
        stamps: NDArray[np.int64] = np.load(_stamps_of(folder, root), allow_pickle=False)
    except Exception:  # as in read_notes
        return None
    return stamps if stamps.ndim == 2 and stamps.dtype == np.int64 else None


def write_stamps(folder: Path, root: Path, stamps: NDArray[np.int64]) -> None:
    """Note bytes and times of the files of `root`, which hold what the cache was made from."""
    data = BytesIO()
    np.save(data, stamps)
    with suppress(OSError):  # in a folder that we may only read they are hashed each time
        _replace(_stamps_of(folder, root), data.getvalue())


def _stamps_of(folder: Path, root: Path) -> Path:
    return folder / f"stamps-{blake2b(os.fsencode(root), digest_size=8).hexdigest()}.npy"


def _replace(path: Path, data: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_bytes(data)
    os.replace(temporary, path)
