"""Every program in `examples/`, at a small size, as it is typed, on every backend of Keras; and the how-to."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.timeout(900)  # half a minute each, were they alone on the machine

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
HOW_TO = ROOT / "docs" / "how-to" / "keras.md"
R1_SMALL = ("--weights", "none", "--backbone", "small", "--size", "24", "--epochs", "2")
R2_SMALL = ("--depth", "8", "--epochs", "2", "--batch-size", "8")
R4_SMALL = (
    *("--depth", "10", "--width", "4", "--per-class", "4", "--batch-size", "8"),
    *("--check-epochs", "4", "--rate-epochs", "2", "--epochs", "2"),
)

# In place of what keras.datasets downloads.
IN_MEMORY = """
import runpy, sys
import keras, numpy as np
rng = np.random.default_rng(0)
part = lambda n: (rng.integers(0, 256, (n, 32, 32, 3), dtype=np.uint8), np.arange(n)[:, None] % 10)
keras.datasets.cifar10.load_data = lambda: (part(24), part(10))
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture(params=["torch", "jax", "tensorflow"])
def backend(request: pytest.FixtureRequest) -> str:
    if find_spec(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    return request.param


@pytest.fixture(scope="module")
def small_cifar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("cifar")
    for part, each in (("train", 8), ("test", 8)):
        write_pictures(root / part, {"bird": [32] * each, "cat": [32] * each, "ship": [32] * each})
    return root


@pytest.fixture(scope="module")
def small_flowers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten pictures of each class that are large enough, and one that is not."""
    sides = [104] * 10 + [90]
    return write_pictures(tmp_path_factory.mktemp("flowers"), {"daisy": sides, "rose": sides})


def write_pictures(root: Path, classes: dict[str, list[int]]) -> Path:
    """``root/<class>/<number>.png``: noise, the brighter the later the class."""
    rng = np.random.default_rng(0)
    for number, (name, sides) in enumerate(classes.items()):
        (root / name).mkdir(parents=True)
        for picture, side in enumerate(sides):
            pixels = rng.integers(60 * number, 60 * number + 120, (side, side, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / name / f"{picture:02d}.png")
    return root


def printed(backend: str, *command: object, folder: Path | None = None) -> str:
    """What a program prints, in a folder; it must succeed."""
    environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    typed = [sys.executable, *map(str, command)]
    done = subprocess.run(typed, env=environment, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout


def drawn(folder: Path) -> set[str]:
    """The figures in a folder; each must be one."""
    for path in folder.glob("*.png"):
        with Image.open(path) as figure:
            assert min(figure.size) > 200, path
    return {path.stem for path in folder.glob("*.png")}


def test_r1(backend, small_flowers, tmp_path):
    shown = printed(backend, EXAMPLES / "r1_mixup_from_files.py", small_flowers, "--out", tmp_path, *R1_SMALL)
    assert "16 pictures to train on, 6 to validate, of daisy, rose" in shown
    found = dict(re.findall(r"^  (\w+) +accuracy ([\d.]+) %, loss [\d.]+$", shown, re.MULTILINE))
    assert set(found) == {"mixup", "none"}
    assert all(0 <= float(accuracy) <= 100 for accuracy in found.values())
    assert shown.count("4/4 - ") == 2 * 2  # steps, the last of one picture, of every epoch of both trainings
    assert drawn(tmp_path) == {"lambda", "batch", "accuracy", "loss"}


def test_r2(backend, small_cifar, tmp_path):
    shown = printed(backend, EXAMPLES / "r2_cutmix_cifar10.py", small_cifar, "--out", tmp_path, *R2_SMALL)
    found = dict(re.findall(r"^  (\w+) +([\d.]+) %    R2: ", shown, re.MULTILINE))
    assert set(found) == {"cutmix", "none"}
    assert all(0 <= float(accuracy) <= 100 for accuracy in found.values())
    assert "R2: 71.08 % in its log, 77.34 % in its words" in shown
    assert "R2: 10.00 % in its log, 66.90 % in its words" in shown
    assert shown.count("3/3 - ") == 2 * 2
    assert drawn(tmp_path) == {"preview", "curves"}
    assert (tmp_path / "initial.weights.h5").stat().st_size > 100_000


def test_r2_from_arrays_in_memory(tmp_path):
    program = EXAMPLES / "r2_cutmix_cifar10.py"
    shown = printed("torch", "-c", IN_MEMORY, program, "--out", tmp_path, *R2_SMALL, "--steps", "2")
    assert "Test accuracy after the last epoch" in shown
    assert shown.count("2/2 - ") == 2 * 2
    assert drawn(tmp_path) == {"preview", "curves"}


def test_r4(backend, small_flowers, tmp_path):
    shown = printed(backend, EXAMPLES / "r4_flowers.py", small_flowers, "--out", tmp_path, *R4_SMALL)
    steps = re.findall(r"^(\d)\. (.*)$", shown, re.MULTILINE)
    assert [number for number, _ in steps] == list("1234567")
    told = dict(steps)
    assert "8 pictures, 1 epoch" in told["2"]
    assert re.search(r"loss [\d.]+ -> [\d.]+, training accuracy [\d.]+ %", told["3"])
    assert re.search(r"0\.1 [\d.]+, 0\.01 [\d.]+, 0\.001 [\d.]+; best 0\.\d+", told["4"])
    assert told["5"] == "Decay: 0.1, 0.05"
    assert "16 pictures, best validation AUC" in told["6"]
    assert re.search(r"^Prediction of a rose: daisy [\d.]+ %, rose [\d.]+ %, so a (daisy|rose)$", told["7"])
    assert re.search(r"^   Of 2 of class rose, [012] are recognised$", shown, re.MULTILINE)
    figures = {"channels", "morphology", "normalisations", "augmentations", "overfit", "rates", "decay", "final"}
    assert drawn(tmp_path) == figures
    assert (tmp_path / "best.weights.h5").exists()


def test_what_the_how_to_shows_runs(tmp_path):
    write_pictures(tmp_path / "photos", {"cat": [40] * 12, "dog": [40] * 12, "fox": [40] * 12})
    code = "\n".join(re.findall(r"```python\n(.*?)```", HOW_TO.read_text(encoding="utf-8"), re.DOTALL))
    shown = printed("torch", "-c", code, folder=tmp_path)
    assert "mixup:alpha=0.2: no difference was shown" in shown
    assert (tmp_path / "runs" / "photos" / "report.html").exists()
    assert (tmp_path / "runs" / "fair" / "report.html").exists()
