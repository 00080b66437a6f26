"""`ImageFolder`: which pictures, in which order, with which targets."""

from __future__ import annotations

import copy
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from PIL import Image

import crossfade as cf
from crossfade.errors import ConfigError
from crossfade.keras import ImageFolder
from crossfade.vision.augment import Augment
from crossfade.vision.preprocess import Preprocess
from tests.unit.keras.watching import assert_same, epochs_of


def original(dataset: ImageFolder, number: int) -> np.ndarray:
    return np.asarray(Image.open(dataset.directory / dataset.filenames[number]))


def test_pictures_are_those_of_the_files(corners: Path) -> None:
    dataset = ImageFolder(corners, batch_size=7, shuffle=False, data_format="channels_last")
    assert (dataset.n, len(dataset), dataset.num_classes, dataset.batch_size) == (60, 9, 3, 7)
    assert dataset.class_indices == {"corner0": 0, "corner1": 1, "corner2": 2}
    images, targets = dataset[8]
    assert images.shape == (4, 12, 12, 3)
    assert images.dtype == targets.dtype == np.float32
    for row in range(4):
        np.testing.assert_allclose(images[row], original(dataset, 56 + row) / 255, atol=1e-6)
    np.testing.assert_array_equal(targets.argmax(axis=1), dataset.classes[56:60])
    assert dataset.filenames[0] == "corner0/000.png"
    assert dataset.image_shape == (12, 12, 3)


def test_an_epoch_is_all_pictures_once_in_an_order_of_its_own(corners: Path) -> None:
    dataset = ImageFolder(corners, 12, 7, seed=5)
    shown = [np.concatenate([images for images, _ in epochs_of(dataset, epoch)]) for epoch in (0, 1)]
    plain = np.concatenate([images for images, _ in ImageFolder(corners, 12, 7, shuffle=False)])
    for images in shown:
        assert sorted(map(bytes, images)) == sorted(map(bytes, plain))
    assert not np.array_equal(shown[0], shown[1])


def everything(folder: Path, **options: Any) -> ImageFolder:
    return ImageFolder(folder, 12, 7, mix="mixup:alpha=1.0", augment="r1", partners="stream", seed=9, **options)


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_workers_change_nothing(corners: Path, workers: int) -> None:
    assert_same(list(everything(corners, workers=workers)), epochs_of(everything(corners, workers=0), 0))


def test_processes_change_nothing(corners: Path) -> None:
    assert_same(list(everything(corners, workers=2, use_multiprocessing=True)), epochs_of(everything(corners), 0))


def test_any_order_and_several_threads_give_the_same(corners: Path) -> None:
    dataset, turns = everything(corners), np.random.default_rng(0).permutation(np.repeat(np.arange(9), 4))
    wanted = epochs_of(dataset, 0)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda step: dataset[int(step)], turns))
    assert_same(found, [wanted[step] for step in turns])
    assert_same([dataset[-1]], [wanted[8]])
    for beyond in (9, -10):
        with pytest.raises(IndexError, match="batches are 0 to 8"):
            dataset[beyond]


def test_each_seed_and_epoch_has_its_own_chance(corners: Path) -> None:
    one = everything(corners)
    first, plan = one[0], one.plan(0)
    one.on_epoch_end()
    assert one.epoch == 1
    assert not np.array_equal(one[0][0], first[0])
    assert one.plan(0) != plan
    one.set_epoch(0)
    assert_same([one[0]], [first])
    with pytest.raises(ConfigError, match=r"set_epoch: epochs are whole numbers from 0\. Got -1"):
        one.set_epoch(-1)


def test_the_global_generators_are_left_alone(corners: Path) -> None:
    np.random.seed(0)
    before = np.random.get_state()[1].copy()
    everything(corners).preview()
    np.testing.assert_array_equal(np.random.get_state()[1], before)


def test_pictures_may_be_rectangles(corners: Path) -> None:
    dataset = ImageFolder(corners, (12, 20), 7, mix="cutmix", augment="r1", partners="stream")
    assert sorted(dataset.image_shape) == [3, 12, 20]
    padded = ImageFolder(corners, (12, 20), shuffle=False, preprocess={"fit": "pad"}, data_format="channels_last")
    np.testing.assert_allclose(padded[0][0][7, :, 4:16], original(padded, 7) / 255, atol=1e-6)
    assert not padded[0][0][:, :, :4].any()


# ------------------------------------------------------------------------------------------------------------ mixing


