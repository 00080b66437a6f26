"""Checkpoints: a folder of safetensors and JSON, complete or absent, and never a pickle.

    checkpoints/last/
      model.safetensors       the weights: what `--weights` takes
      <group>.safetensors     whatever else is made of tensors (optimizer, ema)
      state.json              everything else, and a SHA-256 of every file and of itself

A new checkpoint is written beside the old one (``last.new``), forced to the disk, and only then takes its place: the
old one steps aside (``last.previous``) and the new one moves in. Wherever that is cut off, one of the two is whole.
The previous one stays until the next save: should the latest be damaged later on, `load` says so and takes it.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from crossfade.disk import remove, to_disk, write_whole
from crossfade.errors import CheckpointError

FORMAT = 1
PREVIOUS = "previous"

log = logging.getLogger(__name__)

Tensors = Mapping[str, Tensor]


@dataclass(frozen=True)
class Checkpoint:
    """What `load` gives back: the groups of tensors by name (on the CPU), the state as it was saved, and where."""

    tensors: dict[str, dict[str, Tensor]]
    state: dict[str, Any]
    folder: Path


def save(folder: Path, tensors: Mapping[str, Tensors], state: Mapping[str, Any]) -> None:
    """Write a checkpoint; the one that stood at `folder` stays whole until this one is.

    Args:
        folder: such as ``run/checkpoints/last``; its parent is made where absent.
        tensors: groups by name: "model", and "optimizer" or "ema" where they are wanted. Tensors may be tied, on any
            device and in any memory format; they are not changed.
        state: what JSON can hold; floats come back to the last bit.

    Raises:
        CheckpointError: the folder cannot be written, or the state is no JSON.
    """
    new, previous = _beside(folder, "new"), _beside(folder, PREVIOUS)
    try:
        remove(new)
        new.mkdir(parents=True)
        hashes = {}
        for group, members in tensors.items():
            data = safetensors.torch.save(_plain(members))
            hashes[f"{group}.safetensors"] = hashlib.sha256(data).hexdigest()
            write_whole(new / f"{group}.safetensors", data)
        letter = {"format": FORMAT, "sha256": hashes, "state": dict(state)}
        write_whole(new / "state.json", _sealed(letter).encode())
        to_disk(new)
        if os.path.lexists(folder):
            remove(previous)
            os.replace(folder, previous)
        os.replace(new, folder)
        to_disk(folder.parent)
    except (OSError, TypeError, ValueError, SafetensorError) as error:
        raise CheckpointError(
            f"save: a checkpoint must be writable, and its state JSON. Got {folder}: {error}. "
            "Free the disk or choose another folder."
        ) from error


def load(folder: Path) -> Checkpoint:
    """Read the latest checkpoint that is whole, and check every byte of it; a warning is logged if it is the previous.

    Args:
        folder: as given to `save`.

    Raises:
        CheckpointError: it is absent, of another format, or not what was written, and so is the previous one.
    """
    return next(standing(folder), None) or read(folder)


def standing(folder: Path) -> Iterator[Checkpoint]:
    """The checkpoints that are whole, the latest first; a warning is logged for one that is damaged or missing."""
    lost = not folder.exists()
    for place in (folder, _beside(folder, PREVIOUS)):
        if not place.exists():
            continue
        try:
            found = read(place)
        except CheckpointError as error:
            lost = True
            log.warning("%s", error)
            continue
        if place != folder and lost:
            log.warning("%s, of epoch %s, is taken in its place.", place, found.state.get("epochs_done"))
        yield found


def settle(found: Checkpoint, folder: Path) -> None:
    """Make a checkpoint that `standing` found the latest one; what was damaged goes."""
    if found.folder != folder:
        try:
            remove(folder)
            os.replace(found.folder, folder)
            to_disk(folder.parent)
        except OSError as error:
            raise CheckpointError(
                f"resume: the checkpoints must be writable. Got {error.strerror or error} for {folder}. Free the disk."
            ) from error


def read(folder: Path) -> Checkpoint:
    """Read the checkpoint in this very folder, and check every byte of it; raises as `load`."""
    letter = _read_state(folder)
    tensors = {}
    for name, digest in letter["sha256"].items():
        try:
            data = (folder / name).read_bytes()
        except FileNotFoundError:
            raise _broken(folder, f"{name} is missing") from None
        except OSError as error:
            raise _broken(folder, f"{name}: {error}") from error
        if hashlib.sha256(data).hexdigest() != digest:
            raise _broken(folder, f"{name} is not the file that was written (its SHA-256 differs)")
        try:
            tensors[name.removesuffix(".safetensors")] = safetensors.torch.load(data)
        except (SafetensorError, ValueError) as error:
            raise _broken(folder, f"{name}: {error}") from error
    return Checkpoint(tensors, letter["state"], folder)


def tensors_digest(tensors: Tensors) -> str:
    """SHA-256 over name, dtype, shape and bytes of every tensor, in order: equal if and only if all of these are.

    Args:
        tensors: such as ``model.state_dict()``; device and memory format make no difference.

    Returns:
        64 hexadecimal digits.
    """
    digest = hashlib.sha256()
    for name, tensor in tensors.items():
        digest.update(f"{len(name)} {name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        row = tensor.detach().cpu().contiguous().reshape(-1)
        digest.update(row.view(torch.uint8).numpy())
    return digest.hexdigest()


def flatten_optimizer(optimizer: torch.optim.Optimizer) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Part an optimiser's state into tensors (named "<parameter number>.<key>") and what JSON can hold."""
    tensors: dict[str, Tensor] = {}
    rest: dict[str, Any] = {}
    whole = optimizer.state_dict()
    for number, entries in whole["state"].items():
        for key, value in entries.items():
            (tensors if isinstance(value, Tensor) else rest)[f"{number}.{key}"] = value
    return tensors, {"entries": rest, "groups": whole["param_groups"]}


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: Tensors, rest: Mapping[str, Any]) -> None:
    """The way back from `flatten_optimizer`, into an optimiser of the same kind over the same parameters."""
    state: dict[int, dict[str, Any]] = {}
    for name, value in {**tensors, **rest["entries"]}.items():
        number, key = name.split(".", 1)
        state.setdefault(int(number), {})[key] = value
    try:
        optimizer.load_state_dict({"state": state, "param_groups": rest["groups"]})
    except ValueError as error:
        raise CheckpointError(
            f"restore_optimizer: the optimiser must be the one that was saved. Got {error}. "
            "Resume with the run's own configuration."
        ) from error
    for parameter, entries in optimizer.state.items():
        for key, value in entries.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape:  # in memory as the parameter lies
                entries[key] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)


