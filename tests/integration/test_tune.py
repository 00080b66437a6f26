"""The search for method and rates, from trials to the page."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from crossfade.cli import run as command_line
from crossfade.data.loader import Loader
from crossfade.errors import ConfigError, TrainingError
from crossfade.experiments.tuning.tune import Search, fresh_seeds, tune
from crossfade.report import write_report
from crossfade.training import inference, loop
from crossfade.training.callbacks import Callback
from crossfade.training.config import RunConfig
from crossfade.training.dataset import open_pictures
from crossfade.training.record import make_folder, read_json
from crossfade.training.run import Bench, open_bench
from tests.integration.folders import write_corners

CONFIG = RunConfig(model="cnn4", epochs=3, batch_size=8, precision="float32", device="cpu", augment="none")
KEPT = ("number", "state", "value", "values", "params", "epochs", "arm")


@pytest.fixture(scope="module")
def tested(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a test part."""
    return write_corners(tmp_path_factory.mktemp("data") / "tested", each=12, parts=("train", "val", "test"))


def bench_of(data: Path) -> Bench:
    return open_bench(open_pictures(data, CONFIG), CONFIG)


def search(trials: int = 8, **changes) -> Search:
    return Search(**{"arms": ("none", "mixup"), "trials": trials, "seeds": [1, 2], "config": CONFIG, **changes})


def run(data: Path, folder: Path, asked: Search | None = None, **hooks) -> dict:
    make_folder(folder, force=False)
    return tune(bench_of(data), asked or search(), folder, commands=["crossfade tune"], **hooks)


