"""Ctrl-C and SIGTERM strike nothing that is half done.

Python runs a signal's handler in the main thread, wherever a function is entered or one of C is left. What it raises
there may leave a setting changed or a lock taken, for which no `finally` helps: it, too, may be cut off.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, TypeVar

T = TypeVar("T")

TELL_SECONDS = 0.1


def replaceable() -> dict[int, Any]:
    """The handlers of SIGINT and SIGTERM, but for a signal that is ignored, and a handler that is not Python's own.

    The latter reads as None, and could not be brought back.
    """
    found = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    return {number: handler for number, handler in found.items() if handler not in (None, signal.SIG_IGN)}


class HeardBy:
    """Inside ``with``, the first SIGINT and the first SIGTERM call `note` with their number; later ones act as before.

    Signals reach the main thread only: elsewhere nothing is changed. Nor is it for a signal that is ignored.
    """

    def __init__(self, note: Callable[[int], object]) -> None:
        self.note = note
        self.before: dict[int, Any] = {}

    def __enter__(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            return
        self.before = replaceable()
        try:
            for number in self.before:
                signal.signal(number, self._handle)
        except BaseException:
            self._restore()
            raise

    def __exit__(self, *_: object) -> None:
        self._restore()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        signal.signal(number, self.before[number])
        self.note(number)

    def _restore(self) -> None:
        try:
            self._give_back(signal.SIGINT)
        finally:
            try:
                self._give_back(signal.SIGTERM)
            except BaseException:  # Ctrl-C, given back by then, may have struck before
                self._give_back(signal.SIGTERM)
                raise

    def _give_back(self, number: int) -> None:
        if number in self.before:
            signal.signal(number, self.before[number])


class Held(HeardBy):
    """Inside ``with``, SIGINT and SIGTERM are only noted; on leaving, they are sent again.

    A second Ctrl-C acts at once. What listens below Python (asyncio's own handlers) hears each of them twice.
    """

    def __init__(self) -> None:
        self.came: list[int] = []
        super().__init__(self.came.append)

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        try:
            if self.came:
                signal.raise_signal(self.came[0])
        finally:
            if self.came[1:]:
                signal.raise_signal(self.came[1])


def apart(work: Callable[[], T], give_up: Callable[[], object], tell: Callable[[], object]) -> T:
    """Do `work` in a thread of its own, which no signal reaches, while the caller's only waits.

    Args:
        work: what is done.
        give_up: asks `work` to end soon; called where a signal, or `tell`, raised.
        tell: called in the caller's thread, ten times a second and at the end.

    Raises:
        BaseException: what `work` raised; or what a signal or `tell` did, when `work` has ended, for which no third
            signal waits.
    """
    thread = _Apart(work)
    try:
        with Held():
            started = thread.start()
        if not started:
            return work()
        while not thread.done:
            thread.wait()
            tell()
        tell()
    except BaseException:
        try:
            with Held():
                give_up()
                thread.end()
        except BaseException:  # one more signal, even before that one could be held
            give_up()
            raise
        raise
    return thread.outcome()


class _Apart:
    """A thread, and a lock that is free when it has ended: waiting for it can be cut off anywhere, and begun again."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self.work, self.claim, self.ended = work, threading.Lock(), threading.Lock()
        self.done = False
        self.result: Any = None
        self.error: BaseException | None = None
        self.ended.acquire()

    def start(self) -> bool:
        """Whether the system allows one more thread."""
        try:
            threading.Thread(target=self._run, name="crossfade-apart").start()
        except RuntimeError:
            return False
        return True

    def _run(self) -> None:
        if not self.claim.acquire(blocking=False):
            return
        try:
            self.result = self.work()
        except BaseException as error:
            self.error = error
        self.done = True
        self.ended.release()

    def wait(self) -> None:
        """For a moment."""
        self.ended.acquire(timeout=TELL_SECONDS)

    def end(self) -> None:
        """Wait until it has ended; what has not begun never will."""
        if not self.claim.acquire(blocking=False):
            while not self.done:
                self.wait()

    def outcome(self) -> Any:
        if self.error is not None:
            raise self.error
        return self.result
