"""crossfade train: one network, one run folder, one page."""

from __future__ import annotations

import sys

from crossfade.cli.options import ConfigFile, DataFolder, Force, Out, TrainFlags, check_outside, free_name, read_config


def train(
    data: DataFolder, /, *, config: ConfigFile = None, out: Out = None, force: Force = False, flags: TrainFlags = None
) -> None:
    """Train one network and write its run folder, with a page about it."""
    settings, _ = read_config(config, flags)

    from crossfade.cli.work import open_bench_into, run_training
    from crossfade.mixing.registry import policy_from_spec
    from crossfade.training.record import write_command, write_json

    policy_from_spec(settings.mix)
    folder = check_outside(out or free_name(data, "train"), data)
    bench = open_bench_into(data, settings, folder, force=force)
    write_command(folder, "train", data, ["crossfade", *sys.argv[1:]])
    write_json(folder / "data.json", bench.pictures.summary())
    run_training(bench, settings, folder)
