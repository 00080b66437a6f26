"""The sections of a page: from records to what the templates show, plain values and ready-made figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from crossfade.report import figures, inline, words
from crossfade.report.record import Comparison, Run, setting, settings
from crossfade.report.style import PALETTE

MATRIX_MAX = 30  # classes; beyond that a matrix is no longer read, only the worst pairs are
PAIRS = 20
LISTED = 200
UNEQUAL = 2  # times the pictures, from which on classes are called unequal
PARTS = ("train", "val", "test")
PICTURE_BUDGET = 1_900_000  # characters of a page spent on pictures, all arms together

Runs = Mapping[str, Sequence[Run]]


@dataclass(frozen=True)
class Row:
    """A row of the table: one arm."""

    name: str
    color: int
    mean: str
    interval: str
    seeds: list[tuple[str, str]]
    difference: str
    difference_interval: str
    seconds: str
    is_baseline: bool


@dataclass(frozen=True)
class Plot:
    """A figure for the page, and the same for a file of its own, where it needs its own legend."""

    name: str
    label: str  # what it shows, in words
    figure: Figure
    alone: Figure


def scores(comparison: Comparison) -> dict[str, dict[str, Any]]:
    """The arms of the summary; of a comparison that has none yet, what its finished trainings say."""
    arms = words.mapping(comparison.summary.get("arms"))
    if arms:
        return {name: words.mapping(arm) for name, arm in arms.items()}
    found = {}
    for name, runs in comparison.runs.items():
        done = [run for run in runs if accuracy(run) is not None]
        found[name] = {
            "seeds": [accuracy(run) for run in done],
            "mean": words.mean(accuracy(run) for run in done),
            "initial_weights": [run.summary.get("initial_weights") for run in runs],
            "seconds": [run.summary.get("seconds") for run in done],
        }
    return found


def accuracy(run: Run) -> float | None:
    """The accuracy a training is judged by; where that is not said, on the test part, else on validation."""
    parts = [words.mapping(run.summary.get(part)) for part in ("judged", "test", "val")]
    return next((words.number(part.get("accuracy")) for part in parts if part), None)


def seeds_of(comparison: Comparison) -> list[str]:
    """The seeds as the summary lists them, else as the folders are named."""
    named = words.listing(comparison.summary.get("seeds"))
    found = named or {run.seed: None for runs in comparison.runs.values() for run in runs}
    return [str(seed) for seed in found]


def numbers(values: Any) -> list[float]:
    """The finite numbers of a JSON list."""
    return [v for v in map(words.number, words.listing(values)) if v is not None]


def rows(arms: Mapping[str, Mapping[str, Any]], comparison: Comparison) -> list[Row]:
    """The table, an arm a row."""
    baseline = words.baseline_of({**comparison.summary, "arms": arms})
    table = []
    for i, (name, arm) in enumerate(arms.items()):
        gap = _difference(comparison, name, baseline)
        seeds, values = seeds_of(comparison), words.listing(arm.get("seeds"))
        labels = [f"seed {s}" for s in seeds] if len(seeds) == len(values) else [""] * len(values)
        table.append(
            Row(
                name=name,
                color=i % len(PALETTE),
                mean=words.percent(arm.get("mean")),
                interval=words.percent_interval(arm.get("ci95")),
                seeds=list(zip(labels, map(words.percent, values), strict=True)),
                difference=words.points(gap.get("mean")),
                difference_interval=words.points_interval(gap.get("ci95")),
                seconds=words.duration(words.mean(words.listing(arm.get("seconds")))),
                is_baseline=name == baseline,
            )
        )
    return table


def _difference(comparison: Comparison, name: str, baseline: str | None) -> Mapping[str, Any]:
    differences = words.mapping(comparison.summary.get("differences"))
    return words.mapping(differences.get(f"{name} - {baseline}"))


def score_figures(arms: Mapping[str, Mapping[str, Any]], comparison: Comparison) -> list[Plot]:
    """The dots of the seeds with their intervals, and the same for the paired differences."""
    baseline = words.baseline_of({**comparison.summary, "arms": arms})
    shown = [
        figures.Scores(name, numbers(arm.get("seeds")), mean, words.pair(arm.get("ci95")), figures.arm_color(i))
        for i, (name, arm) in enumerate(arms.items())
        if (mean := words.number(arm.get("mean"))) is not None
    ]
    found = []
    if shown:
        label = "Accuracy: " + "; ".join(f"{arm.name} {words.percent(arm.mean)}" for arm in shown)
        picture = figures.scores_figure(shown)
        found.append(Plot("scores", label, picture, picture))
    gaps = [gap for i, name in enumerate(arms) if (gap := _gap(i, name, arms, baseline, comparison))]
    if gaps:
        label = f"Differences to {baseline}: " + "; ".join(f"{g.name} {words.points(g.mean)} points" for g in gaps)
        picture = figures.differences_figure(gaps, baseline=str(baseline))
        found.append(Plot("differences", label, picture, picture))
    return found


def _gap(
    i: int, name: str, arms: Mapping[str, Mapping[str, Any]], baseline: str | None, comparison: Comparison
) -> figures.Scores | None:
    gap = _difference(comparison, name, baseline)
    mean = words.number(gap.get("mean"))
    if mean is None or baseline is None:
        return None
    mine, theirs = numbers(arms[name].get("seeds")), numbers(arms[baseline].get("seeds"))
    each = [a - b for a, b in zip(mine, theirs, strict=True)] if len(mine) == len(theirs) else []
    return figures.Scores(name, each, mean, words.pair(gap.get("ci95")), figures.arm_color(i))


CURVES = (
    ("val", "accuracy", "Validation accuracy", True),
    ("val", "loss", "Validation loss", False),
    ("train", "accuracy_by_label_weight", "Training accuracy, weighed by labels", True),
    ("train", "loss", "Training loss", False),
)


def curve_figures(runs: Runs, first: int = 0) -> list[Plot]:
    """Four learning curves with all arms in each, those that nothing was recorded for left out."""
    found = []
    for part, name, title, percent in CURVES:
        curves = [
            figures.Curve(
                arm,
                _stacked([run.curve(part, name) for run in mine]),
                figures.arm_color(first + i),
                figures.arm_dash(i),
            )
            for i, (arm, mine) in enumerate(runs.items())
            if mine
        ]
        if any(np.isfinite(curve.values).any() for curve in curves):
            on_page, alone = (
                figures.curves_figure(curves, title=title, percent=percent, legend=legend)
                for legend in (False, len(curves) > 1)
            )
            label = f"{title} by epoch: " + ", ".join(curve.name for curve in curves)
            found.append(Plot(f"{part}-{name.split('_')[0]}", label, on_page, alone))
    return found


def _stacked(curves: Sequence[np.ndarray]) -> np.ndarray:
    """(runs, epochs), filled up with NaN where a run stopped early."""
    table = np.full((len(curves), max(map(len, curves), default=0)), np.nan)
    for row, curve in zip(table, curves, strict=True):
        row[: len(curve)] = curve
    return table


@dataclass(frozen=True)
class Picture:
    """A mixed picture with what it counts as."""

    address: str
    alt: str
    parts: list[tuple[str, str, float]]  # weight in words, class name, percent
    note: str


@dataclass(frozen=True)
class Batch:
    """The first batch of an arm."""

    arm: str
    color: int
    seed: str
    crisp: bool
    mixed: int
    pictures: list[Picture]
    left_out: int


def batches(runs: Runs, classes: Sequence[str], first: int = 0) -> list[Batch]:
    """Each arm's first batch, from the first of its runs that kept one."""
    kept = [
        (i, arm, next((run for run in mine if run.seen), None)) for i, (arm, mine) in enumerate(runs.items(), first)
    ]
    found = [(i, arm, run) for i, arm, run in kept if run is not None]
    budget = PICTURE_BUDGET // max(1, len(found))
    return [_batch(i, arm, run, run.classes or classes, budget) for i, arm, run in found]


