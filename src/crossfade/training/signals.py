"""Ctrl-C and SIGTERM: the step that runs is finished, the weights are saved, then the training leaves."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from crossfade.errors import CrossfadeError
from crossfade.interrupts import HeardBy


class Interruption(CrossfadeError):
    """A training was asked to stop, and has saved itself. `exit_code` is 128 plus the signal's number."""

    def __init__(self, words: str = "", number: int = signal.SIGINT) -> None:
        super().__init__(words)
        self.exit_code = 128 + int(number)


class Stop:
    """Whether a signal has come; `signal` is its number or None."""

    def __init__(self) -> None:
        self.signal: int | None = None

    def note(self, number: int) -> None:
        """A signal has come."""
        self.signal = number

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
    """Inside, the first SIGINT or SIGTERM is only noted; a second one acts as it did before, see `HeardBy`."""
    stop = Stop()
    with HeardBy(stop.note):
        yield stop
