"""The commands that repeat a run, go on with it, and tell more of it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any, NamedTuple

from crossfade.report import words


class Command(NamedTuple):
    """A line for a shell, and what it does."""

    does: str
    line: str


def quoted(argv: Any) -> str:
    """A command of a record as a line for a shell, "" where there is none."""
    parts = [str(part) for part in words.listing(argv)]
    return shlex.join(parts)


def repeats(command: Mapping[str, Any], summary: Mapping[str, Any]) -> list[str]:
    """The command that trained this: from command.json, else as the summary noted it."""
    line = quoted(command.get("argv"))
    return [line] if line else [str(each) for each in words.listing(summary.get("commands"))]


def further(
    folder: str, *, is_finished: bool, kind: str, evaluation: list[Mapping[str, Any]], framework: str = ""
) -> list[Command]:
    """What else can be done with the folder; what has been done already is not offered as news.

    Args:
        folder: as the reader would name it.
        is_finished: whether there is nothing to go on with.
        kind: "train" or "compare".
        evaluation: of every training, empty where it has none.
        framework: that trained it, where it is not the workbench: its weights are none of ours.
    """
    if framework:
        again = Command("Write this page again", _line("report", folder))
        take = f"model.load_weights({f'{folder}/weights/last.weights.h5'!r})"
        return [again, Command("Take up its weights, in Python", take)] if kind == "train" else [again]
    found = [] if is_finished else [Command("Go on where it stopped", _line("resume", folder))]
    found.append(Command("Write this page again", _line("report", folder)))
    if any(evaluation):
        found.append(Command("Evaluate it again", quoted(_argv(evaluation)) or _line("evaluate", folder)))
    if kind == "train":
        found.append(Command("Name pictures with it", _line("predict", folder) + " PICTURE..."))
        found.append(Command("Take it elsewhere", _line("export", folder, "--to", "onnx")))
    return found


def not_run(folder: str, evaluation: list[Mapping[str, Any]]) -> list[Command]:
    """What this page could say and does not, with the command that would make it."""
    if not evaluation or not all(evaluation):
        does = "Metrics with intervals, calibration, the hardest pictures"
        return [
            Command(does, _line("evaluate", folder)),
            Command(
                "These, and robustness to spoiled and attacked pictures", _line("evaluate", folder, "--robustness")
            ),
        ]
    if not all(found.get("robustness") for found in evaluation):
        return [Command("Robustness to spoiled and attacked pictures", _line("evaluate", folder, "--robustness"))]
    return []


def _argv(evaluation: list[Mapping[str, Any]]) -> list[Any]:
    return next((argv for found in evaluation if (argv := words.listing(found.get("argv")))), [])


def _line(name: str, folder: str, *rest: str) -> str:
    return shlex.join(["crossfade", name, folder, *rest])