def _batch(i: int, arm: str, run: Run, classes: Sequence[str], budget: int) -> Batch:
    seen = run.seen
    assert seen is not None
    addresses = inline.pictures(seen.images, budget=budget)
    shown = []
    for address, weights, layers in zip(addresses, seen.weights, seen.label_of_layer, strict=False):
        names = [
            classes[k] if 0 <= k < len(classes) else "no label" if k < 0 else f"class {k}" for k in layers.tolist()
        ]
        parts = words.label_weights(weights.tolist(), names)
        visible = int((weights >= 0.005).sum())
        note = f"{visible} of a kind" if len(parts) == 1 and visible > 1 else ""
        shown.append(
            Picture(
                address,
                words.caption(weights.tolist(), names),
                [(f"{w:.2f}", name, 100 * w) for name, w in parts],
                note,
            )
        )
    return Batch(
        arm,
        i % len(PALETTE),
        run.seed,
        inline.is_crisp(seen.images),
        int(seen.mixed.sum()),
        shown,
        len(seen.images) - len(shown),
    )


def lambda_figures(runs: Runs, first: int = 0) -> tuple[list[Plot], list[str]]:
    """A histogram per arm that mixed anything, summed over its seeds; and the arms that mixed nothing."""
    found, plain = [], []
    for i, (arm, mine) in enumerate(runs.items(), first):
        kept = [run.lambdas for run in mine if run.lambdas]
        if not kept:
            continue
        same = [k for k in kept if np.array_equal(k.edges, kept[0].edges)]
        counts = np.sum([k.counts for k in same], axis=0)
        unmixed, total = sum(k.unmixed for k in same), sum(k.total for k in same)
        if not np.any(counts):
            plain.append(arm)
            continue
        picture = figures.lambda_figure(
            kept[0].edges, counts, title=arm, unmixed=unmixed, total=total, color=figures.arm_color(i)
        )
        label = f"Histogram of lambda, {arm}: {total - unmixed} of {total} samples mixed"
        found.append(Plot(f"lambda-{i}", label, picture, picture))
    return found, plain


