"""What a scan leaves and finds, and helper processes that start, or do not, when a test wants it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from crossfade.data import Index


def snapshot(root: Path) -> dict[str, tuple[int, int]]:
    found = {}
    for folder, _, files in os.walk(root):
        for name in [*files, "."]:
            status = os.lstat(os.path.join(folder, name))
            found[os.path.join(folder, name)] = (status.st_mtime_ns, status.st_size)
    return found


def same(one: Index, other: Index) -> bool:
    arrays = ("labels", "sizes", "digests")
    rest = ("classes", "paths", "parts", "channels", "refused", "ignored")
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in arrays) and all(
        getattr(one, name) == getattr(other, name) for name in rest
    )


def always_helpers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crossfade.data._crew.HELPERS_PAY_SECONDS", 0.0)
    monkeypatch.setattr("crossfade.data._crew.HELPERS_HELP_SECONDS", 0.0)
    monkeypatch.setattr("crossfade.data._crew.THREADS_HELP_UNTIL", 0.0)


def count_helpers(monkeypatch: pytest.MonkeyPatch) -> list[subprocess.Popen[bytes]]:
    started: list[subprocess.Popen[bytes]] = []
    genuine = subprocess.Popen

    def popen(*args: object, **options: object) -> subprocess.Popen[bytes]:
        process = genuine(*args, **options)  # type: ignore[call-overload]
        started.append(process)
        return process

    monkeypatch.setattr("crossfade.data._helper.subprocess.Popen", popen)
    return started


def slow_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make our own share of the work slow, so that helpers get some."""
    import time

    from crossfade.data._reading import Reader

    genuine = Reader.chunk
    monkeypatch.setattr(Reader, "chunk", lambda *args: (time.sleep(0.02), genuine(*args))[1])