@pytest.fixture(scope="module")
def finished(tested: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    folder = tmp_path_factory.mktemp("runs") / "search"
    return folder, run(tested, folder)


def test_what_is_found_is_what_is_written(finished: tuple[Path, dict]) -> None:
    folder, found = finished
    assert read_json(folder / "tune.json") == json.loads(json.dumps(found))
    assert {"metric", "trials", "best", "importance", "winner", "sentences"} <= set(found)
    assert [trial["number"] for trial in found["trials"]] == list(range(8))
    assert {"number", "state", "value", "params", "seconds", "epochs"} <= set(found["trials"][0])
    assert all((folder / trial["folder"] / "config.toml").is_file() for trial in found["trials"])
    assert found["best"]["value"] == max(t["value"] for t in found["trials"] if t["value"] is not None)


def test_a_trial_is_worth_what_its_training_says_of_validation(finished: tuple[Path, dict]) -> None:
    folder, found = finished
    for trial in found["trials"]:
        if trial["state"] == "finished":
            summary = read_json(folder / trial["folder"] / "summary.json")
            assert summary["judged"]["part"] == "val"
            assert summary["judged"]["epoch"] == "best"  # as the winner, which has a test part, is judged
            assert summary["judged"]["accuracy"] == trial["value"]
            assert "test" not in summary


def test_no_trial_touches_the_test_part(tested: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is loaded while trials run is of other parts; the winner's trainings do load it."""
    bench = bench_of(tested)
    test, read, now = set(bench.pictures.split.test.tolist()), {"trial": set(), "winner": set()}, "trial"

    def spying(pixels, labels, numbers, **options):
        read[now].update(numbers.tolist())
        return Loader(pixels, labels, numbers, **options)

    for module in (loop, inference):
        if hasattr(module, "Loader"):
            monkeypatch.setattr(module, "Loader", spying)

    def on_run(arm: str, seed: int) -> list[Callback]:
        nonlocal now
        now = "winner"
        return []

    make_folder(tmp_path / "search", force=False)
    tune(bench, search(2), tmp_path / "search", on_run=on_run)
    assert read["trial"] == set(bench.pictures.split.train.tolist()) | set(bench.pictures.split.val.tolist())
    assert not read["trial"] & test
    assert read["winner"] >= test
    assert len(bench.without_test().pictures.split.test) == 0


def test_the_winner_is_tried_on_fresh_seeds_each_side_with_its_own_rates(finished: tuple[Path, dict]) -> None:
    folder, found = finished
    winner, trials = found["winner"], {trial["number"]: trial for trial in found["trials"]}
    summary = read_json(folder / winner["comparison"])
    assert summary["seeds"] == [1, 2]
    assert CONFIG.seed not in summary["seeds"]
    assert summary["part"] == "test"
    assert list(summary["arms"]) == ["none", winner["arm"]]
    for arm, trial in (("none", winner["baseline"]["trial"]), (winner["arm"], winner["trial"])):
        table = (folder / "winner" / summary["runs"][arm][0] / "config.toml").read_text()
        assert f"lr = {trials[trial]['params']['lr']}\n" in table
        assert f"weight_decay = {trials[trial]['params']['weight_decay']}\n" in table
    hashes = {tuple(arm["initial_weights"]) for arm in summary["arms"].values()}
    assert len(hashes) == 1
    saw, left = found["sentences"][0].split("; on fresh seeds ")
    assert saw.startswith("Tuning saw ")
    assert "paired seeds" in left


def test_without_a_test_part_it_is_said_that_numbers_flatter(corners: Path, tmp_path: Path) -> None:
    found = run(corners, tmp_path / "search", search(2))
    assert found["part"] == "val"
    assert any("There is no test part" in said for said in found["sentences"])


def test_arms_without_none_are_held_against_none_with_the_winners_rates(tested: Path, tmp_path: Path) -> None:
    found = run(tested, tmp_path / "search", search(1, arms=("cutmix",), seeds=[3]))
    baseline = found["winner"]["baseline"]
    assert baseline["arm"] == "none"
    assert baseline["value"] is None
    assert baseline["params"]["lr"] == found["winner"]["params"]["lr"]
    assert any("No trial without mixing" in said for said in found["sentences"])


def test_none_alone_is_tuned_and_nothing_is_compared(tested: Path, tmp_path: Path) -> None:
    found = run(tested, tmp_path / "search", search(2, arms=("none",)))
    assert found["winner"]["difference"] is None
    assert "Nothing else was compared" in found["sentences"][0]
    assert "report.html" in str(write_report(tmp_path / "search"))


def test_a_rate_at_which_nothing_trains_is_given_up_and_said(tested: Path, tmp_path: Path) -> None:
    asked = search(2, config=replace(CONFIG, lr=1e30))
    with pytest.raises(TrainingError, match="must come to its end"):
        run(tested, tmp_path / "search", asked)
    trials = read_json(tmp_path / "search" / "tune.json")["trials"]
    assert [trial["state"] for trial in trials] == ["pruned", "pruned"]
    assert "finite" in trials[0]["reason"]


def test_no_trial_is_begun_after_the_timeout(tested: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from crossfade.experiments.tuning import tune as module

    clock = iter(range(0, 1000, 40))  # seconds, forty more at each look
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    found = run(tested, tmp_path / "search", search(50, timeout=100.0, seeds=[1]))
    assert len(found["trials"]) == 2
    assert "2 trials of 50 asked for" in " ".join(found["sentences"])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"seeds": [0, 1]}, "search has not seen"),
        ({"trials": 0}, "trials"),
        ({"trials": True}, "trials"),
        ({"timeout": -1.0}, "timeout"),
        ({"arms": ("mixup", "mixup")}, "each once"),
    ],
)
def test_what_cannot_be_searched_is_refused(changes: dict, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        search(**changes)


def test_fresh_seeds_leave_the_seed_of_the_search_out() -> None:
    assert fresh_seeds(3, 0) == [1, 2, 3]
    assert fresh_seeds(3, 1) == [0, 2, 3]
    assert fresh_seeds(3, 9) == [0, 1, 2]


KILLED = """
import os, signal, sys
from pathlib import Path
from tests.integration.test_tune import bench_of, search
from crossfade.experiments.tuning.tune import tune
from crossfade.training.callbacks import Callback

data, folder, number, step = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])

class Kill(Callback):
    def on_step(self, now):
        if now.done == step:
            os.kill(os.getpid(), signal.SIGKILL)

folder.mkdir(exist_ok=True)
at = lambda n: [Kill()] if n == number else []
tune(bench_of(data), search(), folder, commands=["crossfade tune"],
     on_trial=lambda n, arm: at(n), on_run=lambda arm, seed: at(100 + seed))
"""


def test_a_search_killed_anywhere_ends_as_one_that_was_not(
    tested: Path, finished: tuple[Path, dict], tmp_path: Path
) -> None:
    """kill -9 in trials, before their first checkpoint and after, and in the trainings of the winner."""
    folder = tmp_path / "search"
    for number, step in ((3, 2), (5, 8), (102, 3)):
        arguments = [sys.executable, "-c", KILLED, str(tested), str(folder), str(number), str(step)]
        done = subprocess.run(arguments, env=dict(os.environ), capture_output=True, text=True, check=False)
        assert done.returncode == -signal.SIGKILL, done.stderr
    found = tune(bench_of(tested), search(), folder, commands=["crossfade tune"])
    assert [{key: one[key] for key in KEPT} for one in found["trials"]] == [
        {key: one[key] for key in KEPT} for one in finished[1]["trials"]
    ]
    for key in ("best", "winner", "importance", "sentences"):
        if key != "best":
            assert found[key] == finished[1][key]
    assert found["best"]["number"] == finished[1]["best"]["number"]


def test_the_command_searches_is_stopped_and_goes_on(
    tested: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """SIGTERM in the middle of trial 2 of 4: exit 143; `crossfade resume` ends the search; the page is there."""
    out = tmp_path / "search"
    options = ["--arm", "none", "--arm", "mixup", "--trials", "4", "--seeds", "1", "--model", "cnn4"]
    options += ["--epochs", "2", "--batch-size", "8", "--augment", "none"]
    from crossfade.experiments.tuning import tune as module

    real, begun = module.train_one, 0

    class Stop(Callback):
        def on_step(self, step) -> None:
            os.kill(os.getpid(), signal.SIGTERM)

    def stopping(*args, callbacks=(), **more):
        nonlocal begun
        begun += 1
        return real(*args, callbacks=[*callbacks, *([Stop()] if begun == 2 else [])], **more)

    monkeypatch.setattr(module, "train_one", stopping)
    assert command_line(["tune", str(tested), *options, "--out", str(out)]) == 143
    assert len(read_json(out / "tune.json")["trials"]) == 1
    assert command_line(["resume", str(out)]) == 0
    said = capsys.readouterr()
    assert "trial 1/4" in said.err
    assert "trial 4/4" in said.err
    assert "Tuning saw" in said.out
    page = (out / "report.html").read_text()
    assert "On fresh seeds" in page
    assert "<script" not in page
    assert command_line(["resume", str(out)]) == 0
    assert "finished" in capsys.readouterr().out


def test_the_page_of_an_unfinished_search_stands(tested: Path, tmp_path: Path) -> None:
    class Enough(Exception):
        pass

    def on_trial(number: int, arm: str) -> list[Callback]:
        if number == 1:
            raise Enough
        return []

    with pytest.raises(Enough):
        run(tested, tmp_path / "search", on_trial=on_trial)
    page = write_report(tmp_path / "search").read_text()
    assert "has not been trained on fresh seeds yet" in page
    assert "flatter" in page
