"""crossfade lr: which learning rate, and how it changes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from crossfade.cli.options import (
    LR_OWN,
    ConfigFile,
    Force,
    LrFlags,
    Out,
    check_outside,
    free_folder,
    free_name,
    numbers_of,
    read_config_for,
)
from crossfade.errors import ConfigError

VALUES = "0.1,0.01,0.001"
OWN = {**LR_OWN, "patience": None, "choose": None, "lr": None}


def lr(
    data: Annotated[Path | None, Parameter(help="folder of pictures, as for crossfade train")] = None,
    /,
    *,
    values: Annotated[str | None, Parameter(help=f"learning rates to train with side by side [{VALUES}]")] = None,
    range: Annotated[
        bool, Parameter(name="--range", negative="", help="let the rate rise until the loss explodes, and suggest one")
    ] = False,
    show_schedule: Annotated[
        bool, Parameter(negative="", help="draw the configured schedule; neither trains nor reads pictures")
    ] = False,
    low: Annotated[float | None, Parameter(help="first rate of --range [default: 1e-7]")] = None,
    high: Annotated[float | None, Parameter(help="last rate of --range [default: 10]")] = None,
    steps: Annotated[int | None, Parameter(help="steps of --range [default: 200]")] = None,
    config: ConfigFile = None,
    out: Out = None,
    force: Force = False,
    flags: LrFlags = None,
) -> int:
    """Train for 3 epochs with each of a few learning rates, or find one by a range test, or draw a schedule.

    Beside its own folder it changes nothing: the training that follows is the same as without it. A schedule is drawn
    as crossfade train would follow it, with its defaults.
    """
    asked = [name for name, said in (("values", values), ("range", range), ("show-schedule", show_schedule)) if said]
    if len(asked) > 1:
        raise ConfigError(f"lr: does one thing at a time. Got --{' and --'.join(asked)}. Leave one out.")
    _check_range_only(range, low=low, high=high, steps=steps)
    if show_schedule:
        return _draw(data, config, out, flags, force)
    if data is None:
        raise ConfigError("lr: needs a folder of pictures, DATA. Pass it first, as in crossfade lr photos/ --range.")
    settings = read_config_for("lr", config, flags, OWN)
    if settings.lr is not None:
        raise ConfigError(
            f"lr: looks for a rate. Got --lr {settings.lr:g}. Say --values {settings.lr:g}, or leave it out."
        )
    folder = check_outside(out or free_name(data, "lr"), data)

    from crossfade.cli.steps import open_step, run_range, run_sweep
    from crossfade.experiments.lr import Range, Sweep

    if range:
        asked_for = {"low": low, "high": high, "steps": steps}
        test = Range(settings, **{name: value for name, value in asked_for.items() if value is not None})
        return run_range(open_step("lr", data, settings, folder, force=force), test, folder)
    several = Sweep(settings, numbers_of("values", values or VALUES))
    return run_sweep(open_step("lr", data, settings, folder, force=force), several, folder)


def _check_range_only(wanted: bool, **options: float | None) -> None:
    for name, value in options.items():
        if value is not None and not wanted:
            raise ConfigError(f"lr: --{name} belongs to --range. Got --{name} {value:g} without it. Pass --range, too.")


def _draw(data: Path | None, config: Path | None, out: Path | None, flags: LrFlags, force: bool) -> int:
    settings = read_config_for("lr", config, flags, {})
    folder = out or (free_folder(Path("runs") / "schedule") if data is None else free_name(data, "schedule"))
    if data is not None:
        if not os.path.isdir(data):
            raise ConfigError(f"lr: DATA must be a folder, or left out with --show-schedule. Got {data}.")
        check_outside(folder, data)

    from crossfade.cli.steps import run_schedule

    return run_schedule(data, settings, folder, force=force)
