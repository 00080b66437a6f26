"""How many pictures a second pass each station of the data's way: disk, decoding, rows of the cache."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np

from crossfade.data._crew import Crew
from crossfade.data._reading import DIGEST_BYTES, Job
from crossfade.data.cache import Cache
from crossfade.data.decode import Decoder
from crossfade.data.files import read_file
from crossfade.data.fit import to_row
from crossfade.data.refusal import MAX_PIXELS
from crossfade.data.rows import Rows
from crossfade.data.scan import Index

LEAST_ROUNDS = 3
LEAST_SECONDS = 0.02
SAMPLE = 256
_CAN_FORGET = hasattr(os, "posix_fadvise")


@dataclass(frozen=True)
class Rate:
    """Pictures a second through one station, once for each round.

    Attributes:
        station: what was measured.
        rounds: pictures a second.
        note: how it was measured, in a few words.
    """

    station: str
    rounds: tuple[float, ...]
    note: str = ""

    @property
    def median(self) -> float:
        """Pictures a second."""
        return median(self.rounds)

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        spread = [min(self.rounds), max(self.rounds)]
        return {"pictures_per_second": self.median, "spread": spread, "n": len(self.rounds), "note": self.note}


def repeat(
    station: str,
    work: Callable[[], int],
    seconds: float,
    note: str = "",
    *,
    before: Callable[[], object] = lambda: None,
    warmup: int = 1,
    least: float = LEAST_SECONDS,
) -> Rate:
    """Time `work` for about `seconds`, and at least `LEAST_ROUNDS` rounds.

    Args:
        station: what is measured.
        work: returns how many pictures it did.
        seconds: in all.
        note: for the reader.
        before: called before each round, outside of the measurement.
        warmup: calls of `work` that are not counted.
        least: seconds of a round; `work` is called until they have passed.
    """
    for _ in range(warmup):
        work()
    rounds: list[float] = []
    end = time.perf_counter() + seconds
    while len(rounds) < LEAST_ROUNDS or time.perf_counter() < end:
        before()
        pictures, began, took = 0, time.perf_counter(), 0.0
        while not pictures or took < least:
            pictures += work()
            took = time.perf_counter() - began
        rounds.append(pictures / took)
    return Rate(station, tuple(rounds), note)


def disk(index: Index, seconds: float) -> Rate:
    """Read files in one thread; from the disk itself where the system can be asked to forget what it holds of them."""
    paths = _sample(index)
    length = sum(os.path.getsize(path) for path in paths) / len(paths)

    def work() -> int:
        for path in paths:
            read_file(path)
        return len(paths)

    rate = repeat("disk", work, seconds, before=lambda: _forget(paths), warmup=0, least=0.0)
    where = "the system was asked to forget them first" if _CAN_FORGET else "out of memory, if the system keeps them"
    return replace(rate, note=f"{length * rate.median / 1e6:,.0f} MB/s, one thread; {where}")


def _forget(paths: list[str]) -> None:
    for path in paths if _CAN_FORGET else ():
        handle = os.open(path, os.O_RDONLY)
        try:
            os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(handle)


def decode_alone(index: Index, cache: Cache, seconds: float) -> Rate:
    """Hash, decode and bring to size, of bytes in memory, in one thread."""
    files = [read_file(path) for path in _sample(index)]
    decoder = Decoder(MAX_PIXELS)

    def work() -> int:
        for data in files:
            blake2b(data, digest_size=DIGEST_BYTES).digest()
            to_row(decoder(data), cache.size, cache.channels, cache.fit)
        return len(files)

    return repeat("decode, alone", work, seconds, "one thread")


def decode_together(index: Index, cache: Cache, alone: Rate, seconds: float) -> Rate:
    """As a cache is built: read, hash, decode and write, by all threads or processes, their start included."""
    names = [os.path.relpath(path, index.root) for path in _sample(index)]
    names *= max(1, round(alone.median * seconds / len(names)))
    prefix = os.path.join(str(index.root), "")
    with TemporaryDirectory(prefix=".doctor-", dir=cache.folder.parent) as folder, Crew() as crew:
        output = Path(folder, "pixels")

        def work() -> int:
            output.write_bytes(b"")
            job = Job("decode", prefix, MAX_PIXELS, str(output), 0, cache.size, cache.channels, cache.fit)
            crew.read(job, names)
            return len(names)

        return repeat("decode", work, 0, f"{crew.workers} workers, files in memory", warmup=0)


def rows(pixels: Rows, ids: np.ndarray, batch: int, seconds: float) -> Rate:
    """Take rows in random order, a batch at a time."""
    rng = np.random.default_rng(0)
    out = np.empty((min(batch, len(ids)), *pixels.shape[1:]), np.uint8)

    def work() -> int:
        pixels.take(rng.choice(ids, len(out), replace=False), axis=0, out=out, mode="clip")
        return len(out)

    return repeat("rows", work, seconds, "in random order")


def _sample(index: Index) -> list[str]:
    """Up to `SAMPLE` paths, evenly spread."""
    chosen = index.paths[:: -(-len(index) // SAMPLE)]
    return [os.path.join(str(index.root), path) for path in chosen]
