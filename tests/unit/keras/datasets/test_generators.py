"""R1's generator class over our data layer: its constructor, its attributes, its methods, its batches."""

from __future__ import annotations

import itertools
import pickle
import shutil

import keras
import numpy as np
import pytest
from keras.src.legacy.preprocessing.image import ImageDataGenerator

from crossfade import CutMix
from crossfade.errors import ConfigError, PlanError
from crossfade.keras import CutmixImageDataGenerator, ImageFolder, MixupImageDataGenerator
from crossfade.vision.augment import Augment
from tests.unit.keras.datasets.generators import R1, SIDE, made, plain

# Keras asks SciPy for a name that SciPy 2 will drop.
pytestmark = pytest.mark.filterwarnings("ignore:Please import `affine_transform`:DeprecationWarning")


# --------------------------------------------------------------------------------------------------- R1's own surface


def test_attributes_and_methods_of_r1(corners):
    train = MixupImageDataGenerator(ImageDataGenerator(**R1), corners, 8, SIDE, SIDE, 0.2, "training")
    assert isinstance(train, keras.utils.PyDataset)
    assert (train.n, train.batch_size, train.alpha, train.batch_index) == (42, 8, 0.2, 0)
    assert (len(train), train.get_steps_per_epoch()) == (6, 5)  # 42 / 8, up and down
    assert train.class_indices == train.generator1.class_indices == {"corner0": 0, "corner1": 1, "corner2": 2}
    assert train.generator1.samples == train.generator2.n == 42


def test_iteration_has_no_end_and_the_ragged_batch_works(corners):
    train = made(corners, subset="training")
    sizes = [len(images) for images, _ in itertools.islice(train, 14)]
    assert sizes == [8, 8, 8, 8, 8, 2] * 2 + [8, 8]
    assert train.batch_index == 2
    train.reset()
    assert train.batch_index == 0
    images, targets = next(train)
    assert images.shape == (8, SIDE, SIDE, 3)
    assert targets.shape == (8, 3)
    assert train.batch_index == 1


def test_next_gives_the_batches_of_each_epoch_in_turn(corners):
    one, other = made(corners, subset="training"), made(corners, subset="training")
    walked = list(itertools.islice(one, 2 * len(one)))
    for epoch in (0, 1):
        assert other.epoch == epoch
        for index in range(len(other)):
            for mine, theirs in zip(walked[epoch * len(other) + index], other[index], strict=True):
                assert np.array_equal(mine, theirs)
        other.on_epoch_end()


def test_reset_index_orders_both_passes_anew(corners):
    train = made(corners, generator=plain())
    before = [train.generator1[0][0], train.generator2[0][0]]
    train.reset_index()
    after = [train.generator1[0][0], train.generator2[0][0]]
    assert not np.array_equal(before[0], after[0])
    assert not np.array_equal(before[1], after[1])


# ------------------------------------------------------------------------------------------------------------- mixing


def test_a_batch_is_its_two_passes_blended_with_a_lambda_for_each_pair(corners):
    train = made(corners, 30, generator=plain(zoom_range=0.2), alpha=0.7)
    (x1, y1), (x2, y2) = train.generator1[0], train.generator2[0]
    images, targets = train[0]
    plan = train.plan(0)
    lam = plan.weight[:30, 0]
    assert len(np.unique(lam)) == 30
    wide = lam[:, None, None, None]
    assert np.allclose(images, wide * x1 + (1 - wide) * x2, atol=1e-5)
    assert np.allclose(targets, lam[:, None] * y1 + (1 - lam[:, None]) * y2, atol=1e-6)
    assert ((y1 * y2).sum(1) == 0).any()


def test_each_pass_shows_every_picture_once_in_an_order_of_its_own(corners):
    train = made(corners, 7, generator=plain())
    every = {picture.tobytes() for picture in np.concatenate([train.generator1[i][0] for i in range(len(train))])}
    assert len(every) == 60
    assert {p.tobytes() for p in np.concatenate([train.generator2[i][0] for i in range(len(train))])} == every
    assert not np.array_equal(train.generator1[0][0], train.generator2[0][0])


@pytest.mark.filterwarnings("ignore:.*right, but slow:UserWarning")
@pytest.mark.parametrize("order", [1, 0], ids=["our pass", "its own methods"])
def test_both_passes_augment_by_themselves(corners, tmp_path, order):
    shutil.copytree(corners / "corner0", tmp_path / "a")
    for path in sorted((tmp_path / "a").iterdir())[1:]:
        path.unlink()
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    train = made(tmp_path, 2, generator=plain(rotation_range=90, interpolation_order=order))
    first, second = train.generator1[0][0], train.generator2[0][0]
    assert not any(np.allclose(one, other, atol=1e-3) for one in first for other in second)


