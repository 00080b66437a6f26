"""compare: arms held against each other for any Keras model."""

from __future__ import annotations

import itertools
import json
import random
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

import crossfade as cf
from crossfade.errors import ConfigError, DataError, TrainingError
from crossfade.keras import ArrayDataset, ImageFolder, compare
from tests.unit.keras.small import pictures, softmax_net

X, Y = pictures()
X_VAL, Y_VAL = pictures(21, seed=1)
TRAIN = ArrayDataset(X, Y, 16)
HELD_OUT = ArrayDataset(X_VAL, Y_VAL, shuffle=False)


def run(folder: Path, build=softmax_net, data=TRAIN, arms=("none", "mixup"), seeds=1, **options) -> dict:
    return compare(
        build, data, arms, seeds, **{"validation_data": HELD_OUT, "epochs": 2, "out": folder, "verbose": 0, **options}
    )


@pytest.fixture(scope="module")
def finished(corners: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    folder = tmp_path_factory.mktemp("runs") / "comparison"
    options = {"image_size": 8, "validation_split": 0.3}
    train = ImageFolder(corners, subset="training", augment="light", **options)
    held_out = ImageFolder(corners, subset="validation", **options)
    arms = {"none": None, "cutmix": "cutmix", "either": cf.OneOf([cf.MixUp(0.4), cf.CutMix(1.0)])}
    return folder, run(folder, data=train, arms=arms, seeds=2, validation_data=held_out)


def test_the_summary_is_that_of_a_comparison(finished: tuple[Path, dict]) -> None:
    folder, summary = finished
    assert json.loads((folder / "summary.json").read_text()) == json.loads(json.dumps(summary))
    assert {"metric", "arms", "differences", "verdict", "part", "epoch", "baseline", "seeds", "runs"} == set(summary)
    assert (summary["part"], summary["epoch"], summary["seeds"]) == ("val", "last", [0, 1])
    hashes = {tuple(arm["initial_weights"]) for arm in summary["arms"].values()}
    assert len(hashes) == 1
    assert len(set(next(iter(hashes)))) == 2
    page = (folder / "report.html").read_text()
    assert all(words in page for words in ("equal in all 3", "either", "OneOf(policies=[MixUp(alpha=0.4)"))
    assert "missing or unreadable" not in page


def test_arms_see_the_same_pictures_in_the_same_order_equally_augmented(finished: tuple[Path, dict]) -> None:
    plain, cut = (np.load(finished[0] / arm / "seed-0" / "seen.npz") for arm in ("none", "cutmix"))
    assert (cut["label_of_layer"][:, 0] == plain["label_of_layer"][:, 0]).all()
    same = (cut["images"] == plain["images"]).all(axis=3).mean(axis=(1, 2))
    assert (same >= cut["weights"][:, 0] - 1e-9).all()
    assert (same < 1).any()


def test_arms_that_mix_alike_end_alike(tmp_path: Path) -> None:
    """Weights, order, dropout, optimizer: nothing else differs, even where build_model draws as it likes."""
    count = itertools.count()

    def build() -> keras.Model:
        start = keras.initializers.GlorotUniform(seed=next(count))  # never the same twice
        model = keras.Sequential(
            [
                layers.Flatten(),
                layers.Dense(8, "relu"),
                layers.Dropout(0.5, seed=next(count)),
                layers.Dense(3, "softmax", True, start),
            ]
        )
        model.compile("adam", "categorical_crossentropy")
        return model

    summary = run(tmp_path / "c", build, arms={"a": None, "b": None, "c": "mixup"}, epochs=3)
    a, b, c = summary["arms"].values()
    assert a["metrics"] == b["metrics"]
    assert a["metrics"] != c["metrics"]
    lines = [(tmp_path / "c" / arm / "seed-0" / "metrics.jsonl").read_text().splitlines() for arm in "ab"]
    assert [json.loads(line)["train"] for line in lines[0]] == [json.loads(line)["train"] for line in lines[1]]


def test_the_same_comparison_gives_the_same_numbers_and_leaves_python_alone(tmp_path: Path) -> None:
    before = random.getstate(), np.random.get_state()[1].tolist()
    first = run(tmp_path / "a", seeds=[3])
    random.seed(5)
    second = run(tmp_path / "b", seeds=[3])
    assert [arm["metrics"] for arm in first["arms"].values()] == [arm["metrics"] for arm in second["arms"].values()]
    random.seed(5)
    state = random.getstate()
    run(tmp_path / "c", seeds=[3])
    assert random.getstate() == state
    assert np.random.get_state()[1].tolist() == before[1]
    random.setstate(before[0])


def test_one_seed_is_called_an_anecdote_and_arrays_will_do(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    summary = run(tmp_path / "c", data=(X, Y), validation_data=(X_VAL / np.float32(255), Y_VAL), verbose=1)
    assert "anecdote" in summary["verdict"]
    said = capsys.readouterr().out
    assert "mixup, seed 0: val accuracy 0." in said
    assert summary["verdict"] in said.replace("\n", " ")


def test_test_data_is_judged_by_the_best_epoch(tmp_path: Path) -> None:
    summary = run(tmp_path / "c", test_data=HELD_OUT, epochs=3)
    assert (summary["part"], summary["epoch"]) == ("test", "best")


def test_callbacks_are_made_for_each_training_and_may_follow_the_metrics(tmp_path: Path) -> None:
    asked = []

    def callbacks(arm: str, seed: int) -> list[keras.callbacks.Callback]:
        asked.append((arm, seed))
        return [keras.callbacks.EarlyStopping(monitor="val_accuracy", mode="max", patience=1)]

    run(tmp_path / "c", lambda: softmax_net(rate=1e-9), epochs=9, callbacks=callbacks)
    assert asked == [("none", 0), ("mixup", 0)]
    summary = json.loads((tmp_path / "c" / "none" / "seed-0" / "summary.json").read_text())
    assert summary["stopped_early"] < 9


def test_what_is_finished_is_kept(tmp_path: Path) -> None:
    first = run(tmp_path / "c")
    (tmp_path / "c" / "mixup" / "seed-0" / "summary.json").unlink()
    (tmp_path / "c" / "summary.json").unlink()
    kept = (tmp_path / "c" / "none" / "seed-0" / "summary.json").stat().st_mtime_ns
    again = run(tmp_path / "c", resume=True)
    assert (tmp_path / "c" / "none" / "seed-0" / "summary.json").stat().st_mtime_ns == kept
    assert again["arms"]["mixup"]["metrics"] == first["arms"]["mixup"]["metrics"]
    with pytest.raises(ConfigError, match=r"the options it began with\. Got epochs 5 for 2"):
        run(tmp_path / "c", resume=True, epochs=5)
    with pytest.raises(ConfigError, match="never overwritten"):
        run(tmp_path / "c")


def uncompiled() -> keras.Model:
    return keras.Sequential([layers.Flatten(), layers.Dense(3)])


MODEL, BASE, OPTIMIZER = softmax_net(), layers.Dense(3, activation="softmax"), keras.optimizers.Adam()


def on_a_shared_base() -> keras.Model:
    model = keras.Sequential([keras.Input((8, 8, 3)), layers.Flatten(), BASE])
    model.compile("adam", "categorical_crossentropy")
    return model


def with_a_shared_optimizer() -> keras.Model:
    model = keras.Sequential([keras.Input((8, 8, 3)), layers.Flatten(), layers.Dense(3, activation="softmax")])
    model.compile(OPTIMIZER, "categorical_crossentropy")
    return model


def of_class_numbers() -> keras.Model:
    model = softmax_net()
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (uncompiled, "a model that is not compiled"),
        (lambda: None, "Got NoneType"),
        (MODEL, "Pass a function"),
        (lambda: MODEL, "the same model twice"),
        (on_a_shared_base, "the same weight .*kernel twice"),
        (with_a_shared_optimizer, "the same optimizer twice"),
        (of_class_numbers, "takes class numbers"),
    ],
)
def test_a_model_that_is_not_compiled_or_not_new(build: object, words: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=words):
        run(tmp_path / "c", build)


