"""Reading what trainings left on disk. Nothing here fails because a piece is missing: it is noted instead."""

from __future__ import annotations

import csv
import tomllib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from crossfade.data.table import read_table
from crossfade.errors import ConfigError
from crossfade.report.files import are_pictures, arrays, json_lines, json_of, text
from crossfade.report.words import listing, mapping, numbers


@dataclass(frozen=True)
class Seen:
    """The first training batch as the model saw it."""

    images: np.ndarray  # (n, H, W, C) uint8
    weights: np.ndarray  # (n, K)
    label_of_layer: np.ndarray  # (n, K) index of the class each layer shows; -1 where it has none
    mixed: np.ndarray  # (n,) bool


@dataclass(frozen=True)
class Lambdas:
    """How often a sample kept which weight; `counts` leaves out the `unmixed`, which kept all of it."""

    edges: np.ndarray  # (bins + 1,)
    counts: np.ndarray  # (bins,)
    unmixed: int
    total: int


@dataclass(frozen=True)
class Run:
    """The record of one training."""

    folder: Path
    seed: str
    config: str
    environment: dict[str, Any]
    classes: list[str]
    epochs: list[dict[str, Any]]
    summary: dict[str, Any]
    part_counts: dict[str, Counter[str]]  # part -> class -> pictures
    seen: Seen | None
    lambdas: Lambdas | None
    confusion: np.ndarray | None  # (classes, classes) rows truth, columns predicted
    confusion_part: str
    notes: tuple[str, ...]
    data: dict[str, Any] = field(default_factory=dict)  # empty in a run of a comparison, which has one for all
    command: dict[str, Any] = field(default_factory=dict)  # what it was started by
    evaluation: dict[str, Any] = field(default_factory=dict)  # what `crossfade evaluate` found, empty before
    hardest: np.ndarray | None = None  # (n, H, W, C) uint8, beside evaluation["hardest"]

    def curve(self, part: str, name: str) -> np.ndarray:
        """One number per epoch, (epochs,) float64, NaN where the record has none."""
        return np.array(numbers([mapping(epoch.get(part)).get(name) for epoch in self.epochs]))

    def rates(self) -> np.ndarray:
        """The learning rate at the end of each epoch, (epochs,) float64, NaN where the record has none."""
        return np.array(numbers([epoch.get("lr") for epoch in self.epochs]))


@dataclass(frozen=True)
class Comparison:
    """The records of all trainings of a comparison, arm by arm, baseline first as it was asked for."""

    folder: Path
    summary: dict[str, Any]
    config: str
    environment: dict[str, Any]
    classes: list[str]
    data: dict[str, Any]
    part_counts: dict[str, Counter[str]]
    runs: dict[str, list[Run]]
    notes: tuple[str, ...] = field(default=())
    command: dict[str, Any] = field(default_factory=dict)
    evaluation: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Experiment:
    """What a step of the method left: its result, and what stands in every folder."""

    folder: Path
    result: dict[str, Any]
    config: str
    environment: dict[str, Any]
    data: dict[str, Any]
    command: dict[str, Any]
    notes: tuple[str, ...]


def read_experiment(folder: Path, result: str) -> Experiment:
    """Read the folder of `crossfade check`, `lr`, `ablate` or `tune`; `result` is the name of its own file."""
    notes: list[str] = []
    return Experiment(
        folder=folder,
        result=json_of(folder / result, {}, notes),
        config=text(folder / "config.toml", notes),
        environment=json_of(folder / "environment.json", {}, notes),
        data=_optional(folder / "data.json", notes),
        command=_optional(folder / "command.json", notes),
        notes=tuple(notes),
    )


