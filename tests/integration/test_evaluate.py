"""crossfade evaluate on whole runs: which pictures are judged, and that the numbers are those of the run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from crossfade.cli import run
from crossfade.data.table import read_table
from crossfade.errors import ConfigError
from crossfade.experiments.evaluation.evaluate import Options, replacing, write
from crossfade.experiments.evaluation.side_by_side import evaluate_folder
from crossfade.training import checkpoint
from tests.integration.folders import write_corners

QUICK = ["--model", "cnn4", "--batch-size", "16", "--lr", "3e-3", "--precision", "float32", "--augment", "none"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, corners: Path) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "plain"
    assert run(["train", str(corners), *QUICK, "--epochs", "3", "--out", str(folder)]) == 0
    return folder


@pytest.fixture
def mine(trained: Path, tmp_path: Path) -> Path:
    """A copy of the run, to be written into."""
    return Path(shutil.copytree(trained, tmp_path / "run"))


def judged(folder: Path, data: Path | None = None, **options: object) -> dict:
    return evaluate_folder(folder, data, Options(**options), progress=lambda what, done, total: None)[0]


def paths_of(folder: Path, part: str) -> list[str]:
    return [row["path"] for row in read_table(folder / "split.csv", ("path", "part")) if row["part"] == part]


def test_the_runs_own_pictures_give_the_runs_own_numbers(mine: Path) -> None:
    summary = json.loads((mine / "summary.json").read_text())["judged"]
    found = judged(mine)
    assert found["data"]["part"] == "val"
    assert found["data"]["pictures"] == 12
    assert found["data"]["left_out"] == {"trained_on": 0, "refused": 0, "unknown_class": 0}
    for name, one in found["metrics"].items():
        assert one["value"] == pytest.approx(summary[name], abs=1e-6)
    assert np.trace(found["confusion"]) == round(12 * summary["accuracy"])
    assert [row["class"] for row in found["per_class"]] == found["classes"] == ["corner0", "corner1", "corner2"]
    assert "robustness" not in found


def test_what_is_written(mine: Path, corners: Path) -> None:
    found = judged(mine, hardest=5)
    columns = ("path", "truth", "predicted", "loss", *found["classes"])
    rows = list(read_table(mine / "evaluation" / "predictions.csv", columns))
    assert sorted(row["path"] for row in rows) == sorted(paths_of(mine, "val"))
    assert all(row["truth"] == row["path"].split("/")[0] for row in rows)
    assert all(sum(float(row[name]) for name in found["classes"]) == pytest.approx(1, abs=1e-5) for row in rows)
    assert all(float(row["loss"]) == pytest.approx(-np.log(float(row[row["truth"]])), abs=1e-4) for row in rows)
    losses = sorted((float(row["loss"]) for row in rows), reverse=True)
    assert [one["loss"] for one in found["hardest"]] == pytest.approx(losses[:5], abs=1e-5)
    images = np.load(mine / "evaluation" / "hardest.npz")["images"]
    for one, image in zip(found["hardest"], images, strict=True):
        np.testing.assert_array_equal(image, np.asarray(Image.open(corners / one["path"])))
    assert {path.name for path in mine.iterdir() if "evaluation" in path.name} == {"evaluation"}


def test_a_loss_of_nothing_is_a_number_in_the_table(tmp_path: Path) -> None:
    """And no text that begins with a sign, which would be quoted."""
    certain = SimpleNamespace(
        summary={"classes": ["a", "b"]}, log_probabilities=np.array([[0.0, -np.inf]]), truth=np.array([0]),
        paths=["x"], hardest=np.zeros((1, 2, 2, 3), np.uint8),
    )  # fmt: skip
    write(tmp_path, certain)
    assert (tmp_path / "evaluation" / "predictions.csv").read_text().splitlines()[1].split(",")[3] == "0.000000"


def test_validation_pictures_judge_no_temperature_they_fitted(mine: Path) -> None:
    found = judged(mine)
    assert found["calibration"]["fitted_on"] == "halves"
    assert any("other half" in note for note in found["data"]["notes"])
    assert not any("best epoch" in note for note in found["data"]["notes"]), "the last epoch was judged"
    assert any("best epoch" in note for note in judged(mine, weights="best")["data"]["notes"])
    config = (mine / "config.toml").read_text()
    (mine / "config.toml").write_text("patience = 9\n" + config)
    assert any("chose when to stop" in note for note in judged(mine)["data"]["notes"])
    (mine / "config.toml").write_text('weights = "other.safetensors"\n' + config)
    assert any("trained on is not known" in note for note in judged(mine)["data"]["notes"])


def test_groups_that_the_run_was_split_by_are_resampled_whole(mine: Path, corners: Path, tmp_path: Path) -> None:
    plain = judged(mine)["metrics"]["accuracy"]["ci95"]
    config = (mine / "config.toml").read_text()
    (mine / "config.toml").write_text("group = '/0(.)'\n" + config)
    found = judged(mine)
    assert found["metrics"]["accuracy"]["ci95"] != plain
    count = len({path.split("/")[1][:2] for path in paths_of(mine, "val")})
    assert f"not pictures; there are {count} here" in str(found["data"]["notes"])
    for name in ("corner0", "corner1"):
        (tmp_path / "elsewhere" / name).mkdir(parents=True)
        shutil.copy(corners / name / "000.png", tmp_path / "elsewhere" / name / "new.png")
    found = judged(mine, tmp_path / "elsewhere", with_trained=True)
    assert any("matches no path here" in note for note in found["data"]["notes"])


def test_a_copy_of_the_folder_gives_the_same_pictures_by_their_content(
    mine: Path, corners: Path, tmp_path: Path
) -> None:
    moved = tmp_path / "moved"
    for path in sorted(corners.rglob("*.png")):
        (moved / path.parent.name).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, moved / path.parent.name / f"renamed-{path.name}")
    found, own = judged(mine, moved), judged(mine)
    assert found["data"]["part"] == "all"
    assert found["data"]["left_out"]["trained_on"] == 48
    assert found["metrics"]["log_loss"]["value"] == pytest.approx(own["metrics"]["log_loss"]["value"])
    assert found["calibration"]["fitted_on"] == "halves"
    assert judged(mine, moved, part="val")["data"]["pictures"] == 12
    everything = judged(mine, moved, with_trained=True)["data"]
    assert (everything["pictures"], everything["left_out"]["trained_on"]) == (60, 0)
    assert any("48 of these pictures were trained on" in note for note in everything["notes"])


def test_near_copies_of_training_pictures_are_said(mine: Path, corners: Path, tmp_path: Path) -> None:
    """Saved anew, so of other bytes: one of a training picture, one of a validation picture."""
    for number, part in enumerate(("train", "val")):
        name = paths_of(mine, part)[-number]
        saved = tmp_path / "saved" / Path(name).parent.name / f"{number}.png"
        saved.parent.mkdir(parents=True, exist_ok=True)
        picture = np.asarray(Image.open(corners / name)).copy()
        Image.fromarray(picture + 1).save(saved)
    found = judged(mine, tmp_path / "saved")["data"]
    assert found["pictures"] == 2
    (said,) = [note for note in found["notes"] if "near-identical" in note]
    assert said.startswith("1 of these pictures")
    assert "/0.png" in said
    assert not any("near-identical" in note for note in judged(mine)["data"]["notes"])


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Other pictures of the same three classes and of one more, in ready-made parts."""
    root = write_corners(tmp_path_factory.mktemp("data") / "others", classes=4, each=6, parts=("train", "val", "test"))
    for number, path in enumerate(sorted(root.rglob("*.png"))):
        picture = np.asarray(Image.open(path)).copy()
        picture[11, 11] = number
        Image.fromarray(picture).save(path)
    return root


