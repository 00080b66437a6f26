"""crossfade resume as a user types it: what goes on, what is refused, and what is said."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from crossfade.cli import run
from crossfade.disk import held
from crossfade.errors import ConfigError
from crossfade.training import checkpoint, loop
from crossfade.training.config import resolve
from crossfade.training.dataset import open_pictures
from crossfade.training.keeper import Keeper
from crossfade.training.predict import load_run
from crossfade.training.resume import last_whole
from crossfade.training.run import open_bench, train_one
from tests.integration.conftest import Call
from tests.integration.folders import write_corners

QUICK = ["--model", "cnn4", "--epochs", "3", "--batch-size", "8", "--precision", "float32", "--lr", "0.003"]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_corners(tmp_path / "pictures", each=8)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training on the same pictures that was never stopped."""
    folder = tmp_path_factory.mktemp("whole")
    data = write_corners(folder / "pictures", each=8)
    assert run(["train", str(data), *QUICK, "-o", str(folder / "run")]) == 0
    return folder / "run"


@pytest.fixture
def signal_after(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
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


def ends(folder: Path) -> list[Any]:
    summary = json.loads((folder / "summary.json").read_text())
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    for timed in (summary, *lines):
        for clock in ("seconds", "images_per_second"):
            timed.pop(clock, None)
    weights = checkpoint.load(folder / "checkpoints" / "last").tensors["model"]
    return [summary, lines, checkpoint.tensors_digest(dict(sorted(weights.items())))]


def forget_time(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: forget_time(item) for key, item in value.items() if key not in ("seconds", "commands")}
    return value


def test_a_training_goes_on_at_the_very_step(
    call: Call, data: Path, signal_after: Callable[..., None], whole: Path
) -> None:
    signal_after(4)
    code, _, err = call("train", data, *QUICK, "-o", "run")
    assert code == 143
    assert "crossfade resume goes on from there" in err
    state = checkpoint.load(Path("run/checkpoints/last")).state
    assert (state["epochs_done"], state["steps_into_next"]) == (1, 1)
    assert not Path("run/summary.json").exists()
    command = json.loads(Path("run/command.json").read_text())
    assert (command["kind"], command["data"]) == ("train", str(data))
    code, out, err = call("resume", "run", "--threads", "3")
    assert code == 0
    assert "val accuracy" in out
    assert "epoch 1/3" not in err
    assert ends(Path("run")) == ends(whole)
    assert Path("run/report.html").is_file()


def test_what_is_finished_stays_as_it_is(call: Call, data: Path) -> None:
    assert call("train", data, *QUICK, "-o", "run")[0] == 0
    before = {path: path.stat().st_mtime_ns for path in Path("run").rglob("*")}
    shutil.rmtree(data)
    code, out, _ = call("resume", "run")
    assert code == 0
    assert "run is finished" in out
    assert {path: path.stat().st_mtime_ns for path in Path("run").rglob("*")} == before


@pytest.mark.parametrize("training", [1, 2, 4])
def test_a_comparison_goes_on(call: Call, data: Path, signal_after: Callable[..., None], training: int) -> None:
    arms = ["--arm", "none", "--arm", "mixup", "--seeds", "2"]
    assert call("compare", data, *QUICK, *arms, "-o", "whole")[0] == 0
    signal_after(4, training=training)
    assert call("compare", data, *QUICK, *arms, "-o", "run")[0] == 143
    kept = [path.stat().st_mtime_ns for path in sorted(Path("run").glob("*/*/summary.json"))]
    assert len(kept) == training - 1
    code, _, err = call("resume", Path("run").absolute() / "none" / "seed-0")
    assert code == 2
    assert "crossfade resume" in err
    code, out, _ = call("resume", "run")
    assert code == 0
    summaries = [json.loads(Path(name, "summary.json").read_text()) for name in ("whole", "run")]
    assert forget_time(summaries[0]) == forget_time(summaries[1])
    assert summaries[0]["verdict"] in out
    runs = [path for paths in summaries[0]["runs"].values() for path in paths]
    assert all(ends(Path("run", name)) == ends(Path("whole", name)) for name in runs)
    assert set(kept) <= {path.stat().st_mtime_ns for path in Path("run").glob("*/*/summary.json")}
    assert Path("run/report.html").is_file()
    assert "is finished" in call("resume", "run")[1]


def test_pictures_that_changed_are_named_and_the_run_stays(
    call: Call, data: Path, signal_after: Callable[..., None]
) -> None:
    signal_after(4)
    assert call("train", data, *QUICK, "-o", "run")[0] == 143
    picture, other = data / "corner0" / "000.png", data / "corner1" / "001.png"
    content = picture.read_bytes()
    before = {path: path.read_bytes() for path in Path("run").rglob("*") if path.is_file()}
    for change, words in (
        (lambda: picture.write_bytes(other.read_bytes()), "1 changed (corner0/000.png)"),
        (lambda: picture.rename(data / "corner0" / "moved.png"), "1 missing (corner0/000.png); 1 new (corner0/moved"),
        (lambda: (data / "corner0" / "moved.png").unlink(), "1 missing (corner0/000.png)"),
    ):
        change()
        code, _, err = call("resume", "run")
        assert code == 1
        assert words in err
        assert "Bring them back" in err
    assert {path: path.read_bytes() for path in Path("run").rglob("*") if path.is_file()} == before
    picture.write_bytes(content)
    moved = data.rename(data.with_name("elsewhere"))
    code, _, err = call("resume", "run")
    assert code == 1
    assert "must exist" in err
    assert call("resume", "run", "--data", moved)[0] == 0


def test_where_the_pictures_were_moved_is_kept(call: Call, data: Path, signal_after: Callable[..., None]) -> None:
    sizes = ["--per-class", "3", "--arm", "none", "--seeds", "1"]
    for command, options in (("train", []), ("ablate", sizes)):
        signal_after(2)
        assert call(command, data, *QUICK, *options, "-o", command)[0] == 143
    moved = data.rename(data.with_name("elsewhere"))
    for command, judged in (("train", "train"), ("ablate", "ablate/3")):
        code, _, err = call("resume", command, "--data", moved)
        assert code == 0
        assert f"its pictures are in {moved}" in err
        assert json.loads(Path(command, "command.json").read_text())["data"] == str(moved)
        code, out, _ = call("evaluate", judged)
        assert code == 0
        assert f"of {moved}: " in out


def test_a_folder_of_other_pictures_is_not_taken_for_the_moved_one(
    call: Call, data: Path, signal_after: Callable[..., None]
) -> None:
    signal_after(4)
    assert call("train", data, *QUICK, "-o", "run")[0] == 143
    before = {path: path.read_bytes() for path in Path("run").rglob("*") if path.is_file()}
    assert call("resume", "run", "--data", write_corners(data.with_name("other"), each=9))[0] == 1
    assert {path: path.read_bytes() for path in Path("run").rglob("*") if path.is_file()} == before


def test_options_that_were_edited_are_refused(call: Call, data: Path, signal_after: Callable[..., None]) -> None:
    signal_after(4)
    assert call("train", data, *QUICK, "-o", "run")[0] == 143
    config, checkpoints = Path("run/config.toml"), Path("run/checkpoints")
    before = {path: path.read_bytes() for path in checkpoints.rglob("*") if path.is_file()}
    text = config.read_text()
    config.write_text(text.replace("lr = 0.003", "lr = 0.001"))
    code, _, err = call("resume", "run")
    assert code == 2
    assert "Got lr 0.001 for 0.003 in run/config.toml, which was changed since" in err
    assert {path: path.read_bytes() for path in checkpoints.rglob("*") if path.is_file()} == before
    config.write_text(text.replace("threads = 1", "threads = 2"))
    assert call("resume", "run")[0] == 0


@pytest.mark.parametrize("damage", ["flip", "cut", "gone", "both"])
def test_a_damaged_checkpoint_is_said_and_the_one_before_it_is_gone_on_from(
    call: Call,
    data: Path,
    signal_after: Callable[..., None],
    caplog: pytest.LogCaptureFixture,
    damage: str,
    whole: Path,
) -> None:
    signal_after(8)
    assert call("train", data, *QUICK, "-o", "run")[0] == 143
    weights = Path("run/checkpoints/last/model.safetensors")
    content = weights.read_bytes()
    if damage == "gone":
        shutil.rmtree(weights.parent)
    else:
        weights.write_bytes(content[:-9] if damage == "cut" else content[:-1] + bytes([content[-1] ^ 1]))
    if damage == "both":
        Path("run/checkpoints/last.previous/state.json").write_text("{}")
    with open("run/metrics.jsonl", "a") as file:
        file.write('{"epoch": 3, "tra')
    assert call("resume", "run")[0] == 0
    words = "the training starts anew" if damage == "both" else "last.previous, of epoch 2, is taken in its place"
    assert words in caplog.text
    assert ends(Path("run")) == ends(whole)


def test_predict_falls_back_too_and_says_so(call: Call, data: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert call("train", data, *QUICK, "-o", "run")[0] == 0
    Path("run/checkpoints/last/model.safetensors").write_bytes(b"")
    assert load_run(Path("run"), name="last").classes == ("corner0", "corner1", "corner2")
    assert "last.previous, of epoch 2, is taken in its place" in caplog.text


def test_best_weights_that_are_lost_are_made_again(
    call: Call, data: Path, signal_after: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    assert call("train", data, *QUICK, "--choose", "best", "-o", "whole")[0] == 0
    signal_after(8)
    assert call("train", data, *QUICK, "--choose", "best", "-o", "run")[0] == 143
    for path in Path("run/checkpoints").glob("best*/model.safetensors"):
        path.write_bytes(path.read_bytes()[::-1])
    assert call("resume", "run")[0] == 0
    assert "are lost" in caplog.text
    assert "the training starts anew" in caplog.text
    assert ends(Path("run")) == ends(Path("whole"))


@pytest.mark.parametrize("taken", ["last of another seed", "best of this run", "best of another seed"])
def test_a_checkpoint_of_another_training_is_not_gone_on_from(
    call: Call, data: Path, signal_after: Callable[..., None], caplog: pytest.LogCaptureFixture, taken: str, whole: Path
) -> None:
    """Whole, but copied from elsewhere."""
    signal_after(8)
    assert call("train", data, *QUICK, "-o", "run")[0] == 143
    signal_after(8)
    assert call("train", data, *QUICK, "--seed", "1", "-o", "other")[0] == 143
    name, _, where = taken.partition(" of ")
    target = Path("run/checkpoints", name if where == "another seed" else "last")
    shutil.rmtree(target)
    shutil.copytree(Path("other" if where == "another seed" else "run", "checkpoints", name), target)
    shutil.rmtree("run/checkpoints/best.previous", ignore_errors=True)
    assert call("resume", "run")[0] == 0
    assert "cannot be used" in caplog.text
    assert ends(Path("run")) == ends(whole)


def test_of_two_best_the_one_that_the_checkpoint_speaks_of_stands(tmp_path: Path) -> None:
    """Cut off between the save of the best weights of epoch 2 and that of its `last`."""
    config, checkpoints = resolve({}, {}), tmp_path / "checkpoints"
    for epoch in (1, 2):
        state = {"config": config.as_dict(), "epochs_done": epoch, "keeper": {"best": {"epoch": epoch}}}
        checkpoint.save(checkpoints / "best", {"model": {}}, state)
        if epoch == 1:
            checkpoint.save(checkpoints / "last", {"model": {}, "optimizer": {}}, state)
    found = last_whole(tmp_path, config)
    assert found is not None
    assert found.state["epochs_done"] == checkpoint.read(checkpoints / "best").state["epochs_done"] == 1


def test_a_long_epoch_is_saved_on_its_way(call: Call, data: Path, monkeypatch: pytest.MonkeyPatch, whole: Path) -> None:
    """A kill asks nobody: what stands then is all there is."""

    class Killed(BaseException):
        pass

    real = loop.Training._step

    def step(self: loop.Training, at: int, *rest: Any) -> Any:
        if at == 5:
            raise Killed
        return real(self, at, *rest)

    for seconds, place in ((600, (1, 0)), (-1, (1, 2))):
        with monkeypatch.context() as patch:
            patch.setattr(loop, "SAVE_SECONDS", seconds)
            patch.setattr(loop.Training, "_step", step)
            with pytest.raises(Killed):
                call("train", data, *QUICK, "-o", f"run{seconds}")
        state = checkpoint.load(Path(f"run{seconds}/checkpoints/last")).state
        assert (state["epochs_done"], state["steps_into_next"]) == place
        assert call("resume", f"run{seconds}")[0] == 0
        assert ends(Path(f"run{seconds}")) == ends(whole)


def test_the_weights_a_training_began_with_are_not_needed_again(
    call: Call, data: Path, signal_after: Callable[..., None], whole: Path
) -> None:
    shutil.copy(whole / "checkpoints" / "last" / "model.safetensors", "first.safetensors")
    signal_after(4)
    assert call("train", data, *QUICK, "--weights", "first.safetensors", "-o", "run")[0] == 143
    Path("first.safetensors").unlink()
    assert call("resume", "run")[0] == 0


def a_file_in_its_place(folder: Path) -> None:
    folder.rename(folder.with_name("aside"))
    folder.write_text("in the way")


def closed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where tests run as root no mode closes a folder: nothing can be made in it from now on."""
    mkdir, rename = Path.mkdir, os.replace

    def refuse(real: Callable[..., Any], path: Any, *rest: Any, **options: Any) -> Any:
        if folder.absolute() in Path(path).absolute().parents:
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, *rest, **options)

    monkeypatch.setattr(Path, "mkdir", lambda path, *rest, **options: refuse(mkdir, path, *rest, **options))
    monkeypatch.setattr(os, "replace", lambda path, *rest, **options: refuse(rename, path, *rest, **options))


HARM: dict[str, tuple[Callable[..., None], str, str]] = {
    "checkpoints are a file": (
        lambda run, _: a_file_in_its_place(run / "checkpoints"),
        "run/aside/last",
        "run/checkpoints",
    ),
    "checkpoints are closed": (lambda run, patch: closed(run / "checkpoints", patch), "run/checkpoints/last", "denied"),
    "the run is closed": (closed, "run/checkpoints/last", "denied"),
    "the run is a file": (lambda run, _: a_file_in_its_place(run), "aside/checkpoints/last", "run/metrics.jsonl"),
    "the run is gone": (lambda run, _: run.rename("aside"), "aside/checkpoints/last", "run/metrics.jsonl"),
}


@pytest.mark.parametrize("harm", HARM)
def test_a_folder_that_is_lost_in_a_training_is_one_sentence(
    call: Call, data: Path, monkeypatch: pytest.MonkeyPatch, whole: Path, harm: str
) -> None:
    """What was saved by then is kept, and where it is brought back the training goes on from there."""
    act, kept, words = HARM[harm]
    real = loop.Training._step

    def step(self: loop.Training, at: int, *rest: Any) -> Any:
        if at == 4:  # in the second epoch
            act(Path("run"), patch)
        return real(self, at, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(loop.Training, "_step", step)
        code, out, err = call("train", data, *QUICK, "-o", "run")
    letter = [line for line in err.splitlines() if line.startswith("crossfade: ")]
    assert (code, out, len(letter)) == (1, "", 1)
    assert words in letter[0]
    assert "Traceback" not in err
    assert checkpoint.read(Path(kept)).state["epochs_done"] == 1


@pytest.mark.parametrize(("choose", "code"), [("last", 0), ("best", 1)])
def test_checkpoints_that_are_gone_are_said_and_made_anew(
    call: Call, data: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, choose: str, code: int
) -> None:
    """The best weights of the first epoch are not to be had again: what is to be judged by them fails."""
    real = loop.Training._step

    def step(self: loop.Training, at: int, *rest: Any) -> Any:
        if at == 4:
            shutil.rmtree("run/checkpoints")
        return real(self, at, *rest)

    monkeypatch.setattr(loop.Training, "_step", step)
    monkeypatch.setattr(Keeper, "see", lambda self, epoch, val, see=Keeper.see: see(self, epoch, val | {"accuracy": 0}))
    assert call("train", data, *QUICK, "--choose", choose, "-o", "run")[0] == code
    assert caplog.text.count("run/checkpoints is gone, with all that was saved in it") == 1
    assert checkpoint.read(Path("run/checkpoints/last")).state["epochs_done"] == 3


def test_one_process_trains_into_a_folder_at_a_time(call: Call, data: Path, signal_after: Callable[..., None]) -> None:
    signal_after(4)
    assert call("train", data, *QUICK, "-o", "run")[0] == 143
    before = {path: path.read_bytes() for path in Path("run").rglob("*") if path.is_file()}
    with held(Path("run"), AssertionError()):
        for command, code in ((("resume", "run"), 1), (("train", data, *QUICK, "-o", "run", "--force"), 2)):
            found, _, err = call(*command)
            assert found == code
            assert "another" in err
    assert {path: path.read_bytes() for path in Path("run").rglob("*") if path.is_file()} == before
    assert call("resume", "run")[0] == 0


def test_other_options_are_refused_and_other_threads_are_not(call: Call, data: Path) -> None:
    config = resolve({}, {"model": "cnn4", "epochs": 1, "batch_size": 8})
    bench = open_bench(open_pictures(data, config), config)
    Path("run").mkdir()
    first = train_one(bench, config, Path("run"), resume=True)
    assert train_one(bench, replace(config, threads=3), Path("run"), resume=True) == first
    with pytest.raises(ConfigError, match=r"options it began with\. Got epochs 2 for 1, lr 0\.1 for None in run"):
        train_one(bench, replace(config, epochs=2, lr=0.1), Path("run"), resume=True)


def test_folders_that_hold_no_run(call: Call, data: Path) -> None:
    for folder in (data, "nowhere"):
        code, _, err = call("resume", folder)
        assert code == 2
        assert "no folder of a run" in err
    Path("begun").mkdir()
    Path("begun/command.json").write_text(
        json.dumps({"kind": "train", "data": "x", "argv": ["crossfade", "train", "x y"]})
    )
    code, _, err = call("resume", "begun")
    assert code == 2
    assert "Run it again with --force: crossfade train 'x y'" in err
    assert call("train", data, *QUICK, "-o", "begun", "--force")[0] == 0, "as it was told to"
    Path("theirs").mkdir()
    Path("theirs/command.json").write_text('{"argv": ["rm"]}')
    assert "no run of crossfade" in call("train", data, *QUICK, "-o", "theirs", "--force")[2]


@pytest.mark.parametrize("text", ["{", "[]", "{}", None])
def test_a_run_that_lost_its_device_says_so(call: Call, data: Path, text: str | None) -> None:
    assert call("train", data, *QUICK, "-o", "run")[0] == 0
    Path("run/summary.json").unlink()
    Path("run/environment.json").unlink() if text is None else Path("run/environment.json").write_text(text)
    code, _, err = call("resume", "run")
    assert code == 2
    assert "environment.json says on which device a run began" in err


@pytest.mark.parametrize("name", ["w.pt", "w.safetensors", "w.bin"])
def test_a_malicious_file_of_weights_runs_nothing(call: Call, data: Path, name: str) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (os.system, ("touch ran",))

    for content in (pickle.dumps(Trap()), None):
        if content is None:
            torch.save({"head.weight": Trap()}, name)
        else:
            Path(name).write_bytes(content)
        code, _, err = call("train", data, *QUICK, "--weights", name, "-o", "run")
        assert code == 1
        assert "safetensors" in err
        assert not Path("ran").exists()
    Path("run/checkpoints/last").mkdir(parents=True)
    Path("run/checkpoints/last/model.safetensors").write_bytes(pickle.dumps(Trap()))
    assert call("predict", "run", data)[0] in (1, 2)
    assert not Path("ran").exists()


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
    assert process.returncode == 143
    assert "stopped by SIGTERM" in err
    assert time.monotonic() - sent < 20
    assert not (tmp_path / "run").exists()
    assert not list(tmp_path.glob("cache/.building-*"))
