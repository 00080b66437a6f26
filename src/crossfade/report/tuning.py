"""The page of a search: what is left of its gain, the best trials, and what each choice was worth."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from crossfade.report import record, words
from crossfade.report.measure import Measure, measure
from crossfade.report.render import Page, render
from crossfade.report.sections import commands, facts, results
from crossfade.report.sections import data as pictures
from crossfade.report.sections.plot import Plot
from crossfade.report.style import PALETTE
from crossfade.report.trials import Dot, cost_figure, history_figure, parameter_figure

RESULT = "tune.json"
LISTED = 10
TITLES = {"lr": "learning rate", "weight_decay": "weight decay", "alpha": "alpha"}

Trial = Mapping[str, Any]


class Section(NamedTuple):
    """A part of the page: the template ``sections/<anchor>.html.j2`` under its title."""

    anchor: str
    title: str


STORY = (
    Section("winner", "On fresh seeds"),
    Section("trials", "The best trials"),
    Section("tradeoffs", "What each choice was worth"),
    Section("settings", "Configuration and versions"),
    Section("commands", "To repeat it"),
)


def is_search(folder: Path) -> bool:
    """Whether `crossfade tune` made this folder."""
    return (folder / RESULT).is_file()


def tuning_page(folder: Path) -> Page:
    """The page of a search, finished or not."""
    notes: list[str] = []
    found = words.mapping(record.json_of(folder / RESULT, {}, notes))
    told = measure(found.get("metric"))
    trials = [words.mapping(trial) for trial in words.listing(found.get("trials"))]
    arms = _arms(found)
    shown = _shown(trials, found, arms)
    winner = record.read_comparison(folder / "winner") if (folder / "winner").is_dir() else None
    command = words.mapping(record.json_of(folder / "command.json", {}, []))
    config = record.text(folder / "config.toml", notes)
    scan = words.mapping(record.json_of(folder / "data.json", {}, notes))
    sentences = [str(said) for said in words.listing(found.get("sentences"))]
    values = {
        "name": _last(scan.get("root")) or folder.resolve().name,
        "headline": sentences[0] if sentences else "This search has no trial yet.",
        "sentences": sentences[1:],
        "facts": _facts(found, trials, told, config, scan, winner),
        "notes": notes,
        "story": STORY,
        "arms": list(arms.items()),
        "measure": told,
        "best": _rows(trials, told, arms),
        "columns": [name for name in TITLES if any(name in _params(trial) for trial in trials)],
        "titles": TITLES,
        "counts": _counts(trials, arms),
        "importance": _importance(found),
        "finished": sum(trial.get("state") == "finished" for trial in trials),
        "history_plots": _history(shown, trials, told),
        "parameter_plots": _parameters(shown, trials, told),
        "cost_plots": _cost(shown, trials, told),
        "config": config,
        "environment": record.json_of(folder / "environment.json", {}, notes),
        "repeats": commands.repeats(command, found),
        "further": commands.further(str(folder), is_finished="winner" in found, kind="tune", evaluation=[]),
        "not_run": [],
        **_winner(winner, arms),
    }
    return render("tuning.html.j2", values)


def _last(root: Any) -> str:
    return str(root or "").rstrip("/\\").replace("\\", "/").rpartition("/")[2]


def _params(trial: Trial) -> dict[str, Any]:
    return words.mapping(trial.get("params"))


def _arms(found: Mapping[str, Any]) -> dict[str, int]:
    """Each arm with its colour: those of the winner's comparison as there, first the one without mixing."""
    winner = words.mapping(found.get("winner"))
    chosen = [_params(words.mapping(winner.get("baseline"))).get("mix"), _params(winner).get("mix")]
    asked = words.listing(words.mapping(found.get("space")).get("mix"))
    names = [*chosen, *(arm for arm in asked if arm == "none"), *asked]
    return {arm: i % len(PALETTE) for i, arm in enumerate(dict.fromkeys(str(name) for name in names if name))}


def _value(trial: Trial) -> float | None:
    """What a trial was worth; of one that was given up, after its last epoch."""
    known = [v for v in map(words.number, words.listing(trial.get("values"))) if v is not None]
    value = words.number(trial.get("value"))
    return value if value is not None else next(reversed(known), None)


def _shown(trials: list[dict[str, Any]], found: Mapping[str, Any], arms: Mapping[str, int]) -> dict[int, Dot]:
    """A dot for each trial that has a value, by its place in the list; its x is still to be said."""
    best = words.mapping(found.get("best")).get("number")
    return {
        i: Dot(
            0.0,
            value,
            PALETTE[arms.get(str(_params(trial).get("mix")), 0)],
            trial.get("state") == "finished",
            trial.get("number") == best and best is not None,
        )
        for i, trial in enumerate(trials)
        if (value := _value(trial)) is not None
    }


def _placed(shown: Mapping[int, Dot], places: Iterable[Any]) -> list[Dot]:
    """The dots at their places, without those that have none."""
    found = ((dot, words.number(place)) for i, place in enumerate(places) if (dot := shown.get(i)) is not None)
    return [replace(dot, x=place) for dot, place in found if place is not None]