@dataclass(frozen=True)
class Confusion:
    """Truth against prediction for one arm: a matrix, or beyond `MATRIX_MAX` classes the worst pairs."""

    arm: str
    color: int
    runs: int
    part: str
    matrix: list[tuple[str, int, list[tuple[int, float]]]]  # class, pictures, (count, share) per column
    pairs: list[tuple[str, str, int, float]]  # truth, prediction, count, share of the truth


def confusions(runs: Runs, classes: Sequence[str], first: int = 0) -> list[Confusion]:
    """One per arm that kept any, summed over its seeds."""
    found = []
    for i, (arm, mine) in enumerate(runs.items(), first):
        kept = [run.confusion for run in mine if run.confusion is not None]
        kept = [matrix for matrix in kept if matrix.shape == kept[0].shape]
        if not kept:
            continue
        total = np.sum(kept, axis=0)
        names = list(classes)
        names += [f"class {k}" for k in range(len(names), len(total))]
        shares = total / np.maximum(1, total.sum(axis=1, keepdims=True))
        matrix = [
            (names[r], int(total[r].sum()), list(zip(total[r].tolist(), shares[r].tolist(), strict=True)))
            for r in range(len(total))
        ]
        found.append(
            Confusion(
                arm,
                i % len(PALETTE),
                len(kept),
                next(run.confusion_part for run in mine if run.confusion is not None),
                matrix if len(total) <= MATRIX_MAX else [],
                _worst(total, shares, names),
            )
        )
    return found


