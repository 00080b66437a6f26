"""How long ``crossfade --help`` takes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from benchmarks.table import Section, at_most
from benchmarks.timing import Work, byte_code_kept, interleave

LIMIT = 0.3


def measure(rounds: int = 15) -> Section:
    """The command as it is installed, else the module; beside an interpreter that does nothing."""
    script = Path(sys.executable).with_name("crossfade")
    command = [str(script)] if script.exists() else [sys.executable, "-m", "crossfade"]
    works: dict[str, Work] = {
        "crossfade --help": lambda: _run([*command, "--help"]),
        "python that does nothing": lambda: _run([sys.executable, "-c", "pass"]),
    }
    with byte_code_kept():
        timings = interleave(works, rounds)
    line = at_most("crossfade --help", timings["crossfade --help"].median, LIMIT, "s")
    return Section("Start-up", [line], list(timings.values()), [f"run as: {' '.join(command)} --help"])


def _run(command: list[str]) -> None:
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
