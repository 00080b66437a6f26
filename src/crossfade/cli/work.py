"""What several commands do alike: open the pictures under a bar, compare, write the page."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from crossfade.cli.options import is_below
from crossfade.cli.progress import bar, epoch_line, printable, say
from crossfade.data.twins import tell
from crossfade.errors import ConfigError
from crossfade.experiments.compare import compare
from crossfade.experiments.comparison import Comparison
from crossfade.models.registry import check_name
from crossfade.report import summary_table, write_report
from crossfade.report.words import scored
from crossfade.training.callbacks import Callback, Watch
from crossfade.training.config import RunConfig
from crossfade.training.dataset import Pictures, open_pictures
from crossfade.training.keeper import chosen_metric, flattery
from crossfade.training.metrics import METRICS
from crossfade.training.record import check_folder, make_folder, write_command
from crossfade.training.run import Bench, build_model, open_bench, train_one
from crossfade.training.trackers import open_trackers


def open_pictures_with_bar(data: Path, config: RunConfig) -> Pictures:
    """Scan, cache and split, and say in two lines what was found."""
    with bar("reading pictures") as tick:
        pictures = open_pictures(data, config, progress=tick)
    parts = ", ".join(f"{sum(counts.values()):,} {part}" for part, counts in pictures.per_class().items())
    say(f"{data}: {len(pictures.classes)} classes; {parts}; {pictures.cache.size} pixels a side")
    if pictures.cache.mended:
        say(f"{pictures.cache.mended:,} pictures were damaged in the cache and were decoded anew")
    if pictures.cache.on_the_fly:
        needed = pictures.cache.pixels.nbytes / 1e9
        say(f"pictures are decoded as they are needed: a cache would take {needed:.1f} GB (--cache-gb sets the bound)")
    if refused := pictures.index.refused:
        reasons = Counter(one.reason for one in refused).most_common()
        listed = ", ".join(f"{count:,} {reason}" for reason, count in reasons)
        say(f"{len(refused):,} files were refused and left out ({listed}); data.json of a run lists them")
    for note in pictures.split.notes:
        say(note)
    if pictures.leaks:
        first = " = ".join(map(printable, pictures.leaks[0]["paths"][:2]))
        say(f"warning: pictures leak from part to part ({tell(pictures.leaks)}), such as {first}")
    return pictures


def open_bench_into(
    data: Path,
    config: RunConfig,
    folder: Path,
    kind: str,
    command: Sequence[str],
    *,
    force: bool,
    trackers: Sequence[str] = (),
) -> Bench:
    """Everything that can be wrong is found before the folder of an earlier run is touched; then make the folder.

    In it stands which `kind` of command was typed, which is what `crossfade resume` goes by.
    """
    check_name(config.model)
    config.policy()
    if is_below(data, folder):
        raise ConfigError(
            f"out: {folder} holds the folder of pictures, {data}, and a run needs a folder of its own. "
            "Choose another --out."
        )
    check_folder(folder, force=force)
    bench = open_bench(open_pictures_with_bar(data, config), config)
    build_model(bench, config)
    chosen_metric(config, bench.pictures)
    make_folder(folder, force=force)
    write_command(folder, kind, data, command, trackers)
    return bench


def run_training(
    bench: Bench, config: RunConfig, folder: Path, *, resume: bool = False, trackers: Sequence[str] = ()
) -> None:
    """Train under a bar, print what came of it and say where the page is."""
    listeners = open_trackers(trackers, folder, say)
    metric = chosen_metric(config, bench.pictures)
    with bar(f"{config.model}, {config.mix}, steps") as tick:
        watch = Watch(epoch=epoch_line(config.mix, config.epochs, metric), step=tick)
        summary = train_one(bench, config, folder, callbacks=[watch, *listeners], resume=resume)
    judged = summary["judged"]
    told = ", ".join(
        f"{METRICS[name].title} {scored(judged[name], METRICS[name])}"
        for name in dict.fromkeys((metric.name, "accuracy"))
    )
    say("")
    if "stopped_early" in summary:
        say(f"stopped after epoch {summary['stopped_early']}: {metric.title} was best in epoch {summary['best_epoch']}")
    print(f"{judged['part']} {told} ({judged['epoch']} epoch), {summary['seconds']:.1f} s")
    if note := flattery(judged, config.patience, config.schedule):
        print(note)
    page = report_and_say(folder)
    for tracker in listeners:
        tracker.attach([page, folder / "figures"])


def run_comparison(
    bench: Bench,
    comparison: Comparison,
    folder: Path,
    command: Sequence[str],
    *,
    resume: bool = False,
    trackers: Sequence[str] = (),
) -> None:
    """Compare under a bar, print the table and say where the page is."""
    metric = chosen_metric(comparison.config, bench.pictures)
    total = len(comparison.arms) * len(comparison.seeds)
    with bar("training, steps") as tick:
        count = 0

        def on_run(arm: str, seed: int) -> list[Callback]:
            nonlocal count
            count += 1
            before = count - 1
            line = epoch_line(f"{arm}, seed {seed}", comparison.config.epochs, metric)
            watch = Watch(epoch=line, step=lambda done, steps: tick(before * steps + done, total * steps))
            return [watch, *open_trackers(trackers, folder, say)]

        summary = compare(bench, comparison, folder, commands=[shlex.join(command)], on_run=on_run, resume=resume)
    say("")
    print(summary_table(summary))
    if note := flattery(summary, comparison.config.patience, comparison.config.schedule):
        print(note)
    report_and_say(folder)


def report_and_say(folder: Path, *, aside: bool = False) -> Path:
    """Write the page of a run folder and say where it is; `aside` keeps standard output for what a program reads."""
    page = write_report(folder)
    say(f"page: {page}") if aside else print(f"page: {page}")
    return page
