"""What crossfade resume does not go on with: other pictures, other options, folders that hold no run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from crossfade.disk import held
from tests.integration.conftest import Call
from tests.integration.folders import write_corners
from tests.integration.resume.conftest import SignalAfter
from tests.integration.resume.stopped import QUICK


def test_pictures_that_changed_are_named_and_the_run_stays(call: Call, data: Path, signal_after: SignalAfter) -> None:
    signal_after(4)
    assert call("train", data, *QUICK, "-o", "run")[0] == 143
    picture, other = data / "corner0" / "000.png", data / "corner1" / "001.png"
    content = picture.read_bytes()
    before = {path: path.read_bytes() for path in Path("run").rglob("*") if path.is_file()}
    for change, words in (
        (lambda: picture.write_bytes(other.read_bytes()), "1 changed (corner0/000.png)"),
        (lambda: picture.rename(data / "corner0" / "moved.png"), "1 missing (corner0/000.png); 1 new (corner0/moved"),
        (lambda: (data / "corner0" / "moved.png").unlink(), "1 missing (corner0/000.png)"),
    ):
        change()
        code, _, err = call("resume", "run")
        assert code == 1
        assert words in err
        assert "Bring them back" in err
    assert {path: path.read_bytes() for path in Path("run").rglob("*") if path.is_file()} == before
    picture.write_bytes(content)
    moved = data.rename(data.with_name("elsewhere"))
    code, _, err = call("resume", "run")
    assert code == 1
    assert "must exist" in err
    assert call("resume", "run", "--data", moved)[0] == 0


def test_where_the_pictures_were_moved_is_kept(call: Call, data: Path, signal_after: SignalAfter) -> None:
    sizes = ["--per-class", "3", "--arm", "none", "--seeds", "1"]
    for command, options in (("train", []), ("ablate", sizes)):
        signal_after(2)
        assert call(command, data, *QUICK, *options, "-o", command)[0] == 143
    moved = data.rename(data.with_name("elsewhere"))
    for command, judged in (("train", "train"), ("ablate", "ablate/3")):
        code, _, err = call("resume", command, "--data", moved)
        assert code == 0
        assert f"its pictures are in {moved}" in err
        assert json.loads(Path(command, "command.json").read_text())["data"] == str(moved)
        code, out, _ = call("evaluate", judged)
        assert code == 0
        assert f"of {moved}: " in out


def test_a_folder_of_other_pictures_is_not_taken_for_the_moved_one(
    call: Call, data: Path, signal_after: SignalAfter
) -> None:
    signal_after(4)
    assert call("train", data, *QUICK, "-o", "run")[0] == 143
    before = {path: path.read_bytes() for path in Path("run").rglob("*") if path.is_file()}
    assert call("resume", "run", "--data", write_corners(data.with_name("other"), each=9))[0] == 1
    assert {path: path.read_bytes() for path in Path("run").rglob("*") if path.is_file()} == before


def test_options_that_were_edited_are_refused(call: Call, data: Path, signal_after: SignalAfter) -> None:
    signal_after(4)
    assert call("train", data, *QUICK, "-o", "run")[0] == 143
    config, checkpoints = Path("run/config.toml"), Path("run/checkpoints")
    before = {path: path.read_bytes() for path in checkpoints.rglob("*") if path.is_file()}
    text = config.read_text()
    config.write_text(text.replace("lr = 0.003", "lr = 0.001"))
    code, _, err = call("resume", "run")
    assert code == 2
    assert "Got lr 0.001 for 0.003 in run/config.toml, which was changed since" in err
    assert {path: path.read_bytes() for path in checkpoints.rglob("*") if path.is_file()} == before
    config.write_text(text.replace("threads = 1", "threads = 2"))
    assert call("resume", "run")[0] == 0


def test_one_process_trains_into_a_folder_at_a_time(call: Call, data: Path, signal_after: SignalAfter) -> None:
    signal_after(4)
    assert call("train", data, *QUICK, "-o", "run")[0] == 143
    before = {path: path.read_bytes() for path in Path("run").rglob("*") if path.is_file()}
    with held(Path("run"), AssertionError()):
        for command, code in ((("resume", "run"), 1), (("train", data, *QUICK, "-o", "run", "--force"), 2)):
            found, _, err = call(*command)
            assert found == code
            assert "another" in err
    assert {path: path.read_bytes() for path in Path("run").rglob("*") if path.is_file()} == before
    assert call("resume", "run")[0] == 0


def test_folders_that_hold_no_run(call: Call, data: Path) -> None:
    for folder in (data, "nowhere"):
        code, _, err = call("resume", folder)
        assert code == 2
        assert "no folder of a run" in err
    Path("begun").mkdir()
    Path("begun/command.json").write_text(
        json.dumps({"kind": "train", "data": "x", "argv": ["crossfade", "train", "x y"]})
    )
    code, _, err = call("resume", "begun")
    assert code == 2
    assert "Run it again with --force: crossfade train 'x y'" in err
    assert call("train", data, *QUICK, "-o", "begun", "--force")[0] == 0, "as it was told to"
    Path("theirs").mkdir()
    Path("theirs/command.json").write_text('{"argv": ["rm"]}')
    assert "no run of crossfade" in call("train", data, *QUICK, "-o", "theirs", "--force")[2]


@pytest.mark.parametrize("text", ["{", "[]", "{}", None])
def test_a_run_that_lost_its_device_says_so(call: Call, data: Path, text: str | None) -> None:
    assert call("train", data, *QUICK, "-o", "run")[0] == 0
    Path("run/summary.json").unlink()
    Path("run/environment.json").unlink() if text is None else Path("run/environment.json").write_text(text)
    code, _, err = call("resume", "run")
    assert code == 2
    assert "environment.json says on which device a run began" in err
