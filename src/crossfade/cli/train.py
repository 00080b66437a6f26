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
    from crossfade.training.keeper import chosen_metric
    from crossfade.training.metrics import METRICS
    from crossfade.training.record import write_json
    from crossfade.training.run import train_one

    policy_from_spec(settings.mix)
    folder = check_outside(out or free_name(data, "train"), data)
    bench = open_bench_into(data, settings, folder, force=force)
    write_json(folder / "data.json", bench.pictures.summary())
    with bar(f"{settings.model}, {settings.mix}") as tick:
        metric = chosen_metric(settings, bench.pictures)
        watch = Watch(epoch=epoch_line(settings.mix, settings.epochs, metric), step=tick)
        summary = train_one(bench, settings, folder, callbacks=[watch])
    judged = summary["judged"]
    told = ", ".join(
        f"{METRICS[name].title} " + (f"{100 * judged[name]:.2f} %" if METRICS[name].percent else f"{judged[name]:.4f}")
        for name in dict.fromkeys((metric.name, "accuracy"))
    )
    say("")
    if "stopped_early" in summary:
        say(f"stopped after epoch {summary['stopped_early']}: {metric.title} was best in epoch {summary['best_epoch']}")
    print(f"{judged['part']} {told} ({judged['epoch']} epoch), {summary['seconds']:.1f} s")
    report_and_say(folder)
