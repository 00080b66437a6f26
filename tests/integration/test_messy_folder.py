"""A folder as people have them, through every command: read safely, said truthfully, never written to."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from hashlib import blake2b
from pathlib import Path

import pytest
from PIL import Image

from crossfade.data.table import read_table
from tests.integration.conftest import Call
from tests.integration.folders import write_corners
from tests.integration.test_cli import QUICK
from tests.unit.data.folders import write
from tests.unit.data.makers import grey_tiff, png, zeros

ODD = ["=cmd.png", "new\nline.png", "<b>&amp;.png", "\udcff.png", "e\u0301.png", "\u00e9.png", "n" * 251 + ".png"]
REFUSED = {
    "corner0/cut.jpg": "truncated",
    "corner0/empty.png": "empty_file",
    "corner0/notes.txt": "not_an_image",
    "corner0/\x1b[31m\nred.txt": "not_an_image",
    "corner0/bomb.png": "too_many_pixels",
    "corner0/-bomb.tif": "too_many_pixels",
    "corner1/pipe.png": "not_a_regular_file",
    "corner1/gone.png": "unreadable",
    "corner1/outside.png": "outside_root",
    "corner1/device.png": "outside_root",
    "corner1/round.png": "unreadable",
    "corner1/up": "not_a_regular_file",
}


@pytest.fixture
def messy(tmp_path: Path) -> Path:
    root = write_corners(tmp_path / "photos", each=8)
    for number, name in enumerate(ODD):
        Image.new("RGB", (12, 12), (200, number, 0)).save(root / "corner2" / name, "PNG")
    Image.new("RGB", (64, 64), "red").save(root / "corner0/cut.jpg")
    os.truncate(root / "corner0/cut.jpg", (root / "corner0/cut.jpg").stat().st_size - 20)
    write(
        root,
        {
            "corner0/empty.png": b"",
            "corner0/notes.txt": b"remember the milk",
            "corner0/\x1b[31m\nred.txt": b"what a name",
            "corner0/bomb.png": png(22_400, 22_400, rows=zeros(1 << 20)),
            "corner0/-bomb.tif": grey_tiff(60_000, 60_000, 8, b""),
            "corner0/.DS_Store": b"x",
            "__MACOSX/corner0/x.png": b"x",
        },
    )
    os.mkfifo(root / "corner1/pipe.png")
    for name, target in {"gone": "no", "outside": "../../x.png", "device": "/dev/zero", "round": "round.png"}.items():
        (root / f"corner1/{name}.png").symlink_to(target)
    Image.new("RGB", (12, 12)).save(tmp_path / "x.png")
    (root / "corner1/up").symlink_to("..")
    return root


def contents(root: Path) -> dict[str, tuple[int, str]]:
    found = {}
    for folder, folders, files in os.walk(root):
        for name in [".", *folders, *files]:
            path = os.path.join(folder, name)
            data = Path(path).read_bytes() if os.path.isfile(path) and not os.path.islink(path) else b""
            found[path] = os.lstat(path).st_mtime_ns, blake2b(data).hexdigest()
    return found


def test_no_command_changes_the_folder(call: Call, messy: Path) -> None:
    before = contents(messy)
    assert call("scan", messy, "--json", "--quarantine", "refused.csv")[0] == 0
    assert call("train", messy, *QUICK, "--out", "run")[0] == 0
    code, out, err = call("predict", "run", messy, "--csv", "found.csv", "--json")
    assert code == 1, "what could not be read is said, and the others are done"
    assert contents(messy) == before
    rows = list(read_table("found.csv", ("path", "refused")))
    refused = {os.path.relpath(row["path"], messy): row["refused"] for row in rows if row["refused"]}
    assert set(refused) == set(REFUSED)
    assert all(f"refused as {reason}" in refused[path] for path, reason in REFUSED.items())
    listed = {os.path.relpath(one["path"], messy): one.get("refused") for one in json.loads(out)}
    assert len(listed) == len(rows)
    assert {path: reason for path, reason in listed.items() if reason} == REFUSED
    assert len(rows) - len(REFUSED) == 3 * 8 + len(ODD)
    assert "2 files" in err
    assert "ignored" in err
    named = {os.path.relpath(row["path"], messy) for row in rows}
    assert {f"corner2/{name}" for name in ODD} <= named


def test_scan_says_what_is_refused_and_where_to_see_all(call: Call, messy: Path) -> None:
    code, out, _ = call("scan", messy)
    assert code == 0
    assert f"{len(REFUSED)} refused" in out
    assert "  2 too_many_pixels\n    corner0/-bomb.tif: 60000 x 60000 pixels" in out
    assert "--quarantine LIST.csv" in out
    assert r"corner0/\x1b[31m\nred.txt: a file that" in out
    assert "\x1b" not in out
    assert "2 ignored: __MACOSX, corner0/.DS_Store" in out
    code, out, _ = call("scan", messy, "--json")
    found = json.loads(out)
    assert {one["path"]: one["reason"] for one in found["refused"]} == REFUSED
    assert found["classes"] == {"corner0": 8, "corner1": 8, "corner2": 8 + len(ODD)}


def test_quarantine_is_a_table_of_all_refusals(call: Call, messy: Path) -> None:
    assert call("scan", messy, "--quarantine", "refused.csv")[0] == 0
    rows = list(read_table("refused.csv", ("path", "reason", "detail")))
    assert {row["path"]: row["reason"] for row in rows} == REFUSED
    assert all(row["detail"] for row in rows)
    code, _, err = call("scan", messy, "--quarantine", "refused.csv")
    assert code == 2
    assert "exists" in err
    assert call("scan", messy, "--quarantine", "refused.csv", "--force")[0] == 0
    code, _, err = call("scan", messy, "--quarantine", messy / "refused.csv")
    assert code == 2
    assert "only read" in err


def test_one_pixel_limit_for_every_command(call: Call, messy: Path) -> None:
    Image.new("RGB", (20, 20)).save(messy / "corner0/large.png")
    _, out, _ = call("scan", messy, "--json", "--max-pixels", 399)
    assert {"path": "corner0/large.png", "reason": "too_many_pixels"}.items() <= next(
        one for one in json.loads(out)["refused"] if one["path"] == "corner0/large.png"
    ).items()
    assert call("scan", messy, "--max-pixels", 0)[0] == 2
    assert call("train", messy, *QUICK, "--out", "run", "--max-pixels", 399)[0] == 0
    assert json.loads(Path("run/data.json").read_text())["images"] == 24 + len(ODD)
    code, _, err = call("predict", "run", messy / "corner0/large.png")
    assert code == 1
    assert "too_many_pixels" in err


def test_scan_prints_what_it_found_also_where_a_class_is_empty(call: Call, tmp_path: Path) -> None:
    root = write(tmp_path / "photos", {"a/0.png": png(8, 8), "b/0.png": b"no picture"})
    code, out, err = call("scan", root, "--json", "--quarantine", "refused.csv")
    assert code == 1
    assert json.loads(out)["refused"][0]["path"] == "b/0.png"
    assert "every class needs a picture" in err
    assert len(list(read_table("refused.csv", ("path",)))) == 1
    write(root, {"a/0.png": b"no picture"})
    code, out, err = call("scan", root)
    assert code == 1
    assert "0 pictures of 2 classes" in out
    assert call("train", root, *QUICK, "--out", "run")[0] == 1


def test_scan_ends_soon_within_four_gigabytes(messy: Path) -> None:
    for number in range(6):
        (messy / f"corner0/bomb{number}.png").write_bytes(png(30_000, 30_000, rows=zeros(1 << 26)))
    done = subprocess.run(
        [sys.executable, "-m", "crossfade", "scan", str(messy), "--json"],
        capture_output=True,
        timeout=20,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": "1"},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30)),
    )
    assert done.returncode == 0
    assert len(json.loads(done.stdout)["refused"]) == len(REFUSED) + 6


def test_a_picture_gone_between_listing_and_predicting_is_named(call: Call, messy: Path) -> None:
    assert call("train", messy, *QUICK, "--out", "run")[0] == 0
    code, out, err = call("predict", "run", messy / "corner0/000.png", messy / "corner0/999.png", "--json")
    assert code == 1
    assert ["classes" in one for one in json.loads(out)] == [True, False]
    assert "999.png: picture: refused as unreadable. Got No such file or directory." in err


def test_a_table_of_predictions_replaces_neither_pictures_nor_other_files(call: Call, messy: Path) -> None:
    assert call("train", messy, *QUICK, "--out", "run")[0] == 0
    before = contents(messy)
    picture = messy / "corner2/000.png"
    for pictures, table, words in (
        (messy, messy / "corner2/found.csv", "only read"),
        (picture, picture, "only read"),
        (picture, "run/summary.json", "exists"),
    ):
        code, _, err = call("predict", "run", pictures, "--csv", table)
        assert (code, words in err) == (2, True), err
        assert words == "exists" or call("predict", "run", pictures, "--csv", table, "--force")[0] == 2
    assert contents(messy) == before
    Path("found.csv").write_text("old")
    assert call("predict", "run", picture, "--csv", "found.csv", "--force")[0] == 0
    assert Path("found.csv").read_text() != "old"


def test_predict_says_all_names_in_one_line_each(call: Call, messy: Path) -> None:
    (messy / "corner1").rename(messy / "\x1b[31m\nred")
    assert call("train", messy, *QUICK, "--out", "run")[0] == 0
    code, out, err = call("predict", "run", messy / "corner2/000.png", "n" * 300 + ".png")
    assert code == 1, "a name that is too long does not stop the others"
    assert "too long" in err
    assert r"\x1b[31m\nred" in out
    assert out.count("\n") == 1
    assert call("predict", "run", "gone.png")[1] == ""
    assert call("predict", "run", messy, "--top", 0)[0] == 2


def test_no_cache_and_no_run_where_the_pictures_are(
    call: Call, messy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert call("train", messy, *QUICK, "--out", "run")[0] == 0
    inside = messy.rename("run/photos")
    before = contents(inside)
    code, _, err = call("train", inside, *QUICK, "--out", "run", "--force")
    assert code == 2
    assert "holds the folder of pictures" in err
    monkeypatch.setenv("CROSSFADE_CACHE", str(inside / ".cache"))
    code, _, err = call("train", inside, *QUICK, "--out", "other")
    assert code == 1
    assert "only read" in err
    assert contents(inside) == before


@pytest.mark.parametrize(
    "command",
    [
        ["train", "DATA", "--out", "round/run"],
        ["compare", "DATA", "--out", "round"],
        ["preview", "DATA", "--out", "round"],
        ["scan", "DATA", "--quarantine", "round/list.csv"],
        ["train", "round"],
        ["train", "DATA", "--size", "10000000", "--model", "cnn4"],
    ],
)
def test_links_in_circles_and_too_little_memory_are_one_sentence(call: Call, corners: Path, command: list[str]) -> None:
    Path("round").symlink_to("round")
    code, _, err = call(*[corners if word == "DATA" else word for word in command])
    assert code in (1, 2)
    assert err.strip().splitlines()[-1].startswith("crossfade: ")


def test_pictures_in_train_and_val_are_said(call: Call, tmp_path: Path) -> None:
    root = write_corners(tmp_path / "photos/train", each=6).parent
    for corner in ("corner0", "corner1", "corner2"):
        (root / "val" / corner).mkdir(parents=True)
        (root / "train" / corner / "000.png").rename(root / "val" / corner / "000.png")
    arguments = ["preview", root, "-o", "mix.png", "--force"]
    code, _, err = call(*arguments)
    assert code == 0
    assert "leak" not in err
    (root / "val/corner1/again.png").write_bytes((root / "train/corner0/001.png").read_bytes())
    assert "leak from part to part (1 identical)" in call(*arguments)[2]
