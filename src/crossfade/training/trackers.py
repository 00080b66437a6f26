"""Trackers: a training told to TensorBoard or MLflow while it runs. They look, and change nothing.

    RUN/tensorboard               TensorBoard's events
    mlflow.db, mlflow-artifacts   beside RUN, one store for all runs; MLFLOW_TRACKING_URI names another

Epochs are told as in `metrics.jsonl`, by the number of the epoch; the loss of single steps as the mean of
`LOSS_EVERY` of them, by the number of the step, so that no step waits for the device. A tracker that fails says so
once and is silent from then on: a full disk or a server that is gone ends no training.
"""

from __future__ import annotations

import importlib
import logging
import os
import sqlite3
import time
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from crossfade.errors import MissingExtra, check_known
from crossfade.training import record
from crossfade.training.callbacks import Callback, Step
from crossfade.training.config import RunConfig
from crossfade.training.signals import Interruption

LOSS_EVERY = 50
STEP_LOSS = "step/loss"
RUN_FILE = "mlflow.json"
_EXPERIMENT = "crossfade"
_BATCH = 100  # parameters MLflow takes at once
_KEPT = ("config.toml", "classes.json", "environment.json", "metrics.jsonl", "confusion.json", "lambda.json")

Say = Callable[[str], None]


class Tracker(Callback):
    """What trackers have in common: numbers out of records, and that none of them can end a training.

    Args:
        home: folder of what the command makes: the run, or the comparison that holds it.
        say: told once, if the tracker fails.
    """

    name: str
    package: str

    def __init__(self, home: Path, say: Say) -> None:
        self._home, self._say = home, say
        self._losses: list[Tensor] = []
        self._steps = 0
        self._works = True
        self._error: BaseException | None = None

    def on_start(self, config: RunConfig, folder: Path) -> None:
        """Open, and tell the configuration."""
        self._try(self._open, config, folder)

    def on_step(self, step: Step) -> None:
        """Tell the mean loss of each `LOSS_EVERY` steps."""
        self._losses.append(step.loss)
        self._steps = step.done
        if len(self._losses) == LOSS_EVERY:
            self._tell_losses()

    def on_epoch(self, line: Mapping[str, Any]) -> None:
        """Tell the numbers of its line."""
        values = dict(numbers({name: value for name, value in line.items() if name != "epoch"}))
        self._try(self._scalars, values, line["epoch"])

    def on_error(self, error: BaseException) -> None:
        """Remember what ended it."""
        self._error = error

    def on_end(self, summary: Mapping[str, Any] | None) -> None:
        """Tell the losses since, wherever it ended, and the summary, and close."""
        self._tell_losses()
        self._try(self._close, summary)

    def attach(self, paths: Sequence[Path]) -> None:
        """Hand over files that were made when the training had ended, such as its page."""
        self._try(self._files, paths)

    def _tell_losses(self) -> None:
        losses, self._losses = self._losses, []
        if losses:
            self._try(lambda: self._scalars({STEP_LOSS: float(torch.stack(losses).mean())}, self._steps))

    def _try(self, act: Callable[..., None], *args: Any) -> None:
        if not self._works:
            return
        try:
            act(*args)
        except Exception as error:  # whatever it is, the training is worth more
            self._works = False
            reason = next(iter(str(error).splitlines()), "")[:200]
            self._say(f"{self.name}: {type(error).__name__}: {reason}. It is told no more; the training goes on.")

    @abstractmethod
    def _open(self, config: RunConfig, folder: Path) -> None: ...

    @abstractmethod
    def _scalars(self, values: Mapping[str, float], step: int) -> None: ...

    @abstractmethod
    def _close(self, summary: Mapping[str, Any] | None) -> None: ...

    def _files(self, paths: Sequence[Path]) -> None:
        """Most trackers keep no files."""


class TensorBoard(Tracker):
    """Scalars, the configuration, and the first batch as the model saw it, in RUN/tensorboard."""

    name = "tensorboard"
    package = "tensorboard"

    def _open(self, config: RunConfig, folder: Path) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._folder, self._config = folder, config
        self._writer = SummaryWriter(folder / "tensorboard")
        listed = "\n".join(f"    {name} = {value}" for name, value in flat(config.as_dict()).items())
        self._writer.add_text("config", listed)

    def _scalars(self, values: Mapping[str, float], step: int) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def _close(self, summary: Mapping[str, Any] | None) -> None:
        seen = self._folder / "seen.npz"
        if seen.is_file():
            with np.load(seen) as arrays:
                self._writer.add_images("seen", arrays["images"], 0, dataformats="NHWC")
        if summary is not None:
            settings = {name: _simple(value) for name, value in flat(self._config.as_dict()).items()}
            judged = {f"judged/{name}": value for name, value in numbers(summary["judged"])}
            self._writer.add_hparams(settings, judged, run_name=".")  # into the same folder
        self._writer.close()


