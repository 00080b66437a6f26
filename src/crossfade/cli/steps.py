"""What check, lr and ablate do: open the pictures, work under a bar, print the sentence, write the page."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from crossfade.cli.progress import bar, epoch_line, say
from crossfade.cli.work import open_bench_into, report_and_say
from crossfade.experiments.ablate import Ablation, ablate, size_name
from crossfade.experiments.checking.check import Check, check
from crossfade.experiments.lr import Range, Sweep, draw_schedule, range_test, sweep
from crossfade.report.tables import aligned, ascii_only
from crossfade.report.words import line, losses, plural, scored
from crossfade.training.callbacks import Callback, Watch
from crossfade.training.config import RunConfig
from crossfade.training.metrics import METRICS
from crossfade.training.record import make_folder, write_command
from crossfade.training.run import Bench


def open_step(kind: str, data: Path, config: RunConfig, folder: Path, *, force: bool) -> Bench:
    """The bench of a new folder, in which stands what was asked for."""
    return open_bench_into(data, config, folder, kind, ["crossfade", *sys.argv[1:]], force=force)


def run_check(bench: Bench, asked: Check, folder: Path) -> int:
    """Check, say what was found; 0 if it passed."""
    config = asked.config
    with bar("training, steps") as tick:
        show = epoch_line("check", config.epochs, parts=("while it learned", "after the epoch"))
        found = check(bench, asked, folder, callbacks=[Watch(epoch=show, step=tick)])
    say("")
    print(found["sentence"])
    for cause in found["causes"][1:]:
        print(f"or {cause['cause']}: {cause['evidence']}. {cause['advice']}")
    report_and_say(folder)
    return 0 if found["passed"] else 1


def run_sweep(bench: Bench, asked: Sweep, folder: Path) -> int:
    """Train with each rate; 0 if any of them is good."""
    total = len(asked.values)
    with bar("training, steps") as tick:

        def on_value(value: float) -> list[Callback]:
            before = list(asked.values).index(value)
            show = epoch_line(f"lr {value:g}", asked.config.epochs)
            return [Watch(epoch=show, step=lambda done, steps: tick(before * steps + done, total * steps))]

        found = sweep(bench, asked, folder, on_value=on_value)
    say("")
    metric = METRICS[found["metric"]]
    rows = [("rate", "loss after each epoch", f"{metric.title} on validation")]
    for name, one in found["values"].items():
        course = "  ".join(losses(one["epochs"])) + ("  blew up" if one["stopped"] else "")
        rows.append((name, course, scored(one["val"], metric)))
    print(ascii_only(aligned(rows)))
    print(f"\n{found['sentence']}")
    report_and_say(folder)
    return 0 if found["suggestion"] else 1


def run_range(bench: Bench, asked: Range, folder: Path) -> int:
    """Find the rates at which the loss falls; 0 if there are any."""
    with bar("range test, steps") as tick:
        found = range_test(bench, asked, folder, tick=tick)
    say("")
    print(found["sentence"])
    report_and_say(folder)
    return 0 if found["suggestion"] else 1


def run_schedule(data: Path | None, config: RunConfig, folder: Path, *, force: bool) -> int:
    """Draw the schedule of a configuration; `data` is only named."""
    make_folder(folder, force=force)
    write_command(folder, "lr", data or folder, ["crossfade", *sys.argv[1:]])
    print(draw_schedule(config, folder)["sentence"])
    report_and_say(folder)
    return 0


def run_ablation(bench: Bench, asked: Ablation, folder: Path, command: Sequence[str]) -> None:
    """Compare at every size, print the table and what was shown."""

    def on_run(size: str, arm: str, seed: int) -> list[Callback]:
        return [Watch(epoch=epoch_line(f"{size} a class, {arm}, seed {seed}", asked.config.epochs))]

    say(f"sizes: {', '.join(map(size_name, asked.sizes))} pictures a class")
    found = ablate(bench, asked, folder, commands=[shlex.join(command)], on_run=on_run)
    say("")
    metric = METRICS[found["metric"]]
    rows = [("a class", "pictures", "steps", *(line(arm, 40) for arm in found["arms"]))]
    for i, size in enumerate(found["per_class"]):
        means = (scored(arm["mean"][i], metric) for arm in found["arms"].values())
        rows.append((str(size), f"{found['pictures'][i]:,}", f"{found['steps'][i]:,}", *means))
    print(ascii_only(f"{metric.title}, mean of {plural(len(found['seeds']), 'seed')}\n\n{aligned(rows)}\n"))
    for words in [*found["notes"], *found["sentences"]]:
        print(words)
    report_and_say(folder)
