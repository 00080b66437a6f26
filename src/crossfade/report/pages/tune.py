"""The page of a search: what is left of its gain, the best trials, and what each choice was worth."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from crossfade.report import record, words
from crossfade.report.frame import frame
from crossfade.report.measure import Measure, measure
from crossfade.report.record import Experiment
from crossfade.report.render import Page, Section, render
from crossfade.report.sections import data as pictures
from crossfade.report.sections import facts, results
from crossfade.report.sections.plot import Plot
from crossfade.report.style import PALETTE
from crossfade.report.trials import Dot, cost_figure, history_figure, parameter_figure

LISTED = 10
TITLES = {"lr": "learning rate", "weight_decay": "weight decay", "alpha": "alpha"}

Trial = Mapping[str, Any]

STORY = (
    Section("winner", "On fresh seeds"),
    Section("trials", "The best trials"),
    Section("tradeoffs", "What each choice was worth"),
)


def tune_page(search: Experiment) -> Page:
    """The page of a search, finished or not."""
    found = search.result
    told = measure(found.get("metric"))
    trials = [words.mapping(trial) for trial in words.listing(found.get("trials"))]
    arms = _arms(found)
    shown = _shown(trials, found, arms)
    winner = search.folder / "winner"
    comparison = record.read_comparison(winner) if winner.is_dir() else None
    sentences = [str(said) for said in words.listing(found.get("sentences"))]
    values = {
        **frame(search, "tune", is_finished="winner" in found, summary=found),
        "headline": sentences[0] if sentences else "This search has no trial yet.",
        "sentences": sentences[1:],
        "facts": _facts(search, trials, told, comparison),
        "arms": list(arms.items()),
        "best": _rows(trials, told, arms),
        "columns": [name for name in TITLES if any(name in _params(trial) for trial in trials)],
        "titles": TITLES,
        "counts": _counts(trials, arms),
        "importance": _importance(found),
        "finished": sum(trial.get("state") == "finished" for trial in trials),
        "history_plots": _history(shown, trials, told),
        "parameter_plots": _parameters(shown, trials, told),
        "cost_plots": _cost(shown, trials, told),
        **({"rows": [], "score_plots": []} if comparison is None else results.arms_section(comparison)),
        "measure": told,
    }
    return render("tune.html.j2", STORY, values)


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


def _history(shown: Mapping[int, Dot], trials: list[dict[str, Any]], told: Measure) -> list[Plot]:
    dots = _placed(shown, range(1, len(trials) + 1))
    best = next((f"; the best is {told.say(dot.value)}, trial {dot.x:.0f}" for dot in dots if dot.best), "")
    label = f"{told.title} of {words.plural(len(dots), 'trial')}, one after another{best}"
    return [Plot("history", label, history_figure(dots, measure=told))] if dots else []


def _parameters(shown: Mapping[int, Dot], trials: list[dict[str, Any]], told: Measure) -> list[Plot]:
    plots = []
    for name, title in TITLES.items():
        dots = [dot for dot in _placed(shown, [_params(trial).get(name) for trial in trials]) if dot.x > 0]
        if dots:
            best = next((f"; the best trial has {dot.x:g}" for dot in dots if dot.best), "")
            label = f"{told.title} against {title} of {words.plural(len(dots), 'trial')}{best}"
            figure = parameter_figure(dots, title=words.capital(title), measure=told)
            plots.append(Plot(f"against-{name.replace('_', '-')}", label, figure))
    return plots


def _cost(shown: Mapping[int, Dot], trials: list[dict[str, Any]], told: Measure) -> list[Plot]:
    dots = _placed(shown, [trial.get("seconds") for trial in trials])
    longest = words.duration(max((dot.x for dot in dots), default=0.0))
    label = (
        f"{told.title} against seconds of training, of {words.plural(len(dots), 'trial')}; the longest took {longest}"
    )
    return [Plot("cost", label, cost_figure(dots, measure=told))] if dots else []


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
    search: Experiment, trials: list[dict[str, Any]], told: Measure, winner: record.Comparison | None
) -> list[tuple[str, str]]:
    classes = [str(name) for name in winner.classes] if winner else []
    part_counts = winner.part_counts if winner else {}
    runs = [run for mine in winner.runs.values() for run in mine] if winner else []
    data = pictures.data(search.data, part_counts, classes)
    done = facts.facts(search.config, runs, data, search.data)
    given_up = sum(trial.get("state") != "finished" for trial in trials)
    done += [("Trials", f"{len(trials)}, {given_up} given up early"), ("Judged by", f"{told.title} on validation")]
    seconds = sum(words.number(trial.get("seconds")) or 0.0 for trial in trials)
    return [*done, ("Time of the search", words.duration(seconds))]