def _worst(total: np.ndarray, shares: np.ndarray, names: Sequence[str]) -> list[tuple[str, str, int, float]]:
    wrong = np.where(np.eye(len(total), dtype=bool), 0, total)
    order = np.argsort(-wrong, axis=None, kind="stable")[:PAIRS]
    pairs = [np.unravel_index(k, total.shape) for k in order if wrong.flat[k]]
    return [(names[r], names[c], int(total[r, c]), float(shares[r, c])) for r, c in pairs]


@dataclass(frozen=True)
class Data:
    """What was in the folder of pictures."""

    parts: list[str]
    classes: list[tuple[str, list[int], int]]  # name, pictures per part, all
    totals: list[int]
    largest: int
    refused: list[tuple[str, int, list[tuple[str, str]]]]  # reason, how many, (path, detail) of the first
    ignored: list[str]
    ignored_count: int
    duplicates: list[list[str]]
    duplicate_groups: int
    near_duplicates: list[list[str]]
    near_groups: int
    leaks: list[tuple[str, list[str]]]  # what is where, paths
    leak_count: int
    conflicts: list[tuple[str, list[str]]]
    conflict_count: int
    imbalance: str  # how unequal the classes are, "" where they are not
    notes: list[str]  # what the split could not do, or groups it found
    has_scan: bool


def data(scan: Mapping[str, Any], part_counts: Mapping[str, Counter[str]], classes: Sequence[str]) -> Data:
    """The data summary, from data.json where there is one, else from split.csv."""
    order, table = _class_table(scan, part_counts, classes)
    refused = _by_reason(words.listing(scan.get("refused")))
    ignored, duplicates, near, leaks, conflicts = (
        words.listing(scan.get(key)) for key in ("ignored", "duplicates", "near_duplicates", "leaks", "conflicts")
    )
    return Data(
        parts=order,
        classes=[(name, counts, sum(counts)) for name, counts in table],
        totals=[sum(counts[i] for _, counts in table) for i in range(len(order))],
        largest=max((sum(counts) for _, counts in table), default=0),
        refused=[(reason, len(items), items[:LISTED]) for reason, items in refused],
        ignored=[str(path) for path in ignored[:LISTED]],
        ignored_count=len(ignored),
        duplicates=[_paths(group) for group in duplicates[:LISTED]],
        duplicate_groups=len(duplicates),
        near_duplicates=[_paths(group) for group in near[:LISTED]],
        near_groups=len(near),
        leaks=_alike(leaks, "parts"),
        leak_count=len(leaks),
        conflicts=_alike(conflicts, "classes"),
        conflict_count=len(conflicts),
        imbalance=_imbalance([sum(counts) for _, counts in table]),
        notes=[str(note) for note in words.listing(scan.get("split_notes"))],
        has_scan=bool(scan),
    )


def _paths(value: Any) -> list[str]:
    return [str(path) for path in words.listing(value)][:LISTED]


KINDS = {"identical": "The same bytes", "near_identical": "Nearly the same", "group": "One group"}


def _alike(found: Sequence[Any], where: str) -> list[tuple[str, list[str]]]:
    """("The same bytes, train and test", paths) of the first leaks, or conflicts."""
    shown = []
    for one in map(words.mapping, found[:LISTED]):
        places = " and ".join(words.line(name) for name in words.listing(one.get(where)))
        shown.append((f"{KINDS.get(str(one.get('kind')), 'Alike')}, {places}", _paths(one.get("paths"))))
    return shown


def _imbalance(totals: Sequence[int]) -> str:
    if not totals or max(totals) < UNEQUAL * min(totals):
        return ""
    if not min(totals):
        return "A class has no picture at all."
    ratio = max(totals) / min(totals)
    return f"The largest class has {ratio:.1f} times the pictures of the smallest (the option balance makes up for it)."


