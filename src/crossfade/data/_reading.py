"""One pass over many picture files, by several processes.

The caller's own process works too. Helpers are fresh interpreters that load nothing but NumPy and the
decoders; they are started only when enough work is left to repay their start. Nothing is forked, so threads
that the caller may have (PyTorch's, say) do no harm, and a script needs no ``if __name__ == "__main__"``.

A helper is told the job and all names at once, then where chunks begin and end, as pickles on its standard
input. For each chunk it answers with a pickle of packed bytes on its standard output.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from crossfade.data.decode import Decoder, Pixels, RefusedPicture, read_header
from crossfade.data.fit import Fit, fit_square, to_channels
from crossfade.errors import CacheError

Progress = Callable[[int, int], object]

DIGEST_BYTES = 16
PROBE_FILES = 16
CHUNK_FILES = 256
CHUNK_BYTES = 16 << 20
CHUNK_SECONDS = 0.2
HELPERS_PAY_SECONDS = 0.4  # work that must be left for helpers to be started, ...
HELPERS_HELP_SECONDS = 0.1  # ... and to be used where they are there already
MANY_FILES = 10_000


@dataclass(frozen=True)
class Job:
    """What is done with every file of a pass.

    Attributes:
        what: "hash" reads and hashes; "header" also reads sizes; "decode" decodes fully (and writes rows).
        prefix: stands before every name; ends with a separator.
        output: file that row i is written into, at `offset + i * size * size * channels`; or None.
    """

    what: str
    prefix: str
    max_pixels: int
    output: str | None = None
    offset: int = 0
    size: int = 0
    channels: int = 3
    fit: Fit = "stretch"

    @property
    def row_bytes(self) -> int:
        return self.size * self.size * self.channels if self.output else 0


@dataclass
class Findings:
    """What a pass found, a row per file in the order of the names.

    Attributes:
        digests: (N, 16) uint8, BLAKE2b of the file's bytes; zeros where it could not be read.
        shapes: (N, 3) int32 height, width, channels; zeros where the file is refused.
        sums: (N,) uint64, `row_sums` of the rows written; zeros where none was.
        refused: (row, reason, detail), sorted by row.
    """

    digests: NDArray[np.uint8]
    shapes: NDArray[np.int32]
    sums: NDArray[np.uint64]
    refused: list[tuple[int, str, str]]


def row_sums(rows: Pixels) -> NDArray[np.uint64]:
    """(N, ...) uint8 -> (N,) sums of each row's 64-bit words: any one changed byte changes its row's sum."""
    flat = np.ascontiguousarray(rows).reshape(len(rows), -1)
    whole = flat.shape[1] // 8 * 8
    words = flat if whole == flat.shape[1] else np.ascontiguousarray(flat[:, :whole])
    sums: NDArray[np.uint64] = np.add.reduce(words.view(np.uint64), axis=1)
    sums += np.add.reduce(flat[:, whole:], axis=1, dtype=np.uint64)
    return sums


def _processors() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


# --------------------------------------------------------------------------------------- one chunk of files

_NO_DIGEST = bytes(DIGEST_BYTES)
_BLOCK = 1 << 16
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_Packed = tuple[bytes, bytes, bytes, list[tuple[int, str, str]]]


class Reader:
    """Does a job, chunk by chunk, in this process."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.rows = np.zeros((0, job.size, job.size, job.channels), np.uint8)
        self.output = self.folder = None
        if job.output is not None:
            flags = os.O_WRONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
            self.output = os.open(job.output, flags)
        # With a handle of the folder the system need not walk down to it for every file.
        if os.open in os.supports_dir_fd:
            self.folder = os.open(job.prefix, os.O_RDONLY)
        self.prefix = job.prefix if self.folder is None else ""

    def close(self) -> None:
        for handle in (self.output, self.folder):
            if handle is not None:
                os.close(handle)

    def chunk(self, first: int, names: Sequence[str]) -> _Packed:
        """Read files `first`, `first` + 1, ... -> (digests, shapes, sums, refused), the first three packed.

        Raises:
            OSError: the rows cannot be written.
        """
        if self.output is not None and len(self.rows) < len(names):
            self.rows = np.zeros((len(names), *self.rows.shape[1:]), np.uint8)
        digests: list[bytes] = []
        shapes: list[tuple[int, ...]] = []
        refused: list[tuple[int, str, str]] = []
        look = self._look()
        no_shape: tuple[int, ...] = (0, 0, 0)
        for row, name in enumerate(names):
            digest, shape = _NO_DIGEST, no_shape
            try:
                data = self._read(self.prefix + name)
                digest = blake2b(data, digest_size=DIGEST_BYTES).digest()
                shape = look(row, data)
            except RefusedPicture as error:
                refused.append((row, error.reason, error.detail))
            digests.append(digest)
            shapes.append(shape)
        sums = b"" if self.output is None else self._write(first, self.rows[: len(names)])
        return b"".join(digests), np.array(shapes, np.int32).tobytes(), sums, refused

    def _read(self, path: str) -> bytes:
        try:
            # O_NONBLOCK: should the file have become a pipe since it was listed, opening it must not wait.
            handle = os.open(path, _FLAGS, dir_fd=self.folder)
            try:
                data = os.read(handle, _BLOCK)
                return data if len(data) < _BLOCK else data + _rest(handle)
            finally:
                os.close(handle)
        except OSError as error:
            raise RefusedPicture("unreadable", error.strerror or str(error)) from None
        except MemoryError:
            raise RefusedPicture("unreadable", "a file larger than the memory") from None

    def _look(self) -> Callable[[int, bytes], tuple[int, ...]]:
        """What is found out about a file's bytes: (height, width, channels)."""
        job, rows = self.job, self.rows
        if job.what == "hash":
            return lambda row, data: (0, 0, 0)
        if job.what == "header":
            return lambda row, data: read_header(data, max_pixels=job.max_pixels)
        decode = Decoder(job.max_pixels)
        if self.output is None:
            return lambda row, data: decode(data).shape
        wanted = rows.shape[1:]

        def decode_into_row(row: int, data: bytes) -> tuple[int, ...]:
            image = decode(data)
            shape = image.shape
            if shape != wanted:
                image = to_channels(fit_square(image, job.size, job.fit), job.channels)
            rows[row] = image
            return shape

        return decode_into_row

    def _write(self, first: int, rows: Pixels) -> bytes:
        assert self.output is not None
        view = memoryview(rows.data).cast("B")
        position = self.job.offset + first * self.job.row_bytes
        while view:
            written = _pwrite(self.output, view, position)
            view, position = view[written:], position + written
        return row_sums(rows).tobytes()


