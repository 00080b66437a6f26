"""The decoded pictures on disk: one memory-mapped uint8 array that later runs open at once.

A cache is a folder ``<listing>-<content>-<size>x<channels>`` below the cache directory:

    pixels.npy   (N, size, size, channels) uint8; any program that reads .npy can read it
    sums.npy     (N,) uint64, the sum of the 64-bit words of each picture: a changed byte is noticed
    shapes.npy   (M, 3) int32 height, width, channels of all M files; zeros where a file is refused
    meta.json    version, size, channels, fit, and the refused files with their reasons

<listing> is a hash of the files' paths and of what was asked for, <content> of their bytes, so a cache can
only be found for exactly the pictures it was made from. It is built under a temporary name and renamed
when it is whole.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossfade.data._reading import DIGEST_BYTES, Crew, Findings, Job, Progress, _cannot_write, row_sums
from crossfade.data.decode import MAX_PIXELS, Pixels
from crossfade.data.fit import Fit, check_fit
from crossfade.data.scan import Index, Listing, list_folder
from crossfade.errors import CacheError, ConfigError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

VERSION = 1  # raise it whenever the same files would give other pixels or another layout
LARGEST_AUTO = 128
_HEADER_BYTES = 128
_BUILDING = ".building-"
_CHECKED_BYTES = 1 << 30
_STALE_SECONDS = 7 * 24 * 3600
_GUESS_FILES = 16


@dataclass(frozen=True)
class Cache:
    """Decoded pictures, in the order of the index.

    Attributes:
        pixels: (N, size, size, channels) uint8, a read-only memory map.
        size: side in pixels.
        channels: 1 or 3.
        fit: how pictures became square, see `fit_square`.
        key: names the files, their content, the size, the channels and the code version.
        folder: where it is on disk.
        reused: True if it was there already.
    """

    pixels: Pixels
    size: int
    channels: int
    fit: Fit
    key: str
    folder: Path
    reused: bool


def prepare(
    root: str | os.PathLike[str],
    *,
    size: int | None = None,
    channels: int | None = None,
    fit: Fit = "stretch",
    cache_dir: str | os.PathLike[str] | None = None,
    max_pixels: int = MAX_PIXELS,
    workers: int | None = None,
    progress: Progress | None = None,
) -> tuple[Index, Cache]:
    """Scan a folder and bring its pictures to one size, decoded, on disk; in one pass over the files.

    If they are there already from an earlier call, the files are only read and hashed, to see that nothing
    changed.

    Args:
        root: as for `scan`.
        size: side in pixels; None keeps the size if all pictures are squares of one size up to 128, else takes the
            median short side rounded down to a multiple of 16, within 16..128.
        channels: 1 or 3; None takes 1 if all pictures are grey.
        fit: how pictures become square, see `fit_square`; "drop" needs a size, and refuses what is smaller.
        cache_dir: None takes $CROSSFADE_CACHE, $XDG_CACHE_HOME/crossfade or ~/.cache/crossfade.
        max_pixels: larger pictures are refused.
        workers: processes; None takes all processors this process may use.
        progress: called as ``progress(done, total)``.

    Raises:
        DataError: as `scan`.
        CacheError: the cache cannot be written or a helper process died.
        ConfigError: a size, number of channels or fit that makes no sense.
    """
    check_fit(fit)
    if fit == "drop" and size is None:
        raise ConfigError('prepare: fit="drop" needs a size. Got size=None. Pass size=100, say.')
    if size is not None and size < 1:
        raise ConfigError(f"prepare: size is a side in pixels, at least 1. Got {size}. Pass size=32, say.")
    if channels not in (None, 1, 3):
        raise ConfigError(f"prepare: channels must be 1, 3 or None. Got {channels}. Pass 3 for colours.")
    home = _home(cache_dir)
    with Crew(workers) as crew:
        listing = list_folder(root, crew.expect)
        shelf = _Shelf(home, listing, _Wanted(size, channels, fit, max_pixels), crew, progress)
        return shelf.find() or shelf.build()


def default_cache_dir() -> Path:
    """$CROSSFADE_CACHE, else $XDG_CACHE_HOME/crossfade, else ~/.cache/crossfade."""
    if given := os.environ.get("CROSSFADE_CACHE"):
        return Path(given)
    if given := os.environ.get("XDG_CACHE_HOME"):
        return Path(given) / "crossfade"
    return Path.home() / ".cache" / "crossfade"


def _home(cache_dir: str | os.PathLike[str] | None) -> Path:
    home = default_cache_dir() if cache_dir is None else Path(cache_dir)
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _no_cache_dir(home, error) from error
    return home.resolve()


def _no_cache_dir(home: Path, error: OSError) -> CacheError:
    return CacheError(
        f"cache: its folder must be writable. Got {error.strerror or error} for {home}. "
        "Pass another cache_dir, or set CROSSFADE_CACHE."
    )


@dataclass(frozen=True)
class _Wanted:
    """What the caller asked for; None is to be chosen from the pictures."""

    size: int | None
    channels: int | None
    fit: Fit
    max_pixels: int

    def choose(self, shapes: NDArray[np.int32]) -> tuple[int, int]:
        """(size, channels) for the accepted pictures' (height, width, channels)."""
        shapes = shapes[shapes[:, 0] > 0]
        size, channels = self.size, self.channels
        if channels is None:
            channels = 1 if len(shapes) and (shapes[:, 2] == 1).all() else 3
        if size is None:
            size = _choose_size(shapes)
        return size, channels


