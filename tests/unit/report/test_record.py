"""Run folders are read whatever is missing, and what is missing is noted."""

from __future__ import annotations

import json

import numpy as np
import pytest

from crossfade.errors import ConfigError
from crossfade.report import record

PIECES = (
    "config.toml",
    "environment.json",
    "classes.json",
    "metrics.jsonl",
    "seen.npz",
    "lambda.json",
    "confusion.json",
    "summary.json",
)


def test_a_complete_training_is_read_without_a_note(training):
    run = record.read(training(epochs=4, seed=2))
    assert isinstance(run, record.Run)
    assert run.notes == ()
    assert run.curve("val", "accuracy").shape == (4,)
    assert run.curve("train", "accuracy_by_label_weight")[0] < run.curve("train", "accuracy_by_label_weight")[-1]
    assert run.seen.images.shape == (16, 8, 8, 3)
    assert run.lambdas.counts.sum() + run.lambdas.unmixed == run.lambdas.total
    assert run.confusion.sum() == 120
    assert run.part_counts["train"] == {"daisy": 6, "rose": 6, "tulip": 6}


def test_a_complete_comparison_is_read_in_the_order_of_its_summary(comparison):
    found = record.read(comparison(arms=("none", "zeta", "alpha"), seeds=2))
    assert isinstance(found, record.Comparison)
    assert list(found.runs) == ["none", "zeta", "alpha"]
    assert [run.seed for run in found.runs["zeta"]] == ["0", "1"]
    assert found.notes == ()


@pytest.mark.parametrize("name", PIECES)
@pytest.mark.parametrize("damage", ["gone", "empty", "rubbish", "other"])
def test_each_piece_may_be_missing_or_damaged_and_is_then_noted(training, name, damage):
    folder = training()
    damages = {"empty": b"", "rubbish": b"\xff\xfe{]", "other": b'"a number was expected"'}
    if damage == "gone":
        (folder / name).unlink()
    else:
        (folder / name).write_bytes(damages[damage])
    run = record.read(folder)
    assert isinstance(run, record.Run)
    if damage == "gone" or (damage == "rubbish" and name != "config.toml"):
        assert any(note.startswith(name) for note in run.notes)


def test_a_half_written_line_of_metrics_is_left_out(training):
    folder = training(epochs=3)
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"epoch": 4, "train": {"lo')
    run = record.read(folder)
    assert len(run.epochs) == 3
    assert run.notes == ("metrics.jsonl has a line that cannot be read.",)


def test_numbers_that_are_none_become_nan(training):
    folder = training(epochs=1)
    (folder / "metrics.jsonl").write_text(
        '{"val": {"loss": NaN}}\n{"val": {"loss": "high"}}\n{"val": 3}\n{}\n{"val": {"loss": 2}}'
    )
    np.testing.assert_array_equal(record.read(folder).curve("val", "loss"), [np.nan] * 4 + [2])


@pytest.mark.parametrize(
    "change",
    [
        {"images": np.zeros((2, 4, 4, 3), np.float32)},
        {"images": np.zeros((0, 4, 4, 3), np.uint8)},
        {"images": np.zeros((2, 4, 4, 2), np.uint8)},
        {"weights": np.zeros((3, 2))},
        {"mixed": np.zeros(1, bool)},
        {"mixed": np.array([object()])},
    ],
)
def test_pictures_that_make_no_sense_are_noted(training, change):
    folder = training(n=2)
    with np.load(folder / "seen.npz") as file:
        np.savez(folder / "seen.npz", **(dict(file) | change))
    run = record.read(folder)
    assert run.seen is None
    assert run.notes[0].startswith("seen.npz")


@pytest.mark.parametrize("matrix", [[[1, 2]], [[-1]], [], "x", [[1, 2], [3]], {"a": 1}])
def test_a_matrix_that_is_none_is_noted(training, matrix):
    folder = training()
    (folder / "confusion.json").write_text(json.dumps({"part": "test", "matrix": matrix}))
    run = record.read(folder)
    assert run.confusion is None
    assert run.notes == ("confusion.json cannot be read.",)


def test_a_stopped_comparison_is_what_lies_there(comparison):
    folder = comparison(seeds=11)
    (folder / "summary.json").unlink()
    found = record.read(folder)
    assert list(found.runs) == ["none", "mixup", "cutmix:alpha=0.5"]
    assert [run.seed for run in found.runs["none"]] == [str(s) for s in range(11)]


def test_the_arms_of_a_stopped_comparison_stand_in_the_order_they_were_asked_for(comparison):
    folder = comparison(seeds=1, epochs=1)
    (folder / "summary.json").unlink()
    (folder / "config.toml").write_text('arm = ["mixup", "none"]')
    (folder / "arm-1/seed-0/config.toml").write_text("")
    assert list(record.read(folder).runs) == ["none", "arm-1", "cutmix:alpha=0.5"]
    (folder / "arm-1/seed-0/config.toml").write_text('mix = "mixup"')
    assert list(record.read(folder).runs) == ["mixup", "none", "cutmix:alpha=0.5"]


def test_a_summary_cannot_lead_outside_its_folder(comparison, training):
    training()
    folder = comparison(seeds=1)
    summary = json.loads((folder / "summary.json").read_text())
    summary["runs"]["none"] = ["../training", "arm-0/seed-0"]
    (folder / "summary.json").write_text(json.dumps(summary))
    assert [run.folder.name for run in record.read(folder).runs["none"]] == ["seed-0"]


def test_a_folder_that_is_no_run_is_refused_with_a_sentence(tmp_path):
    with pytest.raises(
        ConfigError, match=r"^report: a run folder holds .* Got .*, which holds none of them\. Give the folder"
    ):
        record.read(tmp_path)
    with pytest.raises(ConfigError, match=r"^report: needs a folder .* Got .*nowhere, which is no folder\. Give"):
        record.read(tmp_path / "nowhere")


def test_a_setting_is_found_wherever_it_stands():
    config = record.settings('[model]\nname = "cnn4"\n[train]\nepochs = 15\n')
    assert record.setting(config, "model") == "cnn4"
    assert record.setting(config, "epochs") == 15
    assert record.setting(config, "nothing") is None
    assert record.settings("not = = toml") == {}