def test_a_network_that_is_another_at_each_call(tmp_path: Path) -> None:
    count = itertools.count(3)

    def build() -> keras.Model:
        units = next(count)
        model = keras.Sequential([layers.Flatten(), layers.Dense(units), layers.Dense(3, activation="softmax")])
        model.compile("adam", "categorical_crossentropy")
        return model

    with pytest.raises(TrainingError, match="the same network at every call"):
        run(tmp_path / "c", build)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"arms": "mixup"}, ConfigError, "arms are several"),
        ({"arms": ["none", "none"]}, ConfigError, "run once"),
        ({"arms": ["none", "mixip"]}, ConfigError, "Did you mean mixup"),
        ({"arms": []}, ConfigError, "at least one arm"),
        ({"seeds": 0}, ConfigError, "one seed"),
        ({"seeds": [1, 1]}, ConfigError, "run once"),
        ({"data": TRAIN.with_mix("mixup")}, DataError, "mixes already"),
        ({"data": [(X, Y)]}, ConfigError, "cannot be compared"),
        ({"validation_data": TRAIN.with_mix("mixup")}, DataError, "not mixed"),
        ({"test_data": HELD_OUT, "weights": False}, ConfigError, "judged by its weights"),
    ],
)
def test_comparisons_that_make_no_sense(options: dict, error: type[Exception], words: str, tmp_path: Path) -> None:
    with pytest.raises(error, match=words):
        run(tmp_path / "c", **options)
    assert not (tmp_path / "c").exists()
