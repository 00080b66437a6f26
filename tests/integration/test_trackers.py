"""Trackers against the real packages, with local storage."""

from __future__ import annotations

import builtins
import json
import os
import signal
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from crossfade.cli import run as command_line
from crossfade.errors import ConfigError, MissingExtra, TrainingError
from crossfade.training import trackers
from crossfade.training.callbacks import Callback, Step
from crossfade.training.checkpoint import load, tensors_digest
from crossfade.training.config import RunConfig
from crossfade.training.dataset import open_pictures
from crossfade.training.record import make_folder, read_json
from crossfade.training.run import Bench, open_bench, train_one
from crossfade.training.signals import Interruption
from crossfade.training.trackers import (
    LOSS_EVERY,
    STEP_LOSS,
    TRACKERS,
    Tracker,
    check_trackers,
    flat,
    numbers,
    open_trackers,
)

CONFIG = RunConfig(model="cnn4", epochs=4, batch_size=3, precision="float32", device="cpu", augment="none")

# SQLAlchemy 2.1 deprecates what MLflow 3 asks of it; alembic what MLflow configures it with.
pytestmark = [
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:No path_separator found in configuration:DeprecationWarning"),
]


@pytest.fixture(scope="module")
def bench(corners: Path) -> Bench:
    return open_bench(open_pictures(corners, CONFIG), CONFIG)


@pytest.fixture(autouse=True)
def _no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


class Losses(Callback):
    """What a tracker should have been told of steps."""

    def __init__(self) -> None:
        self.losses: list[float] = []

    def on_step(self, step: Step) -> None:
        self.losses.append(float(step.loss))


def complain(words: str) -> None:
    raise AssertionError(words)


def trained(bench: Bench, folder: Path, names: list[str], say=complain) -> tuple[dict, Losses]:
    make_folder(folder, force=False)
    check_trackers(names)
    losses = Losses()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The ``noload`` loader strategy")
        summary = train_one(bench, CONFIG, folder, callbacks=[*open_trackers(names, folder, say), losses])
    return summary, losses


@pytest.fixture(scope="module")
def run(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict, Losses]:
    folder = tmp_path_factory.mktemp("runs") / "both"
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        return folder, *trained(bench, folder, ["tensorboard", "mlflow"])


