"""Splits and balance through whole trainings: what is divided how, what is said of it, where a reader finds it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from crossfade import cli
from crossfade.errors import ConfigError
from crossfade.training.config import RunConfig
from crossfade.training.dataset import open_pictures
from tests.integration.folders import write_corners
from tests.integration.test_training import run, same_numbers


@pytest.fixture(scope="module")
def unequal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes of 20, 20 and 5 pictures."""
    root = write_corners(tmp_path_factory.mktemp("data") / "unequal")
    for number in range(5, 20):
        (root / f"corner2/{number:03d}.png").unlink()
    return root


@pytest.fixture
def leaky(tmp_path: Path) -> Path:
    """Ready-made parts, with a training picture once more in test and a test picture under another class."""
    root = write_corners(tmp_path / "leaky", each=10, parts=("train", "test"))
    shutil.copy(root / "train/corner0/003.png", root / "test/corner0/copy.png")
    shutil.copy(root / "test/corner1/004.png", root / "test/corner2/wrong.png")
    return root


@pytest.mark.parametrize("balance", ["loss", "sampling"])
def test_balanced_trainings_differ_and_repeat_to_the_bit(unequal: Path, tmp_path: Path, balance: str) -> None:
    for name in ("one", "again"):
        run(unequal, tmp_path / name, balance=balance, mix="mixup", threads={"one": 0, "again": 2}[name])
    run(unequal, tmp_path / "plain", mix="mixup")
    assert same_numbers(tmp_path / "one", tmp_path / "again")
    assert not same_numbers(tmp_path / "one", tmp_path / "plain")


def test_every_picture_is_validated_once_over_the_folds(corners: Path) -> None:
    vals = [open_pictures(corners, RunConfig(folds=5, fold=fold)).split.val for fold in range(5)]
    assert sorted(np.concatenate(vals).tolist()) == list(range(60))


def test_a_leak_is_said_by_scan_and_train_and_on_the_page(
    leaky: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["scan", str(leaky)]) == 0
    said = capsys.readouterr().out
    assert "warning: pictures leak from part to part (1 identical), such as\n  test/corner0/copy.png = train/" in said
    assert "warning: pictures are under two classes (1 identical), such as\n  test/corner1/004.png = test/" in said
    out = tmp_path / "run"
    options = ["--model", "cnn4", "--epochs", "1", "--size", "12", "--group", r"corner\d/(00[12])", "-o", str(out)]
    assert cli.run(["train", str(leaky), *options]) == 0
    warned = capsys.readouterr().err
    assert "warning: pictures leak from part to part (1 identical, 2 group), such as test/corner0/copy.png = " in warned
    assert "2 groups; 50 paths do not match" in warned
    found = json.loads((out / "data.json").read_text())
    assert [one["kind"] for one in found["leaks"]] == ["identical", "group", "group"]
    page = (out / "report.html").read_text()
    assert "test/corner0/copy.png" in page
    assert "in more than one part" in page
    assert "the labels contradict each other" in page


def test_a_clean_folder_has_nothing_to_say(corners: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["scan", str(corners)]) == 0
    said = capsys.readouterr().out
    assert "warning" not in said
    assert "#" not in said


def test_unequal_classes_are_shown(unequal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["scan", str(unequal)]) == 0
    said = capsys.readouterr().out
    assert "  corner2   5  ########\n" in said
    assert "the largest class is 4.0 times as large as the smallest" in said


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"folds": 5}, "folds: must be given together with fold"),
        ({"folds": 1, "fold": 0}, "folds: must be 2 or more"),
        ({"folds": 3, "fold": 3}, "fold: must be from 0 to folds - 1"),
        ({"split_by": "name", "group": "x"}, "group: must be left out where split_by is name"),
        ({"split_by": "name", "folds": 3, "fold": 0}, "folds: must be left out where split_by is name"),
    ],
)
def test_options_that_exclude_each_other(options: dict, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        RunConfig(**options)
