"""RunRecorder: the run folder of a Keras training."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

import crossfade as cf
from crossfade.cli import main
from crossfade.errors import ConfigError, DataError
from crossfade.keras import ArrayDataset, ImageFolder, MixedAccuracy, RunRecorder
from crossfade.keras.training.weights import drawn_from, weights_digest
from crossfade.report import write_report
from crossfade.training.metrics import scores
from tests.unit.keras.small import head_net, pictures, softmax_net

X, Y = pictures()
X_VAL, Y_VAL = pictures(21, seed=1)
X_TEST, Y_TEST = pictures(18, seed=2)


def dataset(mix: cf.Policy | None = None, batch_size: int = 16) -> ArrayDataset:
    return ArrayDataset(X, Y, batch_size, mix=mix)


def held_out(x: np.ndarray = X_VAL, y: np.ndarray = Y_VAL) -> ArrayDataset:
    return ArrayDataset(x, y, shuffle=False, num_classes=3)


def fit(model: keras.Model, recorder: RunRecorder, *more: keras.callbacks.Callback, epochs: int = 3, **options: object):
    return model.fit(recorder.data, epochs=epochs, verbose=0, callbacks=[recorder, *more], **options).history


def stored(folder: Path, name: str = "summary.json") -> dict:
    return json.loads((folder / name).read_text())


def lines(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def taken_up(path: Path) -> keras.Model:
    """A new model with the weights of a file; that its optimizer has no moments yet, Keras warns of."""
    model = softmax_net()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.load_weights(str(path))
    return model


class Stop(keras.callbacks.Callback):
    """Ctrl-C in the midst of an epoch."""

    def __init__(self, epoch: int) -> None:
        super().__init__()
        self.epoch = epoch

    def on_epoch_begin(self, epoch: int, logs: object = None) -> None:
        self.now = epoch

    def on_train_batch_end(self, batch: int, logs: object = None) -> None:
        if self.now == self.epoch and batch == 1:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def folder_run(corners: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, RunRecorder, dict]:
    """A folder of pictures, mixed, of three epochs."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    options = {"image_size": 8, "validation_split": 0.3}
    train = ImageFolder(corners, subset="training", mix=cf.CutMix(1.0), batch_size=16, **options)
    recorder = RunRecorder(folder, data=train, validation_data=ImageFolder(corners, subset="validation", **options))
    model = softmax_net()
    model.compile(keras.optimizers.Adam(0.05), "categorical_crossentropy", metrics=[MixedAccuracy()])
    history = fit(model, recorder)
    recorder.val_scores = model.evaluate(recorder._facts.val, verbose=0, return_dict=True)
    return folder, recorder, history


def test_the_folder_holds_what_one_of_the_workbench_holds(folder_run: tuple[Path, RunRecorder, dict]) -> None:
    folder, recorder, _ = folder_run
    files = {"command.json", "config.toml", "environment.json", "classes.json", "split.csv", "data.json", "seen.npz"}
    files |= {"metrics.jsonl", "lambda.json", "confusion.json", "summary.json", "report.html", "figures", "weights"}
    assert {path.name for path in folder.iterdir()} == files
    summary = stored(folder)
    assert summary == json.loads(json.dumps(recorder.summary))
    assert {"best_epoch", "val", "last", "judged", "parameters", "initial_weights", "seconds"} == set(summary)
    assert {"part": "val", "epoch": "last", "metric": "accuracy"}.items() <= summary["judged"].items()
    assert json.loads((folder / "classes.json").read_text()) == list(recorder.data.class_names)
    assert np.sum(stored(folder, "confusion.json")["matrix"]) == recorder._facts.val.n
    environment = stored(folder, "environment.json")
    assert (environment["keras"], environment["backend"]) == (keras.__version__, keras.config.backend())


