"""Ctrl-C and SIGTERM: the step that runs is finished, the weights are saved, then the training leaves."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from crossfade.errors import CrossfadeError


class Interruption(CrossfadeError):
    """A training was asked to stop, and has saved itself. `exit_code` is 128 plus the signal's number."""

    def __init__(self, words: str = "", number: int = signal.SIGINT) -> None:
        super().__init__(words)
        self.exit_code = 128 + int(number)


class Stop:
    """Whether a signal has come; `signal` is its number or None."""

    def __init__(self) -> None:
        self.signal: int | None = None

    def leave(self, folder: Path) -> None:
        """Raise `Interruption` if a signal has come; all must be saved in `folder` by then."""
        if self.signal is not None:
            name = signal.Signals(self.signal).name
            raise Interruption(
                f"training: stopped by {name}. The weights were saved in {folder}/checkpoints/last, and "
                "crossfade resume goes on from there.",
                self.signal,
            )


@contextmanager
def listen() -> Iterator[Stop]:
    """Inside, the first SIGINT or SIGTERM is only noted; a second one acts as it did before.

    Signals reach the main thread only: elsewhere nothing is changed.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def note(number: int, frame: FrameType | None) -> None:
        stop.signal = number
        signal.signal(number, before[signal.Signals(number)])

    for number in before:
        signal.signal(number, note)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
