"""The configuration of a run: one table, whose keys are the flags of the command line, and `[preprocess]` in it.

Flags override the file given by ``-c``, the file overrides the defaults, and what came of it is written whole into
the run. Importing this module loads neither torch nor NumPy.
"""

from __future__ import annotations

import math
import tomllib
import types
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin, get_type_hints

from crossfade.disk import write_whole
from crossfade.errors import ConfigError, check_known
from crossfade.vision.preprocess import Preprocess

if TYPE_CHECKING:
    from crossfade.mixing.policy import Policy
    from crossfade.vision.augment import Augment


def _option(default: Any, words: str) -> Any:
    return field(default=default, metadata={"help": words})


@dataclass(frozen=True)
class RunConfig:
    """How one training is done. Every field is a flag and a key of the TOML file."""

    model: str = _option("fast", "network: cnn4, resnet20/32/44/56, fast, airbench94/95/96, or timm:NAME")
    pretrained: bool = _option(False, "start from timm's published weights")
    weights: str | None = _option(None, "start from a local safetensors file")
    mix: str = _option("none", "how to mix: none, mixup, cutmix, with options as in cutmix:alpha=1.0,p=0.5")
    alpha: float | None = _option(None, "alpha of the Beta distribution, where mix does not say")
    epochs: int = _option(15, "passes over the training pictures")
    batch_size: int = _option(128, "pictures in a batch")
    optimizer: Literal["sgd", "adam", "adamw", "nadam", "radam", "rmsprop", "adagrad"] = _option(
        "adamw", "sgd is with Nesterov momentum"
    )
    lr: float | None = _option(None, "base learning rate; if not said sgd 0.1, adagrad 0.01, all others 0.001")
    momentum: float = _option(0.9, "of sgd")
    weight_decay: float | None = _option(None, "on kernels only; if not said sgd 5e-4, adamw 0.05, all others 0")
    schedule: Literal["constant", "cosine", "step", "onecycle", "plateau"] = _option("cosine", "of the learning rate")
    warmup: float = _option(0.0, "epochs in which the learning rate rises")
    gamma: float = _option(0.5, "factor of the step and plateau schedules")
    every: float = _option(5.0, "epochs between two steps of the step schedule")
    plateau: int = _option(3, "epochs without improvement on validation before a step of the plateau schedule")
    label_smoothing: float = _option(0.0, "share of each label spread over all classes")
    clip_norm: float | None = _option(None, "largest norm of the gradient")
    ema: float | None = _option(None, "decay of the running average of the weights, which is then evaluated")
    augment: str | dict[str, Any] = field(
        default="light",
        metadata={"help": "what may happen to training pictures: none, light, r1, r4, strong, or a TOML file"},
    )
    flip: bool | None = _option(None, "flip training pictures left-right at random, whatever augment says")
    pad: float | None = _option(None, "pixels, or share of the side, by which they are shifted, likewise")
    size: int | None = _option(None, "side of the pictures in pixels; chosen by the folder if not said")
    channels: Literal[1, 3] | None = _option(None, "1 grey or 3 colour; by the pictures if not said")
    trust: Literal["content", "mtime", "size"] = _option(
        "content", "how files are known to be unchanged: by all their bytes, by size and time, or by size"
    )
    cache_gb: float | None = _option(
        None, "largest cache in GB, else pictures are decoded as needed; half of the free disk if not said"
    )
    max_pixels: int = _option(100_000_000, "pictures with more pixels are refused before they are decoded")
    val: float = _option(0.2, "share of the pictures kept for validation, where the folder is not split")
    split_by: Literal["content", "name"] = _option(
        "content", "content keeps pictures that are alike in one part; name trains on the first of each class by name"
    )
    group: str | None = _option(
        None, "regular expression; pictures whose paths it finds the same text in stay together"
    )
    folds: int | None = _option(None, "validate on one of so many equal parts, in place of val")
    fold: int | None = _option(None, "which of the folds, from 0 on")
    per_class: int | None = _option(None, "keep the first N training pictures of each class")
    balance: Literal["none", "loss", "sampling"] = _option(
        "none", "make small classes count as much as large ones, by weights in the loss or by how often they are shown"
    )
    metric: Literal["accuracy", "top5", "auc", "f1", "log_loss", "ece"] | None = _option(
        None, "what the best epoch is chosen by, and arms compared by; auc of two classes, else accuracy, if not said"
    )
    patience: int | None = _option(None, "stop after so many epochs without improvement of the metric on validation")
    choose: Literal["best", "last"] | None = _option(
        None, "epoch to judge by: best on validation, or last; last where validation is all there is to judge by"
    )
    seed: int = _option(0, "of order, augmentation, mixing, split and first weights")
    split_seed: int = _option(0, "of the split alone, the same for all seeds")
    threads: int = _option(1, "threads that prepare batches; the numbers never depend on it")
    device: str = _option("auto", "cpu, cuda, or auto")
    precision: Literal["auto", "float32", "bfloat16"] = _option("auto", "bfloat16 where the machine is faster with it")
    preprocess: Preprocess = field(default_factory=Preprocess, metadata={"help": "what is done to every picture"})

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size"):
            self._check(name, getattr(self, name) >= 1, "1 or more")
        for name in ("plateau", "patience"):
            value = getattr(self, name)
            self._check(name, value is None or value >= 1, "1 or more")
        self._check("warmup", 0 <= self.warmup <= self.epochs, "0 or more, and no longer than the training")
        for name in ("seed", "split_seed", "threads"):
            self._check(name, getattr(self, name) >= 0, "0 or more")
        for name in ("lr", "gamma", "every", "clip_norm", "alpha"):
            value = getattr(self, name)
            self._check(name, value is None or (math.isfinite(value) and value > 0), "a finite number above 0")
        for name in ("momentum", "label_smoothing"):
            self._check(name, 0 <= getattr(self, name) <= 1, "from 0 to 1")
        self._check("weight_decay", self.weight_decay is None or 0 <= self.weight_decay < math.inf, "0 or more")
        self._check("ema", self.ema is None or 0 < self.ema < 1, "between 0 and 1")
        self._check("cache_gb", self.cache_gb is None or 0 <= self.cache_gb < math.inf, "0 or more")
        self._check("val", 0 < self.val < 1, "between 0 and 1")
        self._check("folds", self.folds is None or self.folds >= 2, "2 or more")
        self._check("folds", (self.folds is None) == (self.fold is None), "given together with fold")
        self._check("fold", self.fold is None or 0 <= self.fold < (self.folds or 0), "from 0 to folds - 1")
        for name in ("group", "folds"):
            free = self.split_by == "content" or getattr(self, name) is None
            self._check(name, free, "left out where split_by is name")
        self._check("per_class", self.per_class is None or self.per_class >= 1, "1 or more")
        self._check("max_pixels", self.max_pixels >= 1, "1 or more")
        self.augmentation()
        self._check("size", self.size is None or self.size >= 8, "8 or more")
        self._check("size", self.size is not None or self.preprocess.fit != "drop", "given where fit is drop")
        colour = self.preprocess.view in ("red", "green", "blue")
        self._check("channels", self.channels != 1 or not colour, f"3 where view is {self.preprocess.view}")

    def _check(self, name: str, held: bool, rule: str) -> None:
        if not held:
            raise ConfigError(f"{name}: must be {rule}. Got {getattr(self, name)!r}.")

    def drops_last(self, pictures: int) -> bool:
        """Whether the last batch of so many pictures is left out: one alone, where batch norm needs two."""
        return pictures % self.batch_size == 1 < self.batch_size

    def steps_per_epoch(self, pictures: int) -> int:
        """Batches in an epoch of so many training pictures."""
        return -(-pictures // self.batch_size) - self.drops_last(pictures)

    def augmentation(self) -> Augment:
        """What may happen to training pictures."""
        from crossfade.vision.augment import augment_from, preset

        base = preset(self.augment) if isinstance(self.augment, str) else augment_from(self.augment)
        given = {"flip": self.flip, "pad": self.pad}
        return replace(base, **{name: value for name, value in given.items() if value is not None})

    def policy(self) -> Policy:
        """How training pictures are mixed.

        Raises:
            ConfigError: `mix` names no method, or with `alpha` it is refused.
        """
        from crossfade.mixing.registry import policy_from_spec

        return policy_from_spec(self.mix, {"alpha": self.alpha})

    def as_dict(self) -> dict[str, Any]:
        """Every key with its value, `preprocess` a table; None where a default depends on the pictures."""
        return asdict(self)


def read_toml(path: Path, given_to: str = "-c") -> dict[str, Any]:
    """The table in a TOML file, with words of our own where it cannot be read."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"config: {path} cannot be read ({error.strerror}). Check the path given to {given_to}."
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"config: {path} is not TOML: {error}.") from error


def resolve(file: Mapping[str, Any], flags: Mapping[str, Any]) -> RunConfig:
    """Defaults, overridden by the file, overridden by the flags that were given (not None).

    Raises:
        ConfigError: an unknown key (with the nearest names), a value of the wrong type or out of range.
    """
    given = {**_flat(file), **{key: value for key, value in flags.items() if value is not None}}
    steps, rest = get_type_hints(Preprocess), get_type_hints(RunConfig)
    del rest["preprocess"]
    hints = {**rest, **steps}
    for key, value in given.items():
        check_known("config", "option", key, hints)
        given[key] = _typed(key, value, hints[key])
    if isinstance(path := given.get("augment"), str) and path.endswith(".toml"):
        given["augment"] = read_toml(Path(path), "--augment")
    chain = Preprocess(**{key: value for key, value in given.items() if key in steps})
    return RunConfig(**{key: value for key, value in given.items() if key in rest}, preprocess=chain)


def _flat(file: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of a file with those of its table `[preprocess]` among them."""
    given = dict(file)
    table = given.pop("preprocess", {})
    if not isinstance(table, Mapping):
        raise ConfigError(f"preprocess: must be a table. Got {table!r}. Write [preprocess], and its keys below.")
    for key in table:
        check_known("preprocess", "option", key, get_type_hints(Preprocess))
        if key in given:
            raise ConfigError(f"config: {key} stands twice, in [preprocess] and outside. Say it once.")
    return {**given, **table}


def _typed(key: str, value: Any, hint: Any) -> Any:
    """`value` if it has the type of the field (an int will do for a float), else ConfigError."""
    if get_origin(hint) in (Union, types.UnionType):
        options = [option for option in get_args(hint) if option is not type(None)]
        if value is None and len(options) < len(get_args(hint)):
            return None
        hint = next((one for one in options if _fits(value, one)), options[0])
    if get_origin(hint) is Literal:
        if value in get_args(hint) and not isinstance(value, bool):
            return value
        raise ConfigError(f"{key}: must be one of {', '.join(map(str, get_args(hint)))}. Got {value!r}.")
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    kind = get_origin(hint) or hint
    if isinstance(value, kind) and isinstance(value, bool) == (kind is bool):
        return value
    raise ConfigError(f"{key}: must be of type {kind.__name__}. Got {value!r}.")


def _fits(value: Any, hint: Any) -> bool:
    """Whether one of several types is meant: a word of a list, or a table."""
    return value in get_args(hint) if get_origin(hint) is Literal else get_origin(hint) is type(value)


def write_toml(path: Path, table: Mapping[str, Any]) -> None:
    """Write a table, tables in it last; keys without a value are left out, since TOML has none."""
    import tomli_w

    write_whole(path, tomli_w.dumps(settled(table)).encode())


def settled(table: Mapping[str, Any]) -> dict[str, Any]:
    """A table as a file holds it: without what has no value, tuples as lists."""
    return {
        key: settled(value) if isinstance(value, Mapping) else list(value) if isinstance(value, tuple) else value
        for key, value in table.items()
        if value is not None
    }
