"""Checkpoints that are damaged, of another training, gone or meant to harm."""

from __future__ import annotations

import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from crossfade.training import checkpoint, loop
from crossfade.training.config import resolve
from crossfade.training.keeper import Keeper
from crossfade.training.predict import load_run
from crossfade.training.resume import last_whole
from tests.integration.conftest import Call
from tests.integration.resume.conftest import SignalAfter
from tests.integration.resume.stopped import QUICK, ends


@pytest.mark.parametrize("damage", ["flip", "cut", "gone", "both"])
def test_a_damaged_checkpoint_is_said_and_the_one_before_it_is_gone_on_from(
    call: Call,
    data: Path,
    signal_after: SignalAfter,
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
    call: Call, data: Path, signal_after: SignalAfter, caplog: pytest.LogCaptureFixture
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
    call: Call, data: Path, signal_after: SignalAfter, caplog: pytest.LogCaptureFixture, taken: str, whole: Path
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
