"""Preprocessing in a run: one way for training and prediction, and statistics that never saw validation pictures."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from crossfade.arrays.dispatch import mix_images
from crossfade.data.loader import Batch
from crossfade.data.split import split
from crossfade.mixing.registry import policy_from_spec
from crossfade.models.small import Cnn4
from crossfade.training import checkpoint
from crossfade.training.config import resolve
from crossfade.training.dataset import open_pictures
from crossfade.training.device_feed import DeviceFeed
from crossfade.training.predict import load_run
from crossfade.training.record import make_folder
from crossfade.training.run import choose_normalisation, open_bench, train_one
from crossfade.vision.augment import Augment, Augmentation
from crossfade.vision.normalise import Normalisation, normalise
from crossfade.vision.preprocess import Preprocess
from tests.scale import scaled

QUICK = {"model": "cnn4", "epochs": 1, "batch_size": 8, "precision": "float32", "size": 12, "device": "cpu"}
CHOICES: dict[str, tuple[Any, ...]] = {
    "fit": ("stretch", "crop", "drop", "pad"),
    "view": (None, "red", "grey"),
    "threshold": (None, 125, "otsu"),
    "morphology": (None, "opening"),
    "normalise": ("standard", "divide", "minmax", "percentile"),
    "normalise_by": ("training", "picture"),
}


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Wide, tall and square ones; noise around another brightness each."""
    root = tmp_path_factory.mktemp("photographs")
    rng = np.random.default_rng(0)
    for name, sides in itertools.product("ab", [(14, 20), (20, 14), (16, 16), (12, 12), (13, 31)]):
        (root / name).mkdir(exist_ok=True)
        for number in range(2):
            pixels = np.clip(rng.normal(rng.integers(60, 200), 40, (*sides, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(root / name / f"{sides[0]}x{sides[1]}-{number}.png")
    return root


def run(data: Path, folder: Path, **options: Any) -> dict[str, Any]:
    config = resolve({}, {**QUICK, **options})
    make_folder(folder, force=False)
    return train_one(open_bench(open_pictures(data, config), config), config, folder)


@pytest.fixture
def seen() -> Iterator[list[torch.Tensor]]:
    """What networks are shown while they are evaluated."""
    batches: list[torch.Tensor] = []

    def note(module: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        if isinstance(module, Cnn4) and not module.training:
            batches.append(inputs[0].clone())

    handle = torch.nn.modules.module.register_module_forward_pre_hook(note)
    yield batches
    handle.remove()


def combinations() -> list[dict[str, Any]]:
    every = [dict(zip(CHOICES, values, strict=True)) for values in itertools.product(*CHOICES.values())]
    chosen = np.random.default_rng(0).permutation(len(every))[: scaled(36, len(every))]
    return [every[number] for number in chosen]


@pytest.mark.slow
def test_prediction_shows_the_network_what_validation_showed_it(
    photographs: Path, tmp_path: Path, seen: list[torch.Tensor]
) -> None:
    for number, options in enumerate(combinations()):
        folder = tmp_path / str(number)
        run(photographs, folder, **options)
        validated = torch.cat(seen)
        seen.clear()
        rows = [row.split(",") for row in (folder / "split.csv").read_text().splitlines()]
        paths = [photographs / row[0] for row in rows if row[2] == "val"]
        assert all(one.probabilities is not None for one in load_run(folder, device="cpu").predict(paths))
        assert torch.equal(torch.cat(seen), validated), options
        seen.clear()


def test_statistics_never_see_validation_pictures(photographs: Path, tmp_path: Path) -> None:
    """A picture far from all others, in validation only, changes nothing; in training it changes all."""
    config = resolve({}, {**QUICK, "channels": 3})
    index = open_pictures(photographs, config).index
    parts = split(index, seed=0, val=0.2, by="name")  # by content, pictures that become white would move together
    for how in ("standard", "minmax", "percentile"):
        found = {}
        for part in ("nowhere", "val", "train"):
            root = tmp_path / how / part
            for number, path in enumerate(index.paths):
                (root / path).parent.mkdir(parents=True, exist_ok=True)
                pixels = np.asarray(Image.open(photographs / path)) // 2 + 40
                if part != "nowhere" and number in parts.part(part):
                    pixels = 2 * pixels - 80  # bright, dark and of its own: equal pictures would be kept together
                Image.fromarray(pixels).save(root / path)
            chosen = resolve({}, {**QUICK, "normalise": how, "split_by": "name"})
            found[part] = choose_normalisation(open_pictures(root, chosen), chosen)
        assert found["nowhere"] == found["val"]
        assert found["nowhere"] != found["train"]


def test_published_statistics_are_for_the_standard_way_only(photographs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    published = Normalisation([0.1, 0.2, 0.3], [0.4, 0.5, 0.6])
    monkeypatch.setattr("crossfade.training.run.published_statistics", lambda name: (published.mean, published.std))
    pictures = open_pictures(photographs, resolve({}, QUICK))
    for options, taken in (({}, True), ({"normalise": "minmax"}, False), ({"normalise_by": "picture"}, False)):
        config = resolve({}, {**QUICK, "model": "timm:resnet18", "pretrained": True, **options})
        assert (choose_normalisation(pictures, config) == published) == taken, options
    grey = resolve({}, {**QUICK, "model": "timm:resnet18", "pretrained": True, "view": "grey"})
    assert len(choose_normalisation(pictures, grey).mean) == 1


@pytest.mark.parametrize("how", ["standard", "minmax", "percentile"])
def test_each_picture_is_augmented_normalised_by_itself_and_then_mixed(how: Any) -> None:
    preprocess = Preprocess(normalise=how, normalise_by="picture")
    images = (
        np.random.default_rng(1).integers(0, 256, (5, 8, 8, 3), dtype=np.uint8) // np.arange(1, 6)[:, None, None, None]
    )
    images = images.astype(np.uint8)
    batch = Batch(images, np.arange(5), np.arange(5), 0, 0)
    policy, augment = policy_from_spec("mixup:alpha=1.0"), Augment(flip=True)
    display = preprocess.normalisation(np.zeros((3, 256), np.int64))
    feed = DeviceFeed(display, preprocess, policy, augment, seed=3, device=torch.device("cpu"))
    ready = feed.prepare(batch)
    drawn = augment.draw(batch.ids, seed=3, epoch=0, size=(8, 8))
    assert isinstance(drawn, Augmentation)
    flipped = np.where(drawn.matrix[:, 1, 1, None, None, None] < 0, images[:, :, ::-1], images)
    expected = mix_images(normalise(flipped, how), ready.plan, layout="NHWC")
    np.testing.assert_allclose(ready.pixels, expected, atol=1e-6)


def test_a_thresholded_run_shows_the_network_two_values(photographs: Path, tmp_path: Path) -> None:
    run(photographs, tmp_path / "run", view="red", threshold=125, morphology="opening", radius=1)
    with np.load(tmp_path / "run" / "seen.npz") as first:
        assert first["images"].shape[3] == 1
        assert set(np.unique(first["images"])) == {0, 255}


def test_what_drop_leaves_out_is_named_in_training_and_refused_in_prediction(photographs: Path, tmp_path: Path) -> None:
    config = resolve({}, {**QUICK, "fit": "drop", "size": 14})
    summary = open_pictures(photographs, config).summary()
    assert {one["reason"] for one in summary["refused"]} == {"too_small"}
    assert len(summary["refused"]) == 8
    run(photographs, tmp_path / "run", fit="drop", size=14)
    found = list(load_run(tmp_path / "run").predict([photographs / one["path"] for one in summary["refused"]]))
    assert all("too_small" in str(one.refused) for one in found)


def test_a_run_that_knew_no_preprocessing_still_predicts(photographs: Path, tmp_path: Path) -> None:
    run(photographs, tmp_path / "run", fit="crop")
    paths = sorted(photographs.rglob("*.png"))
    before = [one.probabilities for one in load_run(tmp_path / "run").predict(paths)]
    for name in ("best", "last"):
        saved = checkpoint.load(tmp_path / "run" / "checkpoints" / name)
        older = {key: value for key, value in saved.state.items() if key != "preprocess"}
        checkpoint.save(tmp_path / "run" / "checkpoints" / name, saved.tensors, {**older, "fit": "crop"})
    after = [one.probabilities for one in load_run(tmp_path / "run").predict(paths)]
    assert np.array_equal(before, after)


def test_the_chain_is_written_into_the_run(photographs: Path, tmp_path: Path) -> None:
    options = {"view": "grey", "threshold": "otsu", "normalise": "minmax", "normalise_by": "picture"}
    run(photographs, tmp_path / "run", **options)
    text = (tmp_path / "run" / "config.toml").read_text()
    assert text.index("[preprocess]") > text.index("epochs")
    state = checkpoint.load(tmp_path / "run" / "checkpoints" / "last").state
    assert Preprocess.restored(state) == resolve({}, options).preprocess
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["parameters"] > 0