def test_mixing_within_a_batch_follows_the_plan(corners: Path) -> None:
    mixed = ImageFolder(corners, 12, 7, mix=cf.CutMix(1.0), seed=2)
    plain = ImageFolder(corners, 12, 7, seed=2)
    plan, (images, targets) = mixed.plan(3), plain[3]
    assert mixed.mixes
    assert not plain.mixes
    np.testing.assert_allclose(mixed[3][0], cf.mix_images(images, plan, layout="NHWC"), atol=1e-6)
    np.testing.assert_allclose(mixed[3][1], cf.mix_targets(targets, plan), atol=1e-6)


def test_a_stream_of_partners_is_a_second_pass_over_the_same_pictures(corners: Path) -> None:
    mixed = ImageFolder(corners, 12, 7, mix=cf.MixUp(1.0), partners="stream", seed=2)
    plain = ImageFolder(corners, 12, 7, seed=2)
    partners = []
    for step in range(len(mixed)):
        plan, images = mixed.plan(step), plain[step][0].astype(np.float64)
        half = len(images)
        lam = plan.lam[:half, None, None, None]
        np.testing.assert_array_equal(plan.source[:half, 1], np.arange(half) + half)
        partners.append(np.where(lam < 0.95, (mixed[step][0] - lam * images) / np.maximum(1 - lam, 1e-9), np.nan))
    plain_pictures = np.concatenate([images for images, _ in ImageFolder(corners, 12, 7, shuffle=False)])
    met = [
        int(np.abs(plain_pictures - partner).sum(axis=(1, 2, 3)).argmin())
        for partner in np.concatenate(partners)
        if np.isfinite(partner).all()
    ]
    assert len(met) > 40
    assert len(set(met)) == len(met)  # nobody twice
    assert met != sorted(met)


def test_both_streams_are_augmented_each_in_its_own_way(corners: Path) -> None:
    flipped = ImageFolder(corners, 12, 60, mix=cf.MixUp(1.0), partners="stream", augment={"flip": True}, seed=2)
    drawn = flipped._source.feed._draw(np.tile(np.arange(60), 2), 0, (12, 12))
    assert drawn is not None
    assert not np.array_equal(drawn.matrix[:60], drawn.matrix[60:])


def test_another_mix_of_the_same_pictures(corners: Path) -> None:
    plain = ImageFolder(corners, 12, 7, augment="light", seed=2, partners="stream")
    plain.set_epoch(3)
    mixed = plain.with_mix("mixup:alpha=1.0")
    assert (plain.mixes, mixed.mixes, plain.epoch, mixed.epoch) == (False, True, 3, 0)
    assert_same(epochs_of(mixed.with_mix(None), 1), epochs_of(plain, 1))
    other = plain.with_mix(None, seed=3)
    assert not np.array_equal(other[0][0], plain.with_mix(None)[0][0])
    with pytest.raises(ConfigError, match="mix: no method is called 'mixap'"):
        plain.with_mix("mixap")


def test_a_policy_that_ends_needs_the_number_of_epochs(corners: Path) -> None:
    ending = cf.Until(cf.MixUp(1.0), 0.5)
    with pytest.raises(ConfigError, match=r"goes by how much of the training is done\. Got epochs=None"):
        ImageFolder(corners, 12, mix=ending)
    dataset = ImageFolder(corners, 12, 60, mix=ending, epochs=4)
    lam = []
    for epoch in range(5):
        dataset.set_epoch(epoch)
        lam.append(dataset.plan(0).lam.min())
    assert max(lam[:2]) < 1 == min(lam[2:])


def test_a_preview_is_the_start_of_the_epoch_as_pictures(corners: Path) -> None:
    dataset = ImageFolder(corners, 12, 4, mix="cutmix", seed=1, preprocess=Preprocess(normalise="standard"))
    pictures, targets = dataset.preview(9)
    assert pictures.shape == (9, 12, 12, 3)
    assert pictures.dtype == np.uint8
    pixels = dataset.with_mix(None).preview(4)[0]
    np.testing.assert_array_equal(pictures[:4], cf.mix_images(pixels, dataset.plan(0), layout="NHWC"))
    np.testing.assert_array_equal(targets[4:8], dataset[1][1])
    assert len(dataset.preview(100)[0]) == 60


# ----------------------------------------------------------------------------------------------------------- targets


