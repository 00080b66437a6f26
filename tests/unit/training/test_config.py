"""The configuration: defaults, file, flags; and what is refused."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from dataclasses import fields
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

from crossfade.data.refusal import MAX_PIXELS
from crossfade.errors import ConfigError
from crossfade.training.config import RunConfig, read_toml, resolve, write_toml
from crossfade.vision.preprocess import Preprocess


def test_flags_override_the_file_and_the_file_defaults() -> None:
    config = resolve({"epochs": 7, "lr": 1}, {"epochs": 9, "size": None})
    assert (config.epochs, config.lr, config.size, config.model) == (9, 1.0, None, RunConfig().model)
    assert isinstance(config.lr, float)


def test_what_is_written_reads_back_the_same(tmp_path: Path) -> None:
    config = RunConfig(model="timm:resnet18", lr=0.3, alpha=0.2, flip=False, channels=1, warmup=0.5)
    write_toml(tmp_path / "config.toml", config.as_dict())
    assert resolve(read_toml(tmp_path / "config.toml"), {}) == config


def test_an_augmentation_is_a_preset_a_table_or_a_file(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text('rotation = 12\nbrightness = [0.9, 1.1]\nfill = "wrap"\n')
    from_file = resolve({}, {"augment": str(own)})
    assert (from_file.augmentation().rotation, from_file.augmentation().fill) == (12, "wrap")
    assert resolve({"augment": {"rotation": 3, "shift": [0, 0.1]}}, {}).augmentation().shift == (0, 0.1)
    own.unlink()
    write_toml(tmp_path / "config.toml", from_file.as_dict())  # the run remembers what the file said
    assert resolve(read_toml(tmp_path / "config.toml"), {}) == from_file
    assert RunConfig().augmentation() == RunConfig(augment="light").augmentation()
    assert RunConfig(augment="r1", flip=False, pad=3).augmentation().pad == 3
    for spec, words in (
        ("ligth", "Did you mean light"),
        (str(own), "cannot be read .* given to --augment"),
        ({"spin": 1}, "no option"),
    ):
        with pytest.raises(ConfigError, match=words):
            resolve({"augment": spec}, {})


def test_every_field_has_words_for_the_help() -> None:
    assert all(len(field.metadata["help"]) > 3 for field in (*fields(RunConfig), *fields(Preprocess)))


def test_the_preprocess_table_and_its_flags(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text('epochs = 3\n[preprocess]\nfit = "pad"\nthreshold = 125\nmorphology = "opening"\n')
    config = resolve(read_toml(path), {"threshold": "otsu", "view": "red"})
    assert config.preprocess == Preprocess(fit="pad", threshold="otsu", morphology="opening", view="red")
    write_toml(path, config.as_dict())
    assert tomllib.loads(path.read_text())["preprocess"]["threshold"] == "otsu"
    assert resolve(read_toml(path), {}) == config


def test_a_fit_that_stands_outside_its_table_as_older_files_have_it() -> None:
    assert resolve({"fit": "crop"}, {}).preprocess.fit == "crop"
    with pytest.raises(ConfigError, match="fit stands twice"):
        resolve({"fit": "crop", "preprocess": {"fit": "crop"}}, {})


def test_the_ways_to_fit_are_those_of_the_data() -> None:
    from crossfade.data import fit
    from crossfade.vision import preprocess

    assert preprocess.Fit == fit.Fit


def test_importing_it_loads_no_numpy() -> None:
    program = "import sys, crossfade.training.config; print(sorted({'numpy', 'torch'} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"epoch": 3}, "Did you mean epochs"),
        ({"epochs": 0}, "epochs: must be 1 or more. Got 0"),
        ({"epochs": 2.5}, "must be of type int"),
        ({"epochs": True}, "must be of type int"),
        ({"flip": 1}, "must be of type bool"),
        ({"lr": float("nan")}, "lr: must be a finite number above 0"),
        ({"lr": 0}, "above 0"),
        ({"alpha": -0.1}, "above 0"),
        ({"channels": 4}, "must be one of 1, 3"),
        ({"channels": True}, "must be one of 1, 3"),
        ({"schedule": "cosinus"}, "must be one of constant, cosine, step, onecycle, plateau"),
        ({"metric": "AUC"}, "metric: must be one of accuracy, top5, auc, f1, log_loss, ece. Got 'AUC'"),
        ({"patience": 0}, "patience: must be 1 or more"),
        ({"plateau": 0}, "plateau: must be 1 or more"),
        ({"ema": 1.0}, "between 0 and 1"),
        ({"val": 1.0}, "between 0 and 1"),
        ({"val": 0.0}, "between 0 and 1"),
        ({"label_smoothing": 1.5}, "from 0 to 1"),
        ({"warmup": -1}, "0 or more"),
        ({"size": 7}, "8 or more"),
        ({"per_class": 0}, "1 or more"),
        ({"threads": -1}, "0 or more"),
        ({"seed": -1}, "0 or more"),
        ({"weight_decay": float("inf")}, "0 or more"),
        ({"model": 5}, "must be of type str"),
        ({"preprocess": 5}, "preprocess: must be a table"),
        (
            {"preprocess": {"normalize": "minmax"}},
            "preprocess: no option is called 'normalize'. Did you mean normalise",
        ),
        ({"preprocess": {"epochs": 3}}, "preprocess: no option is called 'epochs'"),
        ({"fit": "squeeze"}, "must be one of stretch, crop, drop, pad"),
        ({"fit": "drop"}, "size: must be given where fit is drop"),
        ({"threshold": 256}, 'threshold: must be from 0 to 255, or "otsu". Got 256'),
        ({"threshold": "mean"}, "threshold: must be of type float. Got 'mean'"),
        ({"threshold": float("nan")}, "threshold: must be from 0"),
        ({"radius": 0}, "radius: must be 1 or more"),
        ({"view": "red", "channels": 1}, "channels: must be 3 where view is red. Got 1"),
    ],
)
def test_bad_values_are_refused_by_name(table: dict, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        resolve(table, {})


def test_recipes_are_configurations_of_ours() -> None:
    recipes = sorted(Path(__file__).parents[3].joinpath("recipes").glob("*.toml"))
    assert recipes
    for path in recipes:
        table = tomllib.loads(path.read_text())
        resolve({key: value for key, value in table.items() if key not in ("arm", "seeds")}, {})


def test_the_names_it_allows_are_those_there_are() -> None:
    from crossfade.training import metrics, schedule

    hints = get_type_hints(RunConfig)
    assert get_args(hints["schedule"]) == tuple(schedule.names())
    assert get_args(get_args(hints["metric"])[0]) == tuple(metrics.METRICS)


def test_the_pixel_limit_is_a_number_of_pixels() -> None:
    assert RunConfig().max_pixels == MAX_PIXELS
    with pytest.raises(ConfigError, match="max_pixels"):
        RunConfig(max_pixels=0)