def read(folder: Path) -> Run | Comparison:
    """Read the folder of one training or of a comparison.

    Raises:
        ConfigError: there is no such folder, or it holds neither.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ConfigError(
            f"report: needs a folder that a command which trains has made. Got {folder}, which is no folder. "
            "Give the one that it named at its end."
        )
    if _is_comparison(folder):
        return read_comparison(folder)
    if any((folder / name).is_file() for name in ("metrics.jsonl", "summary.json", "config.toml")):
        return read_run(folder)
    raise ConfigError(
        f"report: a run folder holds config.toml, metrics.jsonl or summary.json. Got {folder}, which holds "
        "none of them. Give the folder that a command which trains named at its end."
    )


def _is_comparison(folder: Path) -> bool:
    return "arms" in json_of(folder / "summary.json", {}, []) or bool(_run_folders(folder))


def _run_folders(folder: Path) -> dict[str, list[Path]]:
    """The trainings found by looking: arm folder -> its seed-* folders in the order of the seeds."""
    found: dict[str, list[Path]] = {}
    for run in sorted(folder.glob("*/seed-*"), key=lambda p: (p.parent.name, len(p.name), p.name)):
        if run.is_dir():
            found.setdefault(run.parent.name, []).append(run)
    return found


def read_comparison(folder: Path) -> Comparison:
    """Read a comparison, finished or not: the trainings that its summary names, else those that are there.

    In an unfinished one, an arm is named by the `mix` of its first training, which the folder only spells.
    """
    notes: list[str] = []
    summary = json_of(folder / "summary.json", {}, notes)
    inside = {
        arm: [folder / path for path in map(str, listing(paths)) if _is_inside(folder, path)]
        for arm, paths in mapping(summary.get("runs")).items()
    }
    seeds = listing(summary.get("seeds"))
    runs = {
        arm: [read_run(path, _seed(path, seeds, i)) for i, path in enumerate(paths) if path.is_dir()]
        for arm, paths in (inside or _run_folders(folder)).items()
    }
    config = text(folder / "config.toml", notes)
    if not inside:
        runs = _named(runs, listing(settings(config).get("arm")))
    for arm, paths in inside.items():
        notes += [f"{path.relative_to(folder)} is missing." for path in paths if not path.is_dir()]
        notes += [f"{run.folder.relative_to(folder)}: {note}" for run in runs[arm] for note in run.notes]
    return Comparison(
        folder=folder,
        summary=summary,
        config=config,
        environment=json_of(folder / "environment.json", {}, notes),
        classes=[str(c) for c in json_of(folder / "classes.json", [], notes)],
        data=json_of(folder / "data.json", {}, notes),
        part_counts=_part_counts(folder / "split.csv"),
        runs=runs,
        command=_optional(folder / "command.json", notes),
        evaluation=_optional(folder / "evaluation" / "evaluation.json", notes),
        notes=tuple(notes),
    )


def _named(runs: dict[str, list[Run]], order: list[Any]) -> dict[str, list[Run]]:
    names = {arm: setting(settings(mine[0].config), "mix") for arm, mine in runs.items() if mine}
    found = {str(names.get(arm) or arm): mine for arm, mine in runs.items()}
    return dict(sorted(found.items(), key=lambda item: order.index(item[0]) if item[0] in order else len(order)))


def _is_inside(folder: Path, path: str) -> bool:
    try:
        return (folder / path).resolve().is_relative_to(folder.resolve())
    except (OSError, ValueError):
        return False


def _seed(path: Path, seeds: list[Any], i: int) -> str:
    if path.name.startswith("seed-"):
        return path.name.removeprefix("seed-")
    return str(seeds[i] if i < len(seeds) else i)


def read_run(folder: Path, seed: str = "") -> Run:
    """Read one training, whatever there is of it."""
    notes: list[str] = []
    confusion = json_of(folder / "confusion.json", {}, notes)
    evaluation, hardest = _evaluation(folder / "evaluation", notes)
    return Run(
        folder=folder,
        seed=seed,
        config=text(folder / "config.toml", notes),
        environment=json_of(folder / "environment.json", {}, notes),
        classes=[str(c) for c in json_of(folder / "classes.json", [], notes)],
        epochs=list(json_lines(folder / "metrics.jsonl", notes)),
        summary=json_of(folder / "summary.json", {}, notes),
        part_counts=_part_counts(folder / "split.csv"),
        seen=_seen(folder / "seen.npz", notes),
        lambdas=_lambdas(folder / "lambda.json", notes),
        confusion=_matrix(confusion.get("matrix"), notes),
        confusion_part=str(confusion.get("part") or ""),
        data=_optional(folder / "data.json", notes),
        command=_optional(folder / "command.json", notes),
        evaluation=evaluation,
        hardest=hardest,
        notes=tuple(notes),
    )


def settings(config: str) -> dict[str, Any]:
    """config.toml as nested dicts, empty where it cannot be read."""
    try:
        return tomllib.loads(config)
    except tomllib.TOMLDecodeError:
        return {}


def setting(config: dict[str, Any], key: str) -> Any:
    """The first value named `key` in a nested configuration; a table stands for the `name` in it."""
    if key in config:
        value = config[key]
        return value.get("name") if isinstance(value, dict) else value
    inner = (setting(value, key) for value in config.values() if isinstance(value, dict))
    return next((value for value in inner if value is not None), None)


def _optional(path: Path, notes: list[str]) -> dict[str, Any]:
    """A file that not every record has: nothing is noted where it is missing."""
    return json_of(path, {}, notes) if path.is_file() else {}


def _evaluation(folder: Path, notes: list[str]) -> tuple[dict[str, Any], np.ndarray | None]:
    """What `crossfade evaluate` found of a training, with the pictures it did worst on."""
    found = _optional(folder / "evaluation.json", notes)
    if not listing(found.get("hardest")):
        return found, None
    stored = arrays(folder / "hardest.npz", ("images",), notes)
    if stored is not None and not are_pictures(stored[0]):
        notes.append("hardest.npz holds no pictures.")
        stored = None
    return found, stored[0] if stored else None


def matrix_of(value: Any) -> np.ndarray | None:
    """(classes, classes) int64 counts, or None where the value is no such matrix."""
    try:
        matrix = np.asarray(value, dtype=np.int64)
    except (TypeError, ValueError, OverflowError):
        return None
    is_square = matrix.ndim == 2 and matrix.size > 0 and matrix.shape[0] == matrix.shape[1]
    return matrix if is_square and not (matrix < 0).any() else None


def _part_counts(path: Path) -> dict[str, Counter[str]]:
    counts: dict[str, Counter[str]] = {}
    try:
        for row in read_table(path, ("part", "class")):
            counts.setdefault(row["part"], Counter())[row["class"]] += 1
    except (OSError, csv.Error, KeyError):
        return {}
    return counts


def _seen(path: Path, notes: list[str]) -> Seen | None:
    found = arrays(path, ("images", "weights", "label_of_layer", "mixed"), notes)
    if found is None:
        return None
    seen, n = Seen(*found), len(found[0])
    if not are_pictures(seen.images):
        notes.append(f"{path.name} holds no pictures.")
        return None
    if seen.weights.shape != seen.label_of_layer.shape or seen.weights.shape[:1] != (n,) or seen.mixed.shape != (n,):
        notes.append(f"{path.name} holds pictures and weights that do not belong together.")
        return None
    return seen


def _lambdas(path: Path, notes: list[str]) -> Lambdas | None:
    value = json_of(path, {}, notes)
    if not value:
        return None
    try:
        found = Lambdas(
            np.asarray(value["edges"], float),
            np.asarray(value["counts"], float),
            int(value["unmixed"]),
            int(value["total"]),
        )
        if found.counts.ndim != 1 or found.edges.shape != (len(found.counts) + 1,):
            raise ValueError
        if not np.isfinite(found.counts).all() or not (np.diff(found.edges) > 0).all():
            raise ValueError
    except (KeyError, TypeError, ValueError, OverflowError):
        notes.append(f"{path.name} cannot be read.")
        return None
    return found


def _matrix(value: Any, notes: list[str]) -> np.ndarray | None:
    matrix = None if value is None else matrix_of(value)
    if value is not None and matrix is None:
        notes.append("confusion.json cannot be read.")
    return matrix