def _rest(handle: int) -> bytes:
    parts = []
    while part := os.read(handle, 16 * _BLOCK):
        parts.append(part)
    return b"".join(parts)


def _pwrite(handle: int, view: memoryview, position: int) -> int:
    if hasattr(os, "pwrite"):
        return os.pwrite(handle, view, position)
    os.lseek(handle, position, os.SEEK_SET)
    return os.write(handle, view)


# ---------------------------------------------------------------------------------------- the caller's side


class Crew:
    """The caller's process and its helpers, for all passes of one call; leaving the block ends the helpers.

    Args:
        workers: processes, this one included; None takes the processors this process may use.
    """

    def __init__(self, workers: int | None = None) -> None:
        self.workers = _processors() if workers is None else max(1, workers)
        self.helpers: list[_Helper] = []

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, *_: object) -> None:
        for helper in self.helpers:
            helper.stop()

    def expect(self, files: int) -> None:
        """Let helpers wake up already while files are still being listed, if there are many."""
        if files >= MANY_FILES:
            self.start()

    def start(self) -> None:
        """Start the helpers, once."""
        if sys.executable and not getattr(sys, "frozen", False):
            with suppress(OSError):  # fewer helpers, or none, where the system allows no more processes
                while len(self.helpers) < self.workers - 1:
                    self.helpers.append(_Helper())

    def read(self, job: Job, names: Sequence[str], progress: Progress | None = None) -> Findings:
        """Do `job` for every name (relative to ``job.prefix``).

        Args:
            job: what to do.
            names: of N files.
            progress: called as ``progress(done, total)`` from this thread, now and then.

        Raises:
            CacheError: rows cannot be written, or a helper process died.
        """
        return _Pass(self, job, names, progress).run()


