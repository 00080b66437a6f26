"""What we make of a legacy ImageDataGenerator, beside what it does itself."""

from __future__ import annotations

import numpy as np
import pytest
from keras.src.legacy.preprocessing.image import ImageDataGenerator

import crossfade as cf
from crossfade.errors import ConfigError
from crossfade.keras.datasets.legacy import (
    LegacyAugment,
    Shift,
    augmentation,
    beyond,
    is_generator,
    rescale,
    through_generator,
)

# Keras asks SciPy for a name that SciPy 2 will drop.
pytestmark = pytest.mark.filterwarnings("ignore:Please import `affine_transform`:DeprecationWarning")

STILL = {"theta": 0, "tx": 0, "ty": 0, "shear": 0, "zx": 1, "zy": 1, "flip_horizontal": False, "flip_vertical": False}
ALONE = [
    {"theta": 20},
    {"tx": 3.25},
    {"ty": -2.5},
    {"shear": 25},
    {"zx": 1.4},
    {"zy": 0.7},
    {"flip_horizontal": True},
    {"flip_vertical": True},
]
TOGETHER = {"theta": -12, "tx": 2, "ty": -4.5, "shear": 15, "zx": 1.3, "zy": 0.8, "flip_horizontal": True}
SIZES = [(24, 24), (20, 31), (31, 20)]


def picture(size: tuple[int, int]) -> np.ndarray:
    """(H, W, 3) uint8 without steep places, and without any symmetry."""
    y, x = np.mgrid[: size[0], : size[1]] / max(size)
    waves = [np.sin(3 * y + x + phase) + np.cos(2 * x * y + 3 * x) for phase in (0, 1, 2)]
    return np.rint(127 + 60 * np.stack(waves, -1)).astype(np.uint8)


def ours(image: np.ndarray, drawn: dict, fill: str = "nearest", value: int = 0) -> np.ndarray:
    each = {name: np.array([amount]) for name, amount in (STILL | drawn).items()}
    return cf.augment_images(image[None], augmentation(each, image.shape[:2], fill, value), layout="NHWC")[0]


def theirs(image: np.ndarray, drawn: dict, fill: str = "nearest", value: float = 0) -> np.ndarray:
    generator = ImageDataGenerator(fill_mode=fill, cval=value, data_format="channels_last")
    return generator.apply_transform(image.astype(np.float32), STILL | drawn)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("drawn", [*ALONE, TOGETHER], ids=lambda drawn: "-".join(drawn))
def test_the_pass_shows_what_apply_transform_shows(drawn, size):
    image = picture(size)
    made, expected = ours(image, drawn), theirs(image, drawn)
    assert np.abs(made - expected).max() <= 1
    assert np.abs(expected - image).mean() > 2  # it did something


@pytest.mark.parametrize("fill", ["nearest", "reflect", "mirror", "constant"])
def test_fill_modes(fill):
    image, far = picture((24, 24)), {"tx": 7, "ty": -40}  # whole pixels: nothing fades at the border
    assert np.abs(ours(image, far, fill, 9) - theirs(image, far, fill, 9)).max() <= 1


def test_constant_fades_into_the_border_where_keras_jumps():
    image = np.full((9, 9, 3), 200, np.uint8)
    assert ours(image, {"ty": 0.5}, "constant")[-1, 4].tolist() == [100] * 3
    assert theirs(image, {"ty": 0.5}, "constant")[-1, 4].tolist() == [0] * 3


def test_width_shift_range_moves_up_and_down_as_it_does_in_keras():
    generator = ImageDataGenerator(width_shift_range=[0.25], data_format="channels_last")
    drawn = LegacyAugment.read(generator).parameters([0], seed=0, epoch=0, size=(20, 20))
    assert abs(drawn["ty"][0]) == 5
    image = np.zeros((20, 20, 3), np.uint8)
    image[10, 10] = 255
    assert np.argwhere(ours(image, {"ty": 5})[..., 0]).tolist() == [[5, 10]]
    assert np.argwhere(theirs(image, {"ty": 5})[..., 0]).tolist() == [[5, 10]]


@pytest.mark.parametrize("factor", [0.5, 1.0, 1.17, 1.3, 4.0])
def test_brightness_is_pillows_but_rounded_where_it_cuts_off(factor):
    drawn = TOGETHER | {"brightness": factor}
    made, expected = ours(picture((24, 24)), drawn).astype(float), theirs(picture((24, 24)), drawn)
    gap = made - expected
    assert gap.min() >= -1
    assert gap.max() <= 1 + factor


def test_brightness_beyond_white_stays_white_and_nothing_is_stretched():
    image = picture((24, 24)) // 2 + 60
    made, expected = ours(image, {"brightness": 2.0}), theirs(image, {"brightness": 2.0})
    assert made.max() == expected.max() == 255
    assert made.min() == expected.min() == 2 * image.min()


# ------------------------------------------------------------------------------------------------------------- ranges


SETTINGS = {
    "rotation_range": 5, "width_shift_range": 0.05, "height_shift_range": 3.5, "shear_range": 0.05,
    "zoom_range": 0.2, "brightness_range": (1, 1.3), "horizontal_flip": True, "vertical_flip": True,
}  # fmt: skip
LISTS = {"width_shift_range": [-0.5, 0.25], "height_shift_range": 4, "zoom_range": [0.5, 0.8]}