def test_other_pictures_are_judged_by_name_of_class_with_a_temperature_of_the_val_part(
    mine: Path, others: Path
) -> None:
    found = judged(mine, others)
    assert (found["data"]["part"], found["data"]["pictures"]) == ("test", 18)
    assert found["data"]["left_out"]["unknown_class"] == 6
    assert any("'corner3'" in note for note in found["data"]["notes"])
    assert found["calibration"]["fitted_on"] == "val"
    assert found["calibration"]["temperature"] == pytest.approx(judged(mine)["calibration"]["temperature"], rel=1e-4), (
        "both are fitted on all of the val part"
    )
    assert judged(mine, others, part="val")["data"]["part"] == "val"


def test_without_the_runs_own_folder_there_is_no_temperature(mine: Path, others: Path) -> None:
    for name in ("command.json", "data.json"):
        (mine / name).unlink(missing_ok=True)
    found = judged(mine, others)
    assert found["calibration"]["temperature"] is None
    for words in ("no temperature was fitted", "whether any is near-identical"):
        assert any(words in note for note in found["data"]["notes"])


def call(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = run([str(argument) for argument in arguments])
    return (code, *capsys.readouterr())


def test_what_the_command_prints(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(capsys, "evaluate", mine)
    assert code == 0
    for words in ("part val of", "12 pictures of 3 classes", "accuracy", "95% interval", "temperature", "page:"):
        assert words in out
    code, out, err = call(capsys, "evaluate", mine, "--json", "--hardest", "0")
    assert code == 0
    assert json.loads(out) == json.loads((mine / "evaluation" / "evaluation.json").read_text())
    assert json.loads(out)["hardest"] == []
    assert "page:" in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--part", "test"], "Got none of part test in"),
        (["--part", "train"], "48 were trained on"),
        (["--hardest", "-1"], "--hardest must be 0 or more"),
        (["--robustness-pictures", "0"], "--robustness-pictures must be 1 or more"),
    ],
)
def test_letters(mine: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str) -> None:
    code, _, err = call(capsys, "evaluate", mine, *arguments)
    assert code in (1, 2)
    assert words in err
    assert not (mine / "evaluation").exists()


