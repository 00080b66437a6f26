"""What stands on every page beside its own story: whose it is, its configuration, the commands that repeat it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from crossfade.report.record import Comparison, Experiment, Run, settings
from crossfade.report.sections import commands


def frame(
    found: Run | Comparison | Experiment,
    kind: str,
    *,
    is_finished: bool = True,
    summary: Mapping[str, Any] | None = None,
    runs: Sequence[Run] = (),
) -> dict[str, Any]:
    """The values that ``base.html.j2`` and the sections `settings` and `commands` show.

    Args:
        found: the record of which this is the page.
        kind: the command that made it.
        is_finished: whether there is nothing to go on with.
        summary: where an old record has the command, too.
        runs: the trainings that may have been evaluated.
    """
    evaluation = [run.evaluation for run in runs]
    folder, framework = str(found.folder), str(settings(found.config).get("framework") or "")
    further = commands.further(folder, is_finished=is_finished, kind=kind, evaluation=evaluation, framework=framework)
    return {
        "name": folder_name(found.data.get("root") or found.command.get("data")) or found.folder.resolve().name,
        "notes": found.notes,
        "config": found.config,
        "environment": found.environment,
        "repeats": commands.repeats(found.command, summary or {}),
        "is_exact": _is_exact(found, framework),
        "further": further,
        "not_run": commands.not_run(folder, evaluation) if runs and not framework else [],
    }


def _is_exact(found: Run | Comparison | Experiment, framework: str) -> bool:
    """Whether the same command gives the same numbers: in which order a GPU or another framework adds is not ours."""
    timed = settings(found.config).get("timeout") is not None
    return not framework and found.environment.get("device", "cpu") in ("cpu", "auto") and not timed


def folder_name(root: Any) -> str:
    """The last part of a path of any system."""
    return str(root or "").rstrip("/\\").replace("\\", "/").rpartition("/")[2]
