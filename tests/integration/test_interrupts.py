"""Ctrl-C and SIGTERM while pictures are read, at any point and at any time: nothing stays half done."""

from __future__ import annotations

import _imp
import itertools
import os
import random
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from crossfade.cli.stopping import Terminated, stopped_by_signals
from crossfade.data import _crew, _store, cache, pillow
from tests.integration.folders import write_corners
from tests.scale import scaled
from tests.strikes import Strike

BOTH = pytest.mark.parametrize(("number", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)])
WHAT = pytest.mark.parametrize("what", ["build by threads", "build by processes", "reuse", "mend"])
TIMES = scaled(10, 500)


class Reading:
    """Pictures to be read into a cache, anew or once more."""

    def __init__(self, folder: Path, what: str) -> None:
        self.data, self.home, self.what = write_corners(folder / "data", each=8), folder / "cache", what
        self.read()  # an import that is struck may leave Python's own lock taken
        self.handlers = [signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)]
        self.processes = children()

    def read(self) -> None:
        cache.prepare(self.data, cache_dir=self.home, workers=3)

    def make_ready(self) -> None:
        if "build" in self.what:
            shutil.rmtree(self.home, ignore_errors=True)
        if "mend" in self.what:
            with open(next(self.home.glob("*-*/pixels.npy")), "r+b") as file:
                file.seek(_store.HEADER_BYTES)
                file.write(bytes([random.randrange(256)] * 9))

    def left(self) -> list[object]:
        """What should not be there now."""
        ours = ("crossfade-reader", "crossfade-helper", "crossfade-apart")
        handlers = [signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)]
        return [
            *self.home.glob(".building-*"),
            *(one.name for one in threading.enumerate() if one.name.startswith(ours)),
            *children() - self.processes,
            *["Pillow's settings"] * (pillow._settings.inside != 0 or pillow._settings.lock.locked()),
            *["the lock of imports"] * _imp.lock_held(),
            *["a handler"] * (handlers != self.handlers),
        ]

    def left_after_a_moment(self) -> list[object]:
        for _ in range(100):
            if not (found := self.left()):
                break
            time.sleep(0.01)
        return found


def children() -> set[str]:
    """Our processes that still run, whichever of our threads started them; of a zombie no size is said."""
    listed = " ".join(map(text_of, Path("/proc/self/task").glob("*/children"))).split()
    return {child for child in listed if "VmSize" in text_of(Path(f"/proc/{child}/status"))}


def text_of(path: Path) -> str:
    """Nothing where a thread or a process has just ended."""
    try:
        return path.read_text()
    except OSError:
        return ""


@pytest.fixture
def reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> Iterator[Reading]:
    monkeypatch.setattr(_crew, "HELPERS_HELP_SECONDS", 0)
    monkeypatch.setattr(_crew, "HELPERS_PAY_SECONDS", 0)
    monkeypatch.setattr(_crew, "THREADS_HELP_FROM", 0)
    monkeypatch.setattr(_crew, "THREADS_HELP_UNTIL", 0 if "processes" in what else 1e9)
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda *_: None) for number in numbers]  # of two the second may come too late
    yield Reading(tmp_path, what)
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


def ends_with(error: type[BaseException], work: Callable[[], None]) -> bool:
    """Whether it ends so; what it raises by itself must be nothing else."""
    seen: list[object] = []

    def watched() -> None:
        try:
            work()
        except BaseException as caught:
            seen.append(type(caught))
            raise

    try:
        with stopped_by_signals():
            watched()
    except error:
        assert set(seen) <= {error}
        return True
    return False


@pytest.mark.slow
@pytest.mark.timeout(scaled(120, 1800))
@BOTH
@WHAT
def test_at_any_point(reading: Reading, number: int, error: type[BaseException]) -> None:
    """At every one in the full loop, else at one in eleven."""
    step, stopped = scaled(11, 1), 0
    for at in itertools.count(1, step):
        reading.make_ready()
        strike = Strike(number, at)

        def read(strike: Strike = strike) -> None:
            sys.setprofile(strike)
            try:
                reading.read()
            finally:
                sys.setprofile(None)

        ended = ends_with(error, read)
        assert reading.left_after_a_moment() == [], f"at point {at}"
        if not ended:
            assert strike.points < at, f"lost at point {at}"
            break
        stopped += 1
    assert stopped > 50 // step


@pytest.mark.slow
@pytest.mark.timeout(scaled(120, 1800))
@BOTH
@WHAT
@pytest.mark.parametrize("signals", [1, 2])
def test_at_any_time(reading: Reading, number: int, error: type[BaseException], signals: int) -> None:
    """Twice in a row, too, as some wrappers of processes send them."""
    rng = random.Random(f"{reading.what} {number} {signals}")
    began = time.perf_counter()
    reading.read()
    seconds = time.perf_counter() - began
    for _ in range(TIMES):
        reading.make_ready()
        delay = rng.uniform(0, seconds)
        delays = [delay, delay + rng.choice([0, 1e-4, seconds])][:signals]
        timers = [threading.Timer(delay, os.kill, (os.getpid(), number)) for delay in delays]

        def read(timers: list[threading.Timer] = timers) -> None:
            for timer in timers:
                timer.start()
            reading.read()
            for _ in range(1000):  # a signal just before one long sleep would wait for its end
                time.sleep(0.01)

        assert ends_with(error, read)
        while any(timer.is_alive() for timer in timers):
            time.sleep(0.001)
        assert reading.left_after_a_moment() == []
