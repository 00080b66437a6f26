"""Run folders as training and comparing leave them, made up: every number follows from the arguments."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crossfade.report.words import clean

CLASSES = ("daisy", "rose", "tulip")


def write_json(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")


def change(path: Path, **values: Any) -> None:
    """Other values for keys of a JSON file."""
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def noise(n: int, size: int, channels: int, rng: np.random.Generator) -> np.ndarray:
    """(n, size, size, channels) uint8: the worst pictures there are for a compressor."""
    return rng.integers(0, 256, (n, size, size, channels), dtype=np.uint8)


def make_training(
    folder: Path,
    *,
    arm: str = "mixup",
    stream: int = 1,
    seed: int = 0,
    classes: Sequence[str] = CLASSES,
    epochs: int = 6,
    accuracy: float = 0.75,
    size: int = 8,
    channels: int = 3,
    n: int = 16,
    images: np.ndarray | None = None,
    part: str = "test",
    config: str = 'model = "cnn4"\nsize = 8\n',
) -> Path:
    """The folder of one training, complete."""
    rng = np.random.default_rng([seed, stream])
    folder.mkdir(parents=True, exist_ok=True)
    config += f"epochs = {epochs}\nmix = {json.dumps(clean(arm))}\n"
    (folder / "config.toml").write_text(config, encoding="utf-8")
    write_json(folder / "environment.json", {"crossfade": "0.1.0", "torch": "2.0", "python": "3.11", "cores": 2})
    write_json(folder / "classes.json", list(classes))
    write_split(folder / "split.csv", classes)
    steps = np.arange(1, epochs + 1)
    curve = accuracy * (1 - np.exp(-3 * steps / max(1, epochs))) / (1 - np.exp(-3)) + rng.normal(0, 0.004, epochs)
    mixed = arm != "none"
    rows = [
        {
            "epoch": int(e),
            "train": {
                "loss": float(2.2 * np.exp(-e / epochs) + 0.3 * mixed + rng.uniform(0, 0.05)),
                "accuracy_by_label_weight": float(0.9 * a),
            },
            "val": {
                "loss": float(2 * np.exp(-(1 + accuracy) * e / epochs) + rng.uniform(0, 0.08)),
                "accuracy": float(a),
            },
            "lr": 0.01,
            "seconds": 3.1,
            "images_per_second": 4000,
        }
        for e, a in zip(steps, curve, strict=True)
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    write_seen(
        folder / "seen.npz",
        noise(n, size, channels, rng) if images is None else images,
        len(classes),
        mixed,
        rng,
    )
    lam = rng.beta(0.8, 0.8, 4000) if mixed else np.ones(4000)
    counts, edges = np.histogram(lam[lam < 1], bins=50, range=(0, 1))
    write_json(
        folder / "lambda.json",
        {
            "edges": edges.tolist(),
            "counts": counts.tolist(),
            "unmixed": int((lam == 1).sum()),
            "total": len(lam),
        },
    )
    write_json(folder / "confusion.json", {"part": part, "matrix": matrix(len(classes), accuracy, rng).tolist()})
    write_json(
        folder / "summary.json",
        {
            "best_epoch": epochs,
            "val": {"accuracy": float(curve[-1]), "loss": 0.61},
            "last": {"accuracy": 0.7, "loss": 0.7},
            **({"test": {"accuracy": accuracy, "loss": 0.66}} if part == "test" else {}),
            "judged": {"part": part, "epoch": "last", "accuracy": accuracy, "loss": 0.66},
            "seconds": 61.2 + seed,
            "initial_weights": weights_of(seed),
            "parameters": 123456,
        },
    )
    return folder


def weights_of(seed: int) -> str:
    return hashlib.sha256(str(seed).encode()).hexdigest()


def matrix(k: int, accuracy: float, rng: np.random.Generator, per_class: int = 40) -> np.ndarray:
    """(k, k) counts whose rows sum to `per_class`."""
    shares = np.full((k, k), (1 - accuracy) / max(1, k - 1)) * rng.uniform(0.2, 1.8, (k, k))
    np.fill_diagonal(shares, accuracy)
    return np.stack([rng.multinomial(per_class, row / row.sum()) for row in shares])


def write_split(path: Path, classes: Sequence[str], per_class: int = 10) -> None:
    with path.open("w", encoding="utf-8", errors="surrogatepass", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "class", "part", "hash"])
        for name in classes:
            for i in range(per_class):
                writer.writerow([f"{name}/{i}.png", name, ("train", "train", "train", "val", "test")[i % 5], f"{i:x}"])


def write_seen(path: Path, images: np.ndarray, k: int, mixed: bool, rng: np.random.Generator) -> None:
    n = len(images)
    labels = rng.integers(0, k, (n, 2))
    lam = rng.beta(0.8, 0.8, n) if mixed else np.ones(n)
    if not mixed:
        labels[:, 1] = -1
    np.savez(
        path,
        images=images,
        weights=np.stack([lam, 1 - lam], axis=1),
        label_of_layer=labels,
        mixed=np.full(n, mixed),
    )


def make_comparison(
    folder: Path,
    *,
    arms: Sequence[str] = ("none", "mixup", "cutmix:alpha=0.5"),
    seeds: int = 3,
    classes: Sequence[str] = CLASSES,
    root: str = "pictures/flowers",
    refused: Sequence[dict[str, str]] = (),
    ignored: Sequence[str] = ("README.txt",),
    duplicates: Sequence[Sequence[str]] = (("a.png", "b.png"),),
    part: str = "test",
    images: dict[str, np.ndarray] | None = None,
    **training: Any,
) -> Path:
    """The folder of a comparison, complete; further arguments go to `make_training`."""
    rng = np.random.default_rng(5)
    bases = {arm: 0.74 + 0.02 * i for i, arm in enumerate(arms)}
    found = {arm: (bases[arm] + rng.normal(0, 0.005, seeds)).tolist() for arm in arms}
    runs = {arm: [f"arm-{i}/seed-{s}" for s in range(seeds)] for i, arm in enumerate(arms)}
    for i, arm in enumerate(arms):
        for s in range(seeds):
            make_training(
                folder / runs[arm][s],
                arm=arm,
                stream=i,
                seed=s,
                classes=classes,
                accuracy=found[arm][s],
                part=part,
                images=(images or {}).get(arm),
                **training,
            )
    first = folder / runs[arms[0]][0]
    for name in ("config.toml", "environment.json", "classes.json", "split.csv"):
        (folder / name).write_bytes((first / name).read_bytes())
    parts = {"train": 6, "val": 2, "test": 2}
    write_json(
        folder / "data.json",
        {
            "root": root,
            "images": 10 * len(classes),
            "classes": dict.fromkeys(classes, 10),
            "refused": list(refused),
            "ignored": list(ignored),
            "duplicates": [list(group) for group in duplicates],
            "sizes": {"height": {"min": 8, "max": 20}, "width": {"min": 9, "max": 9}},
            "parts": {p: dict.fromkeys(classes, count) for p, count in parts.items()},
            "size": 8,
            "channels": 3,
        },
    )
    write_json(folder / "summary.json", summary_of(found, seeds, runs, part))
    return folder


def summary_of(found: dict[str, list[float]], seeds: int, runs: dict[str, list[str]], part: str) -> dict[str, Any]:
    baseline, *others = found
    differences = {f"{arm} - {baseline}": _interval(np.subtract(found[arm], found[baseline]), "n") for arm in others}
    gap = next(iter(differences.values()), {"mean": 0.0, "ci95": None})
    low, high = (100 * end for end in gap["ci95"] or (0, 0))
    verdict = "No verdict: one seed is an anecdote."
    if seeds > 1 and others:
        verdict = f"{others[0]} helps: {100 * gap['mean']:+.1f} points "
        verdict += f"(95% CI {low:.1f} to {high:.1f}, {seeds} paired seeds)"
    return {
        "metric": "accuracy",
        "differences": differences,
        "verdict": verdict,
        "part": part,
        "epoch": "last",
        "baseline": baseline,
        "seeds": list(range(seeds)),
        "runs": runs,
        "commands": [f"crossfade compare pictures/flowers --seeds {seeds}"],
        "arms": {
            arm: {
                "seeds": values,
                **_interval(np.asarray(values)),
                "seconds": [61.2 + s for s in range(seeds)],
                "initial_weights": [weights_of(s) for s in range(seeds)],
            }
            for arm, values in found.items()
        },
    }


def _interval(values: np.ndarray, n: str = "") -> dict[str, Any]:
    mean = float(np.mean(values))
    half = 2.5 * float(np.std(values, ddof=1)) / len(values) ** 0.5 if len(values) > 1 else None
    return {"mean": mean, "ci95": None if half is None else [mean - half, mean + half]} | (
        {n: len(values)} if n else {}
    )


@pytest.fixture
def comparison(tmp_path: Path):
    """A function that makes the folder of a comparison."""
    return lambda **options: make_comparison(tmp_path / "comparison", **options)


@pytest.fixture
def training(tmp_path: Path):
    """A function that makes the folder of one training."""
    return lambda **options: make_training(tmp_path / "training", **options)
