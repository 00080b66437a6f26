"""A scan by several processes: it finds the same, and none is left."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from crossfade.data import _crew as crew
from crossfade.data import scan
from crossfade.data._helper import Helper
from crossfade.errors import CacheError
from tests.unit.data.folders import pictures, write
from tests.unit.data.scanning import always_helpers, count_helpers, same, slow_down


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("many")
    files = pictures({"a": 400, "b": 400}, kind="JPEG")
    return write(root, {**files, "a/0 bad.jpg": b"no", "b/500 empty.jpg": b""})


def test_any_number_of_processes_finds_the_same(many: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = scan(many, workers=1)
    assert [refusal.path for refusal in alone.refused] == ["a/0 bad.jpg", "b/500 empty.jpg"]
    started = count_helpers(monkeypatch)
    always_helpers(monkeypatch)
    for workers in (2, 4):
        assert same(scan(many, workers=workers), alone)
    assert len(started) == 1 + 3


def test_helpers_wake_up_while_many_files_are_listed(many: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started = count_helpers(monkeypatch)
    monkeypatch.setattr("crossfade.data._crew.MANY_FILES", 300)
    seen: list[int] = []
    scan(many, workers=2, progress=lambda done, total: seen.append(len(started)))
    assert seen[0] == 1, "before the first file is read"
    assert started[0].poll() is not None
    started.clear()
    scan(many, workers=1)
    assert not started


def test_progress_counts_up_to_the_total(many: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    always_helpers(monkeypatch)
    seen: list[tuple[int, int]] = []
    scan(many, workers=2, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (802, 802)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_a_helper_that_is_killed_is_an_error_not_a_hang(many: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    always_helpers(monkeypatch)
    started = count_helpers(monkeypatch)
    genuine = Helper.thread

    def thread(helper: Helper, work: crew.Pass) -> threading.Thread:
        helper.process.kill()
        return genuine(helper, work)

    monkeypatch.setattr(Helper, "thread", thread)
    with pytest.raises(CacheError, match=r"helper process ended .* signal 9.*workers=1"):
        scan(many, workers=3)
    assert all(process.poll() is not None for process in started)


def test_a_helper_that_cannot_even_start_is_an_error(many: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    always_helpers(monkeypatch)
    monkeypatch.setattr("crossfade.data._helper._START", "raise SystemExit(3)")
    slow_down(monkeypatch)
    with pytest.raises(CacheError, match="exit status 3"):
        scan(many, workers=2)


def test_no_helper_is_left_when_the_caller_is_interrupted(many: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    always_helpers(monkeypatch)
    started = count_helpers(monkeypatch)

    def interrupt(done: int, total: int) -> None:
        if started:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        scan(many, workers=3, progress=interrupt)
    assert started
    assert all(process.poll() is not None for process in started)


def test_a_script_needs_no_main_guard_and_loads_no_framework(many: Path, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import sys\n"
        "import crossfade.data._crew as crew\n"
        "crew.HELPERS_PAY_SECONDS = crew.HELPERS_HELP_SECONDS = crew.THREADS_HELP_UNTIL = 0.0\n"
        "from crossfade.data import scan\n"
        f"print(len(scan({str(many)!r}, workers=2)))\n"
        "heavy = {'torch', 'numba', 'scipy', 'matplotlib', 'multiprocessing'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, env=environment, timeout=60)
    assert (done.stdout, done.stderr) == ("800\n", "")
