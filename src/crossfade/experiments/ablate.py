"""More data or more mixing: the same comparison on fewer and on more training pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from crossfade.data.split import first_per_class
from crossfade.errors import ConfigError
from crossfade.experiments.compare import compare
from crossfade.experiments.comparison import Comparison
from crossfade.experiments.statistics import caution, claim, evidence, in_words, outcome, paired_difference
from crossfade.training import record
from crossfade.training.callbacks import Callback
from crossfade.training.config import RunConfig
from crossfade.training.dataset import Pictures
from crossfade.training.keeper import flattery
from crossfade.training.metrics import METRICS, Metric
from crossfade.training.resume import begin
from crossfade.training.run import Bench, open_bench

ALL = "all"
MARGIN = 0.01  # "as well as" is: not worse by more than a point


@dataclass(frozen=True)
class Ablation:
    """Sizes, at each of which all arms are compared.

    Args:
        sizes: training pictures of each class, ascending; None, all of them, comes last.
        arms, seeds, config: of the comparison at each size.
    """

    sizes: Sequence[int | None]
    arms: Sequence[str]
    seeds: Sequence[int]
    config: RunConfig

    def __post_init__(self) -> None:
        numbers = [size for size in self.sizes if size is not None]
        if not self.sizes or any(size < 1 for size in numbers):
            raise ConfigError("ablate: needs pictures per class, 1 or more. Pass --per-class 10,30,100,all.")
        if len(set(self.sizes)) < len(self.sizes):
            raise ConfigError(f"ablate: every size is run once. Got {', '.join(map(size_name, self.sizes))}.")
        last = [None] * (None in self.sizes)
        object.__setattr__(self, "sizes", (*sorted(numbers), *last))
        self.at(None)

    def at(self, size: int | None) -> Comparison:
        """The comparison at one size."""
        return Comparison(self.arms, self.seeds, replace(self.config, per_class=size))


def size_name(size: int | None) -> str:
    """10 -> "10", None -> "all": its folder, and its name in records."""
    return ALL if size is None else str(size)


@dataclass(frozen=True)
class Size:
    """One size on the pictures that there are.

    Attributes:
        asked: pictures per class; None for all.
        pictures: with the training part cut down; the others are those of every size.
        note: which classes cannot fill it, or "".
    """

    asked: int | None
    pictures: Pictures
    note: str = ""

    @property
    def name(self) -> str:
        """As in records."""
        return size_name(self.asked)

    @property
    def total(self) -> int:
        """Training pictures of all classes."""
        return len(self.pictures.split.train)


def cut(pictures: Pictures, sizes: Sequence[int | None]) -> tuple[list[Size], list[str]]:
    """The sizes on these pictures, and what to say of them: sizes that keep the same pictures are run once."""
    found: list[Size] = []
    notes: list[str] = []
    for asked in sizes:
        split = pictures.split
        if asked is not None:
            split = first_per_class(split, pictures.index.labels, asked)
        own = replace(pictures, split=split)
        short = {name: n for name, n in own.per_class()["train"].items() if asked is not None and n < asked}
        note = f"{asked} a class: " + ", ".join(f"{name} has only {n}" for name, n in short.items()) if short else ""
        notes += [note] if note else []
        size = Size(asked, own, note)
        if found and found[-1].total == size.total:
            notes.append(
                f"{size.name} keeps the same {size.total:,} pictures as {found[-1].name}, and is not run again"
            )
        else:
            found.append(size)
    return found, notes


OnRun = Callable[[str, str, int], Sequence[Callback]]


def ablate(
    bench: Bench,
    asked: Ablation,
    folder: Path,
    *,
    commands: Sequence[str] = (),
    on_run: OnRun | None = None,
) -> dict[str, Any]:
    """Compare all arms at every size, the smallest first, and write after each what is known.

    All sizes are judged on the same pictures, and every training of a seed begins with the same weights. The
    normalisation is measured on the training pictures of the size, since there would be no others.

    Args:
        bench: with the whole training part.
        folder: made by `record.make_folder`; each size is a comparison in a folder of its own.
        commands: what the user typed.
        on_run: called before each training with (size, arm, seed); gives its callbacks.

    Returns:
        What is also in `ablate.json`.
    """
    config = asked.config
    lists = {"arm": list(asked.arms), "seeds": list(asked.seeds), "sizes": list(map(size_name, asked.sizes))}
    head = {**config.as_dict(), "mix": None, "seed": None, "per_class": None, **lists}
    begin(bench, head, folder)
    sizes, notes = cut(bench.pictures, asked.sizes)
    if config.patience is not None:
        notes.append(
            f"a training stops after {config.patience} epochs without improvement, maybe before the steps told"
        )
    done: dict[str, dict[str, Any]] = {}
    result: dict[str, Any] = {}
    for size in sizes:
        own = asked.at(size.asked)
        (folder / size.name).mkdir(exist_ok=True)
        done[size.name] = compare(
            open_bench(size.pictures, own.config),
            own,
            folder / size.name,
            commands=commands,
            resume=True,
            on_run=None if on_run is None else lambda arm, seed, name=size.name: on_run(name, arm, seed),
        )
        result = {
            **summarise(sizes[: len(done)], list(done.values()), config),
            "notes": [*notes, *filter(None, [flattery(done[size.name], config.patience, config.schedule)])],
            "commands": list(commands),
        }
        record.write_json(folder / "ablate.json", result)
    return result


def summarise(sizes: Sequence[Size], found: Sequence[Mapping[str, Any]], config: RunConfig) -> dict[str, Any]:
    """`ablate.json` from the summaries of the comparisons."""
    first = found[0]
    metric, baseline = METRICS[first["metric"]], first["baseline"]
    arms = {
        arm: {
            "seeds": np.transpose([one["arms"][arm]["seeds"] for one in found]).tolist(),
            "mean": [one["arms"][arm]["mean"] for one in found],
            "ci95": [one["arms"][arm]["ci95"] for one in found],
        }
        for arm in first["arms"]
    }
    classes = len(sizes[0].pictures.classes)
    totals = [size.total for size in sizes]
    return {
        "metric": metric.name,
        "baseline": baseline,
        "part": first["part"],
        "per_class": [size.asked if size.asked is not None else ALL for size in sizes],
        "pictures": totals,
        "mean_per_class": [total / classes for total in totals],
        "epochs": config.epochs,
        "steps": [config.epochs * config.steps_per_epoch(total) for total in totals],
        "seeds": first["seeds"],
        "arms": arms,
        "verdicts": [one["verdict"] for one in found],
        "headline": headline(totals, arms, baseline, metric),
        "sentences": sentences([size.name for size in sizes], arms, baseline, metric),
    }


Arms = Mapping[str, Mapping[str, Any]]


def sentences(names: Sequence[str], arms: Arms, baseline: str, metric: Metric) -> list[str]:
    """Does more data help, does mixing help, and does one stand in for the other: only what was shown."""
    others = [arm for arm in arms if arm != baseline]
    told = [_more_data(arm, names, arms, metric) for arm in arms if len(names) > 1]
    told += [_more_mixing(arm, names, arms, baseline, metric) for arm in others]
    told += [said for arm in others if (said := _instead(arm, names, arms, baseline, metric))]
    # More data is looked at from the first size to the last by the headline, in the last step up, and by `_instead`
    # from every size to every larger one, with mixing at the smaller.
    sizes = len(names)
    looked = len(arms) * min(2, sizes - 1) + len(others) * (sizes + sizes * (sizes - 1) // 2)
    claims = [outcome(_difference(arms, (arm, -1), (arm, 0), metric), metric) for arm in arms]
    if looked > 1 and (
        any(claims) or any(word in one for one in told for word in (" helps", " hurts", " does as well"))
    ):
        told.append(caution(looked))
    return told


def headline(totals: Sequence[int], arms: Arms, baseline: str, metric: Metric) -> str:
    """In a few words: what more data does, from the fewest pictures to the most, and what mixing does to anything."""
    words = [_data_in_words(arms, metric)] if len(totals) > 1 else []
    mixing = [
        outcome(_difference(arms, (arm, i), (baseline, i), metric), metric)
        for arm in arms
        if arm != baseline
        for i in range(len(totals))
    ]
    if mixing:
        counts = {word: mixing.count(word) for word in ("helps", "hurts") if word in mixing}
        places = [
            f"{word} " + (f"at {count} of {len(mixing)} places" if count < len(mixing) else "everywhere")
            for word, count in counts.items()
        ]
        words.append(f"mixing {' and '.join(places)}" if places else "that mixing helps was not shown")
    told = "; ".join(words) or "nothing was compared"
    return f"{told[0].upper()}{told[1:]}."


def _data_in_words(arms: Arms, metric: Metric) -> str:
    """What more data does, arm by arm where the arms differ in it."""
    of: dict[str | None, list[str]] = {"helps": [], "hurts": [], None: []}
    for arm in arms:
        of[outcome(_difference(arms, (arm, -1), (arm, 0), metric), metric)].append(arm)
    if len(of[None]) == len(arms):
        return "that more data helps was not shown"
    words = [word for word in ("helps", "hurts") if of[word]]
    if len(of[words[0]]) == len(arms):
        return f"more data {words[0]}"
    shown = " and ".join(f"{word} {_and(of[word])}" for word in words)
    return f"more data {shown}" + (f"; that it helps {_and(of[None])} was not shown" if of[None] else "")


Place = tuple[str, int]  # an arm, and the number of a size


def _difference(arms: Arms, treated: Place, other: Place, metric: Metric) -> dict[str, Any]:
    """Paired over seeds, from one arm and size to another."""
    scores = ([row[size] for row in arms[arm]["seeds"]] for arm, size in (treated, other))
    return paired_difference(*scores, metric)


def _more_data(arm: str, names: Sequence[str], arms: Arms, metric: Metric) -> str:
    """What the last step up in size brought, which says whether still more is likely to."""
    found = _difference(arms, (arm, -1), (arm, -2), metric)
    return f"{arm}: from {names[-2]} to {names[-1]} pictures a class, {claim('more data', found, metric)}"


def _more_mixing(arm: str, names: Sequence[str], arms: Arms, baseline: str, metric: Metric) -> str:
    found = {name: _difference(arms, (arm, i), (baseline, i), metric) for i, name in enumerate(names)}
    if all(one["ci95"] is None for one in found.values()):
        told = ", ".join(f"{in_words(one['mean'], metric)} with {name}" for name, one in found.items())
        return f"{arm} against {baseline}: {told}; one seed, which is an anecdote"
    where: dict[str | None, list[str]] = {"helps": [], "hurts": [], None: []}
    for name, one in found.items():
        where[outcome(one, metric)].append(name)
    shown = [f"{word or 'no difference was shown'} with {_and(at)}" for word, at in where.items() if at]
    return f"{arm} against {baseline}: {'; '.join(shown)} pictures a class"


def _instead(arm: str, names: Sequence[str], arms: Arms, baseline: str, metric: Metric) -> str:
    """Where an arm does as well with fewer pictures as the baseline with more, and more do help the baseline."""
    for few in range(len(names) - 1):
        for many in range(len(names) - 1, few, -1):
            more = _difference(arms, (baseline, many), (baseline, few), metric)
            found = _difference(arms, (arm, few), (baseline, many), metric)
            if outcome(more, metric) == "helps" and _no_worse(found, metric):
                return (
                    f"{arm} with {names[few]} pictures a class does as well as {baseline} with {names[many]}: "
                    f"{evidence(found, metric)}"
                )
    return ""


def _no_worse(found: Mapping[str, Any], metric: Metric) -> bool:
    """Whether the interval, which takes seeds that differ, leaves no loss of more than `MARGIN`."""
    interval = found["ci95"]
    if interval is None or interval[0] == interval[1]:
        return False
    return bool(min(metric.sign * end for end in interval) > -MARGIN)


def _and(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
