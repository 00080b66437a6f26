"""The decoded pictures on disk: one memory-mapped uint8 array that later runs open at once.

A cache is a folder ``<listing>-<content>-<size>x<channels>`` below the cache directory; `_store` says what is in
it, and rectangles have ``<height>x<width>`` for a size. <listing> is a hash of the files' paths and of what was asked
for, <content> of their bytes, so a cache can only be found for exactly the pictures it was made from. It is built under
a temporary name and renamed when it is whole.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from hashlib import blake2b
from math import prod
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from crossfade.data import _store
from crossfade.data._crew import Crew, Progress, lead
from crossfade.data._reading import NO_STAMP, Job, cannot_write, stamp
from crossfade.data._store import HEADER_BYTES, PIXELS, Notes
from crossfade.data._workshop import cache_home, discard, workshop
from crossfade.data.fit import Fit, Size, check_fit, sides
from crossfade.data.listing import Listing, list_folder
from crossfade.data.onthefly import Decoded
from crossfade.data.refusal import MAX_PIXELS
from crossfade.data.rows import OnDisk, Pixels, memory
from crossfade.data.scan import Index, join
from crossfade.errors import CacheError, ConfigError

Trust = Literal["content", "mtime", "size"]

LARGEST_AUTO = 128
_GUESS_FILES = 16
_LATER = 1 << 62


@dataclass(frozen=True)
class Cache:
    """Decoded pictures, in the order of the index.

    Attributes:
        pixels: (N, height, width, channels) uint8: a read-only memory map; `OnDisk` where that is larger than half of
            the memory, or `Decoded` where there is no room for it at all.
        size: side of a square in pixels, or (height, width).
        channels: 1 or 3.
        fit: how pictures came to that size, see `fit_to`.
        key: names the files, their content, the size, the channels and the code version.
        folder: where it is on disk.
        reused: True if it was there already.
        mended: pictures that were damaged on the disk and were decoded anew.
    """

    pixels: Pixels | OnDisk | Decoded
    size: Size
    channels: int
    fit: Fit
    key: str
    folder: Path
    reused: bool
    mended: int = 0

    @property
    def on_the_fly(self) -> bool:
        """Whether pictures are decoded each time they are needed, since all of them would take too much room."""
        return isinstance(self.pixels, Decoded)


def prepare(
    root: str | os.PathLike[str],
    *,
    size: Size | None = None,
    channels: int | None = None,
    fit: Fit = "stretch",
    cache_dir: str | os.PathLike[str] | None = None,
    max_pixels: int = MAX_PIXELS,
    trust: Trust = "content",
    bound: int | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> tuple[Index, Cache]:
    """Scan a folder and bring its pictures to one size, decoded, on disk; in one pass over the files.

    If they are there already from an earlier call, it is only seen to that nothing changed, neither the files nor
    the cache. Pictures that are damaged in the cache are decoded anew.

    Args:
        root: as for `scan`.
        size: side of a square in pixels, or (height, width); None keeps the size if all pictures are squares of one
            size up to 128, else takes the median short side rounded down to a multiple of 16, within 16..128.
        channels: 1 or 3; None takes 1 if all pictures are grey.
        fit: how pictures come to that size, see `fit_to`; "drop" needs a size, and refuses what is smaller.
        cache_dir: None takes $CROSSFADE_CACHE, $XDG_CACHE_HOME/crossfade or ~/.cache/crossfade.
        max_pixels: larger pictures are refused.
        trust: how files are known to be the same as before: "content" reads and hashes them all, "mtime" compares
            their sizes and times, "size" their sizes. With these two, pixels that were once found whole are not
            read again either, unless somebody wrote to them.
        bound: bytes a cache may take; beyond them pictures are decoded on the fly. None takes half of what is free.
        workers: threads or processes; None takes all processors this process may use.
        progress: called as ``progress(done, total)``.

    Raises:
        DataError: as `scan`.
        CacheError: the cache lies in `root` or cannot be written, or a helper process died.
        ConfigError: a size, number of channels, fit or trust that makes no sense.
    """
    check_fit(fit)
    if fit == "drop" and size is None:
        raise ConfigError('prepare: fit="drop" needs a size. Got size=None. Pass size=100, say.')
    if channels not in (None, 1, 3):
        raise ConfigError(f"prepare: channels must be 1, 3 or None. Got {channels}. Pass 3 for colours.")
    if trust not in get_args(Trust):
        raise ConfigError(f'prepare: trust must be "content", "mtime" or "size". Got {trust!r}.')

    def work(crew: Crew, tell: Progress) -> tuple[Index, Cache]:
        listing = list_folder(root, crew.expect)
        home = cache_home(cache_dir, listing.root)
        wanted = _Wanted(_checked(size), channels, fit, max_pixels)
        shelf = _Shelf(home, listing, wanted, trust, bound, crew, tell)
        return shelf.find() or shelf.build()

    return lead(work, workers, progress)


@dataclass(frozen=True)
class _Wanted:
    """What the caller asked for; None is to be chosen from the pictures."""

    size: Size | None
    channels: int | None
    fit: Fit
    max_pixels: int

    def choose(self, shapes: NDArray[np.int32]) -> tuple[Size, int]:
        """(size, channels) for the accepted pictures' (height, width, channels)."""
        shapes = shapes[shapes[:, 0] > 0]
        size, channels = self.size, self.channels
        if channels is None:
            channels = 1 if len(shapes) and (shapes[:, 2] == 1).all() else 3
        if size is None:
            size = _choose_size(shapes)
        return size, channels


