"""The pictures of a run: scanned, split and cached, with the statistics a normalisation needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossfade.data.cache import Cache, prepare
from crossfade.data.fit import Size
from crossfade.data.rows import Rows
from crossfade.data.scan import Index
from crossfade.data.split import PARTS, Part, Split, first_per_class, split
from crossfade.data.twins import leaks
from crossfade.training.config import RunConfig
from crossfade.vision.normalise import histogram
from crossfade.vision.preprocess import Preprocess

STATISTICS_PICTURES = 10_000
_CHUNK = 512


@dataclass(frozen=True)
class Parts:
    """The pictures of a folder, and which part each of them is in.

    Attributes:
        index: what was found.
        split: its parts.
    """

    index: Index
    split: Split

    @property
    def classes(self) -> tuple[str, ...]:
        """Names in index order."""
        return self.index.classes

    @property
    def judged(self) -> Part:
        """The part a verdict is given on: test where there is one."""
        return "test" if len(self.split.test) else "val"

    def per_class(self) -> dict[str, dict[str, int]]:
        """{part: {class: pictures}} of the parts that are used."""
        counts = {
            part: np.bincount(self.index.labels[self.split.part(part)], minlength=len(self.classes)) for part in PARTS
        }
        return {part: dict(zip(self.classes, map(int, n), strict=True)) for part, n in counts.items() if n.any()}

    def described(self, size: Size, channels: int) -> dict[str, Any]:
        """What scan found, and what became of it: pictures of so many pixels a side and channels."""
        cached = {"size": size, "channels": channels}
        split = {"parts": self.per_class(), "leaks": self.leaks, "split_notes": list(self.split.notes)}
        return {**self.index.as_dict(), **split, **cached}

    @cached_property
    def leaks(self) -> list[dict[str, Any]]:
        """Pictures that are alike, or of one group, in more than one part; see `crossfade.data.twins.leaks`."""
        parts = np.full(len(self.index), "", dtype="U5")
        for part in PARTS:
            parts[self.split.part(part)] = part
        return leaks(self.index.paths, parts.tolist(), self.index.twins, self.split.groups)


@dataclass(frozen=True)
class Pictures(Parts):
    """What `open_pictures` gives: everything about the data, and nothing about a model."""

    cache: Cache

    def summary(self) -> dict[str, Any]:
        """What scan found, and what became of it: `data.json` of a comparison."""
        return self.described(self.cache.size, self.cache.channels)


def open_pictures(root: Path, config: RunConfig, progress: Callable[[int, int], None] | None = None) -> Pictures:
    """Scan, cache and split the folder `root` as the configuration says.

    Raises:
        DataError, CacheError: see `crossfade.data`.
    """
    index, cache = read_pictures(root, config, (config.size, config.channels), progress)
    parts = split(
        index,
        seed=config.split_seed,
        val=config.val,
        by=config.split_by,
        group=config.group,
        folds=config.folds,
        fold=config.fold,
    )
    if config.per_class is not None:
        parts = first_per_class(parts, index.labels, config.per_class)
    return Pictures(index, parts, cache)


def read_pictures(
    root: Path,
    config: RunConfig,
    shape: tuple[int | None, int | None],
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Index, Cache]:
    """Scan and cache the folder `root`; (size, channels) are None where the pictures are to choose them."""
    return prepare(
        root,
        size=shape[0],
        channels=shape[1],
        fit=config.preprocess.fit,
        trust=config.trust,
        bound=None if config.cache_gb is None else int(config.cache_gb * 1e9),
        max_pixels=config.max_pixels,
        progress=progress,
    )


def count_values(pixels: Rows, ids: NDArray[np.int64], preprocess: Preprocess | None = None) -> NDArray[np.int64]:
    """How often each value occurs in each channel of pictures as the network is shown them; of training ones only.

    Of more than `STATISTICS_PICTURES` pictures, evenly spread ones are looked at, that many at most.

    Args:
        pixels: (N, H, W, C) uint8, as a `Cache` holds them.
        ids: (n,) numbers of the pictures to look at.
        preprocess: what is done to them first.

    Returns:
        (C, 256) counts, what `crossfade.vision.normalise.measure` takes.
    """
    every = -(-len(ids) // STATISTICS_PICTURES)
    chosen = np.sort(ids)[::every]
    prepared = (preprocess or Preprocess()).pictures
    chunks = (prepared(pixels[chosen[start : start + _CHUNK]]) for start in range(0, len(chosen), _CHUNK))
    return np.sum([histogram(chunk.reshape(1, -1, 1, chunk.shape[3]))[0] for chunk in chunks], axis=0)