def test_lambdas_are_beta_distributed_and_alpha_may_be_set(corners):
    def extremes(train):
        weights = [train.plan(i).weight[: train.batch_size, 0] for i in range(len(train))]
        return np.mean(np.abs(np.concatenate(weights) - 0.5) > 0.4)

    train = made(corners, 60)
    flat = made(corners, 60, alpha=8.0)
    assert extremes(train) > 0.4
    assert extremes(flat) < 0.1
    train.alpha = 8.0
    assert train.alpha == 8.0
    assert np.array_equal(train[0][0], flat[0][0])
    boxes = train.with_mix("cutmix:alpha=0.5")
    assert boxes.alpha == 0.5
    boxes.alpha = 2.0
    assert boxes.mix == CutMix(alpha=2.0)
    held_out = made(corners, subset="validation")
    held_out.alpha = 2.0
    assert (held_out.alpha, held_out.mixes) == (2.0, False)


def test_cutmix_pastes_boxes(corners):
    train = CutmixImageDataGenerator(plain(), corners, 20, SIDE, SIDE)
    assert train.alpha == 1.0
    (x1, y1), (x2, y2) = train.generator1[0], train.generator2[0]
    images, targets = train[0]
    same = (np.isclose(images, x1) | np.isclose(images, x2)).all(axis=(1, 2, 3))
    assert same.all()
    kept = 1 - (~np.isclose(images, x1)).any(axis=3).mean(axis=(1, 2))
    plan = train.plan(0)
    assert np.all(kept >= plan.weight[:20, 0] - 1e-6)  # a pasted pixel may look like the one it covers
    assert np.allclose(targets, plan.weight[:20, :1] * y1 + plan.weight[:20, 1:] * y2, atol=1e-6)


# -------------------------------------------------------------------------------------------------------------- split


@pytest.mark.parametrize("share", [0.3, 0.25, 0.5])
@pytest.mark.parametrize("subset", ["training", "validation"])
def test_the_split_is_that_of_keras(corners, share, subset, capsys):
    generator = plain(validation_split=share)
    expected = generator.flow_from_directory(corners, target_size=(SIDE, SIDE), subset=subset)
    found = made(corners, generator=generator, subset=subset)
    assert sorted(found.filenames) == sorted(expected.filenames)
    assert found.class_indices == expected.class_indices
    by_name = dict(zip(expected.filenames, expected.classes, strict=True))
    assert [by_name[name] for name in found.filenames] == found.classes.tolist()
    capsys.readouterr()


def test_the_split_goes_by_names_as_os_walk_comes_to_them(tmp_path, corners, capsys):
    files = sorted((corners / "corner0").iterdir()) + sorted((corners / "corner1").iterdir())
    names = ["10.png", "2.png", "sub/1.png", "a/b.png", "a-b/c.png", "Z.png"]
    for number, name in enumerate(names + names):
        path = tmp_path / ("one" if number < 6 else "two") / name
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(files[number], path)
    generator = plain(validation_split=0.5)
    expected = generator.flow_from_directory(tmp_path, target_size=(SIDE, SIDE), subset="validation")
    assert sorted(made(tmp_path, generator=generator, subset="validation").filenames) == sorted(expected.filenames)
    capsys.readouterr()


def test_held_out_pictures_are_shown_as_they_are(corners):
    train = made(corners, subset="training")
    held_out = train.held_out()
    assert held_out.n == 18
    assert not held_out.mixes
    assert not set(held_out.filenames) & set(train.filenames)
    images = np.concatenate([held_out[i][0] for i in range(len(held_out))])
    whole = ImageFolder(corners, SIDE, 60, shuffle=False, data_format="channels_last")
    places = [whole.filenames.index(name) for name in held_out.filenames]
    assert np.array_equal(images, whole[0][0][places])
    again = made(corners, subset="validation")
    assert np.array_equal(again[0][0], held_out[0][0])
    assert np.array_equal(again[0][1], held_out[0][1])


# --------------------------------------------------------------------------------------------------------- generators


def test_values_are_rescaled_as_the_generator_says(corners):
    raw = made(corners, generator=ImageDataGenerator(data_format="channels_last"))[0][0]
    assert np.allclose(raw / 255, made(corners, generator=plain())[0][0], atol=1e-6)
    assert raw.max() > 100


@pytest.mark.parametrize("generator", ["r1", Augment(flip=True), {"flip": True}])
def test_our_own_augmentation_will_do(corners, generator):
    train = made(corners, generator=generator, validation_split=0.3, subset="training")
    assert train.n == 42
    assert 0 <= train[0][0].min() < train[0][0].max() <= 1


def test_no_generator_leaves_pictures_unaugmented(corners):
    train = MixupImageDataGenerator(None, corners, 8, SIDE, SIDE)
    assert np.array_equal(train.generator1[0][0], made(corners, generator=Augment()).generator1[0][0])