class MLflow(Tracker):
    """A run of MLflow: parameters, metrics, summary and the small files of the record.

    It is begun once: a training that is resumed goes on in the run that RUN/mlflow.json names.
    """

    name = "mlflow"
    package = "mlflow"

    def _open(self, config: RunConfig, folder: Path) -> None:
        from mlflow import MlflowClient

        self._folder = folder
        store, artifacts = self._store()
        self._client = MlflowClient(tracking_uri=store)
        standing = folder / RUN_FILE
        if standing.is_file():
            self._run = str(record.read_json(standing)["run_id"])
            self._client.update_run(self._run, status="RUNNING")
            return
        found = self._client.get_experiment_by_name(_EXPERIMENT)
        experiment = found.experiment_id if found else self._client.create_experiment(_EXPERIMENT, artifacts)
        name = folder.relative_to(self._home.parent).as_posix()
        self._run = self._client.create_run(experiment, run_name=name).info.run_id
        record.write_json(standing, {"run_id": self._run, "tracking_uri": store})
        self._parameters(config)

    def _store(self) -> tuple[str, str | None]:
        """Where runs go, and where their files: as MLFLOW_TRACKING_URI says, else beside the run."""
        if given := os.environ.get("MLFLOW_TRACKING_URI"):
            return given, None
        from sqlalchemy.engine import URL

        place = self._home.absolute().parent
        database = place / "mlflow.db"
        with closing(sqlite3.connect(database)) as connection:  # MLflow tries for minutes where this fails at once
            connection.execute("BEGIN IMMEDIATE")
        store = URL.create("sqlite", database=str(database)).render_as_string()
        return store, (place / "mlflow-artifacts").as_uri()

    def _parameters(self, config: RunConfig) -> None:
        from mlflow.entities import Param

        listed = [Param(name, str(value)) for name, value in flat(config.as_dict()).items()]
        for start in range(0, len(listed), _BATCH):
            self._client.log_batch(self._run, params=listed[start : start + _BATCH])

    def _scalars(self, values: Mapping[str, float], step: int) -> None:
        from mlflow.entities import Metric

        now = int(1000 * time.time())
        self._client.log_batch(self._run, metrics=[Metric(name, value, now, step) for name, value in values.items()])

    def _close(self, summary: Mapping[str, Any] | None) -> None:
        if summary is not None:
            judged = {f"judged/{name}": value for name, value in numbers(summary["judged"])}
            self._scalars({**judged, "seconds in all": summary["seconds"]}, 0)
        self._files([path for name in _KEPT if (path := self._folder / name).is_file()])
        is_failed = isinstance(self._error, Exception) and not isinstance(self._error, Interruption)
        status = "FAILED" if is_failed else "KILLED" if summary is None else "FINISHED"
        self._client.set_terminated(self._run, status)

    def _files(self, paths: Sequence[Path]) -> None:
        for path in paths:
            if path.is_dir():
                self._client.log_artifacts(self._run, str(path), path.name)
            else:
                self._client.log_artifact(self._run, str(path))


TRACKERS: dict[str, type[Tracker]] = {one.name: one for one in (TensorBoard, MLflow)}


def check_trackers(names: Sequence[str]) -> None:
    """Whether these trackers are there.

    Raises:
        ConfigError: nobody knows such a tracker.
        MissingExtra: its package is not installed.
    """
    for name in names:
        check_known("track", "tracker", name, TRACKERS)
    # Read once, when it is first imported. Nothing is told to anybody but the store that was asked for.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    # A server that is gone is given up after seconds, not minutes.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
    for name in names:
        try:
            importlib.import_module(TRACKERS[name].package)
        except ModuleNotFoundError as error:
            raise MissingExtra(f"track: needs {error.name}. Run: pip install 'crossfade[track]'.") from error
    for library in ("alembic", "mlflow"):
        logging.getLogger(library).setLevel(logging.WARNING)


def open_trackers(names: Sequence[str], home: Path, say: Say) -> list[Tracker]:
    """Trackers for one training, by their names in `TRACKERS`; see `Tracker`."""
    return [TRACKERS[name](home, say) for name in names]


def numbers(table: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, float]]:
    """The numbers of a record, those of tables in it as ``val/accuracy``."""
    for name, value in table.items():
        if isinstance(value, Mapping):
            yield from numbers(value, f"{before}{name}/")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield f"{before}{name}", float(value)


def flat(table: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """A table without tables in it: ``preprocess.fit``."""
    found: dict[str, Any] = {}
    for name, value in table.items():
        found.update(flat(value, f"{before}{name}.") if isinstance(value, Mapping) else {f"{before}{name}": value})
    return found


def _simple(value: Any) -> bool | int | float | str:
    """As TensorBoard takes it."""
    return value if isinstance(value, bool | int | float | str) else str(value)
