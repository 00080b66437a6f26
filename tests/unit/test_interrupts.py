"""Signals that wait, and those that do not."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from crossfade import interrupts
from crossfade.interrupts import HeardBy, Held, apart
from tests.strikes import Strike

NUMBERS = (signal.SIGINT, signal.SIGTERM)


class Struck(BaseException):
    """A handler's doing."""


def strike(number: int, frame: object) -> None:
    raise Struck(number)


@pytest.fixture(autouse=True, params=NUMBERS)
def number(request: pytest.FixtureRequest) -> Iterator[int]:
    before = [signal.signal(number, strike) for number in NUMBERS]
    yield request.param
    after = [signal.signal(number, handler) for number, handler in zip(NUMBERS, before, strict=True)]
    assert after == [strike, strike]


def held(number: int, done: list[str]) -> None:
    with Held():
        os.kill(os.getpid(), number)
        done.append("the whole")


def test_a_signal_that_is_held_strikes_when_all_is_done(number: int) -> None:
    done: list[str] = []
    with pytest.raises(Struck) as raised:
        held(number, done)
    assert done == ["the whole"]
    assert raised.value.args == (number,)


def test_it_is_not_forgotten_where_something_else_went_wrong(number: int) -> None:
    def fail() -> None:
        with Held():
            os.kill(os.getpid(), number)
            raise ValueError

    with pytest.raises(Struck) as raised:
        fail()
    assert isinstance(raised.value.__context__, ValueError)


def test_a_second_one_does_not_wait(number: int) -> None:
    done: list[str] = []

    def twice() -> None:
        with Held():
            os.kill(os.getpid(), number)
            os.kill(os.getpid(), number)
            done.append("not reached")

    with pytest.raises(Struck):
        twice()
    assert done == []


def test_both_that_came_are_sent_again() -> None:
    came: list[int] = []
    for one in NUMBERS:
        signal.signal(one, lambda number, frame: came.append(number))
    with Held():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)
        assert came == []
    for one in NUMBERS:
        signal.signal(one, strike)
    assert came == list(NUMBERS)


def test_what_is_ignored_holds_nothing_back(number: int) -> None:
    signal.signal(number, signal.SIG_IGN)
    with Held():
        os.kill(os.getpid(), number)
        assert signal.getsignal(number) == signal.SIG_IGN
    signal.signal(number, strike)


def test_what_is_held_may_hold_again(number: int) -> None:
    done: list[str] = []

    def nested() -> None:
        with Held():
            held(number, done)
            done.append("and more")

    with pytest.raises(Struck):
        nested()
    assert done == ["the whole", "and more"]


def test_nothing_strikes_where_nothing_came() -> None:
    with Held():
        pass


def test_other_threads_change_nothing(number: int) -> None:
    seen: list[object] = []

    def work() -> None:
        with HeardBy(seen.append):
            seen.append(signal.getsignal(number))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [strike]


def test_each_signal_is_heard_once(number: int) -> None:
    heard: list[int] = []
    with HeardBy(heard.append):
        os.kill(os.getpid(), number)
        with pytest.raises(Struck):
            os.kill(os.getpid(), number)
    assert heard == [number]


def quiet() -> None:
    pass


def test_what_is_done_apart_comes_back_from_another_thread() -> None:
    told: list[str] = []
    found = apart(threading.get_ident, quiet, lambda: told.append("at the end"))
    assert found != threading.get_ident()
    assert told[-1] == "at the end"


def test_an_error_of_it_is_ours() -> None:
    def fail() -> None:
        raise ValueError("as it was")

    with pytest.raises(ValueError, match="as it was"):
        apart(fail, quiet, quiet)


@pytest.mark.parametrize("signals", [1, 2])
def test_it_is_asked_to_end_and_waited_for(number: int, signals: int) -> None:
    """Twice in a row, too, as some wrappers of processes send them."""
    unwanted, ended = threading.Event(), threading.Event()

    def work() -> None:
        for _ in range(signals):
            os.kill(os.getpid(), number)
        unwanted.wait(10)
        ended.set()

    with pytest.raises(Struck):
        apart(work, unwanted.set, quiet)
    assert ended.is_set()


def test_it_is_waited_for_where_telling_fails() -> None:
    unwanted, ended = threading.Event(), threading.Event()

    def work() -> None:
        unwanted.wait(10)
        time.sleep(0.2)
        ended.set()

    def tell() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        apart(work, unwanted.set, tell)
    assert ended.is_set()


def refuse_threads(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def start(thread: threading.Thread) -> None:
        raise error

    monkeypatch.setattr(threading.Thread, "start", start)


def test_where_there_are_no_threads_it_is_done_here(monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_threads(monkeypatch, RuntimeError("can't start new thread"))
    assert apart(threading.get_ident, quiet, quiet) == threading.get_ident()


def test_there_signals_strike_at_once(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def work() -> None:
        os.kill(os.getpid(), number)
        done.append("not reached")

    done: list[str] = []
    refuse_threads(monkeypatch, RuntimeError("can't start new thread"))
    with pytest.raises(Struck):
        apart(work, quiet, quiet)
    assert done == []


def test_what_cannot_begin_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_threads(monkeypatch, MemoryError())
    with pytest.raises(MemoryError):
        apart(quiet, quiet, quiet)


def test_with_two_in_a_row_anywhere_it_is_asked_to_end(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second one at every function that is entered, and every one of C that is left, after the first has raised."""
    monkeypatch.setattr(interrupts, "TELL_SECONDS", 0.005)

    def at(point: int) -> bool:
        second, unwanted = Strike(number, point), threading.Event()

        def tell() -> None:
            sys.setprofile(second)
            raise Struck

        try:
            apart(lambda: unwanted.wait(10), unwanted.set, tell)
        except Struck:
            pass
        finally:
            sys.setprofile(None)
        assert unwanted.wait(1), point
        assert [signal.getsignal(number) for number in NUMBERS] == [strike, strike], point
        return second.points == point

    points = next(point for point in range(1, 200) if not at(point)) - 1
    assert points > 10


def test_wherever_it_comes_no_handler_is_left(number: int) -> None:
    """At every function that is entered and every one of C that is left."""

    def at(point: int) -> bool:
        only = Strike(number, point)
        try:
            sys.setprofile(only)
            with Held():
                done.append(point)
        except Struck:
            pass
        finally:
            sys.setprofile(None)
        assert [signal.getsignal(number) for number in NUMBERS] == [strike, strike], point
        return only.points == point

    done: list[int] = []
    points = next(point for point in range(1, 100) if not at(point)) - 1
    assert points > 10
    assert 0 < len(done) <= points + 1
