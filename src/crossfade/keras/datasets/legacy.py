"""A legacy Keras `ImageDataGenerator`, read by its attributes: its chance drawn our way, its geometry in our one pass.

Keras 3 has that class still, for old programs: ``tensorflow.keras.preprocessing.image.ImageDataGenerator`` where
TensorFlow is installed, ``keras.src.legacy.preprocessing.image.ImageDataGenerator`` everywhere.

`LegacyAugment` shows what the generator's own `apply_transform` shows for the same parameters, oddities included, for
a program that changes one import must go on seeing the same pictures:

- `width_shift_range` moves pictures up and down, `height_shift_range` left and right (keras#17398);
- a zoom above 1 makes things smaller, height and width each by a factor of its own;
- a shear of `a` leans rows by sin(a) and squeezes them by cos(a);
- pictures that are not square turn about the point (width / 2, height / 2), counted in rows and columns.

Where pixels differ: ours are whole levels of 255, rounded. Keras' are floats, unless there is a `brightness_range`:
then they go through Pillow, which cuts off the fraction before the change and once more after it, up to two levels.
Within one pixel of the border, `fill_mode="constant"` fades into `cval` here, and jumps to it there.
Everything that `beyond` names goes through the generator's own methods, picture by picture.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from threading import Lock
from typing import Any, Self, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crossfade.arrays.augment import Colour, Fill
from crossfade.arrays.dispatch import mix_images
from crossfade.errors import ConfigError
from crossfade.keras.datasets.source import DoorFeed
from crossfade.rng import Stream, sample_uniforms
from crossfade.training.feed import Ready
from crossfade.vision import geometry
from crossfade.vision.augment import Augmentation
from crossfade.vision.geometry import Size

METHODS = ("get_random_transform", "apply_transform", "standardize")
_FILLS = ("constant", "nearest", "reflect", "mirror")  # SciPy's "wrap" lets the first and last pixel fall together
_SWITCHES = (
    "featurewise_center", "samplewise_center", "featurewise_std_normalization", "samplewise_std_normalization",
    "zca_whitening", "preprocessing_function", "channel_shift_range",
)  # fmt: skip
_DRAWS = ("theta", "tx", "tx_sign", "ty", "ty_sign", "shear", "zx", "zy", "flip", "flip_vertical", "brightness", "seed")

Parameters = dict[str, NDArray[Any]]
"""(B,) each, by the names that `get_random_transform` gives them; `brightness` only where it changes."""


def is_generator(value: object) -> bool:
    """Whether it is a legacy ImageDataGenerator, or one of its children."""
    return all(callable(getattr(value, name, None)) for name in (*METHODS, "flow_from_directory"))


def beyond(generator: Any) -> list[str]:
    """The settings of a generator that `LegacyAugment` cannot execute; empty where it can do everything."""
    found = [name for name in _SWITCHES if getattr(generator, name)]
    if generator.interpolation_order != 1:
        found.append(f"interpolation_order={generator.interpolation_order}")
    if generator.fill_mode not in _FILLS:
        found.append(f"fill_mode={generator.fill_mode!r}")
    if not (0 <= generator.cval <= 255 and generator.cval == int(generator.cval)):
        found.append(f"cval={generator.cval}")
    own = [name for name in METHODS if getattr(type(generator), name).__qualname__ != f"ImageDataGenerator.{name}"]
    return found + [f"its own {name}" for name in own]


@dataclass(frozen=True)
class Shift:
    """How far a picture moves: so far at most either way, or one of `choices` either way.

    Attributes:
        of_side: both are shares of the side, not pixels.
    """

    most: float = 0
    choices: tuple[float, ...] = ()
    of_side: bool = True

    @classmethod
    def read(cls, given: Any) -> Shift:
        """As Keras takes it: a float is a range, a whole number n means 0..n-1, a list its own entries."""
        if isinstance(given, int | np.integer):
            return cls(choices=tuple(range(given)), of_side=False) if given else cls()
        if np.ndim(given):
            return cls(choices=tuple(map(float, given)), of_side=bool(np.max(given) < 1))
        return cls(most=float(given), of_side=given < 1)

    def pixels(self, side: int, amount: NDArray[np.float64], sign: NDArray[np.float64]) -> NDArray[np.float64]:
        """(B,) of uniform numbers in [0, 1)."""
        drawn = self.most * (2 * amount - 1)
        if self.choices:
            drawn = np.array(self.choices)[(amount * len(self.choices)).astype(int)] * np.where(sign < 0.5, -1, 1)
        return drawn * side if self.of_side else drawn


@dataclass(frozen=True)
class LegacyAugment:
    """What a generator draws for each picture, as a function of (seed, epoch, sample id); see the top of the module.

    It serves wherever a `crossfade.vision.augment.Augment` does.
    """

    rotation: float = 0
    height_shift: Shift = Shift()
    width_shift: Shift = Shift()
    shear: float = 0
    zoom: tuple[float, float] = (1, 1)
    flip: bool = False
    flip_vertical: bool = False
    brightness: tuple[float, float] | None = None
    fill: Fill = "nearest"
    value: int = 0
    append = False

    @classmethod
    def read(cls, generator: Any) -> LegacyAugment:
        """Those settings of a generator that it can execute."""
        brightness = generator.brightness_range
        return cls(
            rotation=generator.rotation_range,
            height_shift=Shift.read(generator.height_shift_range),
            width_shift=Shift.read(generator.width_shift_range),
            shear=generator.shear_range,
            zoom=(float(generator.zoom_range[0]), float(generator.zoom_range[1])),
            flip=bool(generator.horizontal_flip),
            flip_vertical=bool(generator.vertical_flip),
            brightness=None if brightness is None else (float(brightness[0]), float(brightness[1])),
            fill=cast(Fill, generator.fill_mode),
            value=int(generator.cval),
        )

    @property
    def does_nothing(self) -> bool:
        """Whether every picture stays as it is."""
        idle = LegacyAugment(fill=self.fill, value=self.value)
        return all(getattr(self, field.name) == getattr(idle, field.name) for field in fields(self))

    def draw(self, ids: ArrayLike, *, seed: int, epoch: int, size: Size) -> Augmentation | None:
        """Draw for samples `ids` (B,) of pictures of `size` (height, width); None where there is nothing to do."""
        if self.does_nothing:
            return None
        return augmentation(self.parameters(ids, seed=seed, epoch=epoch, size=size), size, self.fill, self.value)

    def parameters(self, ids: ArrayLike, *, seed: int, epoch: int, size: Size) -> Parameters:
        """What `get_random_transform` would draw, for many pictures at once."""
        chance = _draw(ids, seed, epoch)
        drawn = {
            "theta": self.rotation * (2 * chance["theta"] - 1),
            "tx": self.height_shift.pixels(size[0], chance["tx"], chance["tx_sign"]),
            "ty": self.width_shift.pixels(size[1], chance["ty"], chance["ty_sign"]),
            "shear": self.shear * (2 * chance["shear"] - 1),
            "zx": _within(self.zoom, chance["zx"]),
            "zy": _within(self.zoom, chance["zy"]),
            "flip_horizontal": self.flip & (chance["flip"] < 0.5),
            "flip_vertical": self.flip_vertical & (chance["flip_vertical"] < 0.5),
        }
        return (
            drawn if self.brightness is None else drawn | {"brightness": _within(self.brightness, chance["brightness"])}
        )


def augmentation(drawn: Parameters, size: Size, fill: Fill, value: int) -> Augmentation:
    """What our pass has to do for parameters of the generator's: one matrix for each picture, then the brightness.

    Rows and columns change places in Keras: tx moves columns, and the fixed point is the middle of the transposed.
    """
    lean = np.radians(drawn["shear"])
    place = geometry.turned(drawn["theta"]) @ geometry.moved(drawn["ty"], drawn["tx"])
    place = place @ geometry.affine(np.cos(lean), 0, 0, -np.sin(lean), 1, 0)
    place = place @ geometry.affine(drawn["zy"], 0, 0, 0, drawn["zx"], 0)
    matrix = geometry.about_centre(size[::-1], place)
    matrix = matrix @ geometry.flipped(size, drawn["flip_horizontal"], drawn["flip_vertical"])
    if "brightness" not in drawn:
        return Augmentation(matrix[:, :2], fill, value)
    amounts = drawn["brightness"][:, None]
    return Augmentation(matrix[:, :2], fill, value, np.full(amounts.shape, int(Colour.BRIGHTNESS)), amounts)


def through_generator(
    generator: Any,
    images: NDArray[np.uint8],
    ids: ArrayLike,
    *,
    seed: int,
    epoch: int,
    transforms: bool = True,
    standardizes: bool = True,
) -> NDArray[np.float32]:
    """The generator's own way, picture by picture: transform, then standardize.

    Its methods draw from NumPy's global generator. That is lent to them with a seed for each picture, and given back
    as it was, so what they draw is a function of (seed, epoch, id) here, too.

    Args:
        generator: a legacy ImageDataGenerator.
        images: (B, H, W, C); they stay as they are.
        ids: (B,).
        transforms, standardizes: whether it does the one, and the other.

    Returns:
        (B, H, W, C) float32.
    """
    seeds = (_draw(ids, seed, epoch)["seed"] * 2**32).astype(np.uint32)
    swap = generator.data_format == "channels_first"
    out = np.empty(images.shape, np.float32)
    for n, image in enumerate(images):
        made = image.astype(np.float32)
        made = made.transpose(2, 0, 1) if swap else made
        with _lent(int(seeds[n])):
            if transforms:
                made = generator.apply_transform(made, generator.get_random_transform(made.shape))
            if standardizes:
                made = generator.standardize(made)
        out[n] = np.transpose(made, (1, 2, 0)) if swap else made
    return out


@dataclass(frozen=True)
class GeneratorFeed(DoorFeed):
    """A feed of pictures that a generator's own methods make of those on disk.

    Args:
        generator: a legacy ImageDataGenerator.
        transforms, standardizes: as of `through_generator`.
    """

    generator: Any = None
    transforms: bool = True
    standardizes: bool = True

    @classmethod
    def of(cls, feed: DoorFeed, generator: Any) -> GeneratorFeed:
        """Whatever `feed` does, after `generator`."""
        return cls(**{field.name: getattr(feed, field.name) for field in fields(feed)}, generator=generator)

    def for_show(self, channels: int) -> Self:
        """Transformed, but not standardized: those are pictures."""
        return replace(super().for_show(channels), standardizes=False)

    def _render(self, ready: Ready, pixels: Any) -> Any:
        how: dict[str, Any] = {"seed": self.seed, "epoch": ready.epoch, "transforms": self.transforms}
        ids = self.chance_ids(ready.ids)
        values = through_generator(self.generator, pixels, ids, standardizes=self.standardizes, **how)
        return mix_images(values if self.standardizes else values / 255, ready.plan, layout="NHWC")


def rescale(generator: Any) -> float:
    """The factor that the generator multiplies levels of 0..255 with.

    Raises:
        ConfigError: it is not above 0.
    """
    factor = generator.rescale or 1
    if not factor > 0:
        raise ConfigError(f"ImageDataGenerator: rescale must be above 0. Got {factor}. Pass rescale=1/255, say.")
    return float(factor)


def _draw(ids: ArrayLike, seed: int, epoch: int) -> Parameters:
    """(B,) uniform numbers in [0, 1), by name."""
    return dict(zip(_DRAWS, sample_uniforms(ids, len(_DRAWS), seed, Stream.AUGMENT, epoch).T, strict=True))


def _within(bounds: tuple[float, float], uniform: NDArray[np.float64]) -> NDArray[np.float64]:
    return bounds[0] + (bounds[1] - bounds[0]) * uniform


_ONE_BORROWER = Lock()


@contextmanager
def _lent(seed: int) -> Iterator[None]:
    """NumPy's global generator with a seed of ours."""
    with _ONE_BORROWER:
        before = np.random.get_state()
        np.random.seed(seed)
        try:
            yield
        finally:
            np.random.set_state(before)
