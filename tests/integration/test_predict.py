"""crossfade predict: pipes, several forms of output, as they come; averages over copies; pictures with bars."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from crossfade.arrays.dispatch import augment_images
from crossfade.cli.predict import _row
from crossfade.data import files
from crossfade.data.decode import decode
from crossfade.data.loader import Batch
from crossfade.errors import CheckpointError
from crossfade.training.predict import Prediction, Predictor, _content_ids, load_run
from crossfade.training.tta import Tta
from crossfade.vision.augment import preset
from crossfade.vision.preprocess import Preprocess
from tests.integration.conftest import Call
from tests.integration.folders import write_corners
from tests.integration.runs import write_run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_corners(tmp_path / "pictures", each=5)


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    return write_run(tmp_path / "run", "cnn4", size=12)


def pipe(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))


def predictions(predictor: Predictor, paths: list[Path]) -> list[np.ndarray]:
    return [one.probabilities for one in predictor.predict(paths)]


def read_row(predictor: Predictor, path: Path) -> np.ndarray:
    return predictor.row(decode(path.read_bytes()))


# ------------------------------------------------------------------------------------------------------------- in


def test_a_picture_through_a_pipe(call: Call, folder: Path, trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = folder / "corner1" / "002.png"
    pipe(monkeypatch, picture.read_bytes())
    code, out, _ = call("predict", trained, "-", picture, "--json")
    piped, read = json.loads(out)
    assert code == 0
    assert (piped["path"], read["path"]) == ("-", str(picture))
    assert piped["classes"] == read["classes"]


@pytest.mark.parametrize(
    ("data", "reason"),
    [(b"", "empty_file"), (b"%PDF-1.4", "unsupported_format"), (b"\xff\xd8\xff\xe0cut", "truncated")],
)
def test_what_comes_through_a_pipe_is_refused_for_the_same_reasons(
    call: Call, trained: Path, monkeypatch: pytest.MonkeyPatch, data: bytes, reason: str
) -> None:
    pipe(monkeypatch, data)
    code, out, err = call("predict", trained, "-", "--jsonl")
    assert code == 1
    assert json.loads(out)["refused"] == reason
    assert f"-: picture: refused as {reason}" in err


def test_a_pipe_without_end_is_left(call: Call, trained: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_BYTES", 1 << 18)
    pipe(monkeypatch, (folder / "corner0/000.png").read_bytes() + bytes(1 << 20))
    code, _, err = call("predict", trained, "-")
    assert (code, "more than 262,144 bytes through a pipe" in err) == (1, True)


def test_a_terminal_is_no_pipe(call: Call, trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe(monkeypatch, b"")
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    code, _, err = call("predict", trained, "-")
    assert (code, "Got a terminal" in err) == (2, True)


# ------------------------------------------------------------------------------------------------------------ out


def test_every_form_names_every_picture(call: Call, folder: Path, trained: Path) -> None:
    (folder / "corner0" / "001.png").write_bytes(b"no picture")
    code, out, _ = call("predict", trained, folder, "--json", "--csv", "one.csv", "--top", "2")
    rows = json.loads(out)
    assert code == 1
    assert len(rows) == 15
    assert [row["path"] for row in rows] == sorted(row["path"] for row in rows)
    assert all(len(row["classes"]) == 2 for row in rows if "classes" in row)
    assert [row for row in rows if "refused" in row] == [
        {
            "path": str(folder / "corner0" / "001.png"),
            "refused": "not_an_image",
            "detail": "a file that starts with 6e 6f 20 70 69 63 74 75",
        }
    ]
    code, out, _ = call("predict", trained, folder, "--jsonl", "--csv", "two.csv", "--top", "2")
    assert [json.loads(line) for line in out.splitlines()] == rows
    assert Path("one.csv").read_bytes() == Path("two.csv").read_bytes()
    assert len(Path("one.csv").read_text().splitlines()) == 16
    code, out, _ = call("predict", trained, folder, "--batch-size", "1")
    assert len(out.splitlines()) == 14


def test_pictures_are_taken_and_given_as_they_come(folder: Path, trained: Path) -> None:
    taken = []

    def endless() -> Iterator[Path]:
        while True:
            taken.append(1)
            yield folder / "corner0" / "000.png"

    found = load_run(trained, device="cpu").predict(endless(), batch=4)
    for _ in range(9):
        next(found)
    assert len(taken) == 12


def test_weights_that_are_no_numbers_predict_nothing(folder: Path, trained: Path) -> None:
    predictor = load_run(trained, device="cpu")
    with torch.no_grad():
        predictor.model.head.bias[1] = torch.nan
    with pytest.raises(CheckpointError, match=r"must give numbers\. Got nan"):
        predictions(predictor, [folder / "corner0" / "000.png"])


# ------------------------------------------------------------------------------------------------------------ tta


OWN_RANGE = Preprocess(view="red", normalise="minmax", normalise_by="picture")


@pytest.mark.parametrize("preprocess", [Preprocess(), OWN_RANGE])
def test_copies_depend_on_the_picture_alone(folder: Path, tmp_path: Path, preprocess: Preprocess) -> None:
    run = write_run(tmp_path / "strong", "cnn4", size=12, preprocess=preprocess, augment="strong")
    paths = [folder / f"corner{k}" / "003.png" for k in range(3)]
    plain, copies = load_run(run, device="cpu"), load_run(run, device="cpu", tta="6")
    found = predictions(copies, paths)
    assert all(one.sum() == pytest.approx(1) for one in found)
    renamed = folder / "other name.png"
    renamed.write_bytes(paths[2].read_bytes())
    (alone,) = predictions(copies, [renamed])
    np.testing.assert_allclose(alone, found[2], atol=1e-6)
    assert not np.allclose(predictions(plain, paths)[2], found[2], atol=1e-5)
    more = predictions(load_run(run, device="cpu", tta="7"), paths)
    assert not np.allclose(more[2], found[2], atol=1e-7)


def test_copies_are_those_of_the_training(folder: Path, trained: Path) -> None:
    """The average by hand, with the very arrays that a training would be shown."""
    predictor = load_run(trained, device="cpu", tta="3")
    row = read_row(predictor, folder / "corner1" / "000.png")
    ids, shown = _content_ids(row[None]), [row]
    for copy in range(3):
        drawn = preset("light").draw(ids, seed=0, epoch=copy, size=(12, 12))
        shown.append(augment_images(row[None], drawn, layout="NHWC")[0])
    nothing = np.zeros(4, np.int64)
    images, _ = predictor.feed.to_device(predictor.feed.prepare(Batch(np.stack(shown), nothing, nothing, 0, 0)))
    with torch.inference_mode():
        wanted = predictor.model(images).double().softmax(1).numpy().mean(0)
    np.testing.assert_allclose(predictor.probabilities(row[None])[0], wanted, atol=1e-6)


def test_flip_is_the_same_of_a_picture_and_its_mirror_image(folder: Path, trained: Path) -> None:
    predictor = load_run(trained, device="cpu", tta="flip")
    row = read_row(predictor, folder / "corner1" / "000.png")[None]
    np.testing.assert_allclose(predictor.probabilities(row), predictor.probabilities(row[:, :, ::-1]), atol=1e-7)
    plain = replace(predictor, tta=Tta())
    assert not np.allclose(plain.probabilities(row), plain.probabilities(row[:, :, ::-1]), atol=1e-4)


@pytest.mark.parametrize("words", ["flop", "0", "-3", "3.5", "3,4", "flip,flip", "", "100000", "flip,"])
def test_an_odd_tta_is_one_sentence(call: Call, folder: Path, trained: Path, words: str) -> None:
    code, _, err = call("predict", trained, folder, f"--tta={words}")
    assert (code, "tta: flip, a number of copies" in err) == (2, True), err


def test_copies_need_an_augmentation_that_does_something(call: Call, folder: Path, tmp_path: Path) -> None:
    run = write_run(tmp_path / "still", "cnn4", size=12, augment="none")
    code, _, err = call("predict", run, folder, "--tta", "4")
    assert (code, "augmentation does nothing" in err) == (2, True)
    (run / "config.toml").unlink()
    assert "is not known" in call("predict", run, folder, "--tta", "4")[2]
    assert call("predict", run, folder, "--tta", "flip")[0] == 0


# ----------------------------------------------------------------------------------------------------------- plots


def test_a_picture_with_bars(call: Call, folder: Path, trained: Path) -> None:
    picture = folder / "corner1" / "000.png"
    assert call("predict", trained, picture, "--plot", "one.png")[0] == 0
    with Image.open("one.png") as figure:
        assert figure.width > 900
    assert call("predict", trained, picture, "--plot", "one.png")[0] == 2
    assert call("predict", trained, picture, "--plot", "one.png", "--force")[0] == 0
    code, _, err = call("predict", trained, folder, "missing.png", "--plot", "all", "--top", "1")
    assert code == 1
    assert "plot: all (15 figures)" in err
    assert sorted(path.name for path in Path("all").iterdir())[:2] == ["0001-000.png", "0002-001.png"]


def test_mistakes_with_plots(call: Call, folder: Path, trained: Path) -> None:
    picture = folder / "corner1" / "000.png"
    Path("file").write_text("mine")
    for pictures, plot, words in (
        ([folder], "one.png", "one file holds one picture"),
        ([picture, picture], "one.svg", "one file holds one picture"),
        ([picture], "one.gif", "a .png or .svg file, or a folder"),
        ([picture], "file", "exists"),
        ([folder], folder / "plots", "only read"),
        ([picture], picture, "only read"),
    ):
        code, _, err = call("predict", trained, *pictures, "--plot", plot)
        assert (code, words in err) == (2, True), err
    assert Path("file").read_text() == "mine"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--json", "--jsonl"], "Pass one of them"),
        (["--batch-size", "0"], "--batch-size must be 1 or more"),
        (["--device", "tpu"], "device"),
        (["--csv", "."], "is a folder"),
        (["--cvs", "x"], "--cvs"),
    ],
)
def test_mistakes_are_one_sentence(call: Call, folder: Path, trained: Path, arguments: list[str], words: str) -> None:
    code, out, err = call("predict", trained, folder, *arguments)
    assert (code, out) == (2, "")
    assert words in err
    assert "Traceback" not in err


def test_what_is_no_run_is_said(call: Call, folder: Path, trained: Path, tmp_path: Path) -> None:
    for seed in range(4):
        write_run(tmp_path / "compared" / "none" / f"seed-{seed}", "cnn4", size=12)
    picture = folder / "corner1" / "000.png"
    for run, words in (
        (tmp_path / "compared", "none/seed-2 and 1 more"),
        (picture, "which is a file"),
        ("nowhere", "which is not there"),
        (folder, "no run with weights"),
    ):
        code, _, err = call("predict", run, picture)
        assert (code, words in err) == (2, True), err
    assert "no checkpoint called last" in call("predict", trained, picture, "--checkpoint", "last")[2]


def test_of_equal_probabilities_the_first_class_comes_first() -> None:
    row = _row(Prediction(Path("x"), np.array([0.2, 0.2, 0.4, 0.2])), "abcd", 3)
    assert list(row["classes"]) == ["c", "a", "b"]
