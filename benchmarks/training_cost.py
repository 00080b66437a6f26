"""What judging and recording a training cost beside the training itself."""

from __future__ import annotations

import functools
import os
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from benchmarks.table import Section, at_most
from benchmarks.timing import Timing, Work, interleave
from crossfade.report import write_report
from crossfade.training import checkpoint, loop, record
from crossfade.training.config import RunConfig
from crossfade.training.dataset import open_pictures
from crossfade.training.metrics import score
from crossfade.training.record import make_folder
from crossfade.training.run import open_bench, train_one

SHARE, SECONDS = 2.0, 1.0
RECORDER = ("write_head", "write_json", "append_line", "write_lines", "write_seen")


@dataclass(frozen=True)
class Size:
    """How much is trained: the fewer epochs, the larger the page's share."""

    epochs: int = 3
    rows: int = 1_000_000
    rounds: int = 9


class Stopwatch:
    """Adds up the time spent in functions, and counts a function that another one called only once."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self._inside = False

    @contextmanager
    def on(self, owner: Any, *names: str, what: str) -> Iterator[None]:
        """Time the functions `names` of `owner` while this is entered."""
        with ExitStack() as stack:
            for name in names:
                stack.enter_context(mock.patch.object(owner, name, self.timed(getattr(owner, name), what)))
            yield

    def timed(self, function: Callable[..., Any], what: str) -> Callable[..., Any]:
        """`function`, whose time goes into `seconds[what]`."""

        @functools.wraps(function)
        def timed(*arguments: Any, **options: Any) -> Any:
            if self._inside:
                return function(*arguments, **options)
            self._inside, start = True, time.perf_counter()
            try:
                return function(*arguments, **options)
            finally:
                self._inside = False
                self.seconds[what] += time.perf_counter() - start

        return timed


def measure(data: Path, size: Size) -> Iterator[Section]:
    """The share of a training on the folder `data`, then the AUC of many rows."""
    yield share_of_a_training(data, size)
    yield auc(size)


def share_of_a_training(data: Path, size: Size) -> Section:
    """Of `crossfade train` with its defaults: recorder, metrics and page against all of it."""
    config = RunConfig(epochs=size.epochs, threads=2)
    watch = Stopwatch()
    with (
        tempfile.TemporaryDirectory(prefix="crossfade-bench-") as home,
        mock.patch.dict(os.environ, {"CROSSFADE_CACHE": str(Path(home, "caches"))}),
    ):
        bench = open_bench(open_pictures(data, config), config)
        _train(bench, RunConfig(epochs=1, per_class=4), Path(home, "first"))  # what is compiled, is compiled here
        with (
            watch.on(record, *RECORDER, what="recorder"),
            watch.on(record.LambdaHistogram, "add", what="recorder"),
            watch.on(loop, "scores", "confusion_matrix", what="metrics"),
            watch.on(checkpoint, "save", what="checkpoints"),
        ):
            start = time.perf_counter()
            _train(bench, config, Path(home, "run"))
            watch.timed(write_report, "page")(Path(home, "run"))
            total = time.perf_counter() - start
    percent = {what: 100 * seconds / total for what, seconds in watch.seconds.items()}
    pictures = bench.pictures
    line = at_most(
        f"recorder, metrics and page: share of a training on {data.name}",
        sum(percent[what] for what in ("recorder", "metrics", "page")),
        SHARE,
        "%",
    )
    notes = [
        f"{what}: {1000 * watch.seconds[what]:.2f} ms, {percent[what]:.3f} %"
        for what in ("recorder", "metrics", "page", "checkpoints")
    ]
    counted = f"{len(pictures.split.train):,} training and {len(pictures.split.val):,} validation pictures"
    notes.append(
        f"of {total:.1f} s: {config.model}, {size.epochs} epochs, {counted} of {pictures.cache.size} pixels, one run"
    )
    return Section("Recording a training", [line], [], notes)


def _train(bench: Any, config: RunConfig, folder: Path) -> None:
    make_folder(folder, force=False)
    train_one(bench, config, folder)


def auc(size: Size) -> Section:
    """Of two classes, from probabilities as a network gives them; scikit-learn beside it."""
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, size.rows)
    marks = 1 / (1 + np.exp(-rng.normal(labels, 2)))
    rows = np.column_stack([1 - marks, marks])
    ours = "crossfade.training.metrics.score"
    works: dict[str, Work] = {
        ours: lambda: score("auc", rows, labels),
        "scikit-learn roc_auc_score": lambda: roc_auc_score(labels, marks),
    }
    timings: dict[str, Timing] = interleave(works, size.rounds)
    line = at_most(f"AUC of {size.rows:,} rows", timings[ours].median, SECONDS, "s")
    return Section("Metrics", [line], list(timings.values()))