def test_no_run_and_no_class_in_common(mine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = call(capsys, "evaluate", tmp_path)
    assert code == 2
    assert "needs the folder of a training or of a comparison" in err
    for name in ("cats", "dogs"):
        (tmp_path / "pets" / name).mkdir(parents=True)
        Image.new("RGB", (12, 12)).save(tmp_path / "pets" / name / "1.png")
    code, _, err = call(capsys, "evaluate", mine, tmp_path / "pets")
    assert code == 1
    assert "'cats'" in err


def test_weights_that_are_no_numbers_are_a_letter(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    last = checkpoint.load(mine / "checkpoints" / "last")
    tensors = {name: torch.full_like(value, torch.nan) for name, value in last.tensors["model"].items()}
    checkpoint.save(mine / "checkpoints" / "last", {"model": tensors}, last.state)
    code, _, err = call(capsys, "evaluate", mine)
    assert code == 1
    assert "nan" in err
    assert "Traceback" not in err


def test_pictures_that_are_gone_or_new_are_said(mine: Path, corners: Path, tmp_path: Path) -> None:
    data = Path(shutil.copytree(corners, tmp_path / "corners"))
    for name, key in (("command.json", "data"), ("data.json", "root")):
        if (mine / name).exists():
            record = json.loads((mine / name).read_text())
            (mine / name).write_text(json.dumps({**record, key: str(data)}))
    (data / paths_of(mine, "val")[0]).unlink()
    Image.new("RGB", (12, 12)).save(data / "corner0" / "new.png")
    found = judged(mine)["data"]
    assert found["pictures"] == 11
    assert any(note.startswith("1 pictures of the run's val part are gone") for note in found["notes"])
    assert any(note.startswith("1 pictures of the folder are in no part") for note in found["notes"])


def test_robustness_and_the_same_numbers_twice(mine: Path) -> None:
    one, other = (judged(mine, robustness=9) for _ in range(2))
    assert one["robustness"] == other["robustness"]
    assert one["metrics"] == other["metrics"]
    assert one["robustness"]["pictures"] == 9
    curves = one["robustness"]["curves"]
    assert list(curves) == ["fgsm", "pgd", "brightness", "noise", "blur", "jpeg", "rotation"]
    assert all(len(curve["accuracy"]) == 5 for curve in curves.values())


def test_a_running_average_is_what_is_judged(corners: Path, tmp_path: Path) -> None:
    assert run(["train", str(corners), *QUICK, "--epochs", "2", "--ema", "0.9", "--out", str(tmp_path / "ema")]) == 0
    summary = json.loads((tmp_path / "ema" / "summary.json").read_text())["judged"]
    assert judged(tmp_path / "ema")["metrics"]["log_loss"]["value"] == pytest.approx(summary["log_loss"], rel=1e-5)


def test_a_comparison_side_by_side(corners: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arms = ["--arm", "none", "--arm", "mixup", "--seeds", "2"]
    assert run(["compare", str(corners), *QUICK, *arms, "--epochs", "2", "--out", str(tmp_path / "both")]) == 0
    capsys.readouterr()
    code, out, _ = call(capsys, "evaluate", tmp_path / "both", "--robustness", "--robustness-pictures", "6")
    assert code == 0
    assert "mean over seeds" in out
    found = json.loads((tmp_path / "both" / "evaluation" / "evaluation.json").read_text())
    assert (found["part"], found["pictures"], found["baseline"]) == ("val", 12, "none")
    for arm in ("none", "mixup"):
        own = [
            json.loads((tmp_path / "both" / arm / f"seed-{seed}" / "evaluation" / "evaluation.json").read_text())
            for seed in range(2)
        ]
        for name, one in found["arms"][arm]["metrics"].items():
            assert one["seeds"] == [run["metrics"][name]["value"] for run in own]
        assert found["arms"][arm]["robustness"]["pgd"]["seeds"] == [
            run["robustness"]["curves"]["pgd"]["accuracy"] for run in own
        ]
    pair = found["differences"]["mixup - none"]
    seeds = (found["arms"][arm]["metrics"]["log_loss"]["seeds"] for arm in ("mixup", "none"))
    assert pair["log_loss"]["mean"] == pytest.approx(np.mean(np.subtract(*seeds)))
    assert pair["robustness"]["noise"]["n"] == 2
    assert len(pair["robustness"]["noise"]["at"]) == 5
    assert found["sentences"]


def test_an_evaluation_takes_the_place_of_the_earlier_one_only_when_it_is_whole(tmp_path: Path) -> None:
    for word in ("first", "second"):
        with replacing(tmp_path / "evaluation") as new:
            (new / word).write_text(word)
    assert [path.name for path in tmp_path.rglob("*")] == ["evaluation", "second"]
    with pytest.raises(ConfigError, match="written into the run folder"), replacing(tmp_path / "evaluation"):
        (tmp_path / "missing").unlink()
    assert [path.name for path in (tmp_path / "evaluation").iterdir()] == ["second"]
    with replacing(tmp_path / "evaluation") as new:
        (new / "fourth").write_text("fourth")
    assert [path.name for path in tmp_path.rglob("*")] == ["evaluation", "fourth"]


def test_damaged_weights_are_not_judged_as_those_before_them(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = mine / "checkpoints" / "last" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    assert run(["evaluate", str(mine)]) == 1
    assert "SHA-256 differs" in capsys.readouterr().err
    assert not (mine / "evaluation").exists()
    assert run(["evaluate", str(mine), "--checkpoint", "best"]) == 0
    assert "so its interval lies too high" in capsys.readouterr().out
