"""Pictures, a training on them that was never stopped, and signals that come after so many steps."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from crossfade.cli import run
from crossfade.training import loop
from tests.integration.folders import write_corners
from tests.integration.resume.stopped import QUICK

SignalAfter = Callable[..., None]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_corners(tmp_path / "pictures", each=8)


@pytest.fixture(scope="package")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training on the same pictures that was never stopped."""
    folder = tmp_path_factory.mktemp("whole")
    data = write_corners(folder / "pictures", each=8)
    assert run(["train", str(data), *QUICK, "-o", str(folder / "run")]) == 0
    return folder / "run"


@pytest.fixture
def signal_after(monkeypatch: pytest.MonkeyPatch) -> SignalAfter:
    """Make the n-th training from now send a signal to us after so many steps; from then on nothing."""

    def arrange(steps: int, number: int = signal.SIGTERM, training: int = 1) -> None:
        real, seen = loop.Training._step, [0, 0]

        def step(self: loop.Training, at: int, *rest: Any) -> Any:
            seen[0] += at == 0
            found = real(self, at, *rest)
            if seen[0] == training and at == steps - 1:
                monkeypatch.setattr(loop.Training, "_step", real)
                os.kill(os.getpid(), number)
            return found

        monkeypatch.setattr(loop.Training, "_step", step)

    return arrange