def lines(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def expected(folder: Path) -> dict[str, list[tuple[int, float]]]:
    found: dict[str, list[tuple[int, float]]] = {}
    for line in lines(folder):
        for name, value in numbers({key: value for key, value in line.items() if key != "epoch"}):
            found.setdefault(name, []).append((line["epoch"], value))
    return found


def step_losses(losses: list[float]) -> list[tuple[int, float]]:
    ends = [*range(LOSS_EVERY, len(losses), LOSS_EVERY), len(losses)]
    starts = [0, *ends[:-1]]
    return [(end, float(np.mean(losses[start:end]))) for start, end in zip(starts, ends, strict=True)]


def test_tensorboard_holds_what_the_record_holds(run: tuple[Path, dict, Losses]) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder, summary, losses = run
    events = EventAccumulator(str(folder / "tensorboard"))
    events.Reload()
    wanted = expected(folder)
    assert {"train/loss", "val/accuracy", "val/auc", "lr", "images_per_second"} <= set(wanted)
    for name, values in wanted.items():
        told = [(event.step, event.value) for event in events.Scalars(name)]
        assert told == [(step, float(np.float32(value))) for step, value in values]
    told = [(event.step, event.value) for event in events.Scalars("step/loss")]
    assert told == [(step, pytest.approx(loss, rel=1e-5)) for step, loss in step_losses(losses.losses)]
    assert events.Scalars("judged/accuracy")[0].value == np.float32(summary["judged"]["accuracy"])
    assert len(events.Images("seen")) == 1
    assert "config/text_summary" in events.Tags()["tensors"]


def test_mlflow_holds_what_the_record_holds(run: tuple[Path, dict, Losses]) -> None:
    from mlflow import MlflowClient

    folder, summary, losses = run
    named = read_json(folder / "mlflow.json")
    client = MlflowClient(tracking_uri=named["tracking_uri"])
    found = client.get_run(named["run_id"])
    assert (folder.parent / "mlflow.db").is_file()
    assert found.info.status == "FINISHED"
    assert found.info.run_name == "both"
    assert found.data.params == {name: str(value) for name, value in flat(CONFIG.as_dict()).items()}
    for name, values in expected(folder).items():
        assert [(m.step, m.value) for m in client.get_metric_history(named["run_id"], name)] == values
    told = [(m.step, m.value) for m in client.get_metric_history(named["run_id"], "step/loss")]
    assert told == [(step, pytest.approx(loss, rel=1e-5)) for step, loss in step_losses(losses.losses)]
    assert found.data.metrics["judged/accuracy"] == summary["judged"]["accuracy"]
    kept = {file.path for file in client.list_artifacts(named["run_id"])}
    assert {"config.toml", "metrics.jsonl", "confusion.json"} <= kept
    assert Path(found.info.artifact_uri.removeprefix("file://")).is_relative_to(folder.parent)


def weights(folder: Path) -> str:
    tensors = load(folder / "checkpoints" / "last").tensors["model"]
    return tensors_digest(dict(sorted(tensors.items())))


def test_trackers_change_no_weight(bench: Bench, run: tuple[Path, dict, Losses], tmp_path: Path) -> None:
    plain, _ = trained(bench, tmp_path / "plain", [])
    assert plain["judged"] == run[1]["judged"]
    assert weights(tmp_path / "plain") == weights(run[0])


class Broken(Tracker):
    """Fails in one of its methods."""

    name, package = "broken", "json"
    fails = ""

    def __init__(self, home: Path, say) -> None:
        super().__init__(home, say)
        self.told: list[str] = []

    def _do(self, what: str) -> None:
        self.told.append(what)
        if what == self.fails:
            raise OSError(28, "No space left on device")

    def _open(self, config, folder) -> None:
        self._do("open")

    def _scalars(self, values, step) -> None:
        self._do("scalars")

    def _close(self, summary) -> None:
        self._do("close")


@pytest.mark.parametrize("fails", ["open", "scalars", "close"])
def test_a_tracker_that_fails_is_said_once_and_ends_nothing(bench: Bench, tmp_path: Path, fails: str) -> None:
    said: list[str] = []
    tracker = Broken(tmp_path, said.append)
    tracker.fails = fails
    make_folder(tmp_path / "run", force=False)
    summary = train_one(bench, CONFIG, tmp_path / "run", callbacks=[tracker])
    assert summary["judged"]["accuracy"] >= 0
    assert tracker.told.count(fails) == 1
    assert tracker.told[-1] == fails  # and is told nothing more
    assert said == ["broken: OSError: [Errno 28] No space left on device. It is told no more; the training goes on."]


def test_losses_are_told_to_the_last_step_where_a_training_stops_early(bench: Bench, tmp_path: Path) -> None:
    told: list[int] = []

    class Steps(Broken):
        def _scalars(self, values, step) -> None:
            told.extend([step] * (STEP_LOSS in values))

    make_folder(tmp_path / "run", force=False)
    config = replace(CONFIG, lr=1e-9, patience=1)
    summary = train_one(bench, config, tmp_path / "run", callbacks=[Steps(tmp_path, complain)])
    steps = len(bench.pictures.split.train) // CONFIG.batch_size
    assert told[-1] >= steps * summary["stopped_early"]


def test_a_folder_that_cannot_be_written_ends_no_training(bench: Bench, tmp_path: Path) -> None:
    """Where the events should go, and where the data base should be, stand things that are neither."""
    said: list[str] = []
    run = tmp_path / "run"
    make_folder(run, force=False)
    (run / "tensorboard").write_text("in the way")
    (tmp_path / "mlflow.db").mkdir()
    check_trackers(["tensorboard", "mlflow"])
    told = open_trackers(["tensorboard", "mlflow"], run, said.append)
    assert "judged" in train_one(bench, CONFIG, run, callbacks=told)
    assert sorted(words.partition(":")[0] for words in said) == ["mlflow", "tensorboard"]


def test_a_server_that_is_gone_ends_no_training(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    trained(bench, tmp_path / "run", ["mlflow"], said.append)
    assert len(said) == 1
    assert said[0].startswith("mlflow: ")


def failing(error: BaseException) -> None:
    raise error


ENDS = {
    "error": (lambda: failing(TrainingError("the loss is nan")), TrainingError, "FAILED"),
    "bug": (lambda: failing(ZeroDivisionError()), ZeroDivisionError, "FAILED"),
    "signal": (lambda: os.kill(os.getpid(), signal.SIGTERM), Interruption, "KILLED"),
    "second signal": (lambda: failing(KeyboardInterrupt()), KeyboardInterrupt, "KILLED"),
}


@pytest.mark.parametrize("end", ENDS)
def test_a_training_that_goes_on_goes_on_in_its_run(bench: Bench, tmp_path: Path, end: str) -> None:
    from mlflow import MlflowClient

    act, error, status = ENDS[end]

    class Enough(Callback):
        def on_epoch(self, line) -> None:
            if line["epoch"] == 2:
                act()

    run = tmp_path / "run"
    make_folder(run, force=False)
    told = open_trackers(["mlflow"], run, complain)
    with pytest.raises(error):
        train_one(bench, CONFIG, run, callbacks=[*told, Enough()])
    named = read_json(run / "mlflow.json")
    client = MlflowClient(tracking_uri=named["tracking_uri"])
    assert client.get_run(named["run_id"]).info.status == status
    train_one(bench, CONFIG, run, callbacks=open_trackers(["mlflow"], run, complain), resume=True)
    assert read_json(run / "mlflow.json") == named
    assert client.get_run(named["run_id"]).info.status == "FINISHED"
    steps = [metric.step for metric in client.get_metric_history(named["run_id"], "val/accuracy")]
    assert steps == [1, 2, 3, 4]


def test_the_command_tells_trackers_of_every_training_and_the_page(corners: Path, tmp_path: Path) -> None:
    from mlflow import MlflowClient

    shared = ["--model", "cnn4", "--epochs", "1", "--batch-size", "16", "--track", "tensorboard,mlflow"]
    out = tmp_path / "runs" / "one"
    assert command_line(["train", str(corners), *shared, "--out", str(out)]) == 0
    named = read_json(out / "mlflow.json")
    client = MlflowClient(tracking_uri=named["tracking_uri"])
    assert {"report.html", "figures"} <= {file.path for file in client.list_artifacts(named["run_id"])}
    assert read_json(out / "command.json")["trackers"] == ["tensorboard", "mlflow"]
    out = tmp_path / "runs" / "two"
    options = ["--arm", "none", "--arm", "mixup", "--seeds", "1"]
    assert command_line(["compare", str(corners), *shared, *options, "--out", str(out)]) == 0
    experiment = client.get_experiment_by_name("crossfade")
    names = {run.info.run_name for run in client.search_runs([experiment.experiment_id])}
    assert names == {"one", "two/none/seed-0", "two/mixup/seed-0"}
    assert all((out / arm / "seed-0" / "tensorboard").is_dir() for arm in ("none", "mixup"))


def test_a_tracker_nobody_knows_and_one_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="Did you mean mlflow"):
        check_trackers(["mlflo"])
    real = trackers.importlib.import_module

    def missing(name: str):
        if name == "mlflow":
            raise ModuleNotFoundError("No module named 'mlflow'", name="mlflow")
        return real(name)

    monkeypatch.setattr(trackers.importlib, "import_module", missing)
    with pytest.raises(MissingExtra, match=r"pip install 'crossfade\[track\]'"):
        check_trackers(["tensorboard", "mlflow"])


def test_nothing_heavy_is_imported_unless_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__
    asked: list[str] = []

    def spying(name: str, *args, **more):
        asked.append(name)
        return real(name, *args, **more)

    monkeypatch.setattr(builtins, "__import__", spying)
    check_trackers([])
    open_trackers([], Path(), complain)
    assert not {"mlflow", "tensorboard"} & set(asked)
    assert set(TRACKERS) == {"tensorboard", "mlflow"}
