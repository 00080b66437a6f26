"""How often a loop runs: a few times in every run of the tests, as often as a claim needs with ``make slow``."""

from __future__ import annotations

import os


def scaled(small: int, full: int) -> int:
    """`full` under CROSSFADE_SLOW=1, else `small`. Mark the test ``slow``, so that ``make slow`` finds it."""
    return full if os.environ.get("CROSSFADE_SLOW") == "1" else small