def _choose_size(shapes: NDArray[np.int32]) -> int:
    if not len(shapes):
        return LARGEST_AUTO
    short = shapes[:, :2].min(axis=1)
    if short[0] <= LARGEST_AUTO and (shapes[:, :2] == short[0]).all():
        return int(short[0])
    return int(np.clip(np.median(short) // 16 * 16, 16, LARGEST_AUTO))


class _Shelf:
    """The place in the cache directory for one listing of files and one wish."""

    def __init__(self, home: Path, listing: Listing, wanted: _Wanted, crew: Crew, progress: Progress | None) -> None:
        self.home, self.listing, self.wanted = home, listing, wanted
        self.crew, self.progress = crew, progress
        names = "\0".join(listing.paths).encode("utf-8", "surrogateescape")
        wish = json.dumps([VERSION, wanted.size, wanted.channels, wanted.fit, wanted.max_pixels])
        self.name = blake2b(names + b"\0\0" + wish.encode(), digest_size=8).hexdigest()

    def find(self) -> tuple[Index, Cache] | None:
        """The finished cache of these very files, or None."""
        if not any(self.home.glob(f"{self.name}-*")):
            return None
        found = self.crew.read(self._job("hash"), self.listing.paths, self.progress)
        for folder in sorted(self.home.glob(f"{self.name}-{_content(found)}-*")):
            if (opened := self._open(folder, reused=True)) is not None:
                cache, earlier = opened
                return self.listing.index(replace(earlier, digests=found.digests)), cache
        return None

    def build(self) -> tuple[Index, Cache]:
        """Read, decode and publish."""
        try:
            with _workshop(self.home) as folder:
                found, size, channels = self._write_pixels(folder)
                index = self.listing.index(found)  # says what is wrong with the pictures before anything is published
                kept = np.flatnonzero(found.shapes[:, 0] > 0)
                _finish_pixels(folder / "pixels.npy", kept, len(found.shapes), (size, size, channels))
                self._write_notes(folder, found, kept, size, channels)
                final = self.home / f"{self.name}-{_content(found)}-{size}x{channels}"
                return self._publish(folder, final, index)
        except OSError as error:
            raise _cannot_write(error) from error

    def _publish(self, folder: Path, final: Path, index: Index) -> tuple[Index, Cache]:
        """Give a finished folder its name. If another process was first, its folder is used, if whole."""
        for _ in range(2):
            try:
                os.rename(folder, final)
                reused = False
            except OSError:
                if not final.is_dir():
                    raise
                reused = True
            _flush_folder(self.home)
            if (cache := self._open(final, reused=reused)) is not None:
                return index, cache[0]
        raise CacheError(
            f"cache: what was written must be readable. Got other bytes back from {final}. "
            "Check the disk, or pass another cache_dir."
        )

    def _write_pixels(self, folder: Path) -> tuple[Findings, int, int]:
        """One pass over the files; a second one only if the size was guessed wrongly."""
        output = folder / "pixels.npy"
        size, channels = self._guess()
        for _ in range(3):
            output.write_bytes(b"")
            job = self._job("decode", str(output), size, channels)
            with _flushing(output):
                found = self.crew.read(job, self.listing.paths, self.progress)
            chosen = self.wanted.choose(found.shapes)
            if chosen == (size, channels):
                return found, size, channels
            size, channels = chosen
        raise CacheError(
            f"cache: pictures must not change while they are read. Got other sizes each time from {self.listing.root}. "
            "Run again when the folder is at rest."
        )

    def _guess(self) -> tuple[int, int]:
        """Size and channels from a few files if they are alike, else from the headers of all."""
        if self.wanted.size is not None and self.wanted.channels is not None:
            return self.wanted.size, self.wanted.channels
        job, paths = self._job("header"), self.listing.paths
        few = self.crew.read(job, paths[:: max(1, len(paths) // _GUESS_FILES)]).shapes
        few = few[few[:, 0] > 0]
        if len(few) and (self.wanted.size is not None or (few[:, :2] == few[0, 0]).all()):
            return self.wanted.choose(few)
        return self.wanted.choose(self.crew.read(job, paths).shapes)

    def _job(self, what: str, output: str | None = None, size: int = 0, channels: int = 3) -> Job:
        prefix, fit = self.listing.prefix, self.wanted.fit
        return Job(what, prefix, self.wanted.max_pixels, output, _HEADER_BYTES, size, channels, fit)

    def _write_notes(self, folder: Path, found: Findings, kept: NDArray[np.int64], size: int, channels: int) -> None:
        sums, shapes = found.sums[kept], found.shapes
        meta = {
            "version": VERSION,
            "size": size,
            "channels": channels,
            "fit": self.wanted.fit,
            "pictures": len(kept),
            "refused": found.refused,
            "notes": _digest_of(shapes, sums, found.refused),
        }
        _save(folder / "sums.npy", sums)
        _save(folder / "shapes.npy", shapes)
        with open(folder / "meta.json", "w", encoding="ascii") as file:
            json.dump(meta, file)
            _flush(file)

    def _open(self, folder: Path, *, reused: bool) -> tuple[Cache, Findings] | None:
        """A published cache and what was found when it was made; None, after taking it away, if it is damaged."""
        try:
            meta = json.loads((folder / "meta.json").read_text("ascii"))
            shapes = np.load(folder / "shapes.npy", allow_pickle=False)
            sums = np.load(folder / "sums.npy", allow_pickle=False)
            size, channels = meta["size"], meta["channels"]
            pixels = _map_pixels(folder / "pixels.npy", (meta["pictures"], size, size, channels))
            whole = _is_whole(meta, shapes, sums, pixels, len(self.listing.paths), check=reused)
        except Exception:  # NumPy's reader meets a damaged file with errors of many kinds
            whole = False
        if not whole:
            _discard(folder)
            return None
        cache = Cache(pixels, size, channels, self.wanted.fit, folder.name, folder, reused)
        return cache, Findings(np.zeros((0, DIGEST_BYTES), np.uint8), shapes, sums, meta["refused"])


def _content(found: Findings) -> str:
    return blake2b(found.digests.tobytes(), digest_size=16).hexdigest()


def _digest_of(shapes: NDArray[np.int32], sums: NDArray[np.uint64], refused: Sequence[Any]) -> str:
    notes = blake2b(json.dumps(refused).encode(), digest_size=16)
    notes.update(shapes.tobytes() + sums.tobytes())
    return notes.hexdigest()


def _is_whole(
    meta: dict[str, Any],
    shapes: NDArray[np.int32],
    sums: NDArray[np.uint64],
    pixels: Pixels,
    files: int,
    *,
    check: bool,
) -> bool:
    """Whether the parts of a cache belong together, and its pixels are those that were written."""
    pictures = len(pixels)
    if meta["version"] != VERSION or shapes.shape != (files, 3) or sums.shape != (pictures,):
        return False
    if int((shapes[:, 0] > 0).sum()) != pictures or meta["notes"] != _digest_of(shapes, sums, meta["refused"]):
        return False
    return not check or _sums_agree(pixels, sums)


def _sums_agree(pixels: Pixels, sums: NDArray[np.uint64]) -> bool:
    """Check every picture of a cache up to 1 GiB, and of a larger one 1 GiB of evenly spread pictures."""
    row_bytes = int(np.prod(pixels.shape[1:]))
    stride = max(1, -(-pixels.nbytes // _CHECKED_BYTES))
    block = max(1, (4 << 20) // row_bytes) * stride
    for first in range(0, len(pixels), block):
        part = slice(first, first + block, stride)
        if not np.array_equal(row_sums(pixels[part]), sums[part]):
            return False
    return True


# ---------------------------------------------------------------------------------------- files and folders


def _finish_pixels(path: Path, kept: NDArray[np.int64], files: int, shape: tuple[int, ...]) -> None:
    """Close the gaps that refused files left, write the .npy header in front, bring all of it to the disk."""
    row_bytes = int(np.prod(shape))
    with open(path, "r+b") as file:
        file.truncate(_HEADER_BYTES + files * row_bytes)
        if len(kept) < files:
            _close_gaps(file, kept, row_bytes)
            file.truncate(_HEADER_BYTES + len(kept) * row_bytes)
        file.seek(0)
        file.write(_npy_header((len(kept), *shape)))
        _flush(file)


def _close_gaps(file: Any, kept: NDArray[np.int64], row_bytes: int) -> None:
    step = max(1, (16 << 20) // row_bytes)
    start = int(np.argmax(kept != np.arange(len(kept)))) if kept[-1] >= len(kept) else len(kept)
    while start < len(kept):
        rows = kept[start : start + step]
        first, last = int(rows[0]), int(rows[-1])
        file.seek(_HEADER_BYTES + first * row_bytes)
        block = np.frombuffer(file.read((last - first + 1) * row_bytes), np.uint8).reshape(-1, row_bytes)
        file.seek(_HEADER_BYTES + start * row_bytes)
        file.write(block[rows - first].tobytes())
        start += len(rows)


def _npy_header(shape: tuple[int, ...]) -> bytes:
    """A .npy header of exactly `_HEADER_BYTES` (NumPy's own may grow with the shape)."""
    text = repr({"descr": "|u1", "fortran_order": False, "shape": shape}).encode()
    start = b"\x93NUMPY\x01\x00" + (_HEADER_BYTES - 10).to_bytes(2, "little")
    return start + text.ljust(_HEADER_BYTES - 11) + b"\n"


@contextmanager
def _flushing(path: Path) -> Iterator[None]:
    """Bring a file to the disk while it is being written, so that little is left to wait for at its end."""
    ended = threading.Event()

    def flush() -> None:
        with suppress(OSError), open(path, "rb") as file:  # the last flush, in the open, reports what fails
            while not ended.wait(0.05):
                os.fsync(file.fileno())

    thread = threading.Thread(target=flush, name="crossfade-flush")
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _map_pixels(path: Path, shape: tuple[int, ...]) -> Pixels:
    with open(path, "rb") as file:
        if file.read(_HEADER_BYTES) != _npy_header(shape):
            raise ValueError("another header")
    return np.memmap(path, np.uint8, "r", _HEADER_BYTES, shape)


def _save(path: Path, values: NDArray[Any]) -> None:
    with open(path, "wb") as file:
        np.save(file, values)
        _flush(file)


def _flush(file: Any) -> None:
    file.flush()
    os.fsync(file.fileno())


@contextmanager
def _workshop(home: Path) -> Iterator[Path]:
    """A temporary folder beside the caches, locked as long as we live; those of the dead are cleared away."""
    try:
        _clear_abandoned(home)
        folder, lock = _locked_folder(home)
    except OSError as error:
        raise _no_cache_dir(home, error) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def _locked_folder(home: Path) -> tuple[Path, int | None]:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_BUILDING, dir=home))
        try:
            lock = _lock(folder)
        except OSError:  # cleared away by another process before it was locked
            if folder.exists():
                raise
            continue
        if folder.exists():
            return folder, lock
        if lock is not None:
            os.close(lock)


def _lock(folder: Path) -> int | None:
    """Lock a folder for this process, until it closes the handle or ends; None where locks are not to be had.

    Raises:
        BlockingIOError: another process holds it.
    """
    if fcntl is None:
        return None
    handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise
    except OSError:  # a file system without locks
        os.close(handle)
        return None
    return handle


def _clear_abandoned(home: Path) -> None:
    for folder in home.glob(_BUILDING + "*"):
        with suppress(OSError):
            lock = _lock(folder)
            if lock is not None or time.time() - folder.stat().st_mtime > _STALE_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)
            if lock is not None:
                os.close(lock)


def _flush_folder(folder: Path) -> None:
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _discard(folder: Path) -> None:
    """Take a damaged cache away: first its name, at once, then its files."""
    with suppress(OSError):
        gone = Path(tempfile.mkdtemp(prefix=_BUILDING, dir=folder.parent))
        os.rename(folder, gone / "damaged")
        shutil.rmtree(gone, ignore_errors=True)