def _checked(size: Size | None) -> Size | None:
    """The size as a cache is named by it: of a square, the side."""
    if size is None:
        return None
    given = tuple(size) if isinstance(size, tuple | list) else (size, size)
    if len(given) != 2 or not all(isinstance(side, int | np.integer) and side >= 1 for side in given):
        raise ConfigError(
            f"prepare: size is a side in pixels, at least 1, or (height, width). Got {size}. Pass size=32, say."
        )
    height, width = (int(side) for side in given)
    return height if height == width else (height, width)


def _choose_size(shapes: NDArray[np.int32]) -> int:
    if not len(shapes):
        return LARGEST_AUTO
    short = shapes[:, :2].min(axis=1)
    if short[0] <= LARGEST_AUTO and (shapes[:, :2] == short[0]).all():
        return int(short[0])
    return int(np.clip(np.median(short) // 16 * 16, 16, LARGEST_AUTO))


@dataclass
class _Shelf:
    """The place in the cache directory for one listing of files and one wish."""

    home: Path
    listing: Listing
    wanted: _Wanted
    trust: Trust
    bound: int | None
    crew: Crew
    tell: Progress

    @property
    def name(self) -> str:
        names = "\0".join(self.listing.paths).encode("utf-8", "surrogateescape")
        wanted = self.wanted
        wish = json.dumps([_store.VERSION, wanted.size, wanted.channels, wanted.fit, wanted.max_pixels])
        return blake2b(names + b"\0\0" + wish.encode(), digest_size=8).hexdigest()

    # ------------------------------------------------------------------------------------------------ finding

    def find(self) -> tuple[Index, Cache] | None:
        """The finished cache of these very files, or None."""
        name = self.name
        if not any(self.home.glob(f"{name}-*")):
            return None
        if self.trust != "content":
            for folder in self._of_the_same_stamps(name):
                if (opened := self._open(folder)) is not None:
                    self._tell_all()
                    return opened
        found = self.crew.read(self._job("hash"), self.listing.paths, self.tell)
        for folder in sorted(self.home.glob(f"{name}-{_store.content_of(found)}-*")):
            if (opened := self._open(folder)) is not None:
                if found.stamps is not None:
                    _store.write_stamps(folder, self.listing.root, found.stamps)
                return opened
        return None

    def _of_the_same_stamps(self, name: str) -> Iterator[Path]:
        """Caches of files that had the same sizes (and times), the latest first."""
        columns = slice(0, 1) if self.trust == "size" else slice(0, 2)
        now: NDArray[np.int64] | None = None
        for folder in sorted(self.home.glob(f"{name}-*"), key=_time_of, reverse=True):
            then = _store.read_stamps(folder, self.listing.root)
            if then is None:
                continue
            now = _stamps_now(self.listing) if now is None else now
            if np.array_equal(then[:, columns], now[:, columns]):
                yield folder

    def _open(self, folder: Path) -> tuple[Index, Cache] | None:
        """A published cache, mended where its pixels are damaged; None, after taking it away, if that cannot be."""
        notes = _store.read_notes(folder, len(self.listing.paths))
        if notes is None or (notes.stored and not (folder / PIXELS).exists()):
            discard(folder)
            return None
        index = join(self.listing, notes.found)
        if not notes.stored:
            if self._has_room(notes.size, notes.channels):
                return None
            return index, self._on_the_fly(folder, notes, index, reused=True)
        try:
            bad = self._damaged(folder, notes)
            if len(bad) and not self._mend(folder, notes, bad):
                discard(folder)
                return None
            return index, self._mapped(folder, notes, reused=True, mended=len(bad))
        except FileNotFoundError:  # taken away by another process
            return None
        except OSError as error:
            raise cannot_write(error) from error

    def _damaged(self, folder: Path, notes: Notes) -> NDArray[np.int64]:
        """The pictures that are not as they were written."""
        if self.trust != "content" and _store.is_checked(folder):
            return np.zeros(0, np.int64)
        if not _store.frame_is_whole(folder / PIXELS, notes.shape):
            _store.mend_frame(folder / PIXELS, notes.shape)
        pixels = _store.map_pixels(folder / PIXELS, notes.shape)
        bad = _store.bad_rows(pixels, notes.found.sums, self.crew)
        if self.trust != "content" and not len(bad):
            _store.mark_checked(folder)
        return bad

    def _mend(self, folder: Path, notes: Notes, bad: NDArray[np.int64]) -> bool:
        """Decode the pictures that are damaged, and only them, into their places; False if they are others by now.

        Other processes may have the file open. They, too, find the right pixels where wrong ones were.
        """
        files = notes.kept[bad]
        with workshop(self.home) as scratch:
            (scratch / PIXELS).write_bytes(b"")
            job = replace(self._job("decode", scratch / PIXELS, notes.size, notes.channels), offset=0)
            found = self.crew.read(job, [self.listing.paths[file] for file in files.tolist()])
            same = np.array_equal(found.digests, notes.found.digests[files])
            if same and np.array_equal(found.sums, notes.found.sums[bad]):
                _store.write_rows(folder / PIXELS, bad, scratch / PIXELS)
                return True
        return False

    # ----------------------------------------------------------------------------------------------- building

    def build(self) -> tuple[Index, Cache]:
        """Read, decode and publish."""
        try:
            with workshop(self.home) as folder:
                notes = self._read_all(folder)
                index = join(self.listing, notes.found)  # says what is wrong with the pictures before it is published
                if notes.stored:
                    _store.finish_pixels(folder / PIXELS, notes.kept, len(self.listing.paths), notes.shape[1:])
                sums = notes.found.sums[notes.kept] if notes.stored else notes.found.sums[:0]
                notes = replace(notes, found=replace(notes.found, sums=sums))
                notes.write(folder)
                if notes.found.stamps is not None:
                    _store.write_stamps(folder, self.listing.root, notes.found.stamps)
                content = _store.content_of(notes.found)
                kind = "" if notes.stored else "-notes"
                final = self.home / f"{self.name}-{content}-{_written(notes.size)}x{notes.channels}{kind}"
                return self._publish(folder, final, notes, index)
        except OSError as error:
            raise cannot_write(error) from error

    def _publish(self, folder: Path, final: Path, notes: Notes, index: Index) -> tuple[Index, Cache]:
        """Give a finished folder its name. If another process was first, its folder is used, if whole."""
        for _ in range(2):
            try:
                os.rename(folder, final)
            except OSError:
                if not final.is_dir():
                    raise
                if (opened := self._open(final)) is not None:
                    return opened
            else:
                if not notes.stored:
                    return index, self._on_the_fly(final, notes, index, reused=False)
                return index, self._mapped(final, notes, reused=False)
        raise CacheError(
            f"cache: what was written must be readable. Got other bytes back from {final}. "
            "Check the disk, or pass another cache_dir."
        )

    def _read_all(self, folder: Path) -> Notes:
        """One pass over the files; a second one only if the size was guessed wrongly."""
        size, channels = self._guess()
        for _ in range(3):
            (folder / PIXELS).unlink(missing_ok=True)
            stored = self._has_room(size, channels)
            if stored:
                (folder / PIXELS).write_bytes(b"")
            job = self._job("decode", folder / PIXELS if stored else None, size, channels)
            found = self.crew.read(job, self.listing.paths, self.tell)
            chosen = self.wanted.choose(found.shapes)
            if chosen == (size, channels) or not (stored or self._has_room(*chosen)):
                return Notes(*chosen, self.wanted.fit, found, stored)
            size, channels = chosen
        raise CacheError(
            f"cache: pictures must not change while they are read. Got other sizes each time from {self.listing.root}. "
            "Run again when the folder is at rest."
        )

    def _has_room(self, size: Size, channels: int) -> bool:
        """Whether the pixels of all files may be stored."""
        bound = shutil.disk_usage(self.home).free // 2 if self.bound is None else self.bound
        return len(self.listing.paths) * prod(sides(size)) * channels <= bound

    def _guess(self) -> tuple[Size, int]:
        """Size and channels from a few files if they are alike, else from the headers of all."""
        if self.wanted.size is not None and self.wanted.channels is not None:
            return self.wanted.size, self.wanted.channels
        job, paths = self._job("header"), self.listing.paths
        few = self.crew.read(job, paths[:: max(1, len(paths) // _GUESS_FILES)]).shapes
        few = few[few[:, 0] > 0]
        if len(few) and (self.wanted.size is not None or (few[:, :2] == few[0, 0]).all()):
            return self.wanted.choose(few)
        return self.wanted.choose(self.crew.read(job, paths).shapes)

    # ------------------------------------------------------------------------------------------------- common

    def _job(self, what: str, output: Path | None = None, size: Size = 0, channels: int = 3) -> Job:
        return Job(
            what,
            self.listing.prefix,
            self.wanted.max_pixels,
            None if output is None else str(output),
            HEADER_BYTES,
            size,
            channels,
            self.wanted.fit,
            stamps=self.trust != "content",
        )

    def _mapped(self, folder: Path, notes: Notes, *, reused: bool, mended: int = 0) -> Cache:
        mapped = _store.map_pixels(folder / PIXELS, notes.shape)
        large = mapped.nbytes > memory() // 2
        pixels = OnDisk(mapped, folder / PIXELS, HEADER_BYTES) if large else mapped
        return Cache(pixels, notes.size, notes.channels, notes.fit, folder.name, folder, reused, mended)

    def _on_the_fly(self, folder: Path, notes: Notes, index: Index, *, reused: bool) -> Cache:
        workers, most = self.crew.workers, self.wanted.max_pixels
        pixels = Decoded(index, notes.size, notes.channels, notes.fit, max_pixels=most, workers=workers)
        return Cache(pixels, notes.size, notes.channels, notes.fit, folder.name, folder, reused)

    def _tell_all(self) -> None:
        self.tell(len(self.listing.paths), len(self.listing.paths))


def _written(size: Size) -> str:
    return str(size) if isinstance(size, int) else "x".join(map(str, size))


def _stamps_now(listing: Listing) -> NDArray[np.int64]:
    """(M, 2) bytes and times of the listed files, none opened."""
    prefix, stamps = listing.prefix, []
    for path in listing.paths:
        try:
            stamps.append(stamp(os.stat(prefix + path), _LATER))
        except OSError:  # gone since it was listed: reading will say so
            stamps.append(NO_STAMP)
    return np.array(stamps, np.int64).reshape(-1, 2)


def _time_of(folder: Path) -> int:
    try:
        return folder.stat().st_mtime_ns
    except OSError:
        return 0
