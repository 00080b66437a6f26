"""crossfade resume as a user types it: the very weights of the training that was never stopped."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from crossfade.errors import ConfigError
from crossfade.training import checkpoint, loop
from crossfade.training.config import resolve
from crossfade.training.dataset import open_pictures
from crossfade.training.run import open_bench, train_one
from tests.integration.conftest import Call
from tests.integration.resume.conftest import SignalAfter
from tests.integration.resume.stopped import QUICK, ends, forget_time


def test_a_training_goes_on_at_the_very_step(call: Call, data: Path, signal_after: SignalAfter, whole: Path) -> None:
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
def test_a_comparison_goes_on(call: Call, data: Path, signal_after: SignalAfter, training: int) -> None:
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
    call: Call, data: Path, signal_after: SignalAfter, whole: Path
) -> None:
    shutil.copy(whole / "checkpoints" / "last" / "model.safetensors", "first.safetensors")
    signal_after(4)
    assert call("train", data, *QUICK, "--weights", "first.safetensors", "-o", "run")[0] == 143
    Path("first.safetensors").unlink()
    assert call("resume", "run")[0] == 0


def test_other_options_are_refused_and_other_threads_are_not(call: Call, data: Path) -> None:
    config = resolve({}, {"model": "cnn4", "epochs": 1, "batch_size": 8})
    bench = open_bench(open_pictures(data, config), config)
    Path("run").mkdir()
    first = train_one(bench, config, Path("run"), resume=True)
    assert train_one(bench, replace(config, threads=3), Path("run"), resume=True) == first
    with pytest.raises(ConfigError, match=r"options it began with\. Got epochs 2 for 1, lr 0\.1 for None in run"):
        train_one(bench, replace(config, epochs=2, lr=0.1), Path("run"), resume=True)


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
def test_in_bfloat16_and_with_two_threads_of_torch_it_goes_on_the_same(
    call: Call, data: Path, signal_after: SignalAfter
) -> None:
    options = ["--model", "resnet20", "--epochs", "2", "--batch-size", "6", "--size", "16", "--ema", "0.9"]
    options += ["--precision", "bfloat16", "--mix", "cutmix", "--augment", "light"]
    assert call("train", data, *options, "-o", "whole")[0] == 0
    assert json.loads(Path("whole/environment.json").read_text())["precision"] == "bfloat16"
    signal_after(4)
    assert call("train", data, *options, "-o", "run")[0] == 143
    assert call("resume", "run", "--threads", "4")[0] == 0
    assert ends(Path("run")) == ends(Path("whole"))
