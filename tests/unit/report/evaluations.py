"""What `crossfade evaluate` leaves in a run folder and in that of a comparison, made up."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tests.unit.report.conftest import CLASSES, make_comparison, make_training, matrix, noise, write_json

KINDS = {
    "fgsm": ("FGSM attack", "of 255, largest change of a pixel", [1, 2, 4, 8, 16]),
    "pgd": ("PGD attack", "of 255, largest change of a pixel", [1, 2, 4, 8, 16]),
    "noise": ("Noise", "standard deviation", [0.04, 0.08, 0.12, 0.18, 0.26]),
    "jpeg": ("JPEG", "quality", [50, 25, 15, 10, 5]),
    "rotation": ("Rotation", "degrees", [5, 10, 20, 40, 80]),
}
COMMAND = {"kind": "train", "data": "/pictures/flowers", "argv": ["crossfade", "train", "/pictures/my flowers"]}


def make_evaluation(
    run: Path,
    *,
    classes: Sequence[str] = CLASSES,
    accuracy: float = 0.75,
    seed: int = 0,
    n: int = 16,
    size: int = 8,
    robustness: bool = True,
    path: str = "{truth}/{i}.png",
) -> Path:
    """`evaluation/` of one training."""
    rng = np.random.default_rng([seed, 77])
    counts = matrix(len(classes), accuracy, rng)
    hardest = []
    for i in range(n):
        truth, predicted = classes[i % len(classes)], classes[(i + 1) % len(classes)]
        found = path.format(truth=truth, i=i) if path.startswith("{truth}") else path
        hardest.append(
            {"path": found, "truth": truth, "predicted": predicted, "probability": 0.99 - i / 200, "loss": 6.0 - i / 10}
        )
    value = {
        "run": str(run),
        "data": {"root": "/pictures/flowers", "part": "test", "pictures": int(counts.sum()), "left_out": {}},
        "classes": list(classes),
        "metrics": {
            name: {"value": at, "ci95": [at - 0.03, at + 0.03]}
            for name, at in {"accuracy": accuracy, "auc": 0.91, "f1": 0.73, "log_loss": 0.66, "ece": 0.081}.items()
        },
        "per_class": [
            {
                "class": name,
                "pictures": 40,
                "precision": 0.7,
                "recall": (k + 1) / (len(classes) + 1),
                "f1": 0.6,
                "auc": 0.9,
            }
            for k, name in enumerate(classes)
        ],
        "confusion": counts.tolist(),
        "calibration": calibration(rng),
        "hardest": hardest,
        "argv": ["crossfade", "evaluate", str(run)],
    }
    if robustness:
        value["robustness"] = {
            "pictures": 60,
            "clean": accuracy,
            "curves": {
                kind: {
                    "title": title,
                    "unit": unit,
                    "strengths": strengths,
                    "accuracy": [accuracy * 0.8 ** (i + 1) for i in range(5)],
                }
                for kind, (title, unit, strengths) in KINDS.items()
            },
        }
    write_json(run / "evaluation/evaluation.json", value)
    np.savez_compressed(run / "evaluation/hardest.npz", images=noise(n, size, 3, rng))
    return run


def calibration(rng: np.random.Generator) -> dict[str, Any]:
    """15 bins of a model that is too sure, and of the same with its temperature."""
    edges = np.linspace(0, 1, 16)
    counts = [0, 0, 0, 0, *rng.integers(3, 30, 11).tolist()]

    def bins(gap: float) -> list[dict[str, Any]]:
        return [
            {"low": low, "high": high, "count": n, "confidence": (low + high) / 2 if n else None,
             "accuracy": max(0.0, (low + high) / 2 - gap) if n else None}
            for low, high, n in zip(edges[:-1].tolist(), edges[1:].tolist(), counts, strict=True)
        ]  # fmt: skip

    return {
        "bins": bins(0.1),
        "bins_after": bins(0.01),
        "ece": 0.1,
        "ece_after": 0.01,
        "temperature": 1.43,
        "fitted_on": "val",
        "log_loss": 0.66,
        "log_loss_after": 0.58,
    }


def evaluated_training(folder: Path, **options: Any) -> Path:
    """A training, complete and evaluated; options go to `make_evaluation`."""
    run = make_evaluation(make_training(folder, classes=options.get("classes", CLASSES)), **options)
    write_json(run / "command.json", COMMAND)
    return run


def evaluated_comparison(folder: Path, *, evaluation: dict[str, Any] | None = None, **options: Any) -> Path:
    """A comparison whose trainings were all evaluated, with the two files that `crossfade evaluate` writes of it."""
    make_comparison(folder, **options)
    summary = json.loads((folder / "summary.json").read_text())
    baseline, *others = summary["arms"]
    for arm, runs in summary["runs"].items():
        for seed, run in enumerate(runs):
            accuracy = summary["arms"][arm]["seeds"][seed]
            make_evaluation(
                folder / run,
                classes=options.get("classes", CLASSES),
                accuracy=accuracy,
                seed=seed,
                **(evaluation or {}),
            )
    metrics = {
        "accuracy": {"seeds": [0.75, 0.76], "mean": 0.755, "ci95": [0.74, 0.77]},
        "ece": {"seeds": [0.08, 0.09], "mean": 0.085, "ci95": [0.07, 0.1]},
    }
    gaps = {
        "accuracy": {"mean": 0.02, "ci95": [-0.01, 0.05], "n": 2},
        "ece": {"mean": -0.03, "ci95": [-0.04, -0.02], "n": 2},
    }
    write_json(
        folder / "evaluation/evaluation.json",
        {
            "part": "test",
            "pictures": 120,
            "baseline": baseline,
            "arms": {arm: {"metrics": metrics} for arm in summary["arms"]},
            "differences": {f"{arm} - {baseline}": gaps for arm in others},
            "sentences": [f"{arm} is better calibrated than {baseline}." for arm in others],
        },
    )
    write_json(
        folder / "command.json", COMMAND | {"kind": "compare", "argv": ["crossfade", "compare", "/pictures/my flowers"]}
    )
    return folder
