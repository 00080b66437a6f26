"""The pages of check, lr and ablate: whatever their record holds, and whoever named what is in it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from crossfade.errors import ConfigError
from crossfade.report import write_report
from tests.unit.report.conftest import write_json
from tests.unit.report.hostile import HOSTILE
from tests.unit.report.outline import Outline

CHECK = {
    "passed": False,
    "bound": 0.95,
    "train_accuracy": 0.5,
    "epochs": 2,
    "steps": 8,
    "lr": 1e-5,
    "losses": [2.25, 2.0],
    "accuracies": [0.25, 0.5],
    "running_accuracies": [0.2, 0.4],
    "held_out": {"right": 5, "pictures": 10},
    "pictures": {"rose": 30, "daisy": 30},
    "causes": [{"cause": "learning rate too low", "evidence": "it falls by -3", "advice": "Pass --lr 0.001"}],
    "probes": [{"lr": 1e-5, "losses": [2.25, 2.0]}, {"lr": 0.001, "losses": [2.25, None, 0.5]}],
    "sentence": "failed: 50.0% of them are named rightly. Likely learning rate too low.",
}
VALUES = {
    "kind": "values",
    "metric": "accuracy",
    "optimizer": "sgd",
    "values": {
        "0.1": {"losses": [2.0], "epochs": [], "val": None, "stopped": "no number"},
        "0.01": {"losses": [2.0, 1.0], "epochs": [1.5, 1.0], "val": 0.8125, "stopped": None},
    },
    "suggestion": 0.01,
    "sentence": "0.01 is best",
}
RANGE = {
    "kind": "range",
    "steps": 3,
    "range": {"rates": [1e-3, 1e-2, 1e-1], "losses": [2.0, 1.0, 3.0], "smoothed": [2.0, 1.5, 2.0]},
    "suggestion": 0.001,
    "sentence": "try 0.001",
}
SCHEDULE = {
    "kind": "schedule",
    "schedule": "step",
    "epochs": 2,
    "steps_per_epoch": 2,
    "rates": [0.1, 0.1, 0.05, 0.05],
    "sentence": "step: it falls",
}
ABLATE = {
    "metric": "auc",
    "part": "val",
    "per_class": [10, "all"],
    "pictures": [20, 60],
    "steps": [2, 4],
    "mean_per_class": [10.0, 30.0],
    "epochs": 2,
    "seeds": [0, 1],
    "arms": {
        "none": {"seeds": [[0.7, 0.8], [0.72, 0.82]], "mean": [0.71, 0.81], "ci95": [[0.6, 0.8], [0.7, 0.9]]},
        "mixup": {"seeds": [[0.6, 0.8], [0.62, 0.82]], "mean": [0.61, 0.8125], "ci95": [None, None]},
    },
    "headline": "More data helps.",
    "sentences": ["mixup against none: -10.0 points"],
    "notes": ["all of daisy are 30"],
}
RECORDS = {"check": CHECK, "lr": VALUES, "range": RANGE, "schedule": SCHEDULE, "ablate": ABLATE}


def page_of(folder: Path, kind: str, found: dict, **files: dict) -> str:
    folder.mkdir(exist_ok=True)
    write_json(folder / f"{kind if kind in ('check', 'ablate') else 'lr'}.json", found)
    for name, content in files.items():
        write_json(folder / f"{name}.json", content)
    return write_report(folder).read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", RECORDS)
def test_all_have_a_head_contents_configuration_and_commands(tmp_path, kind):
    command = {"kind": kind, "data": "/photos", "argv": ["crossfade", kind, "my photos"]}
    html = page_of(tmp_path, kind, RECORDS[kind], command=command, data={"root": "/somewhere/photos"})
    outline = Outline(html)
    assert outline.headings[-2:] == ["Configuration and versions", "To repeat it"]
    assert html.count('<li><a href="#') == len(outline.headings)
    assert f"crossfade {kind} &#39;my photos&#39;" in html
    assert "piece" in html  # config.toml and environment.json are missing, which is said
    svgs = re.findall(r"<svg[^>]*>", html)
    assert [one for one in svgs if 'role="img"' in one and 'aria-label="' in one]
    assert 'style="margin' not in html


@pytest.mark.parametrize("kind", RECORDS)
@pytest.mark.parametrize("found", [{}, {"kind": "values"}, {"kind": "range"}, {"losses": [None], "values": 3}])
def test_a_record_with_nothing_in_it_gives_a_page(tmp_path, kind, found):
    assert 'class="missing"' in page_of(tmp_path, kind, found)


@pytest.mark.parametrize("kind", RECORDS)
def test_a_record_whose_pieces_are_missing_or_odd_gives_a_page(tmp_path, kind):
    for n, (name, value) in enumerate(RECORDS[kind].items()):
        for m, odd in enumerate([None, [], {}, "text", [None, 1], {"a": [1]}, [[1], 2], 3]):
            if type(odd) is not type(value) or odd != value:
                page_of(tmp_path / f"{n}-{m}", kind, {**RECORDS[kind], name: odd})


def test_a_hostile_name_stays_text_on_every_page(tmp_path):
    name = " ".join(HOSTILE[:31])
    ablate = json.loads(json.dumps(ABLATE).replace("mixup", "MIX"))
    ablate["arms"] = {"none": ablate["arms"]["none"], name: ablate["arms"]["MIX"]}
    causes = [{"cause": name, "evidence": name, "advice": name}]
    values = {**VALUES, "values": {name: VALUES["values"]["0.01"]}, "sentence": name, "optimizer": name}
    hostile = {
        "check": {**CHECK, "causes": causes, "sentence": f"failed: {name}"},
        "lr": values,
        "ablate": {**ablate, "headline": name, "sentences": [name], "notes": [name]},
    }
    for kind, found in hostile.items():
        outline = Outline(page_of(tmp_path / kind, kind, found, data={"root": f"/{name}"}))
        assert not {"script", "img", "iframe", "b"} & {element[0] for element in outline.elements}
        assert not [one for element in outline.elements for one in element[1:] if one.startswith("on")]


def test_numbers_are_told_as_on_the_other_pages(tmp_path):
    html = page_of(tmp_path / "lr", "lr", VALUES)
    assert "81.2%" in html
    assert "1.500, 1.000" in html
    html = page_of(tmp_path / "ablate", "ablate", ABLATE)
    assert "mixup against none: \u221210.0 points" in html


def test_an_ablation_that_was_stopped_can_be_gone_on_with(tmp_path):
    tmp_path.joinpath("config.toml").write_text('sizes = ["10", "30", "all"]\n')
    assert "crossfade resume" in page_of(tmp_path, "ablate", ABLATE)
    tmp_path.joinpath("config.toml").write_text('sizes = ["10", "all"]\n')
    assert "crossfade resume" not in page_of(tmp_path, "ablate", ABLATE)


@pytest.mark.parametrize("kind", ["check", "lr", "ablate", "tune"])
def test_a_step_that_was_stopped_before_it_found_anything_is_no_training(tmp_path, kind):
    tmp_path.joinpath("config.toml").write_text("epochs = 3\n")
    write_json(tmp_path / "command.json", {"kind": kind, "data": "/photos", "argv": ["crossfade", kind, "photos"]})
    with pytest.raises(ConfigError, match=rf"crossfade {kind} has left none yet\. .* crossfade resume "):
        write_report(tmp_path)
