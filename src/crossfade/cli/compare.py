"""crossfade compare: does mixing help on this folder?"""

from __future__ import annotations

import sys
from typing import Annotated

from cyclopts import Parameter

from crossfade.cli.options import (
    CompareFlags,
    ConfigFile,
    DataFolder,
    Force,
    Out,
    Track,
    arms_of,
    check_outside,
    free_name,
    read_config,
    seeds_of,
    trackers_of,
)
from crossfade.errors import ConfigError

DEFAULT_ARMS = ["none", "mixup", "cutmix"]
DEFAULT_SEEDS = 3
Arms = Annotated[
    list[str] | None,
    Parameter(
        name="--arm", negative="", help="an arm, such as mixup:alpha=0.2; say it once for each [none mixup cutmix]"
    ),
]
Seeds = Annotated[str | None, Parameter(help="how many seeds, or which, as in 0,1,5 [default: 3]")]


def compare(
    data: DataFolder,
    /,
    *,
    arm: Arms = None,
    seeds: Seeds = None,
    config: ConfigFile = None,
    out: Out = None,
    force: Force = False,
    track: Track = None,
    flags: CompareFlags = None,
) -> None:
    """Train several arms from the same first weights on the same pictures, and say whether mixing helps."""
    settings, extra = read_config(config, flags, also=("arm", "seeds", "mix", "seed", "track"))
    for key, instead in (("mix", "arm"), ("seed", "seeds")):
        if key in extra:
            raise ConfigError(f"compare: takes {instead}, not {key}. Got {key} = {extra[key]!r} in {config}.")

    from crossfade.cli.work import open_bench_into, run_comparison
    from crossfade.experiments.comparison import Comparison

    arms = arm or arms_of(extra.get("arm", DEFAULT_ARMS))
    comparison = Comparison(arms, seeds_of(seeds or extra.get("seeds", DEFAULT_SEEDS)), settings)
    trackers = trackers_of(track or extra.get("track"))
    folder = check_outside(out or free_name(data, "compare"), data)
    command = ["crossfade", *sys.argv[1:]]
    bench = open_bench_into(data, settings, folder, "compare", command, force=force, trackers=trackers)
    run_comparison(bench, comparison, folder, command, trackers=trackers)
