"""What a search found, in words: how much it saw, how much of that is left, and what cannot be concluded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crossfade.experiments.statistics import in_words
from crossfade.experiments.tuning.space import arm_of
from crossfade.training.metrics import METRICS, Metric


def sentences(found: Mapping[str, Any]) -> list[str]:
    """One sentence after the other, for the command line and the page; the first is the result.

    Args:
        found: what is in `tune.json`, without its sentences.
    """
    metric, best, winner = METRICS[found["metric"]], found["best"], found.get("winner")
    searched = _searched(found)
    if best is None:
        return [f"No trial has come to its end yet: {searched}."]
    at = f"The best of the search was number {best['number'] + 1}: {_described(best['params'])}, {_score(best, metric)}"
    on = f"{at} on the validation part. It held {searched}."
    if winner is None:
        return [on, "The winner has not been tried on fresh seeds, so the numbers above flatter it."]
    return [_left(winner, metric), on, *_warnings(found, winner)]


def _searched(found: Mapping[str, Any]) -> str:
    trials = found["trials"]
    finished = sum(trial["state"] == "finished" for trial in trials)
    gone = len(trials) - finished
    asked = "" if len(trials) >= found["asked"] else f" of {found['asked']} asked for"
    return f"{_plural(len(trials), 'trial')}{asked}, {finished} finished and {gone} given up early"


def _left(winner: Mapping[str, Any], metric: Metric) -> str:
    """What tuning saw against what fresh seeds show."""
    arm, baseline, difference = winner["arm"], winner["baseline"], winner["difference"]
    if difference is None:
        fresh = winner["fresh"][arm]
        return (
            f"Tuning saw {_said(winner['value'], metric)} with {arm}; with fresh seeds it is "
            f"{_said(fresh['mean'], metric)}{_interval(fresh, metric)}. Nothing else was compared."
        )
    if baseline["value"] is None:
        saw = f"Tuning saw {_said(winner['value'], metric)} with {arm}"
    else:
        saw = f"Tuning saw {in_words(winner['value'] - baseline['value'], metric)} for {arm} over {baseline['arm']}"
    shown = winner["verdict"].removeprefix(arm)  # " helps: +1.0 points ...", or ": no difference was shown, ..."
    return f"{saw}; on fresh seeds {'it' + shown if shown.startswith(' ') else shown.removeprefix(': ')}."


def _warnings(found: Mapping[str, Any], winner: Mapping[str, Any]) -> list[str]:
    said = []
    baseline = winner["baseline"]
    if baseline["value"] is None:
        said.append(
            f"No trial without mixing came to its end, so {baseline['arm']} was trained with the winner's own learning "
            "rate and weight decay, which suit the winner."
        )
    elif winner["difference"] is not None:
        plain = sum(trial["params"]["mix"] == baseline["params"]["mix"] for trial in found["trials"])
        said.append(
            f"Each side has the learning rate and weight decay that suited it best; {baseline['arm']} was tried in "
            f"{plain} of {_plural(len(found['trials']), 'trial')}."
        )
    if found["part"] == "val":
        said.append(
            "There is no test part: the fresh trainings are judged on the very validation pictures that chose the "
            "winner, so these numbers still flatter it. Keep a test part to know what it is worth."
        )
    return said


def _described(params: Mapping[str, Any]) -> str:
    names = {"lr": "learning rate", "weight_decay": "weight decay"}
    rest = [f"{words} {params[name]:g}" for name, words in names.items() if name in params]
    return ", ".join([arm_of(dict(params)), *rest])


def _score(trial: Mapping[str, Any], metric: Metric) -> str:
    return f"{_said(trial['value'], metric)} {'' if metric.name == 'accuracy' else metric.title}".rstrip()


def _said(value: float, metric: Metric) -> str:
    return f"{100 * value:.1f}%" if metric.percent else f"{value:.3f}"


def _interval(found: Mapping[str, Any], metric: Metric) -> str:
    if found["ci95"] is None:
        return " (one seed, which is an anecdote)"
    low, high = (_said(end, metric) for end in found["ci95"])
    return f" (95% CI {low} to {high})"


def _plural(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"
