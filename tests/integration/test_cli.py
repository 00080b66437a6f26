"""Every command as a user types it, typos included: what it prints, what it writes, how it leaves."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from crossfade.cli import COMMANDS, main
from crossfade.cli.options import seeds_of
from crossfade.errors import ConfigError
from tests.integration.conftest import Call
from tests.integration.folders import write_corners

QUICK = ["--model", "cnn4", "--epochs", "1", "--batch-size", "16", "--precision", "float32"]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_every_command(call: Call, command: str) -> None:
    code, out, _ = call(command, "--help")
    assert code == 0
    assert f"crossfade {command}" in out


def test_help_does_not_import_torch_or_numpy() -> None:
    program = (
        "import sys; from crossfade.cli import run; run(['--help']); "
        "print(sorted({'torch', 'numpy'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip().endswith("[]")


def test_only_commands_have_freed_memory_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr("crossfade.memory.keep_freed_memory", lambda: asked.append(True))
    for typed, expected in ((["--help"], 0), ([], 0), (["scn"], 0), (["scan", "--help"], 1)):
        with pytest.raises(SystemExit):
            main(typed)
        assert len(asked) == expected, typed


def test_scan(call: Call, corners: Path) -> None:
    code, out, _ = call("scan", corners)
    assert code == 0
    assert "60 pictures of 3 classes" in out
    code, out, _ = call("scan", corners, "--json")
    found = json.loads(out)
    assert found["classes"] == {"corner0": 20, "corner1": 20, "corner2": 20}
    assert {"root", "images", "classes", "refused", "ignored", "duplicates", "sizes"} <= set(found)


def test_doctor(call: Call, corners: Path) -> None:
    command = ["doctor", corners, *QUICK[:2], "--batch-size", 16, "--precision", "float32", "--seconds", "0.02"]
    code, out, _ = call(*command, "--mix", "mixup")
    assert code == 0
    assert all(station in out for station in ("disk", "decode", "augment", "model", "Training is bound by"))
    code, out, err = call(*command, "--cache-gb", "0", "--size", "10", "--json")
    assert code == 0
    assert "decoded as they are needed" in err
    found = json.loads(out)
    assert found["stations"]["model"]["n"] >= 3
    assert found["bottleneck"]["training"] in ("disk", "decode", "augment", "model")
    assert not list(Path().iterdir()), "nothing is written"
    assert call("doctor", corners, "--seconds", "0")[0] == 2


def test_train_predict_report(call: Call, corners: Path, tmp_path: Path) -> None:
    code, out, err = call("train", corners, *QUICK, "--mix", "cutmix:alpha=1.0", "--out", "run")
    assert code == 0
    assert "val accuracy" in out
    assert "epoch 1/1" in err
    assert Path("run/report.html").is_file()
    Path("run/report.html").unlink()
    code, out, _ = call("report", "run", "--png")
    assert code == 0
    assert Path("run/figures/val-loss.png").is_file()
    assert Path("run/report.html").is_file()
    picture = corners / "corner1" / "000.png"
    code, out, err = call("predict", "run", picture, "missing.png", "--json", "--csv", "found.csv")
    assert code == 1
    assert "missing.png" in err
    rows = json.loads(out)
    assert [row["path"] for row in rows] == [str(picture), "missing.png"]
    assert rows[1] == {"path": "missing.png", "refused": "unreadable", "detail": "No such file or directory"}
    assert sum(rows[0]["classes"].values()) == pytest.approx(1, abs=1e-4)
    assert Path("found.csv").read_text().splitlines()[0] == "path,refused,corner0,corner1,corner2"
    assert len(Path("found.csv").read_text().splitlines()) == 3


def test_two_classes_are_told_by_their_auc(call: Call, tmp_path: Path) -> None:
    data = write_corners(tmp_path / "data", classes=2)
    longer = ["9" if value == "1" else value for value in QUICK]
    code, out, err = call("train", data, *longer, "--patience", "1", "--lr", "0.01", "--out", "run")
    assert code == 0
    assert re.search(r"^val ROC AUC \d+\.\d%, accuracy \d+\.\d% \(last epoch\), ", out, re.M)
    assert re.search(r"val +\d+\.\d%, ROC AUC \d+\.\d%", err)
    summary = json.loads(Path("run", "summary.json").read_text())
    told = f"stopped after epoch {summary['stopped_early']}: ROC AUC was best in epoch {summary['best_epoch']}"
    assert told in err
    flattered = "the validation pictures chose when to stop, which flatters what is measured on them"
    assert flattered in out
    arms = ["--arm", "none", "--arm", "mixup"]
    code, out, _ = call("compare", data, *QUICK, "--out", "c", "--seeds", "2", "--patience", "1", *arms)
    assert code == 0
    assert flattered in out
    assert out.splitlines()[0].split()[:3] == ["arm", "ROC", "AUC"]
    assert "points of ROC AUC" in out


def test_a_metric_that_these_pictures_have_not_is_refused_before_anything_is_removed(call: Call, corners: Path) -> None:
    assert call("train", corners, *QUICK, "--out", "run")[0] == 0
    code, _, err = call("train", corners, *QUICK, "--out", "run", "--force", "--metric", "top5")
    assert code == 2
    assert "metric: top5 says nothing of 3 classes" in err
    assert Path("run", "summary.json").exists()


@pytest.mark.parametrize("command", ["train", "check", "doctor"])
def test_an_alpha_that_the_method_refuses_is_said_before_anything_is_read(
    call: Call, tmp_path: Path, command: str
) -> None:
    nothing = tmp_path / "nothing"
    code, _, err = call(command, nothing, "--mix", "mixup", "--alpha", "1e10")
    assert code == 2
    assert "alpha must be a finite number above 0, at most 1e9" in err


def test_predict_on_a_run_of_another_version(call: Call, corners: Path) -> None:
    call("train", corners, *QUICK, "--out", "run")
    state = Path("run/checkpoints/last/state.json")
    state.write_text(state.read_text().replace('"format": 1', '"format": 99'))
    code, _, err = call("predict", "run", corners / "corner1" / "000.png")
    assert code == 1
    assert "format 99" in err


def test_compare_with_file_and_flags(call: Call, corners: Path) -> None:
    Path("run.toml").write_text(
        'arm = ["none", "mixup"]\nseeds = [4, 5]\nmodel = "cnn4"\nepochs = 5\nbatch_size = 16\n'
    )
    code, out, _ = call("compare", corners, "-c", "run.toml", "--epochs", "1", "--precision", "float32", "-o", "c")
    assert code == 0
    summary = json.loads(Path("c/summary.json").read_text())
    assert summary["seeds"] == [4, 5]
    assert list(summary["arms"]) == ["none", "mixup"]
    assert summary["verdict"] in out
    assert "epochs = 1" in Path("c/config.toml").read_text()
    assert len(Path("c/none/seed-4/metrics.jsonl").read_text().splitlines()) == 1
    code, _, _ = call("compare", corners, "-c", "c/config.toml", "-o", "again")
    again = json.loads(Path("again/summary.json").read_text())
    assert again["arms"]["mixup"]["seeds"] == summary["arms"]["mixup"]["seeds"]


def test_preview(call: Call, corners: Path) -> None:
    for name in ("p.png", "p.svg"):
        code, _, _ = call("preview", corners, "--mix", "cutmix", "-o", name)
        assert code == 0
    with Image.open("p.png") as picture:
        assert min(picture.size) > 300
    assert call("preview", corners, "-o", "p.png")[0] == 2
    assert call("preview", corners, "-o", "p.gif")[0] == 2


def test_preview_of_everything_into_a_folder(call: Call, corners: Path) -> None:
    names = {"mix", "lambda", "classes", "channels", "morphology", "normalise", "augment"}
    assert call("preview", corners, "--threshold", "otsu", "--normalise-by", "picture", "-o", "all")[0] == 0
    assert {path.name for path in Path("all").iterdir()} == {
        f"{name}.{kind}" for name in names for kind in ("png", "svg")
    }
    assert "Otsu" in Path("all/morphology.svg").read_text()
    assert ">corner2<" in Path("all/classes.svg").read_text()
    code, _, err = call("preview", corners, "-o", "all", "--figure", "classes")
    assert (code, "exists" in err) == (2, True)
    assert call("preview", corners, "-o", "all", "--figure", "classes", "--force")[0] == 0
    assert call("preview", corners, "-o", "one.svg", "--figure", "lambda", "--mix", "cutmix:p=0.5")[0] == 0
    assert "Beta(1, 1)" in Path("one.svg").read_text()
    code, _, err = call("preview", corners, "-o", "two.svg", "--figure", "all")
    assert (code, "need a folder" in err) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["comparee", "DATA"], 2, 'Did you mean "compare"'),
        (["compare", "DATA", "--epoch", "3"], 2, "--epochs"),
        (["compare", "DATA", "--arm", "mixupp"], 2, "Did you mean mixup"),
        (["compare", "DATA", "--arm", "mixup:alpha=0"], 2, "alpha must be a finite number above 0"),
        (["compare", "DATA", "--arm", "cutmix:alpha=nan"], 2, "alpha must be a finite number above 0"),
        (["compare", "DATA", "--arm", "cutmix:alhpa=1"], 2, "Did you mean alpha"),
        (["train", "DATA", "--alpha", "-1"], 2, "alpha: must be a finite number above 0"),
        (["train", "DATA", "--model", "resnet2O"], 2, "resnet20"),
        (["train", "DATA", "--epochs", "0"], 2, "epochs: must be 1 or more"),
        (["train", "DATA", "--size", "4"], 2, "size: must be 8 or more"),
        (["train", "DATA", "--device", "gpu"], 2, "device"),
        (["train", "DATA", "-c", "none.toml"], 2, "cannot be read"),
        (["train", "DATA", "--weights", "w.pt"], None, "w.pt"),
        (["compare", "DATA", "--seeds", "two"], 2, "seeds"),
        (["train", "nowhere"], 1, "must exist"),
        (["predict", "nowhere", "x.png"], 2, "which is not there"),
        (["predict", "nowhere", "x.png", "--top", "0"], 2, "--top must be 1 or more. Got 0"),
        (["report", "nowhere"], 2, "report"),
    ],
)
def test_mistakes_are_one_sentence(
    call: Call, corners: Path, arguments: list[str], code: int | None, words: str
) -> None:
    got, _, err = call(*[corners if argument == "DATA" else argument for argument in arguments])
    assert got in ((1, 2) if code is None else (code,))
    assert words in err
    assert "Traceback" not in err
    assert not list(Path("runs").glob("*/*"))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("epoch = 3", "Did you mean epochs"),
        ("epochs = '3'", "epochs: must be of type int"),
        ("epochs = true", "epochs: must be of type int"),
        ("optimizer = 'lion'", "must be one of sgd, adam, adamw"),
        ("epochs = ", "is not TOML"),
    ],
)
def test_mistakes_in_the_file(call: Call, corners: Path, content: str, words: str) -> None:
    Path("run.toml").write_text(content)
    code, _, err = call("train", corners, "-c", "run.toml")
    assert code == 2
    assert words in err


def test_compare_takes_arms_not_mix(call: Call, corners: Path) -> None:
    Path("run.toml").write_text("mix = 'mixup'")
    code, _, err = call("compare", corners, "-c", "run.toml")
    assert code == 2
    assert "takes arm" in err


def test_folders_that_cannot_be_used(call: Call, tmp_path: Path, corners: Path) -> None:
    for name in ("empty", "one/a", "hollow/a", "hollow/b", "few/a", "few/b"):
        Path(name).mkdir(parents=True)
    picture = (corners / "corner0" / "000.png").read_bytes()
    for path in ("one/a/1.png", "hollow/a/1.png", "few/a/1.png", "few/b/1.png", "few/b/2.png"):
        Path(path).write_bytes(picture)
    for folder, words in (("empty", "folder"), ("one", "two classes"), ("hollow", "b"), ("few", "class 'a'")):
        code, _, err = call("train", folder, *QUICK)
        assert code == 1, folder
        assert words in err
        assert len(err.strip().splitlines()[-1]) > 20
    Path("few/a/1.png").write_bytes(b"no picture")
    Path("few/b/1.png").write_bytes(b"")
    Path("few/b/2.png").write_bytes(picture[:60])
    code, _, err = call("scan", "few")
    assert code == 1


def test_a_run_is_never_overwritten_unless_forced_and_not_lost_by_a_typo(call: Call, corners: Path) -> None:
    assert call("train", corners, *QUICK, "--out", "run")[0] == 0
    before = Path("run/summary.json").read_bytes()
    code, _, err = call("train", corners, *QUICK, "--out", "run")
    assert code == 2
    assert "never overwritten" in err
    assert call("train", "nowhere", *QUICK, "--out", "run", "--force")[0] == 1
    assert Path("run/summary.json").read_bytes() == before
    assert call("train", corners, *QUICK, "--out", "run", "--force", "--seed", "1")[0] == 0
    assert Path("run/summary.json").read_bytes() != before


@pytest.mark.skipif(os.geteuid() == 0 and not Path("/proc/sys").exists(), reason="no read-only place to be found")
def test_an_output_folder_that_cannot_be_written_is_said_before_the_first_epoch(call: Call, corners: Path) -> None:
    code, _, err = call("train", corners, *QUICK, "--out", "/proc/sys/run")
    assert code == 2
    assert "cannot be written" in err
    assert "epoch" not in err


def test_sigterm_saves_and_leaves_with_143(tmp_path: Path, corners: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "crossfade",
        "train",
        str(corners),
        *QUICK[:2],
        "--epochs",
        "100000",
        "--out",
        "run",
    ]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    metrics = tmp_path / "run" / "metrics.jsonl"
    deadline = time.monotonic() + 120
    while not metrics.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 143
    assert "The weights were saved" in err
    assert (tmp_path / "run" / "checkpoints" / "last" / "model.safetensors").is_file()


def test_nothing_is_written_into_the_folder_of_pictures(call: Call, tmp_path: Path) -> None:
    data = write_corners(tmp_path / "mine", each=6)
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in data.rglob("*") if path.is_file()}
    call("scan", data)
    call("train", data, *QUICK, "--out", "run")
    call("predict", "run", data)
    assert {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in data.rglob("*") if path.is_file()} == before


def test_demo_at_a_small_size(call: Call) -> None:
    code, out, _ = call("demo", "--epochs", "1", "--seeds", "2", "-o", "d")
    assert code == 0
    assert len(list(Path("d/digits").rglob("*.png"))) == 1797
    assert "page: d/run/report.html" in out
    summary = json.loads(Path("d/run/summary.json").read_text())
    assert list(summary["arms"]) == ["none", "mixup:alpha=0.4", "cutmix"]


def test_runs_are_not_written_into_the_folder_of_pictures(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = write_corners(tmp_path / "mine", each=6)
    monkeypatch.chdir(data)
    for command in (["train", ".", *QUICK], ["compare", ".", *QUICK], ["preview", ".", "-o", "p.png"]):
        code, _, err = call(*command)
        assert code == 2
        assert "only read" in err
    assert {path.name for path in data.iterdir()} == {"corner0", "corner1", "corner2"}


@pytest.mark.parametrize(
    ("typed", "seeds"),
    [("3", [0, 1, 2]), ("0,5", [0, 5]), ("5,", [5]), (2, [0, 1]), ([7], [7]), ("0", None), ("\u00b2", None),
     ("a", None), ("", None), ([0.5], None), ([True], None), (True, None), ([-1], None), ({}, None)],
)  # fmt: skip
def test_seeds(typed: object, seeds: list[int] | None) -> None:
    if seeds is None:
        with pytest.raises(ConfigError, match="seeds"):
            seeds_of(typed)
    else:
        assert seeds_of(typed) == seeds


def test_predicting_an_empty_folder(call: Call, corners: Path) -> None:
    call("train", corners, *QUICK, "--out", "run")
    Path("nothing").mkdir()
    code, _, err = call("predict", "run", "nothing")
    assert code == 1
    assert "no file" in err
    assert call("predict", "run", "nothing", "--checkpoint", "bets")[0] == 2


def test_no_letter_steers_the_terminal(call: Call, corners: Path) -> None:
    for arguments in (("train", "a\x1b[2Jb"), ("train", corners, "--weights", "a\x1b]0;x\x07é"), ("scan", "--\x1b[2J")):
        code, _, err = call(*arguments)
        assert code != 0
        assert "\x1b" not in err
        assert "\\x1b" in err
