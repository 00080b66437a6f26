"""Filling a network from a local safetensors file."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from crossfade.errors import CheckpointError

PICKLES = {".pt", ".pth", ".bin", ".ckpt", ".pkl", ".pickle"}

log = logging.getLogger(__name__)


def load_weights(model: nn.Module, path: Path) -> list[str]:
    """Fill `model` from a safetensors file, tensor by tensor, by name, shape and kind; any precision will do.

    Only the head may differ: one made for another number of classes is left at its fresh initialisation, and a
    warning is logged that says so.

    Args:
        model: changed in place, or not at all when an error is raised.
        path: a safetensors file, such as a run's ``checkpoints/best/model.safetensors``.

    Returns:
        The names of the head's tensors that were left fresh; empty where everything was filled.

    Raises:
        CheckpointError: the file is absent, is a pickle, is damaged, or holds other tensors than the model's.
    """
    found = read_weights(path)
    wanted = model.state_dict()
    fresh = _foreign_head(model, wanted, found)
    missing = [name for name in wanted if name not in found]
    unexpected = [name for name in found if name not in wanted]
    reshaped = [
        f"{name} {tuple(found[name].shape)} for {tuple(tensor.shape)}"
        for name, tensor in wanted.items()
        if name in found and name not in fresh and found[name].shape != tensor.shape
    ]
    other_kind = [
        f"{name} {found[name].dtype} for {tensor.dtype}"
        for name, tensor in wanted.items()
        if name in found and found[name].is_floating_point() != tensor.is_floating_point()
    ]
    complaints = [
        f"{what}: {_some(which)}"
        for what, which in (
            ("missing", missing),
            ("unexpected", unexpected),
            ("of another shape", reshaped),
            ("of another kind", other_kind),
        )
        if which
    ]
    if complaints:
        raise CheckpointError(
            f"load_weights: a file's tensors must be the model's, by name and shape. Got {path}, "
            f"{'; '.join(complaints)}. Build the model the file was written from."
        )
    model.load_state_dict({name: found[name] for name in wanted if name not in fresh}, strict=False)
    if fresh:
        log.warning("%s was made for another number of classes: %s start fresh.", path, ", ".join(fresh))
    return fresh


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file by name.

    Raises:
        CheckpointError: the file is absent, is a pickle, or is damaged.
    """
    if path.suffix.lower() in PICKLES:
        raise CheckpointError(
            f"load_weights: weights are read from safetensors only, for a pickle may run any code. Got {path}. "
            "Convert it with safetensors.torch.save_file where you trust it."
        )
    if not path.is_file():
        raise CheckpointError(f"load_weights: the weights must be a file. Got {path}, which is none. Check the path.")
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"load_weights: the weights must be a whole safetensors file. Got {path}: {error}. Fetch it again."
        ) from error


def file_digest(path: Path) -> str:
    """SHA-256 of a file, 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _foreign_head(model: nn.Module, wanted: dict[str, Tensor], found: dict[str, Tensor]) -> list[str]:
    """The head's tensors, if the file's head differs in its number of classes (dimension 0) and in nothing else."""
    names = [name for name in wanted if name.startswith(_head_prefixes(model)) and name in found]
    other_classes = any(found[name].shape[:1] != wanted[name].shape[:1] for name in names)
    same_features = all(found[name].shape[1:] == wanted[name].shape[1:] for name in names)
    return names if other_classes and same_features else []


def _head_prefixes(model: nn.Module) -> tuple[str, ...]:
    """Ours call the last layer ``head``; timm's models say in their configuration what they call it."""
    classifier = getattr(model, "pretrained_cfg", {}).get("classifier") or "head"
    parts: Iterable[str] = [classifier] if isinstance(classifier, str) else classifier
    return tuple(f"{part}." for part in parts)


def _some(names: list[str], most: int = 5) -> str:
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")