class _Pass:
    """One job for one list of files: what is still to do, and where results are put."""

    def __init__(self, crew: Crew, job: Job, names: Sequence[str], progress: Progress | None) -> None:
        self.crew, self.job, self.names, self.progress = crew, job, names, progress
        total = len(names)
        self.found = Findings(
            np.zeros((total, DIGEST_BYTES), np.uint8),
            np.zeros((total, 3), np.int32),
            np.zeros(total, np.uint64),
            [],
        )
        self.largest = max(1, min(CHUNK_FILES, CHUNK_BYTES // max(1, job.row_bytes)))
        self.given = self.done = 0
        self.lock = threading.Lock()
        self.failure: Exception | None = None

    def run(self) -> Findings:
        reader = Reader(self.job)
        helped = False
        try:
            began = time.perf_counter()
            while (chunk := self.next_chunk()) is not None:
                self.put(chunk, self._do(reader, chunk))
                self._tell()
                helped = helped or self._get_help(time.perf_counter() - began)
        finally:
            reader.close()
        if helped:
            for helper in self.crew.helpers:
                while helper.working():
                    self._tell()
        if self.failure is not None:
            raise self.failure
        self._tell()
        self.found.refused.sort()
        return self.found

    def next_chunk(self) -> tuple[int, int] | None:
        """The next files for whoever asks; fewer towards the end, so that all end together."""
        with self.lock:
            left = len(self.names) - self.given
            if left == 0 or self.failure is not None:
                return None
            fair = left // (8 * self.crew.workers) if self.given else PROBE_FILES
            first = self.given
            self.given += min(left, self.largest, max(1, fair))
            return first, self.given

    def _do(self, reader: Reader, chunk: tuple[int, int]) -> _Packed:
        try:
            return reader.chunk(chunk[0], self.names[chunk[0] : chunk[1]])
        except OSError as error:
            raise _cannot_write(error) from error

    def _get_help(self, seconds: float) -> bool:
        """Set helpers to work if what is left repays it; `seconds` were spent so far, by us alone."""
        pace = seconds / self.done
        self.largest = max(1, min(self.largest, int(CHUNK_SECONDS / max(pace, 1e-9))))
        left = pace * (len(self.names) - self.done)
        if left > HELPERS_PAY_SECONDS:
            self.crew.start()
        if not self.crew.helpers or left <= HELPERS_HELP_SECONDS:
            return False
        for helper in self.crew.helpers:
            helper.begin(self)
        return True

    def put(self, chunk: tuple[int, int], packed: _Packed) -> None:
        """Store what was found in a chunk."""
        first, end = chunk
        digests, shapes, sums, refused = packed
        self.found.digests[first:end] = np.frombuffer(digests, np.uint8).reshape(-1, DIGEST_BYTES)
        self.found.shapes[first:end] = np.frombuffer(shapes, np.int32).reshape(-1, 3)
        if sums:
            self.found.sums[first:end] = np.frombuffer(sums, np.uint64)
        with self.lock:
            self.found.refused += [(first + i, reason, detail) for i, reason, detail in refused]
            self.done += end - first

    def _tell(self) -> None:
        if self.progress is not None:
            self.progress(self.done, len(self.names))


def _cannot_write(error: OSError) -> CacheError:
    return CacheError(
        f"cache: the decoded pictures could not be written. Got: {error.strerror or error}. "
        "Free some space, or pass another cache_dir (or set CROSSFADE_CACHE)."
    )


# An empty package in place of crossfade.data, whose own __init__ would load what a helper never needs.
_START = """
import sys, types
package = sys.modules["crossfade.data"] = types.ModuleType("crossfade.data")
package.__path__ = [sys.argv[1]]
sys.path[:] = sys.argv[2:]
from crossfade.data._reading import serve
serve()
"""


class _Helper:
    """A helper process, and the thread of ours that hands it chunks and takes what comes back."""

    AHEAD = 2  # chunks a helper has at hand, so that it need not wait for us

    def __init__(self) -> None:
        self.stopping = False
        self.thread: threading.Thread | None = None
        quiet = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-W", "ignore", "-c", _START, os.path.dirname(__file__), *map(str, sys.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **quiet},
            start_new_session=True,  # Ctrl-C is for the caller, who then ends us
        )

    def begin(self, work: _Pass) -> None:
        self.thread = threading.Thread(target=self._feed, args=(work,), name="crossfade-helper")
        self.thread.start()

    def working(self) -> bool:
        if self.thread is None:
            return False
        self.thread.join(0.1)
        return self.thread.is_alive()

    def stop(self) -> None:
        self.stopping = True
        self.process.kill()
        if self.thread is not None:
            self.thread.join()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            with suppress(OSError):  # what was left to send to a helper that is gone
                pipe.close() if pipe is not None else None

    def _feed(self, work: _Pass) -> None:
        to, back = self.process.stdin, self.process.stdout
        sent: deque[tuple[int, int]] = deque()
        try:
            _send(to, (work.job, work.names))
            while True:
                while len(sent) < self.AHEAD and (chunk := work.next_chunk()) is not None:
                    sent.append(chunk)
                    _send(to, chunk)
                if not sent:
                    return
                answer = pickle.load(cast(BinaryIO, back))
                if isinstance(answer, OSError):
                    raise _cannot_write(answer)
                work.put(sent.popleft(), answer)
        except (OSError, EOFError, pickle.UnpicklingError):
            self._fail(work, self._died())
        except Exception as error:
            self._fail(work, error)

    def _fail(self, work: _Pass, error: Exception) -> None:
        if not self.stopping and work.failure is None:
            work.failure = error

    def _died(self) -> CacheError:
        code = self.process.wait()
        how = f"signal {-code}" if code < 0 else f"exit status {code}"
        return CacheError(
            f"reading: a helper process ended before its work was done. Got {how}; often memory ran out. "
            "Run again, or pass workers=1 to read in one process. Nothing half-made is kept."
        )


# ---------------------------------------------------------------------------------------- the helper's side


def _send(pipe: Any, message: object) -> None:
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
                _send(back, reader.chunk(first, names[first:end]))
    except (EOFError, BrokenPipeError):
        pass  # the caller is gone
    except OSError as error:
        _send(back, OSError(error.errno, error.strerror))
