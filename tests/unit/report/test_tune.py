"""The page of a search."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from crossfade.report import write_report
from crossfade.report.pages.tune import tune_page
from crossfade.report.record import read_experiment
from crossfade.report.trials import Dot, cost_figure, history_figure, parameter_figure
from tests.unit.report.conftest import write_json

HOSTILE = "<script>alert(1)</script>\"'&"


def trial(number: int, mix: str, value: float | None, **params: float) -> dict:
    return {
        "number": number,
        "state": "pruned" if value is None else "finished",
        "value": value,
        "values": [0.3, 0.4 if value is None else value],
        "params": {"mix": mix, "lr": 0.001 * (number + 1), **params},
        "arm": mix,
        "seconds": 1.5 + number,
        "epochs": 2,
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    trials = [trial(n, *one) for n, one in enumerate([("none", 0.7), ("mixup", 0.8), ("none", None)])]
    trials += [trial(3, "mixup", 0.75, alpha=0.31)]
    found = {
        "metric": "accuracy",
        "trials": trials,
        "best": trials[1],
        "space": {"mix": ["none", "mixup"], "lr": [1e-4, 1e-2]},
        "importance": {"lr": 0.75, "mix": 0.25},
        "sentences": ["Tuning saw +10.0 points; on fresh seeds less (95% CI 1 to 2; rough).", "It held 4 trials."],
    }
    write_json(tmp_path / "tune.json", found)
    write_json(tmp_path / "command.json", {"kind": "tune", "data": "/photos", "argv": ["crossfade", "tune", "photos"]})
    return tmp_path


def test_the_page_is_that_of_a_search(folder: Path) -> None:
    page = write_report(folder).read_text()
    assert "Tuning saw +10.0 points" in page
    assert "crossfade tune photos" in page
    assert "has not been trained on fresh seeds yet" in page
    assert {path.name for path in (folder / "figures").iterdir()} == {
        "history.svg", "cost.svg", "against-lr.svg", "against-alpha.svg",
    }  # fmt: skip


def test_the_best_trials_stand_first_and_those_given_up_do_not(folder: Path) -> None:
    html = tune_page(read_experiment(folder, "tune.json")).html
    table = html[html.index("<caption>The best trials") :]
    rows = re.findall(r'<tr><td class="n">(\d+)</td>', table)
    assert rows == ["2", "4", "1"]  # counted from 1
    assert "none was tried" not in html  # the name stands in an element of its own
    assert re.search(r"<bdi>none</bdi> was tried 2 times, 1 of them given up", html)


def test_where_lower_is_better_the_lowest_stands_first(folder: Path) -> None:
    found = json.loads((folder / "tune.json").read_text())
    write_json(folder / "tune.json", {**found, "metric": "log_loss"})
    html = tune_page(read_experiment(folder, "tune.json")).html
    assert re.findall(r'<tr><td class="n">(\d+)</td>', html[html.index("<caption>The best trials") :])[0] == "1"


def test_hostile_names_stay_text(folder: Path) -> None:
    found = json.loads((folder / "tune.json").read_text().replace('"mixup"', json.dumps(HOSTILE)))
    found["sentences"] = [HOSTILE, HOSTILE]
    found["importance"] = {HOSTILE: 0.5, "lr": 0.5}
    write_json(folder / "tune.json", found)
    write_json(folder / "data.json", {"root": f"/{HOSTILE}"})
    html = tune_page(read_experiment(folder, "tune.json")).html
    assert "<script" not in html
    assert "&lt;script&gt;" in html


@pytest.mark.parametrize("found", [{}, {"trials": []}, {"trials": [None, {}, {"params": 3}], "best": 4, "space": []}])
def test_a_record_that_is_damaged_gives_a_page(tmp_path: Path, found: dict) -> None:
    write_json(tmp_path / "tune.json", found)
    assert "No trial" in tune_page(read_experiment(tmp_path, "tune.json")).html


def test_the_best_so_far_only_gets_better() -> None:
    dots = [Dot(n, value) for n, value in enumerate([0.5, 0.7, 0.6, 0.9, 0.1], start=1)]
    line = history_figure(dots).axes[0].lines[0]
    assert line.get_ydata().tolist() == pytest.approx([50, 70, 70, 90, 90, 90])


def test_a_parameter_is_drawn_by_its_logarithm_and_time_from_zero() -> None:
    dots = [Dot(0.001, 0.5), Dot(0.1, 0.7, finished=False), Dot(0.01, 0.8, best=True)]
    assert parameter_figure(dots, title="Learning rate").axes[0].get_xscale() == "log"
    assert cost_figure(dots).axes[0].get_xlim()[0] == 0
