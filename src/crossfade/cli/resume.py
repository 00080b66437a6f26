"""crossfade resume: go on with what was stopped."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from crossfade.cli.options import trackers_of
from crossfade.errors import ConfigError

if TYPE_CHECKING:
    from crossfade.training.config import RunConfig
    from crossfade.training.run import Bench


def resume(
    run: Annotated[Path, Parameter(help="folder that train, compare, check, lr --values, ablate or tune made")],
    /,
    *,
    data: Annotated[Path | None, Parameter(help="where the folder of pictures is now, if it was moved")] = None,
    threads: Annotated[
        int | None, Parameter(help="threads that prepare batches; the numbers never depend on it")
    ] = None,
) -> None:
    """Go on with what was stopped or killed, as if it had not been.

    On the CPU it ends with the same weights, to the bit. What is finished is kept. A run that is finished stays as
    it is.
    """
    command = _read_command(run)
    kinds = {"train": _train, "compare": _compare, "check": _check, "lr": _lr, "ablate": _ablate, "tune": _tune}
    if command["kind"] == "fit":
        raise ConfigError(
            f"resume: a training by Keras is gone on with in its own program. Got {run}. "
            "Fit there with initial_epoch, and RunRecorder(..., resume=True)."
        )
    if command["kind"] not in kinds:
        raise ConfigError(
            f"resume: goes on with {' or '.join(kinds)}. Got {run}, made by crossfade {command['kind']}. "
            "Run that command again."
        )
    return kinds[command["kind"]](run, command, data or Path(command["data"]), threads)


def _train(run: Path, command: dict[str, Any], data: Path, threads: int | None) -> None:
    from crossfade.cli.work import run_training
    from crossfade.training.record import finished

    if finished(run) is not None:
        return _say_finished(run)
    _, config, bench = _reopen(run, data, threads)
    run_training(bench, config, run, resume=True, trackers=trackers_of(command.get("trackers")))
    return None


def _compare(run: Path, command: dict[str, Any], data: Path, threads: int | None) -> None:
    from crossfade.cli.work import run_comparison
    from crossfade.experiments.comparison import Comparison, is_finished
    from crossfade.training.resume import recorded

    table, _, _ = recorded(run)
    if is_finished(run, table["arm"], table["seeds"]):
        return _say_finished(run)
    _, config, bench = _reopen(run, data, threads)
    comparison, trackers = Comparison(table["arm"], table["seeds"], config), trackers_of(command.get("trackers"))
    run_comparison(bench, comparison, run, command["argv"], resume=True, trackers=trackers)
    return None


def _tune(run: Path, command: dict[str, Any], data: Path, threads: int | None) -> None:
    from crossfade.cli.search import run_search
    from crossfade.experiments.tuning.tune import Search, is_finished

    if is_finished(run):
        return _say_finished(run)
    table, config, bench = _reopen(run, data, threads)
    search = Search(table["arm"], table["trials"], table["seeds"], config, table.get("timeout"))
    run_search(bench, search, run, command["argv"])
    return None


def _check(run: Path, command: dict[str, Any], data: Path, threads: int | None) -> int | None:
    from crossfade.cli.steps import run_check
    from crossfade.experiments.checking.check import Check
    from crossfade.training.record import read_json

    if (run / "check.json").exists():
        _say_finished(run)
        return 0 if read_json(run / "check.json")["passed"] else 1
    table, config, bench = _reopen(run, data, threads)
    return run_check(bench, Check(config, table["bound"]), run)


def _lr(run: Path, command: dict[str, Any], data: Path, threads: int | None) -> int | None:
    import shlex

    from crossfade.cli.steps import run_sweep
    from crossfade.experiments.lr import Sweep
    from crossfade.training.record import read_json

    if (run / "lr.json").exists():
        _say_finished(run)
        return 0 if read_json(run / "lr.json")["suggestion"] else 1
    table, config, bench = _reopen(run, data, threads)
    if "values" not in table:
        again = shlex.join([*command["argv"], "--force"])
        raise ConfigError(f"resume: a range test is not gone on with. Got {run}. Run it again: {again}")
    return run_sweep(bench, Sweep(config, table["values"]), run)


def _ablate(run: Path, command: dict[str, Any], data: Path, threads: int | None) -> None:
    from crossfade.cli.ablate import sizes_of
    from crossfade.cli.steps import run_ablation
    from crossfade.experiments.ablate import Ablation

    table, config, bench = _reopen(run, data, threads)
    run_ablation(bench, Ablation(sizes_of(table["sizes"]), table["arm"], table["seeds"], config), run, command["argv"])


def _reopen(run: Path, data: Path, threads: int | None) -> tuple[dict[str, Any], RunConfig, Bench]:
    """The table of a run, its configuration and its bench, on the device and in the precision it began with."""
    from crossfade.cli.progress import say
    from crossfade.cli.work import open_pictures_with_bar
    from crossfade.training.record import own_root
    from crossfade.training.resume import recorded, tell_moved
    from crossfade.training.run import open_bench

    table, config, notes = recorded(run)
    for note in notes:
        say(note)
    if threads is not None:
        config = replace(config, threads=threads)
    pictures = open_pictures_with_bar(data, config)
    if data.absolute() != own_root(run):
        tell_moved(run, pictures)
        say(f"the record of {run} says from now on that its pictures are in {data}")
    return table, config, open_bench(pictures, config)


def _read_command(run: Path) -> dict[str, Any]:
    """`command.json` of a run that had begun to train."""
    import json
    import shlex

    try:
        command: dict[str, Any] = json.loads((run / "command.json").read_text(encoding="utf-8"))
        kind, argv = command["kind"], shlex.join(command["argv"])
    except (OSError, ValueError, KeyError, TypeError):
        above = next((folder for folder in run.absolute().parents if (folder / "command.json").is_file()), None)
        what = "no folder of a run" if above is None else f"a part of {above}"
        advice = (
            "Pass the folder of a training or of a comparison" if above is None else f"Run: crossfade resume {above}"
        )
        raise ConfigError(f"resume: goes on with a run that crossfade began. Got {run}, {what}. {advice}.") from None
    if not (run / "config.toml").is_file():
        raise ConfigError(f"resume: {run} was stopped before {kind} began. Run it again with --force: {argv}")
    return command


def _say_finished(run: Path) -> None:
    from crossfade.cli.work import report_and_say
    from crossfade.report.page import PAGE

    print(f"{run} is finished; there is nothing left to do")
    if not (run / PAGE).exists():
        report_and_say(run)