def test_sparse_targets(corners: Path) -> None:
    _, targets = ImageFolder(corners, 12, 7, class_mode="sparse", shuffle=False)[3]
    assert targets.dtype == np.int32
    np.testing.assert_array_equal(targets, [1] * 7)
    with pytest.raises(ConfigError, match='several classes, each with a weight; class_mode="sparse" has room for one'):
        ImageFolder(corners, 12, class_mode="sparse", mix="mixup")


def test_a_binary_target_is_the_weight_of_the_second_class(two_corners: Path, corners: Path) -> None:
    binary = ImageFolder(two_corners, 12, 7, class_mode="binary", mix="mixup:alpha=1.0")
    both = ImageFolder(two_corners, 12, 7, mix="mixup:alpha=1.0")
    np.testing.assert_array_equal(binary[2][1], both[2][1][:, 1:])
    assert ((binary[2][1] > 0) & (binary[2][1] < 1)).any()
    with pytest.raises(ConfigError, match=r'class_mode="binary" is one number for two classes\. Got 3 classes'):
        ImageFolder(corners, 12, class_mode="binary")


def test_classes_are_in_alphabetical_order_as_in_keras(tmp_path: Path) -> None:
    for level, name in enumerate(("10", "2", "a")):
        (tmp_path / name).mkdir()
        for number in range(2):
            Image.new("RGB", (8, 8), (100 * level, 10 * number, 0)).save(tmp_path / name / f"{number}.png")
    dataset = ImageFolder(tmp_path, batch_size=6, shuffle=False, data_format="channels_last")
    assert dataset.class_names == ["10", "2", "a"]
    images, targets = dataset[0]
    levels = np.rint(images[:, 0, 0, 0] * 255 / 100).astype(int)
    np.testing.assert_array_equal(levels, targets.argmax(axis=1))
    np.testing.assert_array_equal(levels, dataset.classes)


# ------------------------------------------------------------------------------------------------- what is done first


@pytest.mark.parametrize("augment", ["light", Augment(flip=True, pad=1 / 16), {"flip": True, "pad": 1 / 16}])
def test_augmentation_may_be_said_in_three_ways(corners: Path, augment: Any) -> None:
    assert_same([ImageFolder(corners, 12, 7, augment=augment)[0]], [ImageFolder(corners, 12, 7, augment="light")[0]])


def test_appended_pictures_double_the_batch(corners: Path) -> None:
    images, targets = ImageFolder(corners, 12, 7, augment="r4", shuffle=False)[0]
    plain = ImageFolder(corners, 12, 7, shuffle=False)[0]
    assert len(images) == len(targets) == 14
    np.testing.assert_array_equal(images[:7], plain[0])
    np.testing.assert_array_equal(targets[7:], plain[1])


def test_preprocessing_may_be_a_dict_or_a_function(corners: Path) -> None:
    said = {"normalise": "standard", "view": "green"}
    one, other = (ImageFolder(corners, 12, 7, preprocess=how) for how in (said, Preprocess(**said)))
    assert_same([one[0]], [other[0]])
    assert one.image_shape == ((1, 12, 12) if keras.config.image_data_format() == "channels_first" else (12, 12, 1))
    assert ImageFolder(corners, 12, 7, preprocess={"threshold": 100})[0][0].max() <= 1.0000001

    mixed = ImageFolder(corners, 12, 7, mix="mixup:alpha=1.0", preprocess=lambda images: images / 127.5 - 1)
    np.testing.assert_allclose(mixed[0][0], ImageFolder(corners, 12, 7, mix="mixup:alpha=1.0")[0][0] * 2 - 1, atol=1e-5)


def test_a_function_gets_pictures_in_the_format_that_is_asked_for(corners: Path) -> None:
    shapes: list[Any] = []

    def note(images: np.ndarray) -> np.ndarray:
        shapes.append((images.shape, images.dtype))
        return images.astype(np.float32)

    images, _ = ImageFolder(corners, 12, 7, preprocess=note, data_format="channels_first")[0]
    assert images.shape == (7, 3, 12, 12)
    assert shapes == [((7, 3, 12, 12), np.uint8)]
    with pytest.raises(cf.ArrayError, match="the function must return numbers of the batch it was given"):
        ImageFolder(corners, 12, 7, preprocess=lambda images: images[:3])[0]


def test_channels_first_holds_the_same(corners: Path) -> None:
    formats = ("channels_last", "channels_first")
    last, first = (ImageFolder(corners, 12, 7, mix="cutmix", data_format=name) for name in formats)
    np.testing.assert_array_equal(first[1][0], last[1][0].transpose(0, 3, 1, 2))
    assert first.image_shape == (3, 12, 12)
    assert first.preview(3)[0].shape == (3, 12, 12, 3)


