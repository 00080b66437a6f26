"""One pass over many picture files, by several threads or processes.

The thread that asks works too. Others join in when enough work is left to repay them: threads where a file
takes long enough to be decoded (Python itself is then hardly in the way), helper processes for small files, or
where so much is left that their start does not count. Nothing is forked, so threads that the caller may have
(PyTorch's, say) do no harm, and a script needs no ``if __name__ == "__main__"``.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TypeVar

from crossfade.data._helper import Helper
from crossfade.data._reading import Chunk, Findings, GivenUp, Job, Reader, cannot_write
from crossfade.interrupts import apart

Progress = Callable[[int, int], object]
T = TypeVar("T")

PROBE_FILES = 16
CHUNK_FILES = 256
CHUNK_BYTES = 2 << 20  # so that rows are still in a processor's own cache when they are summed and written
CHUNK_SECONDS = 0.2
THREADS_HELP_FROM = 2e-4  # seconds a file takes
THREADS_HELP_UNTIL = 2.0  # seconds of work that is left; with more, processes
HELPERS_PAY_SECONDS = 0.4  # work that must be left for helpers to be started, ...
HELPERS_HELP_SECONDS = 0.1  # ... and for anyone to be asked who is there already
MANY_FILES = 10_000


def processors() -> int:
    """How many this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


def lead(work: Callable[[Crew, Progress], T], workers: int | None = None, progress: Progress | None = None) -> T:
    """Do `work` with a crew where no signal strikes it; Ctrl-C is heard after a picture, or a class that is listed.

    Args:
        work: called with the crew, and with what is to be told how far it is.
        workers: of the `Crew`.
        progress: called as ``progress(done, total)`` in the caller's thread, now and then.

    Raises:
        BaseException: what `work` raised, or what a signal or `progress` did, see `apart`.
    """
    crew, reached = Crew(workers), deque[tuple[int, int]]()

    def whole() -> T:
        with crew:
            return work(crew, lambda done, total: reached.append((done, total)))

    def tell() -> None:
        while reached:
            at = reached.popleft()
            if progress is not None:
                progress(*at)

    return apart(whole, crew.give_up, tell)


class Crew:
    """The caller's process and its helpers, for all passes of one call; leaving the block ends the helpers.

    Args:
        workers: threads or processes, the caller's included; None takes the processors this process may use.
    """

    def __init__(self, workers: int | None = None) -> None:
        self.workers = processors() if workers is None else max(1, workers)
        self.helpers: list[Helper] = []
        self.unwanted = False

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def give_up(self) -> None:
        """Let whatever the crew does end soon."""
        self.unwanted = True

    def check(self) -> None:
        """Raise `GivenUp` if nobody wants it any more."""
        if self.unwanted:
            raise GivenUp

    def expect(self, files: int) -> None:
        """Let helpers wake up already while files are still being listed, if there are many."""
        self.check()
        if files >= MANY_FILES:
            self.start()

    def start(self) -> None:
        """Start the helpers, once."""
        if sys.executable and not getattr(sys, "frozen", False):
            with suppress(OSError):  # fewer helpers, or none, where the system allows no more processes
                while len(self.helpers) < self.workers - 1:
                    self.helpers.append(Helper())

    def stop(self) -> None:
        """End the helpers, whatever they are doing."""
        for helper in self.helpers:
            helper.stop()

    def read(self, job: Job, names: Sequence[str], progress: Progress | None = None) -> Findings:
        """Do `job` for every name (relative to ``job.prefix``).

        Args:
            job: what to do.
            names: of N files.
            progress: called as ``progress(done, total)`` from the thread that asks, now and then.

        Raises:
            CacheError: rows cannot be written, or a helper process died.
        """
        return Pass(self, job, names, progress).run()


class Pass:
    """One job for one list of files: what is still to do, and where results are put."""

    def __init__(self, crew: Crew, job: Job, names: Sequence[str], progress: Progress | None) -> None:
        self.crew, self.job, self.names, self.progress = crew, job, names, progress
        self.found = Findings.empty(len(names), job.stamps)
        self.largest = max(1, min(CHUNK_FILES, CHUNK_BYTES // max(1, job.row_bytes)))
        self.given = self.done = 0
        self.lock = threading.Lock()
        self.failure: BaseException | None = None
        self.others: list[threading.Thread] = []

    def run(self) -> Findings:
        """Work until all is done."""
        try:
            self._work(asking=True)
            for thread in self.others:
                while thread.is_alive():
                    thread.join(0.1)
                    self._tell()
                    self.crew.check()
            self.crew.check()
            if self.failure is not None:
                raise self.failure
        except BaseException as error:
            self.fail(error)
            self.crew.stop()
            for thread in self.others:  # nothing is taken away under their hands
                thread.join()
            raise
        self._tell()
        self.found.refused.sort()
        return self.found

    def fail(self, error: BaseException) -> None:
        """Stop everybody, and let `run` raise the first of all errors."""
        if self.failure is None:
            self.failure = error

    def next_chunk(self) -> tuple[int, int] | None:
        """The next files for whoever asks; fewer towards the end, so that all end together."""
        with self.lock:
            left = len(self.names) - self.given
            if left == 0 or self._unwanted():
                return None
            fair = left // (8 * self.crew.workers) if self.given else PROBE_FILES
            first = self.given
            self.given += min(left, self.largest, max(1, fair))
            return first, self.given

    def _unwanted(self) -> bool:
        return self.failure is not None or self.crew.unwanted

    def put(self, at: tuple[int, int], chunk: Chunk) -> None:
        """Store what was found in a chunk."""
        first, end = at
        chunk.put(self.found, first, end)
        with self.lock:
            self.found.refused += [(first + row, reason, detail) for row, reason, detail in chunk.refused]
            self.done += end - first

    def _work(self, *, asking: bool = False) -> None:
        """Do chunks until none is left; the first of all threads is `asking` for help, and tells how far it is."""
        reader = Reader(self.job, self._unwanted)
        began = time.perf_counter()
        try:
            while (at := self.next_chunk()) is not None:
                try:
                    chunk = reader.chunk(at[0], self.names[at[0] : at[1]])
                except OSError as error:
                    raise cannot_write(error) from error
                except GivenUp:
                    return
                self.put(at, chunk)
                if asking:
                    self._tell()
                    if not self.others:
                        self._get_help(time.perf_counter() - began)
        finally:
            reader.close()

    def _work_along(self) -> None:
        try:
            self._work()
        except BaseException as error:
            self.fail(error)

    def _get_help(self, seconds: float) -> None:
        """Set others to work if what is left repays it; `seconds` were spent so far, by us alone."""
        pace = seconds / self.done
        self.largest = max(1, min(self.largest, int(CHUNK_SECONDS / max(pace, 1e-9))))
        left = pace * (len(self.names) - self.done)
        if left <= HELPERS_HELP_SECONDS or self.crew.workers == 1:
            return
        if not self.crew.helpers and pace >= THREADS_HELP_FROM and left <= THREADS_HELP_UNTIL:
            others = [
                threading.Thread(target=self._work_along, name="crossfade-reader") for _ in range(self.crew.workers - 1)
            ]
        else:
            if left > HELPERS_PAY_SECONDS:
                self.crew.start()
            others = [helper.thread(self) for helper in self.crew.helpers]
        with suppress(RuntimeError):  # fewer, where the system allows no more threads
            for thread in others:
                thread.start()
                self.others.append(thread)

    def _tell(self) -> None:
        if self.progress is not None:
            self.progress(self.done, len(self.names))