@pytest.mark.parametrize("settings", [SETTINGS, LISTS])
def test_what_is_drawn_lies_as_keras_draws_it(settings):
    generator, count = ImageDataGenerator(**settings, data_format="channels_last"), 4000
    mine = LegacyAugment.read(generator).parameters(np.arange(count), seed=1, epoch=2, size=(40, 60))
    before = np.random.get_state()
    np.random.seed(0)
    keras_draws = [generator.get_random_transform((40, 60, 3)) for _ in range(count)]
    np.random.set_state(before)
    for name, amounts in mine.items():
        expected = np.array([float(drawn[name]) for drawn in keras_draws])
        reach = max(np.ptp(expected), 1e-9)
        marks = np.linspace(0, 1, 9)
        apart = np.abs(np.quantile(amounts.astype(float), marks) - np.quantile(expected, marks))
        steps = len(np.unique(expected)) < 10
        assert np.isin(amounts, expected).all() if steps else (apart <= 0.06 * reach).all(), name
        assert abs(amounts.astype(float).mean() - expected.mean()) <= 0.06 * reach, name


def test_draws_are_a_function_of_seed_epoch_and_id():
    augment = LegacyAugment.read(ImageDataGenerator(**SETTINGS))
    drawn = augment.draw([3, 8], seed=1, epoch=2, size=(40, 60))
    alone = augment.draw([8], seed=1, epoch=2, size=(40, 60))
    assert np.array_equal(drawn.matrix[1], alone.matrix[0])
    assert not np.array_equal(drawn.matrix[0], drawn.matrix[1])
    for other in ({"seed": 2, "epoch": 2}, {"seed": 1, "epoch": 3}):
        assert not np.array_equal(augment.draw([8], size=(40, 60), **other).matrix, alone.matrix)


def test_a_generator_that_only_rescales_draws_nothing():
    augment = LegacyAugment.read(ImageDataGenerator(rescale=1 / 255))
    assert augment.does_nothing
    assert augment.draw([0], seed=0, epoch=0, size=(8, 8)) is None
    assert not LegacyAugment.read(ImageDataGenerator(brightness_range=(1, 1.3))).does_nothing


@pytest.mark.parametrize(
    ("given", "read"),
    [
        (0, Shift()),
        (0.0, Shift()),
        (0.05, Shift(most=0.05)),
        (3.5, Shift(most=3.5, of_side=False)),
        (3, Shift(choices=(0, 1, 2), of_side=False)),
        ([-0.5, 0.25], Shift(choices=(-0.5, 0.25))),
        ((-50, 50), Shift(choices=(-50, 50), of_side=False)),
    ],
)
def test_a_shift_range_is_a_share_pixels_or_a_list(given, read):
    assert Shift.read(given) == read


# ---------------------------------------------------------------------------------------------- its own methods


class Brighter(ImageDataGenerator):
    def apply_transform(self, x, transform_parameters):
        return x + 1


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"samplewise_center": True}, ["samplewise_center"]),
        ({"featurewise_center": True}, ["featurewise_center"]),
        ({"preprocessing_function": np.sqrt}, ["preprocessing_function"]),
        ({"channel_shift_range": 20.0}, ["channel_shift_range"]),
        ({"interpolation_order": 0}, ["interpolation_order=0"]),
        ({"fill_mode": "wrap"}, ["fill_mode='wrap'"]),
        ({"cval": 0.5}, ["cval=0.5"]),
        (SETTINGS, []),
    ],
)
def test_what_is_beyond_us_is_named(settings, named):
    assert beyond(ImageDataGenerator(**settings)) == named


def test_a_child_with_a_way_of_its_own_is_seen():
    assert beyond(Brighter()) == ["its own apply_transform"]
    assert is_generator(Brighter())
    assert not is_generator(object())


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_its_own_methods_are_called_with_chance_of_ours(data_format):
    generator = ImageDataGenerator(
        rotation_range=30, samplewise_center=True, rescale=1 / 255, channel_shift_range=20.0, data_format=data_format
    )
    images = np.stack([picture((20, 31)), picture((20, 31))[::-1]])
    before = np.random.get_state()[1].copy()
    made = through_generator(generator, images, [4, 9], seed=3, epoch=1)
    assert np.array_equal(np.random.get_state()[1], before)
    assert (made.shape, made.dtype) == (images.shape, np.float32)
    assert np.abs(made.mean((1, 2, 3))).max() < 1e-4
    assert np.array_equal(through_generator(generator, images[1:], [9], seed=3, epoch=1)[0], made[1])
    assert not np.array_equal(through_generator(generator, images[1:], [9], seed=3, epoch=2)[0], made[1])
    assert np.array_equal(images[0], picture((20, 31)))


def test_its_own_methods_do_what_ours_do_where_both_can():
    generator, image = ImageDataGenerator(rescale=0.5, horizontal_flip=False, zoom_range=(1.3, 1.3)), picture((24, 24))
    slow = through_generator(generator, image[None], [0], seed=0, epoch=0)[0]
    drawn = LegacyAugment.read(generator).draw([0], seed=0, epoch=0, size=(24, 24))
    assert np.abs(slow - rescale(generator) * cf.augment_images(image[None], drawn)[0]).max() <= 0.5


def test_rescale():
    assert rescale(ImageDataGenerator(rescale=1 / 255)) == 1 / 255
    assert rescale(ImageDataGenerator()) == 1
    with pytest.raises(ConfigError, match=r"rescale must be above 0\. Got -1"):
        rescale(ImageDataGenerator(rescale=-1))
