"""What is done with one chunk of picture files: read, hash, decode, bring to size, write rows.

The same code works in the caller's process, in its threads and in helper processes (`_crew` shares the chunks
among them). This module loads nothing but NumPy and the decoders, since helpers wait for that.
"""

from __future__ import annotations

import math
import os
import pickle
import sys
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossfade.data.decode import Decoder, read_header
from crossfade.data.files import read_below
from crossfade.data.fit import Fit, Size, sides, to_row
from crossfade.data.refusal import RefusedPicture
from crossfade.data.rows import Pixels
from crossfade.data.sketch import SKETCH_BYTES, Sketcher, is_regular, sketch_rows
from crossfade.errors import CacheError

DIGEST_BYTES = 16
JUST_WRITTEN_NS = 2_000_000_000
NO_STAMP = (-1, -1)


@dataclass(frozen=True)
class Job:
    """What is done with every file of a pass.

    Attributes:
        what: "hash" reads and hashes; "header" also reads sizes; "decode" decodes fully (and writes rows).
        prefix: stands before every name; ends with a separator.
        output: file that row i is written into, at `offset + i * row_bytes`; or None.
        stamps: whether sizes and times of the files are noted, too.
    """

    what: str
    prefix: str
    max_pixels: int
    output: str | None = None
    offset: int = 0
    size: Size = 0
    channels: int = 3
    fit: Fit = "stretch"
    stamps: bool = False

    @property
    def row_bytes(self) -> int:
        return math.prod(sides(self.size)) * self.channels if self.output else 0


@dataclass
class Findings:
    """What a pass found, a row per file in the order of the names.

    Attributes:
        digests: (N, 16) uint8, BLAKE2b of the file's bytes; zeros where it could not be read.
        shapes: (N, 3) int32 height, width, channels; zeros where the file is refused.
        sums: (N,) uint32, `row_sums` of the rows written; zeros where none was.
        sketches: (N, 96) uint8, see `sketch`; zeros where nothing was decoded.
        refused: (row, reason, detail), sorted by row.
        stamps: (N, 2) int64, `stamp` of each file, where the job asked for it.
    """

    digests: NDArray[np.uint8]
    shapes: NDArray[np.int32]
    sums: NDArray[np.uint32]
    sketches: NDArray[np.uint8]
    refused: list[tuple[int, str, str]]
    stamps: NDArray[np.int64] | None = None

    @classmethod
    def empty(cls, files: int, stamps: bool = False) -> Findings:
        """Room for what is found out about so many files."""
        return cls(
            np.zeros((files, DIGEST_BYTES), np.uint8),
            np.zeros((files, 3), np.int32),
            np.zeros(files, np.uint32),
            np.zeros((files, SKETCH_BYTES), np.uint8),
            [],
            np.full((files, 2), NO_STAMP, np.int64) if stamps else None,
        )


def row_sums(rows: Pixels) -> NDArray[np.uint32]:
    """(N, ...) uint8 -> (N,) CRC-32 of each row: always changed by an error within 32 bits, by others but for 2^-32."""
    flat = np.ascontiguousarray(rows).reshape(len(rows), -1)
    return np.fromiter((zlib.crc32(row.data) for row in flat), np.uint32, len(flat))


def stamp(status: os.stat_result, now_ns: int) -> tuple[int, int]:
    """(bytes, time of the last change in ns) of a file; the time is -1 if it lies less than two seconds back.

    Such a file could change once more without a new time, as coarsely as some file systems count.
    """
    settled = status.st_mtime_ns < now_ns - JUST_WRITTEN_NS
    return status.st_size, status.st_mtime_ns if settled else -1


def cannot_write(error: OSError) -> CacheError:
    """The letter for a disk that takes no more."""
    return CacheError(
        f"cache: the decoded pictures could not be written. Got: {error.strerror or error}. "
        "Free some space, or pass another cache_dir (or set CROSSFADE_CACHE)."
    )


_NO_DIGEST = bytes(DIGEST_BYTES)


@dataclass(slots=True)
class Chunk:
    """What was found in one chunk, packed for its way between processes: as `Findings`, rows counted from its first."""

    digests: bytes
    shapes: bytes
    sums: bytes
    sketches: bytes
    stamps: bytes
    refused: list[tuple[int, str, str]]

    def put(self, found: Findings, first: int, end: int) -> None:
        """Store it as rows `first` to `end`, but for `refused`, which several threads may not share."""
        found.digests[first:end] = np.frombuffer(self.digests, np.uint8).reshape(-1, DIGEST_BYTES)
        found.shapes[first:end] = np.frombuffer(self.shapes, np.int32).reshape(-1, 3)
        if self.sums:
            found.sums[first:end] = np.frombuffer(self.sums, np.uint32)
        if self.sketches:
            found.sketches[first:end] = np.frombuffer(self.sketches, np.uint8).reshape(-1, SKETCH_BYTES)
        if self.stamps and found.stamps is not None:
            found.stamps[first:end] = np.frombuffer(self.stamps, np.int64).reshape(-1, 2)


class GivenUp(Exception):
    """Nobody wants the rest any more."""


