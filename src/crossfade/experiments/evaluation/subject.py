"""A trained run, loaded to be judged, and folders of pictures read the way it reads its own."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from crossfade.data.cache import Cache
from crossfade.data.loader import Batch
from crossfade.data.rows import Rows
from crossfade.data.scan import Index
from crossfade.errors import ConfigError
from crossfade.experiments.evaluation.selection import Membership
from crossfade.training import record
from crossfade.training.config import RunConfig, read_toml, resolve
from crossfade.training.dataset import read_pictures
from crossfade.training.hardware import choose_precision
from crossfade.training.inference import logits_of, plain_loader
from crossfade.training.predict import Predictor, load_run

Progress = Callable[[str, int, int], None]
Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Subject:
    """A run to be evaluated, loaded.

    Attributes:
        folder: of the run.
        predictor: its network, with all that it does to pictures.
        config: its config.toml.
        precision: that its numbers were computed in.
    """

    folder: Path
    predictor: Predictor
    config: RunConfig
    precision: torch.dtype

    @classmethod
    def load(cls, folder: Path, weights: str | None = None) -> Subject:
        """Read a run folder.

        Raises:
            ConfigError, CheckpointError: it is no run, or damaged.
        """
        if not (folder / "config.toml").is_file() or not any((folder / "checkpoints").glob("*")):
            raise ConfigError(
                f"evaluate: needs the folder of a training or of a comparison. Got {folder}, which holds no "
                "config.toml with checkpoints. Pass the folder that `crossfade train` named at its end."
            )
        predictor = load_run(folder, name=weights, exact=True)
        config = resolve(read_toml(folder / "config.toml", "evaluate"), {})
        return cls(folder, predictor, config, _precision(folder, config, predictor.feed.device))

    @cached_property
    def member(self) -> Membership:
        """Which picture was in which part."""
        return Membership.read(self.folder)

    def logits(self, what: str, pixels: Rows, labels: Numbers, numbers: Numbers, progress: Progress) -> NDArray[Any]:
        """(n, C) float32 logits of the pictures `numbers`, in the run's precision."""
        feed = self.predictor.feed
        loader = plain_loader(pixels, labels, numbers, feed, threads=self.config.threads)
        done = 0

        def tick() -> None:
            nonlocal done
            done = min(done + loader.batch_size, len(numbers))
            progress(what, done, len(numbers))

        found, _ = logits_of(self.predictor.model, loader, feed, self.precision, tick)
        return found.cpu().numpy()

    def seen(self, pixels: Rows, numbers: Numbers) -> NDArray[np.uint8]:
        """(n, H, W, C) the pictures `numbers` as the network is shown them."""
        feed = self.predictor.feed
        if not len(numbers):
            return np.zeros((0, *pixels.shape[1:]), np.uint8)
        images = pixels.take(numbers, axis=0)
        ready = feed.prepare(Batch(images, np.zeros(len(numbers), np.int64), numbers, 0, 0))
        return feed.undo(feed.to_device(ready)[0])


@dataclass(frozen=True)
class Pool:
    """A folder of pictures, read the way a run reads its own.

    Attributes:
        index, cache: see `crossfade.data`.
        own: whether the run was trained from it.
        seconds: that reading took.
    """

    index: Index
    cache: Cache
    own: bool
    seconds: float


def open_pool(subject: Subject, data: Path | None, progress: Progress) -> Pool:
    """Scan and cache a folder as the run's own; None opens the run's own.

    Raises:
        ConfigError: None is given, and the record does not say where the pictures were.
        DataError, CacheError: see `crossfade.data.cache.prepare`.
    """
    root = record.own_root(subject.folder)
    if data is None and root is None:
        raise ConfigError(
            f"evaluate: {subject.folder} does not say which pictures it was trained from. Pass their folder: "
            f"crossfade evaluate {subject.folder} DATA."
        )
    where = data or root
    assert where is not None
    own = root is not None and os.path.realpath(where) == os.path.realpath(root)
    start = time.perf_counter()
    predictor, config = subject.predictor, subject.config
    tick = lambda done, total: progress("reading pictures", done, total)  # noqa: E731
    shape = predictor.size, predictor.channels
    # Asked for in the run's own words, its own cache is found.
    index, cache = read_pictures(where, config, (config.size, config.channels) if own else shape, tick)
    if (cache.size, cache.channels) != shape:
        index, cache = read_pictures(where, config, shape, tick)
    return Pool(index, cache, own, time.perf_counter() - start)


def _precision(folder: Path, config: RunConfig, device: torch.device) -> torch.dtype:
    """The one the run was judged in, as its environment.json has it."""
    try:
        return choose_precision(record.read_json(folder / "environment.json")["precision"], device)
    except (OSError, ValueError, KeyError, TypeError):
        return choose_precision(config.precision, device)