def test_held_out_pictures_are_normalised_by_those_to_train_on(corners: Path) -> None:
    share = {"validation_split": 0.5, "preprocess": {"normalise": "standard"}}
    train, held_out = (ImageFolder(corners, 12, subset=part, **share) for part in ("training", "validation"))
    assert train._source.feed.normalisation == held_out._source.feed.normalisation


# ------------------------------------------------------------------------------------------------------------- parts


def test_a_split_has_every_picture_once_whatever_the_seed(corners: Path) -> None:
    train = ImageFolder(corners, 12, subset="training", validation_split=0.3, seed=1)
    held_out = ImageFolder(corners, 12, subset="validation", validation_split=0.3, seed=2)
    assert (train.n, held_out.n) == (42, 18)
    assert set(train.filenames) | set(held_out.filenames) == set(ImageFolder(corners, 12).filenames)
    assert not set(train.filenames) & set(held_out.filenames)
    np.testing.assert_array_equal(held_out[0][1].argmax(axis=1), held_out.classes)  # in order


def test_copies_of_a_picture_stay_in_one_part(corners: Path, tmp_path: Path) -> None:
    shutil.copytree(corners, tmp_path / "with copies")
    for number in range(20):
        folder = tmp_path / "with copies" / "corner0"
        shutil.copy(folder / f"{number:03d}.png", folder / f"copy {number:03d}.png")
    parts = [
        {name[-7:] for name in ImageFolder(tmp_path / "with copies", 12, subset=part, validation_split=0.4).filenames
         if name.startswith("corner0")}
        for part in ("training", "validation")
    ]  # fmt: skip
    assert all(parts)
    assert not parts[0] & parts[1]


def test_by_name_the_last_ones_are_held_out(corners: Path) -> None:
    by_name = {"validation_split": 0.25, "split_by": "name"}
    held_out = ImageFolder(corners, 12, subset="validation", **by_name)
    assert held_out.filenames[:5] == [f"corner0/{number:03d}.png" for number in range(15, 20)]
    few = ImageFolder(corners, 12, subset="training", per_class=4, **by_name)
    assert (few.n, few.filenames[4]) == (12, "corner1/000.png")


def test_a_folder_may_come_with_parts(corners_in_parts: Path) -> None:
    parts = {part: ImageFolder(corners_in_parts, 12, subset=part) for part in ("training", "validation", "test")}
    assert [dataset.n for dataset in parts.values()] == [18, 18, 18]
    assert parts["test"].filenames[0] == "test/corner0/000.png"
    assert [dataset._source.shuffle for dataset in parts.values()] == [True, False, False]
    alone = ImageFolder(corners_in_parts / "train", 12)
    assert alone.filenames[0] == "corner0/000.png"


# ------------------------------------------------------------------------------------------------------- on its way


@pytest.mark.parametrize("way", [copy.copy, copy.deepcopy, lambda it: pickle.loads(pickle.dumps(it))])
def test_a_copy_shows_the_same(corners: Path, way: Callable[[Any], Any]) -> None:
    dataset = everything(corners, workers=2)
    dataset.set_epoch(2)
    next(iter(dataset))
    assert_same(list(way(dataset)), list(dataset))


def test_what_travels_to_a_process_is_small(tmp_path: Path) -> None:
    noise = np.random.default_rng(0)
    for number in range(40):
        (tmp_path / f"{number % 2}").mkdir(exist_ok=True)
        picture = Image.fromarray(noise.integers(0, 256, (64, 64, 3), dtype=np.uint8))
        picture.save(tmp_path / f"{number % 2}" / f"{number}.png")
    dataset = ImageFolder(tmp_path)
    assert dataset._source.rows.nbytes == 40 * 64 * 64 * 3
    assert len(pickle.dumps(dataset._source)) < 6_000


WITHOUT_TORCH = """
import sys
from crossfade.keras import ImageFolder, ArrayDataset
dataset = ImageFolder(sys.argv[1], 12, 8, mix="mixup", augment="r1", partners="stream")
dataset.preview()
print("torch" in sys.modules)
"""


@pytest.mark.parametrize("backend", ["jax", "tensorflow"])
def test_torch_is_not_loaded_for_another_backend(corners: Path, backend: str) -> None:
    if find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    environment = {**os.environ, "KERAS_BACKEND": backend}
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, str(corners)], capture_output=True, text=True, env=environment
    )
    assert done.stdout == "False\n", done.stderr