def _beside(folder: Path, what: str) -> Path:
    return folder.with_name(f"{folder.name}.{what}")


def _plain(tensors: Tensors) -> dict[str, Tensor]:
    """Copies that stand alone: safetensors takes neither shared memory nor channels-last."""
    return {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format) for name, tensor in tensors.items()
    }


def _canonical(letter: Mapping[str, Any]) -> str:
    return json.dumps(letter, sort_keys=True, ensure_ascii=True, indent=1)


def _sealed(letter: dict[str, Any]) -> str:
    """The letter as JSON, with the SHA-256 of its other fields in the field "seal"."""
    letter = json.loads(json.dumps(letter))  # keys that are numbers become text before they are sorted
    seal = hashlib.sha256(_canonical(letter).encode()).hexdigest()
    return _canonical({**letter, "seal": seal}) + "\n"


def _read_state(folder: Path) -> dict[str, Any]:
    try:
        text = (folder / "state.json").read_text(encoding="utf-8")
    except FileNotFoundError:
        raise _broken(folder, "state.json is missing") from None
    except (OSError, UnicodeDecodeError) as error:
        raise _broken(folder, f"state.json: {error}") from error
    try:
        letter = json.loads(text)
        found = letter["format"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise _broken(folder, "state.json is damaged") from None
    if found != FORMAT:
        raise CheckpointError(
            f"load: a checkpoint must be of format {FORMAT}. Got {folder}, format {found!r}. "
            "Use the version of crossfade that wrote it."
        )
    seal = letter.pop("seal", None)
    if seal != hashlib.sha256(_canonical(letter).encode()).hexdigest():
        raise _broken(folder, "state.json is not the file that was written (its SHA-256 differs)")
    return letter


def _broken(folder: Path, what: str) -> CheckpointError:
    return CheckpointError(
        f"load: a checkpoint must be whole. Got {folder}: {what}. Take another checkpoint or train again."
    )
