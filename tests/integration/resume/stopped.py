"""A training of seconds, and what of it must not depend on where it was stopped."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from crossfade.training import checkpoint

QUICK = ["--model", "cnn4", "--epochs", "3", "--batch-size", "8", "--precision", "float32", "--lr", "0.003"]


def ends(folder: Path) -> list[Any]:
    summary = json.loads((folder / "summary.json").read_text())
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    for timed in (summary, *lines):
        for clock in ("seconds", "images_per_second"):
            timed.pop(clock, None)
    weights = checkpoint.load(folder / "checkpoints" / "last").tensors["model"]
    return [summary, lines, checkpoint.tensors_digest(dict(sorted(weights.items())))]


def forget_time(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: forget_time(item) for key, item in value.items() if key not in ("seconds", "commands")}
    return value
