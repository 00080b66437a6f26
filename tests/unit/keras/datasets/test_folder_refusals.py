"""What `ImageFolder` refuses, and what it leaves out."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

import crossfade as cf
from crossfade.errors import ConfigError, DataError
from crossfade.keras import ImageFolder

REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("corners", {"validation_split": 0.2}, "which part of a split is meant\\? .* Pass subset=\"training\""),
    ("corners", {"subset": "validation"}, "no pictures for subset='validation' in a folder without parts"),
    ("corners", {"subset": "test", "validation_split": 0.2}, "no pictures for subset='test'"),
    ("corners", {"subset": "train", "validation_split": 0.2}, "training, validation, test or None. Got 'train'"),
    ("corners", {"subset": "training", "validation_split": 1.5}, "a share above 0 and below 1. Got 1.5"),
    ("corners", {"subset": "validation", "validation_split": 0.2, "mix": "mixup"}, "as they are. .*mix='mixup'"),
    ("corners", {"subset": "validation", "validation_split": 0.2, "augment": "light"}, "Got .*augment='light'"),
    ("corners", {"class_mode": "multi"}, "class_mode must be one of categorical, sparse, binary. Got 'multi'"),
    ("corners", {"class_mode": None}, "class_mode must be one of"),
    ("corners", {"partners": "streams", "mix": "mixup"}, "partners must be one of batch, stream"),
    ("corners", {"data_format": "NHWC"}, "data_format must be one of channels_last, channels_first"),
    ("corners", {"partners": "stream", "mix": "mixup", "augment": "r4"}, 'append=true in augment two of one'),
    ("corners", {"batch_size": 0}, "batch_size must be a whole number from 1. Got 0"),
    ("corners", {"seed": None}, "seed must be a whole number from 0. Got None"),
    ("corners", {"seed": -1}, "seed must be a whole number from 0. Got -1"),
    ("corners", {"epochs": 0}, "epochs must be a whole number from 1, or None. Got 0"),
    ("corners", {"workers": -1}, "workers: must be a whole number from 0"),
    ("corners", {"augment": "lite"}, "no preset is called 'lite'. Did you mean light"),
    ("corners", {"augment": 3}, "augment is the name of a preset"),
    ("corners", {"augment": {"rotate": 3}}, "no option is called 'rotate'"),
    ("corners", {"preprocess": {"normalize": "minmax"}}, "no option is called 'normalize'. Did you mean normalise"),
    ("corners", {"preprocess": 255}, "a function of a uint8 batch. Got 255"),
    ("corners", {"mix": 0.2}, "needs a policy, such as"),
    ("corners", {"channels": 4}, "channels must be 1, 3 or None"),
    ("corners_in_parts", {}, "holds parts, training, validation, test. Got subset=None"),
    ("corners_in_parts", {"subset": "training", "validation_split": 0.2}, "validation pictures of its own"),
]  # fmt: skip


@pytest.mark.parametrize(("folder", "options", "words"), REFUSED)
def test_what_is_refused(request: pytest.FixtureRequest, folder: str, options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        ImageFolder(request.getfixturevalue(folder), 12, **options)


def test_partners_of_a_stream_are_not_chosen_by_class(corners: Path) -> None:
    choosy = cf.OneOf([cf.CutMix(1.0), cf.MixUp(1.0, partner="same_class")])
    with pytest.raises(ConfigError, match=r'whatever their class.*same_class.*Pass partners="batch"'):
        ImageFolder(corners, 12, mix=choosy, partners="stream")
    with pytest.raises(ConfigError, match="whatever their class"):
        ImageFolder(corners, 12, partners="stream").with_mix(choosy)
    assert ImageFolder(corners, 12, mix=choosy).mixes


def test_what_is_left_out_is_said(corners: Path, tmp_path: Path) -> None:
    shutil.copytree(corners, tmp_path / "torn")
    (tmp_path / "torn" / "corner1" / "a.png").write_bytes(b"no picture")
    with pytest.warns(UserWarning, match="1 files cannot be read and are left out, corner1/a.png") as told:
        assert ImageFolder(tmp_path / "torn", 12).n == 60
    assert told[0].filename == __file__


def test_a_folder_without_pictures(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="must exist"):
        ImageFolder(tmp_path / "nowhere")
    with pytest.raises(DataError):
        ImageFolder(tmp_path)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "note.txt").write_text("no picture")
    with pytest.raises(DataError):
        ImageFolder(tmp_path)
