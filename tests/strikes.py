"""Signals at every point where Python looks for them."""

from __future__ import annotations

import os
import sys


class Strike:
    """For `sys.setprofile`: sends a signal at the n-th function that is entered, or function of C that is left.

    Attributes:
        points: how many were passed; `at`, if it was sent.
    """

    def __init__(self, number: int, at: int) -> None:
        self.number, self.at, self.points = number, at, 0

    def __call__(self, frame: object, event: str, argument: object) -> None:
        self.points += event in ("call", "c_return")
        if self.points == self.at:
            sys.setprofile(None)
            os.kill(os.getpid(), self.number)
