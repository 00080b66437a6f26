"""The options that `ImageFolder` and `ArrayDataset` share: what is allowed, and what each stands for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from crossfade.data.rows import Rows
from crossfade.errors import ConfigError, check_known
from crossfade.keras.checks import check_policy
from crossfade.keras.datasets.ahead import Ahead
from crossfade.keras.datasets.source import ClassMode, DoorFeed, Source
from crossfade.mixing.choice import members
from crossfade.mixing.policy import NoMix, Policy, depends_on_progress
from crossfade.training.dataset import count_values
from crossfade.vision.augment import Augment, augment_from, preset
from crossfade.vision.normalise import Normalisation
from crossfade.vision.preprocess import Preprocess

DataFormat = Literal["channels_last", "channels_first"]
Partners = Literal["batch", "stream"]
Augmenting = str | Augment | Mapping[str, Any] | None
Preprocessing = Preprocess | Mapping[str, Any] | Callable[[Any], Any] | None

BY_CLASS = ("same_class", "cross_class")
DIVIDE = Preprocess(normalise="divide")


@dataclass(frozen=True)
class Workers:
    """Who makes batches ready while a model trains."""

    number: int = 1
    processes: bool = False
    most: int = 10

    def __post_init__(self) -> None:
        if not is_whole(self.number, 0) or not is_whole(self.most, 1) or not isinstance(self.processes, bool):
            raise ConfigError(
                "workers: must be a whole number from 0, max_queue_size one from 1, use_multiprocessing true or false. "
                f"Got {self.number!r}, {self.most!r} and {self.processes!r}."
            )

    def start(self, source: Source) -> Ahead | None:
        """None where each batch is made when it is asked for."""
        return Ahead(source, self.number, self.processes, self.most) if self.number else None


@dataclass(frozen=True)
class Options:
    """As the constructors take them, checked.

    Raises:
        ConfigError: an option, or two together, that make no sense.
    """

    who: str
    batch_size: int
    class_mode: ClassMode
    augment: Augmenting
    preprocess: Preprocessing
    mix: Policy | str | None
    partners: Partners
    shuffle: bool | None
    seed: int
    epochs: int | None
    data_format: DataFormat

    def __post_init__(self) -> None:
        who = self.who
        if not is_whole(self.batch_size, 1):
            raise ConfigError(
                f"{who}: batch_size must be a whole number from 1. Got {self.batch_size!r}. Pass 32, say."
            )
        if self.epochs is not None and not is_whole(self.epochs, 1):
            raise ConfigError(f"{who}: epochs must be a whole number from 1, or None. Got {self.epochs!r}.")
        if self.shuffle not in (None, True, False):
            raise ConfigError(f"{who}: shuffle is true or false. Got {self.shuffle!r}.")
        check_seed(who, self.seed)
        for name, choices in (("class_mode", ClassMode), ("partners", Partners), ("data_format", DataFormat)):
            if getattr(self, name) not in get_args(choices):
                listed = ", ".join(get_args(choices))
                raise ConfigError(f"{who}: {name} must be one of {listed}. Got {getattr(self, name)!r}.")
        if self.partners == "stream" and self.augmentation is not None and self.augmentation.append:
            raise ConfigError(
                f'{who}: partners="stream" makes one batch of two, and append=true in augment two of one. '
                'Got both. Pass partners="batch".'
            )

    @property
    def augmentation(self) -> Augment | None:
        """What `augment` stands for; whatever draws as an `Augment` does will do."""
        given = self.augment
        if isinstance(given, str):
            return preset(given)
        if isinstance(given, Mapping):
            return augment_from(given)
        if given is None or hasattr(given, "draw"):
            return given
        raise ConfigError(
            f"{self.who}: augment is the name of a preset, a crossfade.vision.augment.Augment or a dict of its fields. "
            f"Got {given!r}."
        )

    @property
    def steps(self) -> Preprocess:
        """What `preprocess` stands for; values are 0..1 unless it says otherwise."""
        given = self.preprocess
        if isinstance(given, Preprocess):
            return given
        if isinstance(given, Mapping):
            for key in given:
                check_known(f"{self.who}: preprocess", "option", key, [field.name for field in fields(Preprocess)])
            return Preprocess(**{"normalise": "divide", **given})
        if given is None or callable(given):
            return DIVIDE
        raise ConfigError(
            f"{self.who}: preprocess is a crossfade.vision.preprocess.Preprocess, a dict of its fields, or a function "
            f"of a uint8 batch. Got {given!r}."
        )

    def feed(self, rows: Rows, ids: NDArray[np.int64], normalisation: Normalisation | None = None) -> DoorFeed:
        """What draws, mixes and normalises.

        Args:
            rows: (N, H, W, C).
            ids: of the training pictures, on which a normalisation is measured.
            normalisation: measured already.
        """
        policy = check_mix(self.who, self.mix, self.epochs, self.class_mode, self.partners)
        return DoorFeed(
            normalisation or _measured(rows, ids, self.steps),
            self.steps,
            policy,
            self.augmentation,
            self.seed,
            self.epochs or 1,
            paired=self.partners == "stream" and policy is not None,
            function=self.preprocess if callable(self.preprocess) else None,
            channels_first=self.data_format == "channels_first",
        )


def check_mix(
    who: str, mix: Policy | str | None, epochs: int | None, class_mode: ClassMode, partners: Partners
) -> Policy | None:
    """The policy that `mix` stands for; None where it leaves every picture as it is.

    Raises:
        ConfigError: it needs a model, or the number of epochs; its labels are no single class; or it chooses partners
            by their class, where a second stream brings them as they come.
    """
    policy = None if mix is None else check_policy(who, mix)
    if policy is None or isinstance(policy, NoMix):
        return None
    if class_mode == "sparse":
        raise ConfigError(
            f'{who}: a mixed picture has several classes, each with a weight; class_mode="sparse" has room for one. '
            f'Got mix={mix!r}. Pass class_mode="categorical", and train with a categorical cross-entropy.'
        )
    if epochs is None and depends_on_progress(policy):
        raise ConfigError(
            f"{who}: mix={mix!r} goes by how much of the training is done. Got epochs=None. "
            "Pass epochs=, the same number as to model.fit."
        )
    choosy = [member for member in members(policy) if getattr(member, "partner", None) in BY_CLASS]
    if partners == "stream" and choosy:
        raise ConfigError(
            f'{who}: partners="stream" takes partners as a second stream brings them, whatever their class. '
            f'Got {choosy[0]!r}. Pass partners="batch".'
        )
    return policy


def check_seed(who: str, seed: int) -> int:
    """The seed, or a ConfigError."""
    if not is_whole(seed, 0):
        raise ConfigError(f"{who}: seed must be a whole number from 0. Got {seed!r}. Pass seed=0, say.")
    return int(seed)


def check_classes(who: str, class_mode: ClassMode, names: int) -> None:
    """Raise ConfigError where targets of one column are asked for, and there are not two classes."""
    if class_mode == "binary" and names != 2:
        raise ConfigError(
            f'{who}: class_mode="binary" is one number for two classes. Got {names} classes. '
            'Pass class_mode="categorical", whose targets suit a softmax, or a sigmoid for each class.'
        )


def _measured(rows: Rows, ids: NDArray[np.int64], steps: Preprocess) -> Normalisation:
    channels = steps.channels(rows.shape[3])
    if steps.normalise == "divide" and steps.normalise_by == "training":
        return Normalisation([0.0] * channels, [1.0] * channels)
    return steps.normalisation(count_values(rows, ids, steps))


def is_whole(value: object, least: int) -> bool:
    """Whether it is a whole number from `least`."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and int(value) >= least
