"""Going on with what was stopped: what stands in a run folder, and whether it is the same training still."""

from __future__ import annotations

import csv
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from crossfade.data.split import PARTS
from crossfade.data.table import read_table
from crossfade.errors import ConfigError, DataError
from crossfade.training import checkpoint, record
from crossfade.training.config import RunConfig, read_toml, resolve, settled
from crossfade.training.dataset import Pictures

FREE = ("threads", "device", "precision", "trust", "cache_gb")  # options that change no number, or that are recorded
# Of tables of several trainings: what those do not have in common.
SEVERAL = ("arm", "seeds", "sizes", "values", "bound", "trials", "timeout")
_FEW = 5

log = logging.getLogger(__name__)


def begin(bench: Any, table: Mapping[str, Any], folder: Path) -> None:
    """Write the head of an experiment of several trainings; where it stands, see that it is the same experiment."""
    if record.has_begun(folder):
        check_same(folder, table, bench.pictures)
    else:
        record.write_json(folder / "data.json", bench.pictures.summary())
        record.write_head(folder, bench.pictures, table, bench.environment)


def last_whole(folder: Path, config: RunConfig) -> checkpoint.Checkpoint | None:
    """The latest checkpoint to go on from, which then stands as `last`; None where the training starts anew.

    One of a training with another configuration is passed over, as where folders were copied from run to run.

    With it must stand the weights of the best epoch that it speaks of: they are not to be had again from it.

    Raises:
        ConfigError: no checkpoint here is of this configuration: it was changed since.
    """
    last, best = folder / "checkpoints" / "last", folder / "checkpoints" / "best"

    def is_ours(one: checkpoint.Checkpoint) -> bool:
        return not _differing(one.state.get("config", {}), config.as_dict())

    whole = list(checkpoint.standing(last))
    others = [_differing(one.state["config"], config.as_dict()) for one in whole if "config" in one.state]
    if others and all(others):
        raise _other_options(others[0], f"{folder / 'config.toml'}, which was changed since")
    for found in whole:
        if not is_ours(found) or "optimizer" not in found.tensors:
            log.warning("%s cannot be used: it is no checkpoint that this training could go on from.", found.folder)
            continue
        wanted = found.state.get("keeper", {}).get("best", {}).get("epoch")
        if wanted:
            chosen = (one for one in checkpoint.standing(best) if one.state.get("epochs_done") == wanted)
            chosen = filter(is_ours, chosen)
            if (weights := next(chosen, None)) is None:
                log.warning("%s cannot be used: the best weights by then, of epoch %s, are lost.", found.folder, wanted)
                continue
            checkpoint.settle(weights, best)
        checkpoint.settle(found, last)
        return found
    if (folder / "checkpoints").exists():
        log.warning("%s holds no whole checkpoint to go on from: the training starts anew.", folder)
    return None


def check_same(folder: Path, config: RunConfig | Mapping[str, Any], pictures: Pictures) -> None:
    """See to it that a run is gone on with as it began.

    Args:
        config: of the training, or the table that a comparison wrote.

    Raises:
        ConfigError: an option differs that changes numbers.
        DataError: a picture is missing, new, of other content, or in another part.
    """
    table = config.as_dict() if isinstance(config, RunConfig) else config
    if odd := _differing(read_toml(folder / "config.toml"), table):
        raise _other_options(odd, str(folder))
    check_pictures(folder, pictures)


def _other_options(odd: Mapping[str, tuple[Any, Any]], where: str) -> ConfigError:
    found = ", ".join(f"{key} {now!r} for {then!r}" for key, (then, now) in list(odd.items())[:_FEW])
    return ConfigError(
        f"resume: a training goes on with the options it began with. Got {found} in {where}. "
        "Leave them as they were, or train into another folder."
    )


def _differing(then: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """{option: (then, now)} of those that change numbers and are not the same in two tables."""
    then, now = settled(then), settled(now)
    pairs = {key: (then.get(key), now.get(key)) for key in {**then, **now} if key not in FREE}
    return {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}


def check_pictures(folder: Path, pictures: Pictures) -> None:
    """Raise DataError unless the pictures are those of the run's `split.csv`: paths, classes, parts and bytes."""
    path = folder / "split.csv"
    columns = ("path", "class", "part", "hash")
    try:
        then = {row["path"]: tuple(row[name] for name in columns) for row in read_table(path, columns)}
    except (OSError, KeyError, csv.Error, UnicodeError) as error:
        raise DataError(
            f"resume: split.csv says which pictures a run is trained on. Got {type(error).__name__}: {error} in "
            f"{folder}. Train again."
        ) from error
    index = pictures.index
    now = {
        index.paths[n]: (index.paths[n], index.classes[index.labels[n]], part, index.digest(n))
        for part in PARTS
        for n in pictures.split.part(part).tolist()
    }
    changes = {
        "missing": [name for name in then if name not in now],
        "new": [name for name in now if name not in then],
        "changed": [name for name in then if name in now and then[name][3] != now[name][3]],
        "of another class or part": [name for name in then if name in now and then[name][1:3] != now[name][1:3]],
    }
    if any(changes.values()):
        found = "; ".join(f"{len(names):,} {what} ({_some(names)})" for what, names in changes.items() if names)
        raise DataError(
            f"resume: the pictures must be those the run began with. Got {found} in {index.root}. "
            "Bring them back as they were, or train again."
        )


def tell_moved(folder: Path, pictures: Pictures) -> None:
    """Write into a run's record, and those of the trainings in it, where its pictures are now.

    Raises:
        DataError: they are not those the run began with.
    """
    check_pictures(folder, pictures)
    root = str(pictures.index.root)
    for name, key in (("command.json", "data"), ("data.json", "root")):
        for path in folder.rglob(name):
            record.write_json(path, {**record.read_json(path), key: root})


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_FEW]) + (", ..." if len(names) > _FEW else "")


def recorded(folder: Path) -> tuple[dict[str, Any], RunConfig, list[str]]:
    """What a run, or a comparison, was started with.

    Returns:
        its table; the configuration, with the device and precision that were chosen then; and what is not as it was
        then, a sentence each.

    Raises:
        ConfigError: the folder holds no run, or one that had not begun.
    """
    table = read_toml(folder / "config.toml", "resume")
    try:
        where = record.read_json(folder / "environment.json")
        device, precision = str(where["device"]), where["precision"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"resume: environment.json says on which device a run began. Got {type(error).__name__}: {error} in "
            f"{folder}. Train again."
        ) from error
    notes = []
    if device.startswith("cuda") and not torch.cuda.is_available():
        notes.append(f"the run began on {device}, which is not there: it goes on on the CPU, with other roundings")
        device = "cpu"
    here = record.environment(device, precision)
    odd = [f"{key} {here.get(key)} for {where.get(key)}" for key in here if where.get(key) != here[key]]
    if odd:
        notes.append(f"the machine is not as it was, and numbers may be rounded differently: {'; '.join(odd)}")
    plain = {key: value for key, value in table.items() if key not in SEVERAL}
    return table, replace(resolve(plain, {}), device=device, precision=precision), notes
