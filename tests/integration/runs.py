"""Run folders of networks that were never trained, but whose every number is other than at the start."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from crossfade.models import build, seeded
from crossfade.training import checkpoint
from crossfade.training.config import write_toml
from crossfade.vision.preprocess import Preprocess


def write_run(
    folder: Path,
    model: str,
    *,
    size: int = 32,
    channels: int = 3,
    classes: Sequence[str] = ("a", "b", "c"),
    preprocess: Preprocess | None = None,
    augment: str = "light",
) -> Path:
    """Write what `load_run` reads; biases, scales and running statistics are drawn at random."""
    steps = preprocess or Preprocess()
    seen = steps.channels(channels)
    with seeded(3):
        network = build(model, num_classes=len(classes), channels=seen, size=size)
        tensors = {name: _shaken(name, tensor) for name, tensor in network.state_dict().items()}
    state = {
        "model": model, "classes": list(classes), "size": size, "channels": channels, "max_pixels": 10**8,
        "preprocess": asdict(steps), "mean": [0.4] * seen, "std": [0.25] * seen,
    }  # fmt: skip
    checkpoint.save(folder / "checkpoints" / "best", {"model": tensors}, state)
    write_toml(folder / "config.toml", {"model": model, "augment": augment})
    return folder


def _shaken(name: str, tensor: torch.Tensor) -> torch.Tensor:
    if not tensor.is_floating_point() or tensor.ndim != 1:
        return tensor
    if name.endswith(("running_var", "weight")):
        return tensor * torch.empty_like(tensor).uniform_(0.7, 1.4)
    return tensor + 0.1 * torch.randn_like(tensor)
