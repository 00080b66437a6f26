"""What a person sees while it works: bars with rate and time left on a terminal, plain lines in a pipe."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crossfade.training.metrics import Metric

Tick = Callable[[int, int], None]
TRAIN_AND_VAL = ("train", "val")


def say(words: str) -> None:
    """A line for the person, on standard error, so that standard output holds results only."""
    print(words, file=sys.stderr, flush=True)


def printable(name: object) -> str:
    """A file name as one line of text that does nothing to a terminal: what cannot be shown is escaped."""
    text = str(name)
    return text if text.isprintable() else ascii(text)[1:-1]


@contextmanager
def bar(what: str) -> Iterator[Tick]:
    """A function of (done, total) that shows a bar on a terminal, and one closing line elsewhere."""
    if not sys.stderr.isatty():
        yield _quiet(what)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), _Rate(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


@contextmanager
def stages() -> Iterator[Callable[[str, int, int], None]]:
    """A function of (what, done, total): a `bar` for each stage of a work, one after the other."""
    with ExitStack() as open_bar:
        current, tick = "", None

        def show(what: str, done: int, total: int) -> None:
            nonlocal current, tick
            if tick is None or what != current:
                open_bar.close()
                current, tick = what, open_bar.enter_context(bar(what))
            tick(done, total)

        yield show


def epoch_line(
    label: str, epochs: int, metric: Metric | None = None, parts: tuple[str, str] = TRAIN_AND_VAL
) -> Callable[[Mapping[str, Any]], None]:
    """Prints one line for each epoch of a training.

    Args:
        label: whose epoch it is.
        epochs: how many there are.
        metric: what the training is judged by, said beside the accuracy.
        parts: what the two accuracies are called.
    """
    from crossfade.report.words import scored

    weighed = " (weighed by labels)" if parts == TRAIN_AND_VAL else ""

    def show(line: Mapping[str, Any]) -> None:
        train, val = line["train"], line["val"]
        also = metric is not None and metric.name != "accuracy"
        judged = f", {metric.title} {scored(val[metric.name], metric)}" if also else ""
        say(
            f"  {label}  epoch {line['epoch']:{len(str(epochs))}d}/{epochs}  loss {train['loss']:.4f}"
            f"  {parts[0]} {100 * train['accuracy_by_label_weight']:5.1f}%{weighed}"
            f"  {parts[1]} {100 * val['accuracy']:5.1f}%{judged}"
            f"  {line['seconds']:.1f} s  {line['images_per_second']:,.0f} pictures/s"
        )

    return show


def _quiet(what: str) -> Tick:
    start, said = time.perf_counter(), False

    def tick(done: int, total: int) -> None:
        nonlocal said
        if done >= total and not said:
            said = True
            say(f"{what}: {total:,} in {time.perf_counter() - start:.1f} s")

    return tick


def _Rate() -> Any:
    from rich.progress import ProgressColumn, Task
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(f"{task.speed:,.0f}/s" if task.speed else "", style="dim")

    return Rate()
