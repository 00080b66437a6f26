"""Exports hold what the run holds: ONNX by onnxruntime, the folder for a hub by ourselves and by timm."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import timm
import torch
from PIL import Image

from crossfade.data.decode import decode
from crossfade.errors import CheckpointError, TrainingError
from crossfade.training.config import read_toml, resolve
from crossfade.training.export import card, samples
from crossfade.training.export import onnx as to_onnx
from crossfade.training.export.hub import export_hub
from crossfade.training.export.onnx import export_onnx
from crossfade.training.export.samples import choose
from crossfade.training.predict import Predictor, load_run
from crossfade.vision.preprocess import Preprocess
from tests.integration.conftest import Call
from tests.integration.folders import write_corners
from tests.integration.runs import write_run
from tests.integration.test_cli import QUICK
from tests.scale import scaled

HOSTILE = ("<script>alert(1)</script>", "a|b`c", "x\n---\nlicense: mit", "![](file:///x)", '", "y": 1, "')


@pytest.fixture
def photographs(tmp_path: Path) -> list[Path]:
    """JPEG and PNG files of several sizes, colour and grey, neither smooth nor mere noise."""
    rng, paths = np.random.default_rng(5), []
    for number, (height, width) in enumerate([(32, 32), (90, 61), (140, 300), (33, 200)]):
        rough = Image.fromarray(rng.integers(0, 256, (6, 9, 3), np.uint8)).resize(
            (width, height), Image.Resampling.BICUBIC
        )
        paths.append(tmp_path / f"photo {number}.{'jpg' if number % 2 else 'png'}")
        (rough.convert("L") if number == 3 else rough).save(paths[-1])
    return paths


def run_onnx(path: Path, pictures: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(["probabilities"], {"picture": pictures})[0]


def export(run: Path, path: Path, pictures: list[Path]) -> tuple[Predictor, samples.Check]:
    predictor = load_run(run, device="cpu")
    return predictor, export_onnx(predictor, path, choose(predictor, run, pictures), "run")


LARGE = pytest.mark.skipif(scaled(True, False), reason="138 million parameters: make slow")
RECIPES = [
    ("cnn4", 32, Preprocess()),
    ("resnet20", 32, Preprocess(fit="crop")),
    ("fast", 32, Preprocess(fit="pad")),
    ("airbench94", 32, Preprocess()),
    ("timm:resnet18", 64, Preprocess(view="red", threshold=125, morphology="opening", normalise="divide")),
    pytest.param("timm:vgg16", 64, Preprocess(), marks=[pytest.mark.slow, LARGE]),
]


@pytest.mark.parametrize(("model", "size", "preprocess"), RECIPES)
def test_onnx_gives_the_runs_probabilities(
    tmp_path: Path, photographs: list[Path], model: str, size: int, preprocess: Preprocess
) -> None:
    run = write_run(tmp_path / "run", model, size=size, preprocess=preprocess)
    predictor, checked = export(run, tmp_path / "model.onnx", photographs)
    assert checked.difference <= 1e-4
    assert len(checked.samples.pictures) == checked.agree == len(photographs)
    for one in predictor.predict(photographs):
        picture = decode(one.path.read_bytes())
        found = run_onnx(tmp_path / "model.onnx", np.stack([picture, picture, picture]))
        assert found.shape == (3, 3)
        np.testing.assert_allclose(found, one.probabilities[None].repeat(3, 0), atol=1e-4)


@pytest.mark.parametrize(
    "recipe",
    [
        pytest.param(path, marks=[pytest.mark.slow, LARGE] if "vgg16" in path.stem else [], id=path.stem)
        for path in sorted((Path(__file__).parents[2] / "recipes").glob("*.toml"))
    ],
)
def test_onnx_gives_the_probabilities_of_every_recipe(tmp_path: Path, photographs: list[Path], recipe: Path) -> None:
    table = read_toml(recipe, "test")
    config = resolve({key: value for key, value in table.items() if key not in ("arm", "seeds")}, {})
    run = write_run(tmp_path / "run", config.model, size=config.size or 32, preprocess=config.preprocess)
    _, checked = export(run, tmp_path / "model.onnx", photographs)
    assert checked.difference <= 1e-4
    assert checked.agree == len(checked.samples.pictures) >= 1
    assert len(checked.samples.pictures) + checked.samples.refused == len(photographs)


def test_an_onnx_file_says_what_it_is(tmp_path: Path, photographs: list[Path]) -> None:
    run = write_run(tmp_path / "run", "cnn4", classes=HOSTILE)
    export(run, tmp_path / "model.onnx", photographs)
    model = onnx.load(tmp_path / "model.onnx")
    onnx.checker.check_model(model, full_check=True)
    said = {one.key: one.value for one in model.metadata_props}
    assert json.loads(said["classes"]) == list(HOSTILE)
    assert (said["run"], said["size"], said["channels"], said["model"]) == ("run", "32", "3", "cnn4")
    assert [one.name for one in model.graph.input] == ["picture"]
    assert [one.name for one in model.graph.output] == ["probabilities"]


def test_a_grey_run_takes_colour_and_grey(tmp_path: Path, photographs: list[Path]) -> None:
    _, checked = export(write_run(tmp_path / "run", "cnn4", channels=1), tmp_path / "model.onnx", photographs)
    assert checked.difference <= 1e-4


@pytest.mark.parametrize(("by", "difference"), [(0.003, "[0-9.]+e-04"), (torch.nan, "nan")])
def test_an_export_that_differs_is_not_written(
    tmp_path: Path, photographs: list[Path], monkeypatch: pytest.MonkeyPatch, by: float, difference: str
) -> None:
    run, target = write_run(tmp_path / "run", "cnn4"), tmp_path / "out" / "model.onnx"
    target.parent.mkdir()
    target.write_text("old")
    whole = to_onnx._network

    def changed(predictor: Predictor) -> Any:
        before = predictor.model.head.bias.detach().clone()
        with torch.no_grad():
            predictor.model.head.bias[0] += by
            made = whole(predictor)
            predictor.model.head.bias.copy_(before)
        return made

    monkeypatch.setattr(to_onnx, "_network", changed)
    with pytest.raises(
        TrainingError, match=rf"to within 0\.0001\. Got a difference of {difference} on 4 pictures given"
    ):
        export(run, target, photographs)
    assert target.read_text() == "old"
    assert [path.name for path in target.parent.iterdir()] == ["model.onnx"]


def test_a_hub_folder_is_the_run(tmp_path: Path, photographs: list[Path]) -> None:
    run = write_run(tmp_path / "run", "fast", preprocess=Preprocess(fit="crop"), augment="r1")
    predictor = load_run(run, device="cpu")
    checked = export_hub(predictor, tmp_path / "hub", choose(predictor, run, photographs), run)
    assert checked.difference == 0
    assert {path.name for path in (tmp_path / "hub").iterdir()} == {"README.md", "config.json", "model.safetensors"}
    again = load_run(tmp_path / "hub", device="cpu")
    assert (again.classes, again.augment, again.feed) == (predictor.classes, predictor.augment, predictor.feed)
    for ours, theirs in zip(predictor.predict(photographs), again.predict(photographs), strict=True):
        assert np.array_equal(ours.probabilities, theirs.probabilities)
    path, checked_again = tmp_path / "again.onnx", choose(again, tmp_path / "hub", photographs)
    assert export_onnx(again, path, checked_again, "hub").difference <= 1e-4


def test_a_hub_folder_with_a_flipped_bit_is_refused(tmp_path: Path, photographs: list[Path]) -> None:
    run = write_run(tmp_path / "run", "cnn4")
    predictor = load_run(run, device="cpu")
    export_hub(predictor, tmp_path / "hub", choose(predictor, run, photographs), run)
    weights = tmp_path / "hub" / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-5] ^= 1
    weights.write_bytes(data)
    with pytest.raises(CheckpointError, match="SHA-256 differs"):
        load_run(tmp_path / "hub")


@pytest.mark.parametrize(("channels", "fit"), [(3, "stretch"), (1, "crop")])
def test_timm_reads_a_hub_folder(tmp_path: Path, photographs: list[Path], channels: int, fit: str) -> None:
    preprocess = Preprocess(fit=fit)
    run = write_run(tmp_path / "run", "timm:resnet18", size=64, channels=channels, preprocess=preprocess)
    predictor = load_run(run, device="cpu")
    export_hub(predictor, tmp_path / "hub", choose(predictor, run, photographs), run)
    model = timm.create_model(f"local-dir:{tmp_path / 'hub'}", pretrained=True).eval()
    values = torch.randn(2, channels, 64, 64)
    with torch.inference_mode():
        assert torch.equal(model(values), predictor.model.to(memory_format=torch.contiguous_format)(values))
    data = timm.data.resolve_model_data_config(model)
    assert (list(data["input_size"]), list(data["mean"])) == ([channels, 64, 64], [0.4] * channels)
    assert model.pretrained_cfg["label_names"] == ["a", "b", "c"]


def test_the_code_of_a_model_card_runs(
    tmp_path: Path, photographs: list[Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = write_run(tmp_path / "run", "timm:resnet18", size=32)
    predictor = load_run(run, device="cpu")
    export_hub(predictor, tmp_path / "hub", choose(predictor, run, photographs), run)
    text = (tmp_path / "hub" / "README.md").read_text()
    programs = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(programs) == 2
    (tmp_path / "hub" / "picture.jpg").write_bytes(photographs[1].read_bytes())
    monkeypatch.chdir(tmp_path / "hub")
    for program in programs:
        exec(compile(program, "README.md", "exec"), {})
    assert re.fullmatch(r"[abc] \d+\.\d%\n", capsys.readouterr().out)
    assert re.search(r"crossfade predict \. picture.jpg", text)


def test_a_model_card_has_the_runs_numbers(call: Call, corners: Path) -> None:
    yaml = pytest.importorskip("yaml")
    assert call("train", corners, *QUICK, "--mix", "cutmix", "--out", "run")[0] == 0
    code, out, err = call("export", "run", "--to", "hub")
    assert code == 0
    assert "checked on 12 of the run's validation pictures: probabilities differ by 0.0e+00" in out
    assert "Nothing was sent anywhere" in err
    text = Path("run/export/hub/README.md").read_text()
    judged = json.loads(Path("run/summary.json").read_text())["judged"]
    head = yaml.safe_load(text.split("---")[1])
    (result,) = head["model-index"][0]["results"]
    assert result["metrics"][0]["value"] == pytest.approx(judged["accuracy"], abs=1e-6)
    assert result["dataset"]["name"] == corners.name
    assert str(corners) not in text
    assert f"| accuracy | {100 * judged['accuracy']:.2f}% |" in text
    assert "| mixing | cutmix |" in text
    assert "| corner0 | 16 | 4 |" in text
    assert call("export", "run", "--to", "hub")[0] == 2
    assert call("export", "run", "--to", "hub", "--force")[0] == 0
    Path("run/export/hub/mine.txt").write_text("mine")
    code, _, err = call("export", "run", "--to", "hub", "--force")
    assert (code, "holds other things" in err) == (2, True)


def test_names_do_nothing_in_a_model_card(tmp_path: Path, photographs: list[Path]) -> None:
    yaml = pytest.importorskip("yaml")
    run = write_run(tmp_path / "run", "cnn4", classes=HOSTILE)
    predictor = load_run(run, device="cpu")
    text = card.write_card(predictor, run, "<b>\n---\nlicense: mit")
    assert "<script>" not in text
    assert "<b>" not in text
    assert "license" not in yaml.safe_load(text.split("---")[1])
    assert text.count("\n---\n") == 1
    assert r"\!\[\]\(file:///x\)" in text


def test_a_model_card_keeps_any_name_and_the_version_that_trained(tmp_path: Path, photographs: list[Path]) -> None:
    yaml = pytest.importorskip("yaml")
    run, name = write_run(tmp_path / "run", "cnn4"), 'a\U0001f33b"\udc80 \\ud83d\\ude00'
    judged = {"part": "val", "epoch": "best", "metric": "accuracy", "accuracy": 0.5}
    (run / "summary.json").write_text(json.dumps({"judged": judged}))
    (run / "environment.json").write_text(json.dumps({"crossfade": "0.0.7"}))
    text = card.write_card(load_run(run, device="cpu"), run, name)
    assert yaml.safe_load(text.split("---")[1])["model-index"][0]["name"] == name
    assert "with crossfade 0.0.7." in text
    text.encode()


def test_export_on_the_command_line(call: Call, corners: Path, tmp_path: Path) -> None:
    assert call("train", corners, *QUICK, "--out", "run")[0] == 0
    code, out, err = call("export", "run", "--to", "onnx")
    assert (code, err) == (0, "")
    assert "onnx: run/export/model.onnx" in out
    assert "checked on 12 of the run's validation pictures" in out
    picture = decode((corners / "corner1" / "000.png").read_bytes())[None]
    assert run_onnx(Path("run/export/model.onnx"), picture).sum() == pytest.approx(1)
    given = corners / "corner2" / "001.png"
    for arguments, code, words in (
        (["--to", "onnx"], 2, "exists"),
        (["--to", "onxx"], 2, "onxx"),
        ([], 2, "--to"),
        (["--to", "onnx", "--out", "run"], 2, "is a folder"),
        (["--to", "onnx", "--out", corners / "model.onnx"], 2, "only read"),
        (["--to", "hub", "--out", "run/summary.json"], 2, "exists"),
        (["--to", "onnx", "--force", "--pictures", "missing.png"], 1, "--pictures must name some"),
    ):
        got, _, err = call("export", "run", *arguments)
        assert (got, words in err, "Traceback" in err) == (code, True, False), err
    code, out, _ = call("export", "run", "--to", "onnx", "--force", "--pictures", given, "missing.png")
    assert "checked on 1 pictures given (1 more could not be read)" in out
    assert call("export", "nowhere", "--to", "onnx")[0] == 2


def test_without_pictures_an_export_is_checked_on_noise_and_says_so(call: Call, tmp_path: Path) -> None:
    write_run(tmp_path / "run", "cnn4", preprocess=Preprocess(fit="drop"))
    code, out, err = call("export", "run", "--to", "onnx", "--out", "m.onnx")
    assert code == 0
    assert "on noise alone" in err
    assert "pictures of noise" in out
    assert "No real pictures were at hand" in out


def test_a_missing_extra_answers_with_the_pip_line(
    call: Call,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_run(tmp_path / "run", "cnn4")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    code, _, err = call("export", "run", "--to", "onnx")
    assert code == 1
    assert "export: ONNX needs onnxruntime, which is not installed. Run: pip install 'crossfade[export]'." in err
    assert not Path("run/export").exists()


@pytest.mark.parametrize(("to", "target"), [("hub", "run/export/hub"), ("onnx", "run/export/model.onnx")])
def test_damaged_weights_are_not_exported_as_those_before_them(call: Call, corners: Path, to: str, target: str) -> None:
    """`best.previous` is another epoch, and the card would tell the scores of this one."""
    two_epochs = ["2" if word == "1" else word for word in QUICK]
    assert call("train", corners, *two_epochs, "--out", "run")[0] == 0
    weights = Path("run/checkpoints/last/model.safetensors")
    weights.write_bytes(weights.read_bytes()[:-1])
    code, _, err = call("export", "run", "--to", to, "--checkpoint", "last")
    assert (code, "SHA-256 differs" in err, Path(target).exists()) == (1, True, False)
    assert call("export", "run", "--to", to, "--checkpoint", "best")[0] == 0


@pytest.mark.parametrize(("flag", "said"), [(["--patience", "1"], "when to stop"), ([], None)])
def test_a_card_says_what_validation_chose(call: Call, corners: Path, flag: list[str], said: str | None) -> None:
    by_name = ["--group", r"(\d)\.png"] if said else []
    assert call("train", corners, *QUICK, *flag, *by_name, "--out", "run")[0] == 0
    assert call("export", "run", "--to", "hub")[0] == 0
    text = Path("run/export/hub/README.md").read_text()
    assert ("The validation pictures chose" in text) == (said is not None)
    assert said is None or f"chose {said}, which flatters" in text
    (row,) = [line for line in text.splitlines() if line.startswith("| accuracy |")]
    assert (" to " in row) == (said is None), "pictures of one group are no independent evidence"


def test_export_is_checked_on_pictures_from_all_over_the_validation_part(call: Call, tmp_path: Path) -> None:
    data = write_corners(tmp_path / "many", each=70)
    assert call("train", data, *QUICK, "--out", "run")[0] == 0
    chosen = [path.parent.name for path in samples._validation(Path("run"))]
    assert len(chosen) == samples.MOST
    assert set(chosen) == {"corner0", "corner1", "corner2"}


def test_a_calibrated_run_gives_scaled_probabilities_wherever_it_goes(call: Call, corners: Path) -> None:
    assert call("train", corners, *QUICK, "--out", "run")[0] == 0
    code, _, err = call("predict", "run", corners, "--calibrated")
    assert (code, "Run crossfade evaluate run --checkpoint last first" in err) == (2, True)
    assert call("evaluate", "run")[0] == 0
    found = json.loads(Path("run/evaluation/evaluation.json").read_text())["calibration"]
    plain, scaled = (load_run(Path("run"), device="cpu", calibrated=calibrated) for calibrated in (False, True))
    assert (plain.temperature, scaled.temperature) == (1, found["temperature"])
    paths = sorted(corners.glob("*/00*.png"))
    ours = np.stack([one.probabilities for one in plain.predict(paths)])
    want = ours ** (1 / scaled.temperature)
    want /= want.sum(axis=1, keepdims=True)
    np.testing.assert_allclose([one.probabilities for one in scaled.predict(paths)], want, atol=1e-6)
    assert abs(want - ours).max() > 0.01, "else the temperature says nothing"
    assert call("export", "run", "--to", "onnx", "--calibrated")[0] == 0
    pictures = np.stack([decode(path.read_bytes()) for path in paths])
    np.testing.assert_allclose(run_onnx(Path("run/export/model.onnx"), pictures), want, atol=1e-4)
    assert call("export", "run", "--to", "hub", "--calibrated")[0] == 0
    again = load_run(Path("run/export/hub"), device="cpu", calibrated=True)
    np.testing.assert_allclose([one.probabilities for one in again.predict(paths)], want, atol=1e-6)
    text = Path("run/export/hub/README.md").read_text()
    assert f"calibration error (ECE) from {found['ece']:.4f} to {found['ece_after']:.4f}" in text
    assert "| log loss |" not in text, "which is that of other probabilities"
    assert call("export", "run", "--to", "hub", "--force")[0] == 0
    code, _, err = call("predict", "run/export/hub", corners, "--calibrated")
    assert (code, "exported without a temperature" in err) == (2, True)
    assert call("predict", "run", corners, "--calibrated", "--checkpoint", "best")[0] == 2, "of the last, it was found"


def test_a_temperature_of_other_weights_or_of_training_pictures_is_not_used(call: Call, corners: Path) -> None:
    assert call("train", corners, *QUICK, "--out", "run")[0] == 0
    said = "on validation pictures. Got none for these weights"
    assert call("evaluate", "run", "--part", "all", "--with-trained")[0] == 0
    assert said in call("predict", "run", corners, "--calibrated")[2], "learned by heart, they would make it too sure"
    assert call("evaluate", "run")[0] == 0
    assert call("predict", "run", corners, "--calibrated")[0] == 0
    path = Path("run/evaluation/evaluation.json")
    found = json.loads(path.read_text())
    assert found["trained"] == [1, 0]
    nothing = {**found["calibration"], "temperature": None}  # as of a single validation picture
    path.write_text(json.dumps({**found, "calibration": nothing}))
    assert said in call("predict", "run", corners, "--calibrated")[2]
    path.write_text(json.dumps({**found, "trained": [1, 2]}))
    assert said in call("predict", "run", corners, "--calibrated")[2], "the run went on after it was evaluated"