def test_what_is_beyond_us_goes_through_the_generators_own_methods_and_is_said(corners):
    slow = plain(samplewise_center=True, validation_split=0.3, horizontal_flip=True)
    with pytest.warns(UserWarning, match="samplewise_center is beyond our one pass.*right, but slow"):
        train = made(corners, 8, generator=slow, subset="training")
    x1, x2 = train.generator1[0][0], train.generator2[0][0]
    assert np.abs(x1.mean((1, 2, 3))).max() < 1e-5
    lam = train.plan(0).weight[:8, :1, None, None]
    assert np.allclose(train[0][0], lam * x1 + (1 - lam) * x2, atol=1e-5)
    assert np.array_equal(train[0][0], train[0][0])
    held_out = train.held_out()
    expected = ImageFolder(corners, SIDE, 60, shuffle=False, data_format="channels_last")
    places = [expected.filenames.index(name) for name in held_out.filenames][:8]
    pictures = expected[0][0][places]
    assert np.allclose(held_out[0][0], pictures - pictures.mean((1, 2, 3), keepdims=True), atol=1e-5)
    shown, _ = train.preview(4)
    assert (shown.dtype, shown.shape) == (np.uint8, (4, SIDE, SIDE, 3))
    assert 40 < shown.mean() < 150  # pictures, not centred values


def test_preview_shows_the_first_mixed_pictures(corners):
    train = made(corners, generator=plain())
    shown, targets = train.preview(5)
    assert np.abs(shown / 255 - train[0][0][:5]).max() <= 0.5 / 255 + 1e-6
    assert np.array_equal(targets, train[0][1][:5])


def test_channels_first_is_the_generators_word(corners):
    generator = ImageDataGenerator(rescale=1 / 255, data_format="channels_first")
    first = made(corners, generator=generator)
    assert first[0][0].shape == (8, 3, SIDE, SIDE)
    assert np.array_equal(first[0][0].transpose(0, 2, 3, 1), made(corners, generator=plain())[0][0])


def test_pictures_need_not_be_square(corners):
    generator = ImageDataGenerator(**R1, data_format="channels_last")
    train = MixupImageDataGenerator(generator, corners, 8, 12, 20, subset="training")
    assert train[0][0].shape == (8, 12, 20, 3)
    assert train.generator2[0][0].shape == (8, 12, 20, 3)
    assert train.preview(2)[0].shape == (2, 12, 20, 3)


# ----------------------------------------------------------------------------------------------------------- on its way


def test_workers_change_nothing(corners):
    batches = [list(itertools.islice(made(corners, workers=n), 9)) for n in (0, 1, 3)]
    for other in batches[1:]:
        for (x, y), (x2, y2) in zip(batches[0], other, strict=True):
            assert np.array_equal(x, x2)
            assert np.array_equal(y, y2)


def test_it_may_be_pickled(corners):
    train = made(corners)
    train.on_epoch_end()
    copy = pickle.loads(pickle.dumps(train))
    assert np.array_equal(copy[1][0], train[1][0])


def test_with_mix_none_keeps_order_and_augmentation(corners):
    train = made(corners)
    alone = train.with_mix("none")
    assert not alone.mixes
    assert np.array_equal(alone[2][0], train.generator1[2][0])
    assert np.array_equal(next(iter(alone))[0], alone[0][0])


# ----------------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"class_mode": "sparse"}, 'class_mode="sparse" has room for one'),
        ({"class_mode": None}, "class_mode=None has none"),
        ({"class_mode": "binary"}, "one number for two classes. Got 3"),
        ({"subset": "test"}, "training, validation or None. Got 'test'"),
        ({"subset": "training", "validation_split": 1.5}, "above 0 and below 1"),
        ({"subset": "training", "validation_split": "0.3"}, "above 0 and below 1"),
        ({"validation_split": 1.5}, "above 0 and below 1"),
        ({"subset": "validation", "validation_split": 0.01}, "no class has so many pictures"),
        ({"generator": 3}, "augment"),
        ({"generator": ImageDataGenerator(rescale=-1)}, "rescale must be above 0"),
        ({"batch_size": 0}, "batch_size"),
    ],
)
def test_bad_input_is_answered_with_a_letter(corners, options, words):
    with pytest.raises(ConfigError) as told:
        made(corners, **options)
    assert words in str(told.value)


def test_alpha_is_above_zero(corners):
    with pytest.raises(PlanError, match="alpha must be a finite number above 0"):
        made(corners, alpha=0)


def test_a_subset_needs_a_share(corners):
    with pytest.raises(ConfigError, match="Got validation_split=None"):
        made(corners, generator=plain(), subset="validation")


def test_a_folder_of_parts_is_not_a_folder_of_classes(corners_in_parts):
    with pytest.raises(ConfigError, match="must hold a folder for each class"):
        made(corners_in_parts)


def test_files_that_cannot_be_read_are_counted_and_said(corners, tmp_path):
    shutil.copytree(corners, tmp_path / "with")
    (tmp_path / "with" / "corner0" / "broken.png").write_bytes(b"no picture")
    with pytest.warns(UserWarning, match=r"1 files cannot be read and are left out, corner0/broken.png"):
        assert made(tmp_path / "with").n == 60
