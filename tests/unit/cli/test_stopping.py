"""Signals that Python itself, or a library, would lose."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable

import pytest

from crossfade.cli.stopping import Terminated, stopped_by_signals

BOTH = pytest.mark.parametrize(("number", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)])


class Struck:
    """A signal comes while it is cleared from memory."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __del__(self) -> None:
        os.kill(os.getpid(), self.number)


def handlers() -> list[object]:
    return [signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM), sys.unraisablehook]


def stopped(work: Callable[[], object]) -> None:
    with stopped_by_signals():
        work()


@BOTH
def test_one_that_was_dropped_comes_once_more(number: int, error: type[BaseException]) -> None:
    before, seconds = handlers(), time.monotonic()

    def work() -> None:
        Struck(number)
        for _ in range(1000):  # a signal just before one long sleep would wait for its end
            time.sleep(0.01)

    with pytest.raises(error):
        stopped(work)
    assert time.monotonic() - seconds < 5
    assert handlers() == before


@BOTH
def test_also_where_all_was_done_by_then(number: int, error: type[BaseException]) -> None:
    before = handlers()
    with pytest.raises(error):
        stopped(lambda: Struck(number))
    assert handlers() == before


@BOTH
@pytest.mark.parametrize("instead", ["another error", "none at all"])
def test_it_is_what_comes_out_where_a_library_makes_something_else_of_it(
    number: int, error: type[BaseException], instead: str
) -> None:
    def library() -> None:
        try:
            os.kill(os.getpid(), number)
        except BaseException:
            if instead == "another error":
                raise ValueError("not a matrix") from None

    with pytest.raises(error):
        stopped(library)


def test_what_is_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        stopped(lambda: os.kill(os.getpid(), signal.SIGINT))
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


class Careless:
    """Something else goes wrong there."""

    def __del__(self) -> None:
        raise ValueError("as ever")


def test_what_else_python_drops_is_said_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda what: said.append(what.exc_type))
    stopped(lambda: Careless())
    assert said == [ValueError]
