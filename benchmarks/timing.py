"""Measuring side by side: every candidate once per round, so that all of them meet the same machine."""

from __future__ import annotations

import gc
import os
import platform
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

THREADS = 2

Work = Callable[[], object]


@dataclass(frozen=True)
class Timing:
    """How long one candidate took, once for each round."""

    name: str
    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """Seconds."""
        return statistics.median(self.seconds)

    def per(self, parts: int) -> Timing:
        """The same where one measurement was of `parts` equal pieces of work."""
        return Timing(self.name, tuple(value / parts for value in self.seconds))

    def __str__(self) -> str:
        fastest, slowest = min(self.seconds), max(self.seconds)
        return f"{show(self.median):>10}   {show(fastest)} .. {show(slowest)}, n={len(self.seconds)}"


REST = 0.05  # seconds


def interleave(works: dict[str, Work], rounds: int, *, warmup: int = 1) -> dict[str, Timing]:
    """Time every candidate once per round.

    The order within a round is shuffled, since what ran just before leaves its traces in caches and memory.
    Results are dropped inside the measurement: a training frees its batches, too.

    Args:
        works: the candidates by name.
        rounds: n of every median.
        warmup: rounds that are not counted.
    """
    seconds: dict[str, list[float]] = {name: [] for name in works}
    order = list(works)
    shuffle = random.Random(0).shuffle
    gc.collect()
    gc.freeze()  # so that collecting before each measurement need not look at what was loaded long ago
    try:
        for turn in range(warmup + rounds):
            shuffle(order)
            for name in order:
                took = _seconds(works[name])
                if turn >= warmup:
                    seconds[name].append(took)
    finally:
        gc.unfreeze()
    return {name: Timing(name, tuple(values)) for name, values in seconds.items()}


def _seconds(work: Work) -> float:
    """Of one call, which the garbage collector neither inherits work from nor interrupts.

    PyTorch's and OpenMP's threads wait at full speed for some milliseconds after their last work. Whoever comes next
    would share the cores with them, so everyone has a moment's rest first.
    """
    gc.collect()
    time.sleep(REST)
    gc.disable()
    try:
        began = time.perf_counter()
        work()
        return time.perf_counter() - began
    finally:
        gc.enable()


def show(seconds: float) -> str:
    """In the unit that reads best."""
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1e3:.1f} ms"


@contextmanager
def byte_code_kept() -> Iterator[None]:
    """Let the processes we start keep their byte code, as they do wherever Python is installed in the ordinary way.

    Else they would compile everything anew each time where PYTHONDONTWRITEBYTECODE is set.
    """
    names = ("PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX")
    before = {name: os.environ.pop(name) for name in names if name in os.environ}
    with tempfile.TemporaryDirectory(prefix="crossfade-bench-") as home:
        os.environ["PYTHONPYCACHEPREFIX"] = home
        try:
            yield
        finally:
            del os.environ["PYTHONPYCACHEPREFIX"]
            os.environ.update(before)


def machine() -> list[str]:
    """What it was measured on, and how busy that was before we began."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    lines = [
        f"{_processor()}, {cores} cores, {THREADS} threads for everybody, {platform.system()}",
        f"Python {platform.python_version()}, " + ", ".join(_versions("crossfade", "numpy", "numba", "torch")),
    ]
    if hasattr(os, "getloadavg"):
        load = os.getloadavg()[0]
        quiet = "quiet" if load < 0.5 else "NOT quiet: the figures are of little worth"
        lines.append(f"load before the start: {load:.1f} ({quiet})")
    if cores is not None and cores < THREADS:
        lines.append(f"the bars are meant for {THREADS} cores, and only {cores} may be used here")
    return lines


def _versions(*names: str) -> list[str]:
    return [f"{name} {installed(name) or 'not installed'}" for name in names]


def installed(name: str) -> str | None:
    """The version of a distribution, or None."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
