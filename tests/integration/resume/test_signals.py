"""SIGTERM and SIGINT, in any phase of a training."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from crossfade.training import checkpoint, loop
from tests.integration.conftest import Call
from tests.integration.folders import write_corners
from tests.integration.resume.stopped import QUICK, ends


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
@pytest.mark.parametrize("phase", ["scan", "cache", "validate", "save", "report"])
def test_a_signal_in_any_phase(
    call: Call, data: Path, monkeypatch: pytest.MonkeyPatch, phase: str, number: int, code: int, whole: Path
) -> None:
    """It leaves with 128 + its number; where training had begun, it goes on."""
    from crossfade.cli import work
    from crossfade.data import cache

    place, name = {
        "scan": (cache, "list_folder"),
        "cache": (cache._store, "finish_pixels"),
        "validate": (loop, "logits_of"),
        "save": (loop.checkpoint, "to_disk"),
        "report": (work, "write_report"),
    }[phase]
    real = getattr(place, name)

    def struck(*args: Any, **kwargs: Any) -> Any:
        monkeypatch.setattr(place, name, real)
        os.kill(os.getpid(), number)
        return real(*args, **kwargs)

    monkeypatch.setenv("CROSSFADE_CACHE", "cache")
    monkeypatch.setattr(place, name, struck)
    found, _, err = call("train", data, *QUICK, "-o", "run")
    assert found == code
    assert "stopped by" in err
    assert "Traceback" not in err
    assert not list(Path("cache").glob(".building-*"))
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    if phase in ("scan", "cache"):
        assert not Path("run").exists()
        return
    if phase == "validate":
        state = checkpoint.load(Path("run/checkpoints/last")).state
        assert (state["epochs_done"], state["steps_into_next"]) == (0, 3), "within a batch, not after the epoch"
    assert call("resume", "run")[0] == 0
    assert ends(Path("run")) == ends(whole)
    assert Path("run/report.html").is_file()


def test_sigterm_while_the_pictures_are_read_leaves_with_143(tmp_path: Path) -> None:
    """A whole process, which starts helpers to read with."""
    data = write_corners(tmp_path / "data", each=3000)
    command = [sys.executable, "-m", "crossfade", "train", str(data), *QUICK, "--out", "run"]
    environment = {**os.environ, "CROSSFADE_CACHE": str(tmp_path / "cache")}
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, env=environment)
    while not list(tmp_path.glob("cache/.building-*")) and process.poll() is None:
        time.sleep(0.005)
    process.send_signal(signal.SIGTERM)
    sent = time.monotonic()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 143, err
    assert "stopped by SIGTERM" in err
    assert time.monotonic() - sent < 20
    assert not (tmp_path / "run").exists()
    assert not list(tmp_path.glob("cache/.building-*"))
