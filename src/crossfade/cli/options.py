"""The flags that commands share. Every field of `RunConfig` is a flag, so there is one list of them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import MISSING, field, fields, make_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

from cyclopts import Group, Parameter

from crossfade.errors import ConfigError
from crossfade.training.config import RunConfig, read_toml, resolve
from crossfade.vision.preprocess import Preprocess

PANELS = {  # the field with which each panel of --help begins
    "model": "Network and mixing",
    "epochs": "Training",
    "augment": "Augmentation",
    "size": "Pictures",
    "val": "Parts and classes",
    "metric": "Judging",
    "seed": "Chance and machine",
    "fit": "Preprocessing",
}


def _flags(
    name: str,
    *,
    without: tuple[str, ...] = (),
    only: tuple[str, ...] = (),
    own: Mapping[str, Any] | None = None,
) -> type:
    """A dataclass of the fields of `RunConfig` and its `[preprocess]`, each None unless the flag is given.

    Args:
        name: of the class.
        without: fields that are no flags.
        only: if given, the fields that are.
        own: defaults of a command that are not those of a training.
    """
    hints = {**get_type_hints(RunConfig), **get_type_hints(Preprocess)}
    described, panel = [], None
    for i, one in enumerate((*fields(RunConfig), *fields(Preprocess))):
        if one.name in PANELS:
            panel = Group(PANELS[one.name], sort_key=i)
        if one.name in (*without, "preprocess") or (only and one.name not in only):
            continue
        default = (own or {}).get(one.name, one.default)
        said = "" if default is None or default is MISSING or default is False else f" [default: {default}]"
        words = Parameter(help=one.metadata["help"] + said, show_default=False, group=panel)
        kind = str if one.name == "augment" else hints[one.name]  # a table has no place on the command line
        described.append((one.name, Annotated[kind | None, words], field(default=None)))
    flags = make_dataclass(name, described)
    flags.__module__ = __name__  # Cyclopts does not look into classes of the standard library
    return flags


CHECK_OWN = {"epochs": 20, "per_class": 100, "batch_size": 32, "schedule": "cosine", "mix": "none", "augment": "none"}
LR_OWN = {"epochs": 3, "schedule": "constant", "warmup": 0.0}

TrainFlags = Annotated[_flags("TrainFlags") | None, Parameter(name="*")]
CompareFlags = Annotated[_flags("CompareFlags", without=("mix", "seed")) | None, Parameter(name="*")]
TuneFlags = Annotated[_flags("TuneFlags", without=("mix",)) | None, Parameter(name="*")]
AblateFlags = Annotated[_flags("AblateFlags", without=("mix", "seed", "per_class")) | None, Parameter(name="*")]
CheckFlags = Annotated[_flags("CheckFlags", own=CHECK_OWN) | None, Parameter(name="*")]
LrFlags = Annotated[_flags("LrFlags", own=LR_OWN) | None, Parameter(name="*")]
_STEPS = ("size", "channels", *(one.name for one in fields(Preprocess)))
PreprocessFlags = Annotated[_flags("PreprocessFlags", only=_STEPS) | None, Parameter(name="*")]

DataFolder = Annotated[
    Path,
    Parameter(help="folder of pictures: DATA/<class>/..., or DATA/train/<class>/... beside val, valid or test"),
]
ConfigFile = Annotated[Path | None, Parameter(name=["--config", "-c"], help="a TOML file of the same options")]
Out = Annotated[Path | None, Parameter(name=["--out", "-o"], help="folder of the run [default: runs/<name>]")]
Checkpoint = Annotated[
    Literal["best", "last"] | None,
    Parameter(name="--checkpoint", help="best (on validation) or last; the one that was judged if not said"),
]
Calibrated = Annotated[
    bool, Parameter(negative="", help="divide logits by the temperature that crossfade evaluate found for this run")
]
Track = Annotated[str | None, Parameter(help="tell trackers of it, too: tensorboard, mlflow or both, with a comma")]
Force = Annotated[bool, Parameter(help="replace a run that is there", negative="")]


def given(flags: Any) -> dict[str, Any]:
    """The flags that were given."""
    return {} if flags is None else {key: value for key, value in vars(flags).items() if value is not None}


def read_config(path: Path | None, flags: Any, *, also: tuple[str, ...] = ()) -> tuple[RunConfig, Mapping[str, Any]]:
    """Defaults, file and flags made one.

    Returns:
        The configuration, and what the file says of the keys in `also`.
    """
    table = {} if path is None else read_toml(path)
    extra = {key: table.pop(key) for key in also if key in table}
    return resolve(table, given(flags)), extra


def read_config_for(step: str, path: Path | None, flags: Any, own: Mapping[str, Any]) -> RunConfig:
    """The configuration of a step of the method, whose `own` values only flags can change.

    A file describes the whole training: what it says of `own` is set aside, and that is said.
    """
    from crossfade.cli.progress import say

    table = {} if path is None else read_toml(path)
    for key in ("arm", "seeds"):
        table.pop(key, None)
    set_aside = {key: table.pop(key) for key in own if key in table}
    changed = [f"{key} = {value!r}" for key, value in set_aside.items() if value != own[key]]
    if changed:
        say(f"{step}: {', '.join(changed)} of {path} are set aside; give flags to have them here, too")
    return resolve({**table, **{key: value for key, value in own.items() if value is not None}}, given(flags))


def numbers_of(flag: str, value: Any) -> list[float]:
    """``0.1,0.01`` as numbers; a TOML list of them will do."""
    parts = value.removesuffix(",").split(",") if isinstance(value, str) else value
    try:
        return [float(part) for part in parts]
    except (TypeError, ValueError):
        raise ConfigError(f"{flag}: numbers with commas between them, such as 0.1,0.01. Got {value!r}.") from None


def seeds_of(value: Any) -> list[int]:
    """``3`` means 0, 1, 2; ``[0, 5]`` or ``0,5`` means those, and ``5,`` that one."""
    seeds = value
    if isinstance(value, str):
        parts = [part.strip() for part in value.removesuffix(",").split(",")]
        numbers = [int(part) for part in parts if part.isascii() and part.isdecimal()]
        seeds = numbers if len(numbers) == len(parts) else []
        if seeds and "," not in value:
            seeds = seeds[0]
    if type(seeds) is int:
        seeds = list(range(seeds))
    if not isinstance(seeds, list) or not seeds or not all(type(seed) is int and seed >= 0 for seed in seeds):
        raise ConfigError(f"seeds: a number of seeds, or a list such as 0,1,5. Got {value!r}.")
    return seeds


def arms_of(value: Any) -> list[str]:
    """The arms a TOML file names."""
    arms = [value] if isinstance(value, str) else value
    if not isinstance(arms, list) or not arms or not all(isinstance(arm, str) for arm in arms):
        raise ConfigError(f'arm: a list such as ["none", "mixup:alpha=0.2"]. Got {value!r}.')
    return arms


def trackers_of(value: Any) -> list[str]:
    """``tensorboard,mlflow``, or a list of them in a TOML file; each of them is there.

    Raises:
        ConfigError: something else, or a tracker nobody knows.
        MissingExtra: one that is not installed.
    """
    names = [part.strip() for part in value.split(",")] if isinstance(value, str) else value or []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ConfigError(f"track: a list such as tensorboard,mlflow. Got {value!r}.")
    if names:
        from crossfade.training.trackers import check_trackers

        check_trackers(names)
    return list(dict.fromkeys(names))


def check_outside(out: Path, data: Path, flag: str = "--out") -> Path:
    """`out`, unless it lies in the folder of pictures, into which nothing is ever written."""
    if is_below(out, data):
        raise ConfigError(
            f"{flag[2:]}: {out} lies in the folder of pictures, {data}, which is only read. Choose another {flag}."
        )
    return out


def is_below(path: Path, folder: Path) -> bool:
    """Whether `path` is `folder` or lies in it, links followed; links in circles are no reason to fail here."""
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))


def free_name(data: Path, word: str) -> Path:
    """A folder below runs/ that is not there yet, such as runs/<data>-<word>."""
    return free_folder(Path("runs") / f"{Path(os.path.realpath(data)).name}-{word}")


def free_folder(stem: Path) -> Path:
    """`stem`, or `stem`-2, -3, ...: the first that is not there yet."""
    candidates = (stem if n == 1 else stem.with_name(f"{stem.name}-{n}") for n in range(1, 10_000))
    return next(candidate for candidate in candidates if not candidate.exists())
