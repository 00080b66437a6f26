"""The fair comparison: every arm from the same first weights, on the same pictures, in the same order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from crossfade.errors import TrainingError
from crossfade.experiments.comparison import Comparison, check_fair, run_folder, summarise
from crossfade.training import record
from crossfade.training.callbacks import Callback
from crossfade.training.resume import check_same
from crossfade.training.run import Bench, train_one

OnRun = Callable[[str, int], Sequence[Callback]]


def compare(
    bench: Bench,
    comparison: Comparison,
    folder: Path,
    *,
    commands: Sequence[str] = (),
    on_run: OnRun | None = None,
    resume: bool = False,
) -> dict[str, Any]:
    """Train every arm for every seed, all arms of a seed before the next one.

    Writes into `folder`, made by `record.make_folder`.

    Args:
        commands: what the user typed, for the record.
        on_run: called before each training with (arm, seed); gives the callbacks of that training.
        resume: go on from what is there: trainings that are finished are kept, one that was stopped goes on.

    Returns:
        The summary, which is also in `summary.json`.
    """
    with record.alone_in(folder):
        if resume and record.has_begun(folder):
            check_same(folder, _table(comparison), bench.pictures)
        else:
            record.write_json(folder / "data.json", bench.pictures.summary())
            record.write_head(folder, bench.pictures, _table(comparison), bench.environment)
        return _train_all(bench, comparison, folder, commands, on_run, resume)


def _train_all(
    bench: Bench, comparison: Comparison, folder: Path, commands: Sequence[str], on_run: OnRun | None, resume: bool
) -> dict[str, Any]:
    found: dict[tuple[str, int], dict[str, Any]] = {}
    summary: dict[str, Any] = {}
    for done, seed in enumerate(comparison.seeds, start=1):
        for arm in comparison.arms:
            found[arm, seed] = _run(bench, comparison, arm, seed, folder, on_run, resume)
            check_fair(found, seed)
        # Written seed by seed, so that what is done is not lost if the rest fails or is stopped.
        so_far = replace(comparison, seeds=comparison.seeds[:done])
        summary = {**summarise(so_far, found), "commands": list(commands)}
        record.write_json(folder / "summary.json", summary)
    return summary


def _table(comparison: Comparison) -> dict[str, Any]:
    """What all trainings have in common, and what they differ in."""
    several = {"arm": list(comparison.arms), "seeds": list(comparison.seeds)}
    return {**comparison.config.as_dict(), "mix": None, "seed": None, **several}


def _run(
    bench: Bench, comparison: Comparison, arm: str, seed: int, folder: Path, on_run: OnRun | None, resume: bool
) -> dict[str, Any]:
    own = folder / run_folder(arm, seed)
    own.mkdir(parents=True, exist_ok=resume)
    callbacks = on_run(arm, seed) if on_run is not None else ()
    config = replace(comparison.config, mix=arm, seed=seed, **comparison.own.get(arm, {}))
    try:
        return train_one(bench, config, own, callbacks=callbacks, resume=resume)
    except TrainingError as error:
        raise TrainingError(f"{arm}, seed {seed}: {error}") from error
