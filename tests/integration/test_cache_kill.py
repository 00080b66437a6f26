"""Builds of the cache that are killed, and builds that run side by side."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from crossfade.data import decode, prepare
from tests.scale import scaled
from tests.unit.data.folders import pictures, write

KILLS = scaled(5, 200)
BUILDS, TURNS = scaled(3, 8), scaled(1, 20)
FLIPS = scaled(20, 500)

BUILD = """
import sys
import crossfade.data._crew as crew
crew.HELPERS_PAY_SECONDS = crew.HELPERS_HELP_SECONDS = crew.THREADS_HELP_UNTIL = 0.0  # helpers even for so few pictures
from crossfade.data import prepare
index, cache = prepare(sys.argv[1], cache_dir=sys.argv[2], size=24, workers=2)
print(len(index), cache.reused, int(cache.pixels.sum(dtype="u8")))
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    files = pictures({"a": 700, "b": 700}, size=24, kind="JPEG")
    return write(tmp_path_factory.mktemp("pictures"), {**files, "a/1 bad.jpg": b"no picture"})


def start(root: Path, home: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-c", BUILD, str(root), str(home)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def finish(process: subprocess.Popen[str]) -> list[str]:
    out, errors = process.communicate(timeout=120)
    assert (process.returncode, errors) == (0, "")
    return out.split()


def finished(home: Path) -> list[Path]:
    return [path for path in home.iterdir() if not path.name.startswith(".building-")] if home.exists() else []


@pytest.mark.slow
@pytest.mark.timeout(60 + 10 * KILLS)
def test_a_killed_build_leaves_a_whole_cache_or_none(root: Path, tmp_path: Path) -> None:
    began = time.perf_counter()
    whole = finish(start(root, tmp_path / "whole"))
    seconds = time.perf_counter() - began
    assert whole[:2] == ["1400", "False"]
    draw = random.Random(0)
    caught_in_the_act = 0
    for kill in range(KILLS):
        home = tmp_path / f"kill-{kill}"
        process = start(root, home)
        if kill % 2:
            time.sleep(draw.uniform(0.2, 1.1) * seconds)
        else:  # at a moment when pixels are being written, whatever the speed of the machine
            wait_for_pixels(process, home, draw.randrange(2_000_000))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        caught_in_the_act += any(home.glob(".building-*/pixels.npy"))
        there = finished(home)
        index, cache = prepare(root, cache_dir=home, size=24)
        assert cache.reused == bool(there), "what has its final name must be whole"
        assert [str(len(index)), str(int(cache.pixels.sum(dtype="u8")))] == [whole[0], whole[2]]
        for number in (0, 699, 700, 1399):
            assert np.array_equal(cache.pixels[number], decode((root / index.paths[number]).read_bytes()))
        wait_until_cleared(home)
    assert caught_in_the_act


def wait_for_pixels(process: subprocess.Popen[str], home: Path, size: int) -> None:
    while process.poll() is None:
        for path in home.glob(".building-*/pixels.npy"):
            try:
                if path.stat().st_size > size:
                    return
            except FileNotFoundError:
                pass
        time.sleep(0.001)


def wait_until_cleared(home: Path) -> None:
    """The next build clears away what the dead one left."""
    prepare(home_of_two_pictures(home.parent), cache_dir=home)
    assert not list(home.glob(".building-*"))


def home_of_two_pictures(folder: Path) -> Path:
    return write(folder / "two", pictures({"a": 1, "b": 1}))


@pytest.mark.slow
@pytest.mark.timeout(60 + 30 * TURNS)
def test_builds_side_by_side_make_one_cache(root: Path, tmp_path: Path) -> None:
    answers = set()
    for turn in range(TURNS):
        home = tmp_path / str(turn)
        builds = [start(root, home) for _ in range(BUILDS)]
        answers |= {(pictures, total) for pictures, _, total in map(finish, builds)}
        assert len(finished(home)) == 1
        assert not list(home.glob(".building-*"))
        assert prepare(root, cache_dir=home, size=24)[1].mended == 0
    assert len(answers) == 1


@pytest.mark.slow
@pytest.mark.timeout(60 + FLIPS)
def test_every_flipped_byte_of_a_cache_is_found(root: Path, tmp_path: Path) -> None:
    """One byte at a time, anywhere in any of its files."""
    index, cache = prepare(root, cache_dir=tmp_path, size=24)
    right = cache.pixels.tobytes()
    names = ["pixels.npy"] * 3 + ["sums.npy", "shapes.npy", "digests.npy", "sketches.npy", "meta.json"]
    draw = random.Random(0)
    for flip in range(FLIPS):
        path = cache.folder / names[flip % len(names)]
        data = bytearray(path.read_bytes())
        at = draw.randrange(len(data))
        data[at] ^= 1 << draw.randrange(8)
        path.write_bytes(data)
        again, found = prepare(root, cache_dir=tmp_path, size=24)
        if path.name == "pixels.npy":
            assert (found.reused, found.mended) == (True, int(at >= 128)), f"byte {at} of {path.name}"
        assert found.pixels.tobytes() == right, f"byte {at} of {path.name}"
        assert (again.paths, found.size, found.channels, found.fit) == (index.paths, 24, 3, "stretch")
        assert finished(tmp_path) == [cache.folder]


@pytest.mark.slow
def test_many_flipped_bytes_are_mended_at_once(root: Path, tmp_path: Path) -> None:
    _, cache = prepare(root, cache_dir=tmp_path, size=24)
    right = cache.pixels.tobytes()
    row_bytes = 24 * 24 * 3
    draw = np.random.default_rng(0)
    at = draw.choice(len(right), FLIPS, replace=False)
    damaged = np.frombuffer(right, np.uint8).copy()
    damaged[at] ^= draw.integers(1, 256, FLIPS, dtype=np.uint8)
    with open(cache.folder / "pixels.npy", "r+b") as file:
        file.seek(128)
        file.write(damaged.tobytes())
    _, mended = prepare(root, cache_dir=tmp_path, size=24)
    assert mended.mended == len(np.unique(at // row_bytes))
    assert mended.pixels.tobytes() == right


def test_helpers_end_when_their_caller_is_killed(root: Path, tmp_path: Path) -> None:
    process = start(root, tmp_path)
    while not (helpers := children_of(process.pid)):
        assert process.poll() is None, "the build must have had a helper"
    process.kill()
    process.communicate()
    deadline = time.monotonic() + 20
    while any(is_running(helper) for helper in helpers):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def children_of(pid: int) -> list[int]:
    try:
        lists = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children")]
        return [int(child) for one in lists for child in one.split()]
    except OSError:
        pytest.skip("needs /proc")


def is_running(pid: int) -> bool:
    try:
        return " Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