def _class_table(
    scan: Mapping[str, Any], part_counts: Mapping[str, Counter[str]], classes: Sequence[str]
) -> tuple[list[str], list[tuple[str, list[int]]]]:
    counted = {part: words.mapping(counts) for part, counts in words.mapping(scan.get("parts")).items()}
    parts = {part: counts for part, counts in (counted or part_counts).items() if counts}
    everything = words.mapping(scan.get("classes"))
    if not parts and everything:
        parts = {"pictures": everything}
    order = sorted(parts, key=lambda part: PARTS.index(part) if part in PARTS else len(PARTS))
    names = list(classes) or list(everything) or sorted({n for counts in parts.values() for n in counts})
    return order, [(n, [round(words.number(parts[p].get(n)) or 0) for p in order]) for n in names]


def _by_reason(refused: Sequence[Any]) -> list[tuple[str, list[tuple[str, str]]]]:
    """(reason, files with details), the commonest reason first."""
    found: dict[str, list[tuple[str, str]]] = {}
    for item in map(words.mapping, refused):
        file = str(item.get("path")), str(item.get("detail") or "")
        found.setdefault(str(item.get("reason")), []).append(file)
    return sorted(found.items(), key=lambda reason: -len(reason[1]))


@dataclass(frozen=True)
class Weights:
    """The initial weights of one seed, arm by arm."""

    seed: str
    hashes: list[str]
    equal: bool | None  # None where a hash is missing


def fairness(arms: Mapping[str, Mapping[str, Any]], comparison: Comparison) -> list[Weights]:
    """Whether every arm began from the same weights, seed by seed."""
    hashes = [words.listing(arm.get("initial_weights")) for arm in arms.values()]
    n = max(map(len, hashes), default=0)
    seeds = seeds_of(comparison)
    found = []
    for i in range(n):
        row = [str(mine[i]) if i < len(mine) and mine[i] else "" for mine in hashes]
        equal = len(set(row)) == 1 if all(row) else None
        found.append(Weights(seeds[i] if i < len(seeds) else str(i), row, equal))
    return found


def _file_sizes(sizes: Mapping[str, Any]) -> str:
    """{"height": {"min": 96, "max": 400}, "width": ...} -> "96 to 400 pixels high, 128 wide"."""
    said = []
    for key, word in (("height", "high"), ("width", "wide")):
        found = words.mapping(sizes.get(key))
        low, high = words.number(found.get("min")), words.number(found.get("max"))
        if low is None or high is None:
            return ""
        said.append((f"{low:.0f}" if low == high else f"{low:.0f} to {high:.0f}", word))
    (height, high_word), (width, wide_word) = said
    return f"{height} pixels {high_word}, {width} {wide_word}"


def facts(config: str, runs: Sequence[Run], found: Data, scan: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What was done, in pairs of a word and its value."""
    values = settings(config)
    pictures = sum(found.totals)
    split = ", ".join(f"{n:,} {part}" for part, n in zip(found.parts, found.totals, strict=True))
    epochs = setting(values, "epochs") or max((len(run.epochs) for run in runs), default=0)
    sizes = [words.number(run.summary.get("parameters")) for run in runs]
    parameters = next((size for size in sizes if size), None)
    model = setting(values, "model")
    size = words.number(scan.get("size")) or words.number(setting(values, "size"))
    pairs = [
        (
            "Pictures",
            f"{pictures:,} in {words.plural(len(found.classes), 'class', 'classes')}" if pictures else "",
        ),
        ("Parts", split if found.parts != ["pictures"] else ""),
        ("Files", _file_sizes(words.mapping(scan.get("sizes")))),
        ("Picture side", f"{size:.0f} pixels" if size else ""),
        ("Model", str(model) if isinstance(model, str) else ""),
        ("Parameters", words.count(parameters) if parameters else ""),
        ("Epochs", f"{epochs}" if epochs else ""),
    ]
    return [(word, value) for word, value in pairs if value]