def test_the_lines_say_what_keras_says(folder_run: tuple[Path, RunRecorder, dict]) -> None:
    folder, recorder, history = folder_run
    found = lines(folder)
    assert [line["epoch"] for line in found] == [1, 2, 3]
    assert [line["train"]["loss"] for line in found] == pytest.approx(history["loss"])
    hits = [line["train"]["accuracy_by_label_weight"] for line in found]
    assert hits == pytest.approx(history["mixed_accuracy"])
    assert [line["lr"] for line in found] == [0.05] * 3
    assert found[-1]["val"]["accuracy"] == pytest.approx(recorder.val_scores["mixed_accuracy"])
    assert found[-1]["val"]["log_loss"] == pytest.approx(recorder.val_scores["loss"], abs=1e-5)
    assert history["val_accuracy"] == [line["val"]["accuracy"] for line in found]


def test_every_picture_is_in_its_part(folder_run: tuple[Path, RunRecorder, dict]) -> None:
    folder, recorder, _ = folder_run
    rows = [line.split(",") for line in (folder / "split.csv").read_text().splitlines()[1:]]
    parts = {part: sorted(row[0] for row in rows if row[2] == part) for part in ("train", "val")}
    assert parts == {"train": sorted(recorder.data.filenames), "val": sorted(recorder._facts.val.filenames)}
    assert sum(stored(folder, "data.json")["parts"]["train"].values()) == recorder.data.n


def test_the_lambdas_are_those_of_the_training(folder_run: tuple[Path, RunRecorder, dict]) -> None:
    folder, recorder, _ = folder_run
    found = stored(folder, "lambda.json")
    assert found["total"] == 3 * recorder.data.n
    expected = np.zeros(50, int)
    for epoch in range(3):
        recorder.data.set_epoch(epoch)
        for step in range(len(recorder.data)):
            lam = recorder.data.source.ready(epoch, step).plan.lam
            expected += np.histogram(lam[lam < 1], np.linspace(0, 1, 51))[0]
    assert found["counts"] == expected.tolist()


def test_what_was_seen_is_the_first_batch(folder_run: tuple[Path, RunRecorder, dict]) -> None:
    folder, recorder, _ = folder_run
    with np.load(folder / "seen.npz") as seen:
        images, targets = recorder.data.source.pictures(0, 0)
        assert (seen["images"] == images).all()
        weights = np.zeros((16, 3))
        np.add.at(weights, (np.arange(16)[:, None], seen["label_of_layer"]), seen["weights"])
        assert weights == pytest.approx(targets)
        assert seen["mixed"].mean() > 0.8


def test_the_page_offers_what_can_be_done_with_it(folder_run: tuple[Path, RunRecorder, dict]) -> None:
    page = (folder_run[0] / "report.html").read_text()
    assert "CutMix(alpha=1.0)" in page
    assert "load_weights" in page
    assert "crossfade report" in page
    for command in ("evaluate", "predict", "export", "resume", "to the last bit"):
        assert f"crossfade {command}" not in page
    assert "missing or unreadable" not in page


def test_weights_are_keras_own(folder_run: tuple[Path, RunRecorder, dict]) -> None:
    folder, recorder, _ = folder_run
    model = taken_up(folder / "weights" / "last.weights.h5")
    predicted = model.predict(recorder._facts.val, verbose=0).argmax(1)
    assert (predicted == recorder._facts.val.classes).mean() == pytest.approx(stored(folder)["judged"]["accuracy"])


def test_the_report_is_written_where_there_is_no_torch(folder_run: tuple[Path, RunRecorder, dict]) -> None:
    folder = folder_run[0]
    (folder / "report.html").unlink()
    code = "import sys; sys.modules['torch'] = None; from crossfade.cli import main; main(sys.argv[1:])"
    subprocess.run([sys.executable, "-c", code, "report", str(folder)], check=True, capture_output=True)
    assert (folder / "report.html").exists()


