"""crossfade train: one network, one run folder, one page."""

from __future__ import annotations

import sys

from crossfade.cli.options import (
    ConfigFile,
    DataFolder,
    Force,
    Out,
    Track,
    TrainFlags,
    check_outside,
    free_name,
    read_config,
    trackers_of,
)


def train(
    data: DataFolder,
    /,
    *,
    config: ConfigFile = None,
    out: Out = None,
    force: Force = False,
    track: Track = None,
    flags: TrainFlags = None,
) -> None:
    """Train one network and write its run folder, with a page about it."""
    settings, extra = read_config(config, flags, also=("track",))

    from crossfade.cli.work import open_bench_into, run_training
    from crossfade.training.record import write_json

    trackers = trackers_of(track or extra.get("track"))
    folder = check_outside(out or free_name(data, "train"), data)
    command = ["crossfade", *sys.argv[1:]]
    bench = open_bench_into(data, settings, folder, "train", command, force=force, trackers=trackers)
    write_json(folder / "data.json", bench.pictures.summary())
    run_training(bench, settings, folder, trackers=trackers)
