"""Augmentation: what may happen to a training picture, and what is drawn to happen to it.

What is drawn for a sample is a function of (seed, epoch, sample id), so it does not depend on the batch it is in, on
the arm of a comparison, or on the number of threads. All geometry becomes one affine map and the picture is resampled
once; then come the changes of colour, one after the other. `crossfade.augment_images` executes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crossfade.arrays.augment import Colour, Fill, from_limbs, limbs
from crossfade.errors import ConfigError, check_known
from crossfade.rng import Stream, sample_uniforms
from crossfade.trees import Parts, Tree
from crossfade.vision import geometry, wide
from crossfade.vision.geometry import Matrices, Size

Range = tuple[float, float]


@dataclass(frozen=True)
class Augmentation(Tree):
    """What was drawn for B samples; `crossfade.arrays.augment.DrawnAugmentation` says how it is read."""

    matrix: NDArray[np.float64]
    fill: Fill = "constant"
    value: int = 0
    colours: NDArray[np.int64] = None  # type: ignore[assignment]
    amounts: NDArray[np.float64] = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        if self.colours is None:
            object.__setattr__(self, "colours", np.zeros((len(self.matrix), 0), np.int64))
        if self.amounts is None:
            object.__setattr__(self, "amounts", np.zeros(self.colours.shape))
        self._tell_jax()

    def _apart(self) -> Parts:
        arrays: tuple[Any, ...] = self.matrix, self.colours, self.amounts
        if isinstance(self.matrix, np.ndarray):
            arrays = limbs(self.matrix), self.colours.astype(np.int32), self.amounts.astype(np.float32)
        return arrays, (self.fill, self.value)

    @classmethod
    def _together(cls, arrays: tuple[Any, ...], signature: Any) -> Augmentation:
        matrix, colours, amounts = arrays
        matrix = from_limbs(matrix) if isinstance(matrix, np.ndarray) else matrix
        return cls(matrix, *signature, colours, amounts)

    def only(self, chosen: NDArray[np.bool_]) -> Augmentation:
        """The same, with nothing done to the samples that are not chosen (B,)."""
        still = np.broadcast_to(np.eye(3)[:2], self.matrix.shape)
        matrix = np.where(chosen[:, None, None], self.matrix, still)
        return replace(self, matrix=matrix, colours=self.colours * chosen[:, None])


@dataclass(frozen=True)
class Augment:
    """What may happen to a training picture. Every amount is drawn uniformly, for each sample anew.

    Geometry, about the middle of the picture, comes in the order resized_crop, flip, zoom, shear, rotation, shift, pad,
    policy.

    Args:
        flip, flip_vertical: mirror left-right, up-down, each with probability one half.
        rotation: up to so many degrees either way.
        shift: up to this share of the height and of the width, either way.
        shear: up to so many degrees either way; rows slide over each other.
        zoom: least and largest factor; above 1 shows less of the picture, larger.
        pad: move by whole pixels, up to so many either way ("random crop with padding"); below 1 a share of the side.
        resized_crop: least and largest share of the area to cut out (sides 3:4 to 4:3) and resize to the whole.
        fill: what lies beyond the border: constant, nearest, reflect, mirror, wrap (SciPy's and Keras' words).
        value: level of the constant.
        brightness, contrast, saturation: least and largest factor.
        hue: up to so many turns of the colour circle either way, 0.5 at most.
        channel_shift: up to so many levels of 255 either way, the same for all channels.
        policy: "trivial" (one operation of TrivialAugment's wide set) or "rand" (RandAugment: `ops` of `magnitude`).
        ops: operations of RandAugment.
        magnitude: of RandAugment, 0..30.
        append: batches hold each picture as it is and, in a second half, augmented.

    Source:
        Random crop with padding: He et al. 2015, arXiv:1512.03385, sec. 4.2. Resized crop: Szegedy et al. 2014,
        arXiv:1409.4842. RandAugment: Cubuk et al. 2019, arXiv:1909.13719. TrivialAugment: Mueller and Hutter 2021,
        arXiv:2103.10158. Differs: colours are changed after the geometry, in the order drawn.
    """

    flip: bool = False
    flip_vertical: bool = False
    rotation: float = 0
    shift: Range = (0, 0)
    shear: float = 0
    zoom: Range = (1, 1)
    pad: float = 0
    resized_crop: Range | None = None
    fill: Fill = "mirror"
    value: int = 0
    brightness: Range = (1, 1)
    contrast: Range = (1, 1)
    saturation: Range = (1, 1)
    hue: float = 0
    channel_shift: float = 0
    policy: Literal["none", "trivial", "rand"] = "none"
    ops: int = 2
    magnitude: int = 9
    append: bool = False

    def __post_init__(self) -> None:
        for field in fields(self):
            _check(field.name, getattr(self, field.name))

    @property
    def does_nothing(self) -> bool:
        """Whether every picture stays as it is."""
        idle = Augment(fill=self.fill, value=self.value, ops=self.ops, magnitude=self.magnitude, append=self.append)
        return self == idle

    def as_dict(self) -> dict[str, Any]:
        """As a table of a TOML file; `augment_from` reads it back."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(self).items()
            if value is not None
        }

    def draw(self, ids: ArrayLike, *, seed: int, epoch: int, size: Size) -> Augmentation | None:
        """Draw for samples `ids` (B,) of pictures of `size` (height, width); None where there is nothing to do."""
        if self.does_nothing:
            return None
        chance = _Chance(sample_uniforms(ids, len(_COLUMNS) + 3 * self.ops, seed, Stream.AUGMENT, epoch))
        colours, amounts = self._jitter(chance)
        matrix = self._geometry(chance, size)
        if self.policy != "none":
            draws = wide.draw(self.policy, chance.rest(self.ops), self.magnitude, size)
            matrix = matrix @ draws.matrix
            colours, amounts = np.hstack([colours, draws.colours]), np.hstack([amounts, draws.amounts])
        return Augmentation(matrix[:, :2], self.fill, self.value, colours, amounts)

    def _geometry(self, chance: _Chance, size: Size) -> Matrices:
        height, width = size
        # Pairs of numbers that existed before others keep their columns, so that what they drew stays what it was.
        pad = [int(self.pad * side) if self.pad < 1 else int(self.pad) for side in size]
        offsets = [np.floor(chance[name] * (2 * p + 1)) - p for name, p in zip(("down", "right"), pad, strict=True)]
        matrix = geometry.flipped(
            size, self.flip & (chance["flip"] < 0.5), self.flip_vertical & (chance["flip_vertical"] < 0.5)
        )
        if self.resized_crop is not None:
            matrix = self._crop(chance, size) @ matrix
        if self.zoom != (1, 1) or self.shear or self.rotation or self.shift != (0, 0):
            about = geometry.scaled(chance.within("zoom", *self.zoom))
            about = about @ geometry.sheared(0, chance.either("shear", self.shear))
            about = about @ geometry.turned(chance.either("rotation", self.rotation))
            about = about @ geometry.moved(
                chance.either("shift_down", self.shift[0] * height), chance.either("shift_right", self.shift[1] * width)
            )
            matrix = matrix @ geometry.about_centre(size, about)
        return matrix @ geometry.moved(*offsets)

    def _crop(self, chance: _Chance, size: Size) -> Matrices:
        """A box of the drawn area and ratio of sides, made smaller where it would not fit."""
        assert self.resized_crop is not None
        height, width = size
        area = chance.within("area", *self.resized_crop) * height * width
        ratio = np.exp(chance.within("ratio", np.log(3 / 4), np.log(4 / 3)))
        box = [np.minimum(np.sqrt(area / ratio), height), np.minimum(np.sqrt(area * ratio), width)]
        return geometry.cropped(size, chance["top"] * (height - box[0]), chance["left"] * (width - box[1]), *box)

    def _jitter(self, chance: _Chance) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Colour steps that are not idle, in an order drawn for each sample."""
        steps = {
            Colour.BRIGHTNESS: chance.within("brightness", *self.brightness) if self.brightness != (1, 1) else None,
            Colour.CONTRAST: chance.within("contrast", *self.contrast) if self.contrast != (1, 1) else None,
            Colour.SATURATION: chance.within("saturation", *self.saturation) if self.saturation != (1, 1) else None,
            Colour.HUE: chance.either("hue", self.hue) if self.hue else None,
            Colour.SHIFT: np.rint(chance.either("channel_shift", self.channel_shift)) if self.channel_shift else None,
        }
        used = [(colour, amount) for colour, amount in steps.items() if amount is not None]
        if not used:
            return np.zeros((len(chance), 0), np.int64), np.zeros((len(chance), 0))
        order = np.stack([chance[f"order_{n}"] for n in range(len(used))], axis=1).argsort(axis=1)
        colours = np.array([colour for colour, _ in used])[order]
        return colours, np.take_along_axis(np.stack([amount for _, amount in used], axis=1), order, axis=1)


# Each draw has a column of its own, so that none depends on which others are asked for. Append only.
_COLUMNS = (
    "flip", "down", "right", "flip_vertical", "rotation", "shift_down", "shift_right", "shear", "zoom",
    "area", "ratio", "top", "left", "brightness", "contrast", "saturation", "hue", "channel_shift",
    "order_0", "order_1", "order_2", "order_3", "order_4",
)  # fmt: skip


class _Chance:
    """Uniform numbers in [0, 1) for each sample, by name."""

    def __init__(self, uniforms: NDArray[np.float64]) -> None:
        self.uniforms = uniforms

    def __len__(self) -> int:
        return len(self.uniforms)

    def __getitem__(self, name: str) -> NDArray[np.float64]:
        return self.uniforms[:, _COLUMNS.index(name)]

    def within(self, name: str, low: float, high: float) -> NDArray[np.float64]:
        return low + (high - low) * self[name]

    def either(self, name: str, most: float) -> NDArray[np.float64]:
        return self.within(name, -most, most)

    def rest(self, ops: int) -> NDArray[np.float64]:
        """(B, ops, 3)."""
        return self.uniforms[:, len(_COLUMNS) : len(_COLUMNS) + 3 * ops].reshape(len(self), ops, 3)


# ------------------------------------------------------------------------------------------------------------ checks


_RULES: dict[str, tuple[str, Any]] = {
    **dict.fromkeys(("flip", "flip_vertical", "append"), ("true or false", lambda v: isinstance(v, bool))),
    "rotation": ("degrees from 0 to 180", lambda v: _number(v, 0, 180)),
    "shear": ("degrees from 0 to 80", lambda v: _number(v, 0, 80)),
    "shift": ("two shares from 0 to 1, of height and width", lambda v: _pair(v, 0, 1, ordered=False)),
    "zoom": ("two factors from 0.05 to 20, the smaller first", lambda v: _pair(v, 0.05, 20)),
    "pad": ("a share below 1, or whole pixels", lambda v: _number(v, 0, 2**15) and (v < 1 or v == int(v))),
    "resized_crop": ("two shares of the area above 0, up to 1", lambda v: v is None or _pair(v, 1e-4, 1)),
    "fill": (f"one of {', '.join(get_args(Fill))}", lambda v: v in get_args(Fill)),
    "value": ("a level from 0 to 255", lambda v: _whole(v, 0, 255)),
    **dict.fromkeys(("brightness", "contrast", "saturation"), ("two factors from 0 to 10", lambda v: _pair(v, 0, 10))),
    "hue": ("turns from 0 to 0.5", lambda v: _number(v, 0, 0.5)),
    "channel_shift": ("levels from 0 to 255", lambda v: _number(v, 0, 255)),
    "policy": ("none, trivial or rand", lambda v: v in ("none", "trivial", "rand")),
    "ops": ("1 to 10", lambda v: _whole(v, 1, 10)),
    "magnitude": ("0 to 30", lambda v: _whole(v, 0, 30)),
}


def _check(name: str, value: object) -> None:
    words, holds = _RULES[name]
    if not holds(value):
        raise ConfigError(f"augment: {name} must be {words}. Got {value!r}.")


def _number(value: object, low: float, high: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high


def _whole(value: object, low: int, high: int) -> bool:
    return isinstance(value, int) and _number(value, low, high)


def _pair(value: object, low: float, high: float, *, ordered: bool = True) -> bool:
    if not isinstance(value, tuple) or len(value) != 2 or not all(_number(one, low, high) for one in value):
        return False
    return not ordered or bool(value[0] <= value[1])


# ----------------------------------------------------------------------------------------------------------- presets

PRESETS: dict[str, Augment] = {
    "none": Augment(),
    "light": Augment(flip=True, pad=1 / 16),
    "r1": Augment(flip=True, rotation=5, shift=(0, 0.05), shear=0.05, brightness=(1, 1.3), fill="nearest"),
    "r4": Augment(
        flip=True, flip_vertical=True, rotation=20, shift=(0.1, 0.1), shear=10, zoom=(0.5, 2), brightness=(0.8, 1.2),
        fill="constant", append=True,
    ),
    "strong": Augment(flip=True, resized_crop=(0.35, 1), policy="trivial"),
}  # fmt: skip
"""What ``--augment NAME`` means. r1 and r4 are those of the reference systems; R4 names no amounts but zoom's."""


