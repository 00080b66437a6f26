"""Whole trainings on tiny pictures: what they write, that they repeat to the bit, and how they stop."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from crossfade.errors import ConfigError, DataError, TrainingError
from crossfade.training import checkpoint, dataset
from crossfade.training.callbacks import Watch
from crossfade.training.config import RunConfig
from crossfade.training.dataset import count_values, open_pictures
from crossfade.training.keeper import Keeper
from crossfade.training.loop import Training
from crossfade.training.metrics import METRICS, scores
from crossfade.training.predict import load_run
from crossfade.training.record import make_folder
from crossfade.training.run import build_model, open_bench, train_one
from crossfade.training.signals import Interruption
from crossfade.vision.normalise import measure
from tests.integration.folders import write_corners

QUICK = {"model": "cnn4", "epochs": 3, "batch_size": 7, "lr": 3e-3, "precision": "float32", "pad": 1, "flip": False}


def run(data: Path, folder: Path, **options: object) -> dict:
    config = RunConfig(**{**QUICK, **options})
    make_folder(folder, force=False)
    return train_one(open_bench(open_pictures(data, config), config), config, folder)


def lines(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return checkpoint.load(folder / "checkpoints" / "last").tensors["model"]


def same_numbers(one: Path, other: Path) -> bool:
    clock = ("seconds", "images_per_second")
    stripped = [[{k: v for k, v in line.items() if k not in clock} for line in lines(f)] for f in (one, other)]
    a, b = weights(one), weights(other)
    return stripped[0] == stripped[1] and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("augment", ["strong", {"rotation": 40, "brightness": [0.5, 1.5], "append": True}])
def test_augmented_pictures_are_the_same_with_any_number_of_threads(
    corners: Path, tmp_path: Path, augment: object
) -> None:
    run(corners, tmp_path / "one", augment=augment, mix="mixup", threads=0, epochs=2)
    run(corners, tmp_path / "other", augment=augment, mix="mixup", threads=3, epochs=2)
    assert same_numbers(tmp_path / "one", tmp_path / "other")
    run(corners, tmp_path / "plain", augment="none", mix="mixup", threads=3, epochs=2)
    assert not same_numbers(tmp_path / "one", tmp_path / "plain")


def test_an_appended_copy_doubles_the_batch(corners: Path, tmp_path: Path) -> None:
    """R4: the pictures as they are, and a transformed copy of each with the same labels."""
    run(corners, tmp_path / "run", augment={"rotation": 40, "append": True}, epochs=1, batch_size=4)
    seen = np.load(tmp_path / "run" / "seen.npz")
    own = seen["label_of_layer"][:, 0]
    assert len(own) == 8
    np.testing.assert_array_equal(own[:4], own[4:])
    assert (seen["images"][:4] != seen["images"][4:]).any(axis=(1, 2, 3)).all()


def test_a_run_folder_is_complete_and_the_network_learns(corners: Path, tmp_path: Path) -> None:
    summary = run(corners, tmp_path / "run", mix="mixup", epochs=6)
    written = {path.name for path in (tmp_path / "run").iterdir()}
    assert written == {
        "config.toml", "environment.json", "classes.json", "split.csv", "metrics.jsonl", "seen.npz", "lambda.json",
        "confusion.json", "checkpoints", "figures", "summary.json",
    }  # fmt: skip
    assert summary["val"]["accuracy"] > 0.9
    assert len(lines(tmp_path / "run")) == 6
    assert json.loads((tmp_path / "run" / "classes.json").read_text()) == ["corner0", "corner1", "corner2"]
    counts = json.loads((tmp_path / "run" / "lambda.json").read_text())
    assert counts["total"] == 6 * 48 == sum(counts["counts"]) + counts["unmixed"]
    confusion = np.array(json.loads((tmp_path / "run" / "confusion.json").read_text())["matrix"])
    assert confusion.sum() == 12
    assert np.trace(confusion) / 12 == pytest.approx(summary["last"]["accuracy"])


@pytest.mark.parametrize("threads", [0, 3])
@pytest.mark.parametrize("mix", ["mixup", "cutmix:p=0.5,until=0.7"])
def test_the_same_numbers_to_the_last_bit_with_any_number_of_threads(
    corners: Path, tmp_path: Path, mix: str, threads: int
) -> None:
    run(corners, tmp_path / "one", mix=mix, threads=1, ema=0.9)
    run(corners, tmp_path / "other", mix=mix, threads=threads, ema=0.9)
    assert same_numbers(tmp_path / "one", tmp_path / "other")


def test_the_same_numbers_to_the_last_bit_without_a_cache(
    corners: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(corners, tmp_path / "one", mix="cutmix", threads=2)
    monkeypatch.setenv("CROSSFADE_CACHE", str(tmp_path / "caches"))
    run(corners, tmp_path / "other", mix="cutmix", threads=2, cache_gb=0.0)
    assert not list((tmp_path / "caches").glob("*/pixels.npy"))
    assert same_numbers(tmp_path / "one", tmp_path / "other")


def test_a_picture_that_is_gone_in_the_middle_of_a_training_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CROSSFADE_CACHE", str(tmp_path / "caches"))
    data = write_corners(tmp_path / "data", each=10)
    config = RunConfig(**QUICK, cache_gb=0.0)
    bench = open_bench(open_pictures(data, config), config)
    (data / "corner1" / "003.png").unlink()
    make_folder(tmp_path / "run", force=False)
    with pytest.raises(DataError, match=r"No such file or directory for 'corner1/003\.png'"):
        train_one(bench, config, tmp_path / "run")


def test_another_seed_gives_other_numbers(corners: Path, tmp_path: Path) -> None:
    run(corners, tmp_path / "one", seed=0)
    run(corners, tmp_path / "other", seed=1)
    assert not same_numbers(tmp_path / "one", tmp_path / "other")


def test_the_global_generators_are_left_alone(corners: Path, tmp_path: Path) -> None:
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()
    run(corners, tmp_path / "run", epochs=1, mix="mixup")
    assert torch.equal(torch_state, torch.get_rng_state())
    assert (numpy_state == np.random.get_state()[1]).all()


def test_what_was_drawn_before_does_not_change_first_weights(corners: Path) -> None:
    config = RunConfig(**QUICK)
    bench = open_bench(open_pictures(corners, config), config)
    first = build_model(bench, config).state_dict()
    torch.rand(17)
    second = build_model(bench, config).state_dict()
    assert checkpoint.tensors_digest(first) == checkpoint.tensors_digest(second)


def test_seen_pictures_are_the_mixed_ones_with_their_weights(corners: Path, tmp_path: Path) -> None:
    """Rebuild the first batch by hand, from the order, the plan and the pictures."""
    from crossfade import mix_images
    from crossfade.data.loader import Loader
    from crossfade.mixing.registry import policy_from_spec
    from crossfade.rng import Stream, derive_rng

    run(corners, tmp_path / "run", epochs=1, mix="cutmix", flip=False, pad=0, seed=5)
    pictures = open_pictures(corners, RunConfig(**QUICK))
    loader = Loader(pictures.cache.pixels, pictures.index.labels, pictures.split.train, batch_size=7, seed=5)
    batch = next(iter(loader.epoch(0)))
    rng = derive_rng(5, Stream.PLAN, 0, 0, 0)
    plan = policy_from_spec("cutmix").plan(batch.images.shape[:3], rng=rng)
    with np.load(tmp_path / "run" / "seen.npz") as seen:
        assert (seen["images"] == mix_images(batch.images, plan, layout="NHWC")).all()
        assert (seen["weights"] == plan.weight).all()
        assert (seen["label_of_layer"] == batch.labels[plan.source]).all()


def test_epoch_chosen_on_validation_and_test_part_judged(tmp_path: Path) -> None:
    data = write_corners(tmp_path / "data", each=10, parts=("train", "test"))
    summary = run(data, tmp_path / "run", epochs=4)
    assert summary["judged"] == {"part": "test", "epoch": "best", "metric": "accuracy", **summary["test"]}
    accuracies = [line["val"]["accuracy"] for line in lines(tmp_path / "run")]
    assert summary["best_epoch"] == accuracies.index(max(accuracies)) + 1
    assert {path.split("/")[0] for path in read_parts(tmp_path / "run", "val")} == {"train"}
    assert {path.split("/")[0] for path in read_parts(tmp_path / "run", "test")} == {"test"}


@pytest.mark.parametrize(("metric", "choose"), [("log_loss", min), ("f1", max), ("ece", min)])
def test_any_metric_chooses_the_best_epoch_and_stops(
    corners: Path, tmp_path: Path, metric: str, choose: Callable[[list[float]], float]
) -> None:
    summary = run(corners, tmp_path / "run", metric=metric, patience=2, epochs=30, choose="best", lr=0.03)
    values = [line["val"][metric] for line in lines(tmp_path / "run")]
    assert summary["best_epoch"] == values.index(choose(values)) + 1
    assert summary["stopped_early"] == len(values) == summary["best_epoch"] + 2 < 30
    assert summary["judged"]["metric"] == metric
    assert summary["judged"][metric] == pytest.approx(choose(values))
    assert summary["val"][metric] == choose(values)
    assert summary["last"][metric] == values[-1]


def test_every_line_and_summary_has_all_metrics_and_they_are_those_of_the_predictions(
    corners: Path, tmp_path: Path
) -> None:
    summary = run(corners, tmp_path / "run")
    names = {"loss", "accuracy", "auc", "f1", "log_loss", "ece"}
    assert all(set(line["val"]) == names for line in lines(tmp_path / "run"))
    assert set(summary["val"]) == names
    assert set(summary["judged"]) == names | {"part", "epoch", "metric"}
    paths = read_parts(tmp_path / "run", "val")
    rows = np.array([one.probabilities for one in load_run(tmp_path / "run").predict([corners / p for p in paths])])
    found = scores(rows, [int(path[len("corner")]) for path in paths])
    assert {name: summary["last"][name] for name in found} == pytest.approx(found, rel=1e-5)
    assert summary["last"]["log_loss"] == pytest.approx(summary["last"]["loss"], rel=1e-9)


def test_the_plateau_schedule_lowers_the_rate_when_validation_stands_still(corners: Path, tmp_path: Path) -> None:
    run(corners, tmp_path / "run", schedule="plateau", plateau=2, gamma=0.1, epochs=12, metric="log_loss", lr=0.03)
    keeper = Keeper(RunConfig(schedule="plateau", plateau=2, gamma=0.1), METRICS["log_loss"])
    for line in lines(tmp_path / "run"):
        assert line["lr"] == pytest.approx(0.03 * keeper.factor)
        keeper.see(line["epoch"], line["val"])
    assert keeper.factor < 1


def test_two_classes_are_judged_by_their_auc(tmp_path: Path) -> None:
    data = write_corners(tmp_path / "data", classes=2, each=10)
    summary = run(data, tmp_path / "run", epochs=2)
    assert summary["judged"]["metric"] == "auc"
    values = [line["val"]["auc"] for line in lines(tmp_path / "run")]
    assert summary["best_epoch"] == values.index(max(values)) + 1


def read_parts(folder: Path, part: str) -> list[str]:
    rows = (folder / "split.csv").read_text().splitlines()[1:]
    return [row.split(",")[0] for row in rows if row.split(",")[2] == part]


def test_last_epoch_is_judged_where_validation_is_all_there_is(corners: Path, tmp_path: Path) -> None:
    summary = run(corners, tmp_path / "run")
    assert summary["judged"]["epoch"] == "last"
    assert summary["judged"]["accuracy"] == lines(tmp_path / "run")[-1]["val"]["accuracy"]


@pytest.mark.parametrize("choose", ["best", "last"])
def test_validation_is_looked_at_once_an_epoch(
    corners: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, choose: str
) -> None:
    """And what is judged in the end is what the chosen epoch was found to be."""
    real, looks = Training.evaluate, []
    monkeypatch.setattr(Training, "evaluate", lambda self, part: looks.append(part) or real(self, part))
    summary = run(corners, tmp_path / "run", choose=choose, epochs=4)
    assert looks == ["val"] * 4
    assert summary["best_epoch"] < 4
    line = lines(tmp_path / "run")[summary["best_epoch"] - 1 if choose == "best" else -1]
    assert summary["judged"] == {"part": "val", "epoch": choose, "metric": "accuracy", **line["val"]}
    paths = read_parts(tmp_path / "run", "val")
    found = load_run(tmp_path / "run", name=choose).predict([corners / path for path in paths])
    matrix = np.zeros((3, 3), int)
    np.add.at(matrix, ([int(path[len("corner")]) for path in paths], [one.probabilities.argmax() for one in found]), 1)
    assert json.loads((tmp_path / "run" / "confusion.json").read_text())["matrix"] == matrix.tolist()


def test_a_loss_that_is_no_number_stops_and_names_the_batch(corners: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"epoch 1, step \d+, batch of \d+ pictures \(corner\d/\d+\.png") as caught:
        run(corners, tmp_path / "run", optimizer="sgd", lr=1e30)
    assert "Lower the learning rate" in str(caught.value)


def test_weights_that_are_lost_in_the_last_step_of_an_epoch_stop_it_too(corners: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="Got logits that are not, of plain pictures"):
        run(corners, tmp_path / "run", optimizer="sgd", momentum=0.0, lr=1e12, batch_size=48, epochs=1)
    assert not (tmp_path / "run" / "checkpoints" / "last").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_leaves(corners: Path, tmp_path: Path, number: int) -> None:
    config = RunConfig(**QUICK)
    bench = open_bench(open_pictures(corners, config), config)
    make_folder(tmp_path / "run", force=False)
    with pytest.raises(Interruption, match=r"checkpoints/last") as caught:
        train_one(
            bench, config, tmp_path / "run",
            callbacks=[Watch(step=lambda done, total: os.kill(os.getpid(), number) if done == 9 else None)],
        )  # fmt: skip
    assert caught.value.exit_code == 128 + number
    state = checkpoint.load(tmp_path / "run" / "checkpoints" / "last").state
    assert (state["epochs_done"], state["steps_into_next"]) == (1, 2)
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw", "nadam", "radam", "rmsprop", "adagrad"])
@pytest.mark.parametrize("schedule", ["constant", "cosine", "step", "onecycle", "plateau"])
def test_every_optimiser_with_every_schedule(corners: Path, tmp_path: Path, optimizer: str, schedule: str) -> None:
    run(corners, tmp_path / "run", optimizer=optimizer, schedule=schedule, lr=0.003, epochs=2, clip_norm=1.0,
        label_smoothing=0.1, ema=0.5, warmup=0.5, per_class=4)  # fmt: skip
    assert all(np.isfinite(line["train"]["loss"]) for line in lines(tmp_path / "run"))


def test_per_class_keeps_the_first_pictures_of_each_class(corners: Path, tmp_path: Path) -> None:
    run(corners, tmp_path / "run", per_class=4, epochs=1)
    kept = read_parts(tmp_path / "run", "train")
    assert len(kept) == 12
    everything = read_parts_of_split(corners)
    assert kept == sorted(p for c in range(3) for p in [q for q in everything if f"corner{c}" in q][:4])


def read_parts_of_split(data: Path) -> list[str]:
    pictures = open_pictures(data, RunConfig(**QUICK))
    return [pictures.index.paths[number] for number in pictures.split.train]


def test_statistics_are_those_of_the_training_pictures() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 5, 6, 3), dtype=np.uint8)
    ids = np.arange(0, 40, 2)
    mean, std = measure(count_values(pixels, ids), "standard")
    expected = pixels[ids].reshape(-1, 3) / 255
    assert mean == pytest.approx(expected.mean(axis=0))
    assert std == pytest.approx(expected.std(axis=0))


def test_statistics_of_many_pictures_are_those_of_evenly_spread_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset, "STATISTICS_PICTURES", 4)
    pixels = np.arange(20, dtype=np.uint8)[:, None, None, None].repeat(2, 1)
    assert np.flatnonzero(count_values(pixels, np.arange(20))[0]).tolist() == [0, 5, 10, 15]
    assert np.flatnonzero(count_values(pixels, np.arange(9))[0]).tolist() == [0, 3, 6]


def test_a_constant_channel_has_standard_deviation_one() -> None:
    mean, std = measure(count_values(np.full((3, 4, 4, 1), 7, np.uint8), np.arange(3)), "standard")
    assert (mean, std) == (pytest.approx([7 / 255]), [1.0])


def test_prediction_is_that_of_the_evaluation(corners: Path, tmp_path: Path) -> None:
    summary = run(corners, tmp_path / "run", epochs=4)
    predictor = load_run(tmp_path / "run", name="last")
    paths = [corners / path for path in read_parts(tmp_path / "run", "val")]
    found = list(predictor.predict(paths))
    named = [predictor.classes[int(one.probabilities.argmax())] for one in found]
    hits = np.mean([name == one.path.parent.name for name, one in zip(named, found, strict=True)])
    assert hits == pytest.approx(summary["last"]["accuracy"])
    assert all(one.probabilities.sum() == pytest.approx(1) for one in found)


def test_predicting_with_a_comparison_or_nothing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no run with weights"):
        load_run(tmp_path)


def test_a_folder_that_is_no_run_is_not_removed(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "keep.txt").write_text("mine")
    for force in (False, True):
        with pytest.raises(ConfigError, match="never overwritten" if not force else "no run of crossfade"):
            make_folder(tmp_path / "photos", force=force)
    assert (tmp_path / "photos" / "keep.txt").read_text() == "mine"


def test_a_signal_between_two_epochs_is_not_forgotten(corners: Path, tmp_path: Path) -> None:
    config = RunConfig(**QUICK)
    bench = open_bench(open_pictures(corners, config), config)
    make_folder(tmp_path / "run", force=False)
    with pytest.raises(Interruption):
        train_one(
            bench, config, tmp_path / "run",
            callbacks=[Watch(epoch=lambda line: os.kill(os.getpid(), signal.SIGTERM) if line["epoch"] == 3 else None)],
        )  # fmt: skip


def test_accuracy_is_a_count(corners: Path, tmp_path: Path) -> None:
    summary = run(corners, tmp_path / "run")
    assert summary["judged"]["accuracy"] * 12 == round(summary["judged"]["accuracy"] * 12)