def _plot(name: str, label: str, figure: Any) -> list[Plot]:
    return [Plot(name, label, figure, figure)]


def _history(shown: Mapping[int, Dot], trials: list[dict[str, Any]], told: Measure) -> list[Plot]:
    dots = _placed(shown, range(1, len(trials) + 1))
    best = next((f"; the best is {told.say(dot.value)}, trial {dot.x:.0f}" for dot in dots if dot.best), "")
    label = f"{told.title} of {words.plural(len(dots), 'trial')}, one after another{best}"
    return _plot("history", label, history_figure(dots, measure=told)) if dots else []


def _parameters(shown: Mapping[int, Dot], trials: list[dict[str, Any]], told: Measure) -> list[Plot]:
    plots = []
    for name, title in TITLES.items():
        dots = [dot for dot in _placed(shown, [_params(trial).get(name) for trial in trials]) if dot.x > 0]
        if dots:
            best = next((f"; the best trial has {dot.x:g}" for dot in dots if dot.best), "")
            label = f"{told.title} against {title} of {words.plural(len(dots), 'trial')}{best}"
            figure = parameter_figure(dots, title=title[0].upper() + title[1:], measure=told)
            plots += _plot(f"against-{name.replace('_', '-')}", label, figure)
    return plots


def _cost(shown: Mapping[int, Dot], trials: list[dict[str, Any]], told: Measure) -> list[Plot]:
    dots = _placed(shown, [trial.get("seconds") for trial in trials])
    longest = words.duration(max((dot.x for dot in dots), default=0.0))
    label = (
        f"{told.title} against seconds of training, of {words.plural(len(dots), 'trial')}; the longest took {longest}"
    )
    return _plot("cost", label, cost_figure(dots, measure=told)) if dots else []


def _rows(trials: list[dict[str, Any]], told: Measure, arms: Mapping[str, int]) -> list[dict[str, Any]]:
    """The best finished trials, the best first."""
    finished = [trial for trial in trials if words.number(trial.get("value")) is not None]
    ordered = sorted(finished, key=lambda trial: trial["value"] * (1 if told.lower else -1))
    return [
        {
            "number": int(words.number(trial.get("number")) or 0) + 1,
            "arm": str(_params(trial).get("mix")),
            "color": arms.get(str(_params(trial).get("mix")), 0),
            "value": told.say(trial["value"]),
            "params": {name: f"{value:g}" for name in TITLES if (value := words.number(_params(trial).get(name)))},
            "seconds": words.duration(trial.get("seconds")),
        }
        for trial in ordered[:LISTED]
    ]


def _counts(trials: list[dict[str, Any]], arms: Mapping[str, int]) -> list[tuple[str, int, int, int]]:
    """(arm, its colour, trials, of them given up)."""
    of = {arm: [trial for trial in trials if _params(trial).get("mix") == arm] for arm in arms}
    return [
        (arm, arms[arm], len(mine), sum(trial.get("state") != "finished" for trial in mine)) for arm, mine in of.items()
    ]


def _importance(found: Mapping[str, Any]) -> list[tuple[str, float]]:
    """Parameters in words with their shares; nothing of a single one."""
    shares = words.mapping(found.get("importance"))
    named = {"mix": "method", **TITLES}
    pairs = [(named.get(name, words.line(name)), words.number(share)) for name, share in shares.items()]
    return [(name, share) for name, share in pairs if share is not None] if len(pairs) > 1 else []


def _facts(
    found: Mapping[str, Any],
    trials: list[dict[str, Any]],
    told: Measure,
    config: str,
    scan: Mapping[str, Any],
    winner: record.Comparison | None,
) -> list[tuple[str, str]]:
    classes = [str(name) for name in winner.classes] if winner else []
    part_counts = winner.part_counts if winner else {}
    runs = [run for mine in winner.runs.values() for run in mine] if winner else []
    done = facts.facts(config, runs, pictures.data(dict(scan), part_counts, classes), scan)
    given_up = sum(trial.get("state") != "finished" for trial in trials)
    done += [("Trials", f"{len(trials)}, {given_up} given up early"), ("Judged by", f"{told.title} on validation")]
    seconds = sum(words.number(trial.get("seconds")) or 0.0 for trial in trials)
    return [*done, ("Time of the search", words.duration(seconds))]


def _winner(winner: record.Comparison | None, arms: Mapping[str, int]) -> dict[str, Any]:
    """What the section about the winner's comparison shows, see the page of a comparison."""
    if winner is None:
        return {"rows": [], "score_plots": []}
    scores = results.scores(winner)
    part = {"test": "the test part", "val": "the validation part"}.get(str(winner.summary.get("part")), "")
    return {
        "rows": results.rows(scores, winner),
        "score_plots": results.score_figures(scores, winner),
        "n_seeds": max((len(results.numbers(arm.get("seeds"))) for arm in scores.values()), default=0),
        "is_finished": bool(winner.summary.get("arms")),
        "baseline": words.baseline_of({**winner.summary, "arms": scores}),
        "more_seeds": results.more_seeds(scores, winner),
        "judged": part,
    }