def preset(name: str) -> Augment:
    """One of `PRESETS`.

    Raises:
        ConfigError: no such name; the message holds the nearest.
    """
    check_known("augment", "preset", name, PRESETS, " A file of your own ends with .toml.")
    return PRESETS[name]


def augment_from(table: Mapping[str, Any]) -> Augment:
    """The augmentation that a table describes.

    Raises:
        ConfigError: an unknown key (with the nearest names) or a value that makes no sense.
    """
    for key in table:
        check_known("augment", "option", key, [field.name for field in fields(Augment)])
    return Augment(**{key: tuple(value) if isinstance(value, list) else value for key, value in table.items()})


def each_alone(size: Size) -> dict[str, Augmentation]:
    """Every kind of change, of an amount that shows, for one picture: what `crossfade preview` draws."""
    height, width = size

    def moved(name: str, fill: Fill = "mirror") -> Augmentation:
        maps = {
            "turned": geometry.about_centre(size, geometry.turned([20])),
            "shifted": geometry.moved([-height // 5], [-width // 5]),
            "sheared": geometry.about_centre(size, geometry.sheared([0], [20])),
            "larger": geometry.about_centre(size, geometry.scaled([1.6])),
            "smaller": geometry.about_centre(size, geometry.scaled([0.6])),
            "cropped": geometry.cropped(size, [height * 0.1], [width * 0.2], [height * 0.5], [width * 0.7]),
        }
        return Augmentation(maps[name][:, :2], fill)

    def recoloured(colour: Colour, amount: float) -> Augmentation:
        return Augmentation(np.eye(3)[None, :2], "mirror", 0, np.array([[int(colour)]]), np.array([[amount]]))

    return {
        "flip": Augmentation(geometry.flipped(size, [True], [False])[:, :2]),
        "flip_vertical": Augmentation(geometry.flipped(size, [False], [True])[:, :2]),
        "rotation 20": moved("turned"),
        "shear 20": moved("sheared"),
        "zoom 1.6": moved("larger"),
        "zoom 0.6": moved("smaller"),
        "resized_crop": moved("cropped"),
        **{f"fill {fill}": moved("shifted", fill) for fill in get_args(Fill)},
        "brightness 1.5": recoloured(Colour.BRIGHTNESS, 1.5),
        "contrast 0.5": recoloured(Colour.CONTRAST, 0.5),
        "saturation 0.2": recoloured(Colour.SATURATION, 0.2),
        "hue 0.25": recoloured(Colour.HUE, 0.25),
        "channel_shift 50": recoloured(Colour.SHIFT, 50),
        "sharpness 3": recoloured(Colour.SHARPNESS, 3),
        "posterize 2": recoloured(Colour.POSTERIZE, 2),
        "solarize 128": recoloured(Colour.SOLARIZE, 128),
        "autocontrast": recoloured(Colour.AUTOCONTRAST, 0),
        "equalize": recoloured(Colour.EQUALIZE, 0),
    }
