"""Ctrl-C and SIGTERM end a command wherever they come, and it leaves with 130 or 143."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from crossfade.interrupts import replaceable

SOON_SECONDS = 0.01


class Terminated(BaseException):
    """SIGTERM came."""


_ERRORS = {signal.SIGINT: KeyboardInterrupt, signal.SIGTERM: Terminated}


@contextmanager
def stopped_by_signals() -> Iterator[None]:
    """Inside, SIGTERM raises `Terminated` as Ctrl-C does KeyboardInterrupt, so that what is half done is cleared away.

    Nothing else comes out then, even where a library makes another error of it. What is ignored stays so.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    leaving = False

    def end(number: int, frame: object) -> None:
        came.append(number)
        if not leaving:
            raise _ERRORS[signal.Signals(number)]

    before = replaceable()
    try:
        for number in before:
            signal.signal(number, end)
        with _sent_again(came):
            yield
    finally:
        leaving = True
        for number, handler in before.items():
            signal.signal(number, handler)
        if came:
            raise _ERRORS[signal.Signals(came[0])]


@contextmanager
def _sent_again(came: list[int]) -> Iterator[None]:
    """What is raised while something is cleared from memory Python drops: the signal comes once more, soon."""
    hook = sys.unraisablehook
    timers: list[threading.Timer] = []

    def dropped(what: sys.UnraisableHookArgs) -> None:
        if what.exc_type not in _ERRORS.values() or not came:
            return hook(what)
        timers.append(threading.Timer(SOON_SECONDS, os.kill, (os.getpid(), came[-1])))
        timers[-1].start()

    sys.unraisablehook = dropped
    try:
        yield
    finally:
        sys.unraisablehook = hook
        for timer in timers:
            timer.cancel()
        for timer in timers:
            timer.join()
