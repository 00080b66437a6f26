"""crossfade train: one network, one run folder, one page."""

from __future__ import annotations

from crossfade.cli.options import ConfigFile, DataFolder, Force, Out, TrainFlags, check_outside, free_name, read_config


def train(
    data: DataFolder, /, *, config: ConfigFile = None, out: Out = None, force: Force = False, flags: TrainFlags = None
) -> None:
    """Train one network and write its run folder, with a page about it."""
    settings, _ = read_config(config, flags)

    from crossfade.cli.progress import bar, epoch_line, say
    from crossfade.cli.work import open_bench_into, report_and_say
    from crossfade.mixing.registry import policy_from_spec
    from crossfade.training.callbacks import Watch
    from crossfade.training.record import write_json
    from crossfade.training.run import train_one

    policy_from_spec(settings.mix)
    folder = check_outside(out or free_name(data, "train"), data)
    bench = open_bench_into(data, settings, folder, force=force)
    write_json(folder / "data.json", bench.pictures.summary())
    with bar(f"{settings.model}, {settings.mix}") as tick:
        watch = Watch(epoch=epoch_line(settings.mix, settings.epochs), step=tick)
        summary = train_one(bench, settings, folder, callbacks=[watch])
    judged = summary["judged"]
    accuracy, seconds = f"{100 * judged['accuracy']:.2f} %", f"{summary['seconds']:.1f} s"
    say("")
    print(f"{judged['part']} accuracy {accuracy} ({judged['epoch']} epoch), {seconds}")
    report_and_say(folder)
