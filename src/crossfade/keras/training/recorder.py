"""`RunRecorder`: a Keras training leaves a run folder, as one of the workbench does."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np

from crossfade.disk import remove
from crossfade.errors import ConfigError, check_known
from crossfade.keras.datasets.base import MixedDataset
from crossfade.keras.training.callbacks import rate_of
from crossfade.keras.training.facts import Facts, command, environment, labels_of
from crossfade.keras.training.held_out import BATCH, HeldOut, Named
from crossfade.keras.training.seen import write_first_pictures
from crossfade.keras.training.weights import ENDING, save_weights, weights_digest, with_weights
from crossfade.training import record
from crossfade.training.config import RunConfig
from crossfade.training.keeper import Keeper, metric_of

log = logging.getLogger(__name__)


class RunRecorder(keras.callbacks.Callback):
    """Write the run folder of a Keras training, so that `crossfade report FOLDER` and the comparison page work on it.

        model.fit(train, epochs=10, callbacks=[RunRecorder("runs/mine", data=train, validation_data=held_out)])

    After each epoch the held-out pictures are named once, and all metrics of docs/reference/metrics.md are taken of
    them; they go into the logs as `val_accuracy`, `val_auc`, ... where nothing stands there yet, so callbacks behind
    this one can follow them and `fit` needs no validation_data of its own. `loss` is what Keras reports; of the
    validation its val_loss, or else the log loss.

    Weights are Keras' own files, ``weights/last.weights.h5`` and ``weights/best.weights.h5``, which
    `model.load_weights` takes. A training that was stopped leaves its epochs and no summary; with `resume` another one
    goes on in its folder, from `initial_epoch` on.

    Args:
        folder: of the run.
        data: what is fitted. A data set of ours tells its classes, files, mixing and first pictures, too.
        validation_data: after each epoch; see `crossfade.keras.RocAuc`.
        test_data: judged once, in the end, by the weights of the best epoch.
        metric: chooses the best epoch; None takes the AUC of two classes, the accuracy of more.
        choose: the epoch that is judged, "best" or "last"; None takes the best where there is test data, else the
            last (docs/decisions/0004).
        class_names: in the order of the labels; None takes those of `data`, or numbers.
        config: more settings to write into ``config.toml``.
        probabilities: what the model's outputs are, see `crossfade.keras.RocAuc`.
        batch_size: in which arrays are read.
        weights: whether weights are written.
        page: whether the page is written in the end.
        force: whether an earlier run in the folder is removed.
        resume: whether an earlier run in the folder is gone on with.

    Attributes:
        data: as given.
        summary: of the training that has ended, as in ``summary.json``.

    Raises:
        ConfigError: the folder cannot be taken, or an option makes no sense.
        DataError: data to be judged on mixes.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        data: Any,
        validation_data: Any,
        test_data: Any = None,
        metric: str | None = None,
        choose: Literal["best", "last"] | None = None,
        class_names: Sequence[str] | None = None,
        config: Mapping[str, Any] | None = None,
        probabilities: str | None = None,
        batch_size: int = BATCH,
        weights: bool = True,
        page: bool = True,
        force: bool = False,
        resume: bool = False,
    ) -> None:
        super().__init__()
        self.folder, self.data = Path(folder), data
        self.summary: dict[str, Any] | None = None
        self._facts = Facts(data, validation_data, test_data, class_names)
        self._val = HeldOut("RunRecorder", validation_data, batch_size)
        self._test = None if test_data is None else HeldOut("RunRecorder", test_data, batch_size)
        self._choose = choose or ("last" if test_data is None else "best")
        check_known("RunRecorder", "epoch to choose", self._choose, ("best", "last"))
        if self._choose == "best" and not weights:
            raise ConfigError("RunRecorder: the best epoch is judged by its weights. Got weights=False. Leave it out.")
        self._metric, self._config, self._probabilities = metric, dict(config or {}), probabilities
        self._weights, self._page, self._force, self._resume = weights, page, force, resume
        self._lines: list[dict[str, Any]] = []
        self._keeper: Keeper | None = None
        self._named: Named | None = None
        self._lambdas = record.LambdaHistogram()
        self._initial_weights = ""
        if not (resume and record.has_begun(self.folder)):
            record.check_folder(self.folder, force=force)

    # ------------------------------------------------------------------------------------------------- what Keras calls

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        """A training begins, or goes on: which, its first epoch says."""
        self._started, self._is_open = time.perf_counter(), False
        self._seconds = 0.0  # of the epochs before

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Open the folder before the first epoch."""
        if not self._is_open:
            self._open(epoch)
            self._is_open, self._place = True, self._facts.place
        self._steps = 0
        self._begun = time.perf_counter()
        self._trained: float | None = None

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Count: an epoch of `steps_per_epoch` is not one of the data."""
        self._steps += self.model.steps_per_execution

    def on_test_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        """Keras validates: the training of this epoch has ended."""
        self._trained = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Judge, write the line of the epoch, keep the weights."""
        logs = {} if logs is None else logs
        seconds = (self._trained or time.perf_counter()) - self._begun
        self._named = self._val.named_by(self.model, self._probabilities)
        scores = self._named.scores()
        steps = min(self._steps, self.params.get("steps") or self._steps)  # the last execution may take fewer
        drawn = self._facts.lambdas(self._place, steps)
        self._place += steps
        line = self._line(epoch, logs, scores, seconds)
        if drawn:
            line["images_per_second"] = sum(map(len, drawn)) / seconds
        self._lines.append(line)
        record.append_line(self.folder / "metrics.jsonl", line)
        is_best = self._see(line)
        if self._weights:
            save_weights(self.model, self._path("last"))
            if is_best:
                save_weights(self.model, self._path("best"))
        for lam in drawn:
            self._lambdas.add(lam)
        if drawn:
            record.write_json(self.folder / "lambda.json", self._lambdas.as_dict())
        for name, value in scores.items():
            logs.setdefault(f"val_{name}", value)

    def on_train_end(self, logs: Mapping[str, Any] | None = None) -> None:
        """Write the summary, which says that the training is finished, and the page."""
        if not self._is_open or not self._lines:
            return
        self.summary = self._finish()
        record.write_json(self.folder / "summary.json", self.summary)
        if self._page:
            from crossfade.report import write_report

            write_report(self.folder)

    # ---------------------------------------------------------------------------------------------------------- opening

    def _open(self, epoch: int) -> None:
        if not self._lines and self._resume and record.has_begun(self.folder):
            self._take_up()
        if self._lines and epoch != self._lines[-1]["epoch"]:
            raise ConfigError(
                f"RunRecorder: a run folder holds one training. Got epoch {epoch + 1} after epoch "
                f"{self._lines[-1]['epoch']} in {self.folder}. Go on with initial_epoch={self._lines[-1]['epoch']}, or "
                "make another RunRecorder for another training."
            )
        if self._lines:
            remove(self.folder / "summary.json")
            self._seconds = sum(line["seconds"] for line in self._lines)
        else:
            self._begin()

    def _begin(self) -> None:
        """The head of a new run."""
        # Where there is a run to resume it ends up here if it was stopped in its first epoch.
        record.make_folder(self.folder, force=self._force or self._resume)
        self._initial_weights = weights_digest(self.model)
        asked = {**command(self._facts), "initial_weights": self._initial_weights}
        record.write_json(self.folder / "command.json", asked)
        names = self._facts.names(self._columns)
        if told := self._facts.described(names):
            record.write_json(self.folder / "data.json", told)
        settings = self._facts.settings(self.model, self.params.get("epochs", 0), self._config)
        record.write_head(self.folder, self._facts.parts(), settings, environment(self.model), names)
        write_first_pictures(self.folder, self._facts.train, len(names))

    def _take_up(self) -> None:
        """The epochs of an earlier run in the folder."""
        self._lines = record.read_lines(self.folder / "metrics.jsonl")
        record.write_lines(self.folder / "metrics.jsonl", self._lines)  # without a last line that was cut off
        for line in self._lines:
            line["val"] = {name: math.nan if value is None else value for name, value in line["val"].items()}
            self._see(line)
        self._initial_weights = str(record.json_table(self.folder / "command.json").get("initial_weights", ""))
        if drawn := record.json_table(self.folder / "lambda.json"):
            self._lambdas = record.LambdaHistogram.restored(drawn)

    @property
    def _columns(self) -> int:
        """How many classes the model tells apart."""
        shape = getattr(self.model, "output_shape", None) or (None, 2)
        return max(2, int(shape[-1]))

    # --------------------------------------------------------------------------------------------------------- an epoch

    def _line(self, epoch: int, logs: Mapping[str, Any], scores: Mapping[str, float], seconds: float) -> dict[str, Any]:
        plain = {name: np.asarray(keras.ops.convert_to_numpy(value), float).tolist() for name, value in logs.items()}
        train = {"loss": plain.get("loss", math.nan)}
        if (hit := self._hit(plain)) is not None:
            train["accuracy_by_label_weight"] = hit
        return {
            "epoch": epoch + 1,
            "train": train,
            "val": {"loss": plain.get("val_loss", scores["log_loss"]), **scores},
            "lr": rate_of(self.model.optimizer),
            "seconds": seconds,
            "logs": plain,
        }

    def _hit(self, logs: Mapping[str, Any]) -> float | None:
        """The label weight that was hit in training: `MixedAccuracy`, or of unmixed pictures any accuracy."""
        names = ["mixed_accuracy"]
        if isinstance(self._facts.train, MixedDataset) and not self._facts.train.mixes:
            names += [f"{kind}accuracy" for kind in ("", "categorical_", "sparse_categorical_", "binary_")]
        return next((logs[name] for name in names if name in logs), None)

    def _see(self, line: Mapping[str, Any]) -> bool:
        """Whether the epoch is the best so far."""
        if self._keeper is None:
            labels = {"val": labels_of(self._facts.val), "test": labels_of(self._facts.test)}
            if self._named is not None:
                labels["val"] = self._named.labels
            known = {part: numbers for part, numbers in labels.items() if numbers is not None}
            classes = self._columns if self._named is None else self._named.classes
            self._keeper = Keeper(RunConfig(), metric_of(self._metric, classes, known))
        return self._keeper.see(line["epoch"], line["val"])

    def _path(self, name: str) -> Path:
        return self.folder / "weights" / f"{name}{ENDING}"

    # ---------------------------------------------------------------------------------------------------------- the end

    def _finish(self) -> dict[str, Any]:
        """The summary; test data is looked at here, once."""
        assert self._keeper is not None
        part = "val" if self._test is None else "test"
        named, found = self._judged()
        if not np.isfinite(found["log_loss"]):
            log.warning("%s: the outputs of the model are not finite, and it is not judged.", self.folder)
        if (counts := None if named is None else named.confusion()) is not None:
            record.write_json(self.folder / "confusion.json", {"part": part, "matrix": counts.tolist()})
        last = self._lines[-1]["epoch"]
        early = getattr(self.model, "stop_training", False) and last < self.params.get("epochs", last)
        return {
            **self._keeper.summary(),
            **({"stopped_early": last} if early else {}),
            **({"test": found} if part == "test" else {}),
            "judged": {"part": part, "epoch": self._choose, "metric": self._keeper.metric.name, **found},
            "parameters": int(self.model.count_params()),
            "initial_weights": self._initial_weights,
            "seconds": self._seconds + time.perf_counter() - self._started,
        }

    def _judged(self) -> tuple[Named | None, dict[str, float]]:
        """What the model says of the pictures it is judged on, by the weights of the chosen epoch, and its scores."""
        if self._test is None and self._choose == "last":
            return self._named, self._lines[-1]["val"]
        # Another callback may have brought back other weights by now, as EarlyStopping does.
        chosen = with_weights(self.model, self._path(self._choose)) if self._weights else nullcontext()
        with chosen:
            named = (self._test or self._val).named_by(self.model, self._probabilities)
        scores = named.scores()
        return named, {"loss": scores["log_loss"], **scores}
