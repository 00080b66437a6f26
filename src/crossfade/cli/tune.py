"""crossfade tune: a search for method and rates, and what of its gain is left on fresh seeds."""

from __future__ import annotations

import sys
from typing import Annotated, Any

from cyclopts import Parameter

from crossfade.cli.compare import DEFAULT_ARMS, DEFAULT_SEEDS, Arms
from crossfade.cli.options import (
    ConfigFile,
    DataFolder,
    Force,
    Out,
    TuneFlags,
    arms_of,
    check_outside,
    free_name,
    read_config,
    seeds_of,
)
from crossfade.errors import ConfigError

DEFAULT_TRIALS = 20
Trials = Annotated[int | None, Parameter(help=f"trainings of the search [default: {DEFAULT_TRIALS}]")]
Timeout = Annotated[float | None, Parameter(help="begin no trial after so many minutes")]
Seeds = Annotated[
    str | None,
    Parameter(help="on how many fresh seeds, or on which, the winner is tried again [default: 3]; never on --seed"),
]


def tune(
    data: DataFolder,
    /,
    *,
    arm: Arms = None,
    trials: Trials = None,
    timeout: Timeout = None,
    seeds: Seeds = None,
    config: ConfigFile = None,
    out: Out = None,
    force: Force = False,
    flags: TuneFlags = None,
) -> None:
    """Search method, alpha, learning rate and weight decay on validation, then try the winner against none.

    What is said (--lr, --weight-decay, --alpha) is not searched. The winner is trained again on fresh seeds, since the
    best of many trials flatters itself.
    """
    settings, extra = read_config(config, flags, also=("arm", "seeds", "mix", "trials", "timeout"))
    if "mix" in extra:
        raise ConfigError(f"tune: takes arm, not mix. Got mix = {extra['mix']!r} in {config}.")

    from crossfade.cli.search import run_search
    from crossfade.cli.work import open_bench_into
    from crossfade.experiments.tuning.tune import Search, fresh_seeds

    wanted = seeds_of(seeds or extra.get("seeds", DEFAULT_SEEDS))
    if not _is_list(seeds or extra.get("seeds")):
        wanted = fresh_seeds(len(wanted), settings.seed)
    minutes = timeout if timeout is not None else _number(extra.get("timeout"))
    search = Search(
        arm or arms_of(extra.get("arm", DEFAULT_ARMS)),
        trials if trials is not None else extra.get("trials", DEFAULT_TRIALS),
        wanted,
        settings,
        None if minutes is None else 60 * minutes,
    )
    folder, command = check_outside(out or free_name(data, "tune"), data), ["crossfade", *sys.argv[1:]]
    bench = open_bench_into(data, settings, folder, "tune", command, force=force)
    run_search(bench, search, folder, command)


def _is_list(seeds: Any) -> bool:
    """Whether seeds were named one by one, and not only counted."""
    return isinstance(seeds, list) or (isinstance(seeds, str) and "," in seeds)


def _number(value: Any) -> float | None:
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
        return value
    raise ConfigError(f"timeout: must be a number of minutes above 0. Got {value!r}.")
