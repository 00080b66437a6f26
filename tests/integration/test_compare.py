"""The fair comparison."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from crossfade.errors import ConfigError, TrainingError
from crossfade.experiments.compare import compare
from crossfade.experiments.comparison import Comparison, arm_folder, summarise
from crossfade.report import write_report
from crossfade.report.tables import summary_table
from crossfade.training.callbacks import Watch
from crossfade.training.config import RunConfig
from crossfade.training.dataset import open_pictures
from crossfade.training.record import make_folder
from crossfade.training.run import open_bench

CONFIG = RunConfig(model="cnn4", epochs=2, batch_size=8, lr=3e-3, precision="float32")
ARMS = ("none", "mixup:alpha=0.4", "cutmix")


def run(data: Path, folder: Path, seeds: tuple[int, ...] = (0, 1), arms: tuple[str, ...] = ARMS) -> dict:
    comparison = Comparison(arms, seeds, CONFIG)
    make_folder(folder, force=False)
    return compare(open_bench(open_pictures(data, CONFIG), CONFIG), comparison, folder)


@pytest.fixture(scope="module")
def finished(corners: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    folder = tmp_path_factory.mktemp("runs") / "comparison"
    return folder, run(corners, folder)


def test_arms_begin_with_the_same_weights_seed_by_seed(finished: tuple[Path, dict]) -> None:
    arms = finished[1]["arms"]
    hashes = [tuple(arm["initial_weights"]) for arm in arms.values()]
    assert len(set(hashes)) == 1
    assert len(set(hashes[0])) == 2
    assert all(len(digest) == 64 for digest in hashes[0])


def test_arms_see_the_same_pictures_equally_augmented(finished: tuple[Path, dict]) -> None:
    """Where a sample was hardly mixed, its picture is nearly that of the arm without mixing."""
    folder = finished[0]
    seen = {arm: np.load(folder / arm_folder(arm) / "seed-0" / "seen.npz") for arm in ARMS}
    own = {arm: seen[arm]["label_of_layer"][:, 0] for arm in ARMS}
    assert all((own[arm] == own["none"]).all() for arm in ARMS)
    lam, plain = seen["cutmix"]["weights"][:, 0], seen["none"]["images"]
    same = (seen["cutmix"]["images"] == plain).all(axis=3).mean(axis=(1, 2))
    assert (same >= lam - 1e-9).all()


def test_the_summary_has_the_promised_keys(finished: tuple[Path, dict]) -> None:
    folder, summary = finished
    stored = json.loads((folder / "summary.json").read_text())
    assert stored == json.loads(json.dumps(summary))
    assert {"metric", "arms", "differences", "verdict", "part", "baseline"} <= set(stored)
    assert set(stored["differences"]) == {"mixup:alpha=0.4 - none", "cutmix - none"}
    for arm in stored["arms"].values():
        assert {"seeds", "mean", "ci95", "initial_weights", "seconds"} <= set(arm)
        assert arm["mean"] == pytest.approx(np.mean(arm["seeds"]))
        assert set(arm["metrics"]) == {"accuracy", "auc", "f1", "log_loss", "ece"}
        assert arm["metrics"]["accuracy"] == {key: arm[key] for key in ("seeds", "mean", "ci95")}
    assert stored["metric"] == "accuracy"
    difference = stored["differences"]["cutmix - none"]
    expected = np.subtract(stored["arms"]["cutmix"]["seeds"], stored["arms"]["none"]["seeds"])
    assert difference["mean"] == pytest.approx(expected.mean())
    assert difference["n"] == 2
    assert set(difference) == {"mean", "ci95", "bootstrap95", "seeds_needed", "n"}


def summaries(*losses: float | None) -> dict[tuple[str, int], dict]:
    """Runs of two arms over seeds, arm after arm, with these log losses."""
    keys = [(arm, seed) for arm in ("none", "mixup") for seed in range(len(losses) // 2)]
    judged = {"part": "val", "epoch": "last", "metric": "log_loss", "accuracy": 0.5, "auc": None}
    run = {"initial_weights": "", "seconds": 1.0}
    return {key: {**run, "judged": {**judged, "log_loss": loss}} for key, loss in zip(keys, losses, strict=True)}


def test_a_comparison_by_its_loss_is_won_by_the_lower_one() -> None:
    comparison = Comparison(("none", "mixup"), (0, 1, 2), CONFIG)
    summary = summarise(comparison, summaries(0.9, 0.8, 1.0, 0.5, 0.41, 0.6))
    assert summary["metric"] == "log_loss"
    assert summary["arms"]["mixup"]["seeds"] == [0.5, 0.41, 0.6]
    assert summary["differences"]["mixup - none"]["mean"] == pytest.approx(-0.39667, abs=1e-5)
    assert summary["verdict"].startswith("mixup helps: -0.397 log loss")
    assert math.isnan(summary["arms"]["none"]["metrics"]["auc"]["mean"])


def test_the_same_comparison_gives_the_same_numbers(corners: Path, finished: tuple[Path, dict], tmp_path: Path) -> None:
    again = run(corners, tmp_path / "again")
    for arm in ARMS:
        for key in ("seeds", "mean", "initial_weights"):
            assert again["arms"][arm][key] == finished[1]["arms"][arm][key]


def test_the_page_holds_the_verdict_and_loads_nothing(finished: tuple[Path, dict]) -> None:
    page = write_report(finished[0]).read_text()
    assert "<script" not in page
    assert 'src="http' not in page
    assert all(arm in page for arm in ARMS)


def test_one_seed_is_called_an_anecdote(corners: Path, tmp_path: Path) -> None:
    summary = run(corners, tmp_path / "one", seeds=(3,), arms=("none", "mixup"))
    assert "anecdote" in summary["verdict"]
    assert summary["arms"]["mixup"]["ci95"] is None
    assert not any(math.isnan(seed) for seed in summary["arms"]["mixup"]["seeds"])


@pytest.mark.parametrize(
    ("arms", "seeds", "words"),
    [
        ((), (0,), "at least one arm"),
        (("none",), (), "one seed"),
        (("none", "none"), (0,), "run once"),
        (("none", "mixup"), (0, 0), "run once"),
        (("none", "mixip"), (0,), "Did you mean mixup"),
        (("none", "mixup:alpha=0"), (0,), "above 0"),
        (("mixup:alpha=0.2", "mixup: alpha=0.2"), (0,), "spelling"),
    ],
)
def test_comparisons_that_make_no_sense(arms: tuple[str, ...], seeds: tuple[int, ...], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Comparison(arms, seeds, CONFIG)


def test_what_is_done_is_not_lost_when_a_later_run_fails(corners: Path, tmp_path: Path) -> None:
    """A rate at which the second seed's loss blows up is not to be had by choice, so a callback stops it."""

    def on_run(arm: str, seed: int) -> list[Watch]:
        def stop(line: object) -> None:
            raise TrainingError("training: the loss must stay a number.")

        return [Watch(epoch=stop)] if (arm, seed) == ("mixup", 1) else []

    make_folder(tmp_path / "c", force=False)
    bench = open_bench(open_pictures(corners, CONFIG), CONFIG)
    with pytest.raises(TrainingError, match="mixup, seed 1: training: the loss"):
        compare(bench, Comparison(("none", "mixup"), (0, 1), CONFIG), tmp_path / "c", on_run=on_run)
    summary = json.loads((tmp_path / "c" / "summary.json").read_text())
    assert summary["seeds"] == [0]
    assert "anecdote" in summary["verdict"]


@pytest.mark.parametrize(("better", "cautioned"), [("mixup", True), (None, False)])
def test_of_several_differences_one_that_is_shown_is_cautioned(better: str | None, cautioned: bool) -> None:
    comparison = Comparison(("none", "mixup", "cutmix"), (0, 1, 2), CONFIG)
    judged = {"part": "val", "epoch": "last", "metric": "accuracy"}
    found = {}
    for arm in comparison.arms:
        for seed in comparison.seeds:
            score = {**judged, "accuracy": 0.5 + seed / 50 + 0.1 * (arm == better)}
            found[arm, seed] = {"initial_weights": "", "seconds": 1.0, "judged": score}
    found["mixup", 0]["judged"]["accuracy"] += 0.01
    summary = summarise(comparison, found)
    assert ("helps" in summary["verdict"]) == cautioned
    said = "2 differences were looked at; where there is none, one in twenty still seems to be one"
    assert summary.get("caution") == (said if cautioned else None)
    assert summary_table(summary).endswith(said) == cautioned
