"""Killed, told to stop, out of disk: every training that goes on ends as the one that was never stopped."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.scale import scaled

KILLS, STOPS, CUTS, FULL = scaled(4, 100), scaled(4, 100), scaled(6, 1000), scaled(8, 1000)


def stopping(mode: str, count: int, threads: int, folder: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.integration.stopping", mode, str(count), str(threads), str(folder)]
    path = os.pathsep.join([os.getcwd(), *filter(None, sys.path)])
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
@pytest.mark.timeout(120 + 10 * KILLS)
@pytest.mark.parametrize("threads", [0, 1, 4])
def test_killed_at_any_time_it_ends_with_the_same_weights(tmp_path: Path, threads: int) -> None:
    found = stopping("kill", KILLS, threads, tmp_path)
    assert found["identical"] == KILLS
    assert found["caught in the act"] >= max(1, KILLS // 10)  # a busy machine may be too late for most


@pytest.mark.slow
@pytest.mark.timeout(120 + 10 * CUTS)
def test_killed_before_any_operation_on_the_disk_it_ends_with_the_same_weights(tmp_path: Path) -> None:
    found = stopping("cut", CUTS, 1, tmp_path)
    assert found["operations"] > 100
    assert found["killed"] == found["identical"] == min(CUTS, found["operations"])


@pytest.mark.slow
@pytest.mark.timeout(120 + 10 * STOPS)
def test_told_to_stop_it_leaves_with_143_and_goes_on_at_that_step(tmp_path: Path) -> None:
    found = stopping("term", STOPS, 1, tmp_path)
    assert found["identical"] == STOPS
    assert found["143"] + found.get("0", 0) == STOPS, found
    assert found["143"] >= max(1, STOPS // 10)


@pytest.mark.slow
@pytest.mark.timeout(120 + 10 * FULL)
def test_with_a_full_disk_at_any_operation_it_says_so_and_what_stood_stands(tmp_path: Path) -> None:
    """A few in every run of the tests: spread over making the folder, saving, and the page."""
    found = stopping("disk", FULL, 0, tmp_path)
    stopped = found["one sentence, exit 1"]
    assert stopped == found["stopped"], found
    assert found["identical"] == found["resumed"] > stopped / 2