class Reader:
    """Does a job, chunk by chunk, in this thread; a chunk is given up where `unwanted` says so."""

    def __init__(self, job: Job, unwanted: Callable[[], bool] = lambda: False) -> None:
        self.job, self.unwanted = job, unwanted
        self.rows = np.zeros((0, *sides(job.size), job.channels), np.uint8)
        self.sketcher = Sketcher()
        self.alike: list[int] = []  # rows of the chunk that hold a picture as it was decoded
        self.output = self.folder = None
        if job.output is not None:
            flags = os.O_WRONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
            self.output = os.open(job.output, flags)
        # With a handle of the folder the system need not walk down to it for every file.
        if os.open in os.supports_dir_fd:
            self.folder = os.open(job.prefix, os.O_RDONLY)

    def close(self) -> None:
        for handle in (self.output, self.folder):
            if handle is not None:
                os.close(handle)

    def chunk(self, first: int, names: Sequence[str]) -> Chunk:
        """Read files `first`, `first` + 1, ...

        Raises:
            OSError: the rows cannot be written.
            GivenUp: it is unwanted.
        """
        if len(self.rows) < len(names):
            self.rows = np.zeros((len(names), *self.rows.shape[1:]), np.uint8)
        digests: list[bytes] = []
        shapes: list[tuple[int, ...]] = []
        stamps: list[tuple[int, int]] = []
        refused: list[tuple[int, str, str]] = []
        look = self._look()
        no_shape: tuple[int, ...] = (0, 0, 0)
        noted = stamps if self.job.stamps else None
        for row, name in enumerate(names):
            if self.unwanted():
                raise GivenUp
            digest, shape = _NO_DIGEST, no_shape
            try:
                data = self._read(name, noted)
                digest = blake2b(data, digest_size=DIGEST_BYTES).digest()
                shape = look(row, data)
            except RefusedPicture as error:
                refused.append((row, error.reason, error.detail))
                if noted is not None and len(noted) == row:  # it could not even be opened
                    noted.append(NO_STAMP)
            digests.append(digest)
            shapes.append(shape)
        sums = b"" if self.output is None else self._write(first, self.rows[: len(names)])
        sketches = b""
        if self.job.what == "decode":
            found = self.sketcher.finish(len(names))
            sketch_rows(self.rows, self.alike, found)
            sketches = found.tobytes()
            self._expect(shapes[0])
        times = np.array(stamps, np.int64).tobytes() if self.job.stamps else b""
        return Chunk(b"".join(digests), np.array(shapes, np.int32).tobytes(), sums, sketches, times, refused)

    def _read(self, name: str, noted: list[tuple[int, int]] | None) -> bytes:
        """All of a file; its `stamp`, taken before its bytes so that a later change shows, is added to `noted`."""
        note = None if noted is None else lambda status: noted.append(stamp(status, time.time_ns()))
        try:
            return read_below(self.job.prefix, name, self.folder, note)
        except MemoryError:
            raise RefusedPicture("unreadable", "a file larger than the memory") from None

    def _look(self) -> Callable[[int, bytes], tuple[int, ...]]:
        """What is found out about a file's bytes: (height, width, channels)."""
        job, rows = self.job, self.rows
        if job.what == "hash":
            return lambda row, data: (0, 0, 0)
        if job.what == "header":
            return lambda row, data: read_header(data, max_pixels=job.max_pixels)
        decode, note, alike, writes = Decoder(job.max_pixels), self.sketcher.add, self.alike, self.output is not None
        wanted = rows.shape[1:]
        easy = is_regular(wanted)
        alike.clear()

        def decode_into_row(row: int, data: bytes) -> tuple[int, ...]:
            image = decode(data)
            shape = image.shape
            if easy and shape == wanted:
                rows[row] = image
                alike.append(row)
                return shape
            note(row, image)
            if writes:
                rows[row] = to_row(image, job.size, job.channels, job.fit)
            return shape

        return decode_into_row

    def _expect(self, shape: tuple[int, ...]) -> None:
        """Where no rows are written, keep room for small pictures of the shape that came last."""
        if self.output is None and is_regular(shape) and shape != self.rows.shape[1:]:
            self.rows = np.zeros((0, *shape), np.uint8)

    def _write(self, first: int, rows: Pixels) -> bytes:
        assert self.output is not None
        view = memoryview(rows.data).cast("B")
        position = self.job.offset + first * self.job.row_bytes
        while view:
            written = _pwrite(self.output, view, position)
            view, position = view[written:], position + written
        return row_sums(rows).tobytes()


def _pwrite(handle: int, view: memoryview, position: int) -> int:
    if hasattr(os, "pwrite"):
        return os.pwrite(handle, view, position)
    os.lseek(handle, position, os.SEEK_SET)
    return os.write(handle, view)


# ------------------------------------------------------------------------------------------- in a helper process


def send(pipe: Any, message: object) -> None:
    """Hand a message to the process at the other end."""
    pickle.dump(message, pipe, protocol=pickle.HIGHEST_PROTOCOL)
    pipe.flush()


def serve() -> None:
    """Run a helper: jobs with all their names, and chunks, from standard input; answers to standard output."""
    back = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints must not land among the answers
    to = sys.stdin.buffer
    try:
        while True:
            message = pickle.load(to)
            if isinstance(message[0], Job):
                reader, names = Reader(message[0]), message[1]
            else:
                first, end = message
                send(back, reader.chunk(first, names[first:end]))
    except (EOFError, BrokenPipeError):
        pass  # the caller is gone
    except OSError as error:
        send(back, OSError(error.errno, error.strerror))