@pytest.mark.skipif(keras.config.backend() == "torch", reason="torch is the backend")
def test_nothing_loads_torch_under_another_backend() -> None:
    code = (
        "import sys, crossfade.keras as door\n"
        "door.RunRecorder, door.compare, door.RocAuc, door.MixedAccuracy\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, env=os.environ)
    assert done.stdout.strip() == "False"


def test_resume_of_the_workbench_says_who_can(folder_run: tuple[Path, RunRecorder, dict], capsys) -> None:
    with pytest.raises(SystemExit):
        main(["resume", str(folder_run[0])])
    assert "gone on with in its own program" in capsys.readouterr().err


def test_a_training_that_was_stopped_is_gone_on_with(tmp_path: Path) -> None:
    data, model = dataset(cf.MixUp(0.4)), softmax_net()
    first = RunRecorder(tmp_path / "run", data=data, validation_data=held_out())
    with pytest.raises(KeyboardInterrupt):
        fit(model, first, Stop(2), epochs=5)
    assert len(lines(tmp_path / "run")) == 2
    assert not (tmp_path / "run" / "summary.json").exists()
    assert "has not finished: 2 epochs so far" in write_report(tmp_path / "run").read_text()
    before = lines(tmp_path / "run")

    again = taken_up(tmp_path / "run" / "weights" / "last.weights.h5")
    data.set_epoch(2)
    second = RunRecorder(tmp_path / "run", data=data, validation_data=held_out(), resume=True)
    fit(again, second, epochs=4, initial_epoch=2)
    found = lines(tmp_path / "run")
    assert found[:2] == before
    assert [line["epoch"] for line in found] == [1, 2, 3, 4]
    accuracies = [line["val"]["accuracy"] for line in found]
    assert second.summary["best_epoch"] == 1 + accuracies.index(max(accuracies))
    assert second.summary["initial_weights"] == stored(tmp_path / "run", "command.json")["initial_weights"]
    assert stored(tmp_path / "run", "lambda.json")["total"] == 4 * 40


def test_a_run_goes_on_where_it_was_and_nowhere_else(tmp_path: Path) -> None:
    fit(softmax_net(), RunRecorder(tmp_path / "run", data=dataset(), validation_data=held_out()), epochs=3)
    for epoch in (0, 2, 5):
        recorder = RunRecorder(tmp_path / "run", data=dataset(), validation_data=held_out(), resume=True)
        with pytest.raises(ConfigError, match=rf"Got epoch {epoch + 1} after epoch 3 .* initial_epoch=3"):
            fit(softmax_net(), recorder, epochs=7, initial_epoch=epoch)
    assert [line["epoch"] for line in lines(tmp_path / "run")] == [1, 2, 3]


def test_a_run_that_was_stopped_in_its_first_epoch_begins_anew(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        fit(softmax_net(), RunRecorder(tmp_path / "run", data=dataset(), validation_data=held_out()), Stop(0))
    recorder, model = (
        RunRecorder(tmp_path / "run", data=dataset(), validation_data=held_out(), resume=True),
        softmax_net(),
    )
    first = weights_digest(model)
    fit(model, recorder, epochs=1)
    assert recorder.summary["initial_weights"] == stored(tmp_path / "run", "command.json")["initial_weights"] == first


def test_a_digest_knows_a_number_from_a_row_of_one() -> None:
    one, row = (SimpleNamespace(weights=[keras.Variable(values)]) for values in (2.0, [2.0]))
    assert weights_digest(one) != weights_digest(row)
    assert weights_digest(one) == weights_digest(SimpleNamespace(weights=[keras.Variable(2.0)]))


def test_epochs_of_some_steps_count_what_they_saw(tmp_path: Path) -> None:
    data = dataset(cf.MixUp(0.4), batch_size=8)  # 5 batches
    recorder = RunRecorder(tmp_path / "run", data=data, validation_data=held_out(), page=False)
    fit(softmax_net(), recorder, epochs=2, steps_per_epoch=2)
    assert [line["images_per_second"] * line["seconds"] for line in lines(tmp_path / "run")] == pytest.approx([16, 16])
    data.set_epoch(0)
    lam = np.concatenate([data.plan(step).lam for step in range(4)])
    assert (
        stored(tmp_path / "run", "lambda.json")["counts"]
        == np.histogram(lam[lam < 1], np.linspace(0, 1, 51))[0].tolist()
    )


def test_a_metric_of_each_class_is_recorded(tmp_path: Path) -> None:
    model = softmax_net()
    model.compile("adam", "categorical_crossentropy", metrics=[keras.metrics.F1Score(average=None)])
    fit(model, RunRecorder(tmp_path / "run", data=dataset(cf.MixUp(0.4)), validation_data=held_out()), epochs=1)
    assert len(lines(tmp_path / "run")[0]["logs"]["f1_score"]) == 3
    assert "weighed by labels" not in (tmp_path / "run" / "report.html").read_text()  # no such curve was recorded


def test_one_recorder_keeps_one_training(tmp_path: Path) -> None:
    recorder, model = RunRecorder(tmp_path / "run", data=dataset(), validation_data=held_out()), softmax_net()
    fit(model, recorder, epochs=1)
    fit(model, recorder, epochs=2, initial_epoch=1)
    assert [line["epoch"] for line in lines(tmp_path / "run")] == [1, 2]
    with pytest.raises(ConfigError, match=r"holds one training\. Got epoch 1 after epoch 2"):
        fit(model, recorder, epochs=1)
    with pytest.raises(ConfigError, match="runs are never overwritten"):
        RunRecorder(tmp_path / "run", data=dataset(), validation_data=held_out())
    fit(softmax_net(), RunRecorder(tmp_path / "run", data=dataset(), validation_data=held_out(), force=True), epochs=1)
    assert len(lines(tmp_path / "run")) == 1


def test_outputs_that_are_no_numbers_are_told_and_judge_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = softmax_net()
    model.set_weights([np.full_like(weight, np.nan) for weight in model.get_weights()])
    recorder = RunRecorder(tmp_path / "run", data=dataset(), validation_data=held_out())
    fit(model, recorder, epochs=2)
    assert stored(tmp_path / "run")["judged"]["accuracy"] is None
    assert lines(tmp_path / "run")[0]["val"]["accuracy"] is None
    assert not (tmp_path / "run" / "confusion.json").exists()
    assert "not finite" in caplog.text


def test_test_data_is_judged_by_the_best_epoch_whatever_weights_are_left(tmp_path: Path) -> None:
    with drawn_from(1):
        model = softmax_net(rate=0.1)
    judged = {"validation_data": held_out(), "test_data": held_out(X_TEST, Y_TEST)}
    recorder = RunRecorder(tmp_path / "run", data=dataset(), **judged, metric="log_loss")
    stop = keras.callbacks.EarlyStopping(monitor="val_log_loss", mode="min", patience=1)
    fit(model, recorder, stop, epochs=8)
    left = model.get_weights()
    steps = int(keras.ops.convert_to_numpy(model.optimizer.iterations))
    assert {"part": "test", "epoch": "best", "metric": "log_loss"}.items() <= recorder.summary["judged"].items()
    losses = [line["val"]["log_loss"] for line in lines(tmp_path / "run")]
    assert recorder.summary["best_epoch"] == 1 + int(np.argmin(losses))
    assert recorder.summary.get("stopped_early", 8) == len(losses)
    fresh = taken_up(tmp_path / "run" / "weights" / "best.weights.h5")
    expected = scores(fresh.predict(held_out(X_TEST, Y_TEST), verbose=0), Y_TEST)  # Keras' own loss clips at 1e-7
    assert recorder.summary["test"]["log_loss"] != recorder.summary["val"]["log_loss"]
    assert {name: recorder.summary["test"][name] for name in expected} == pytest.approx(expected, abs=1e-4)
    last = taken_up(tmp_path / "run" / "weights" / "last.weights.h5").get_weights()
    assert all((a == b).all() for a, b in zip(left, last, strict=True))
    assert steps == 3 * len(losses)


@pytest.mark.parametrize(
    ("units", "activation", "loss"),
    [
        (1, "sigmoid", "binary_crossentropy"),
        (1, None, keras.losses.BinaryCrossentropy(from_logits=True)),
        (2, "sigmoid", "binary_crossentropy"),
        (2, None, keras.losses.CategoricalCrossentropy(from_logits=True)),
    ],
)
def test_two_classes_are_scored_rightly_whatever_the_head(
    tmp_path: Path, units: int, activation: str | None, loss: object
) -> None:
    mode = "binary" if units == 1 else "categorical"
    x, y = pictures(40, 2)
    data = ArrayDataset(x, y, class_mode=mode, mix=cf.MixUp(0.4))
    recorder = RunRecorder(tmp_path / "run", data=data, validation_data=ArrayDataset(x, y, class_mode=mode), page=False)
    model = head_net(units, activation, loss)
    fit(model, recorder, epochs=2)
    raw = model.predict(x.astype(np.float32) / 255, verbose=0)
    predicted = raw.argmax(1) if units == 2 else raw[:, 0] > (0.5 if activation else 0)
    score = raw[:, 0] if units == 1 else raw[:, 1] - raw[:, 0] if activation is None else raw[:, 1] / raw.sum(1)
    assert recorder.summary["judged"]["accuracy"] == pytest.approx((predicted == y).mean())
    assert recorder.summary["judged"]["auc"] == pytest.approx(roc_auc_score(y, score), abs=1e-3)
    assert recorder.summary["judged"]["metric"] == "auc"


def test_data_of_any_kind_is_recorded_as_far_as_it_is_known(tmp_path: Path) -> None:
    x, y = X.astype(np.float32) / 255, np.eye(3, dtype=np.float32)[Y]
    listed = [(x[:20], y[:20]), (x[20:], y[20:])]
    for name, data in (("pair", (x, y)), ("batches", listed)):
        recorder = RunRecorder(tmp_path / name, data=data, validation_data=listed, class_names=["a", "b", "c"])
        softmax_net().fit(x, y, epochs=1, verbose=0, callbacks=[recorder])
        assert stored(tmp_path / name)["judged"]["part"] == "val"
        assert json.loads((tmp_path / name / "classes.json").read_text()) == ["a", "b", "c"]
        assert (tmp_path / name / "seen.npz").exists() == (name == "pair")
    assert stored(tmp_path / "pair", "data.json")["parts"]["train"] == {"a": 14, "b": 13, "c": 13}
    assert "No picture is there twice" not in (tmp_path / "pair" / "report.html").read_text()


def test_pairs_of_two_streams_count_the_pictures_that_are_shown(tmp_path: Path) -> None:
    data = ArrayDataset(X, Y, 16, mix=cf.MixUp(0.4), partners="stream")
    recorder = RunRecorder(tmp_path / "run", data=data, validation_data=held_out(), page=False)
    fit(softmax_net(), recorder, epochs=2)
    assert stored(tmp_path / "run", "lambda.json")["total"] == 2 * 40
    with np.load(tmp_path / "run" / "seen.npz") as seen:
        assert (seen["images"] == data.source.pictures(0, 0)[0]).all()


def test_what_cannot_be_recorded_is_refused_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="RunRecorder: a model is judged on pictures that are not mixed"):
        RunRecorder(tmp_path / "run", data=dataset(), validation_data=dataset(cf.MixUp(0.4)))
    with pytest.raises(ConfigError, match="judged by its weights"):
        RunRecorder(tmp_path / "run", data=dataset(), validation_data=held_out(), test_data=held_out(), weights=False)
    with pytest.raises(ConfigError, match="epoch to choose"):
        RunRecorder(tmp_path / "run", data=dataset(), validation_data=held_out(), choose="first")
    assert not (tmp_path / "run").exists()
