"""Train, val and test: which picture belongs to which part.

The part of a picture is a function of the seed and of the pictures' paths, not of the order of files or of
the machine. Each picture gets a number in [0, 1) from (seed, its path); in each class the lowest go to test,
the next to val and the rest to train. So adding a picture moves at most a few others.
"""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crossfade.data.scan import Index
from crossfade.data.table import read_table, write_table
from crossfade.errors import ConfigError, DataError
from crossfade.rng import Stream, sample_uniforms

Numbers = NDArray[np.int64]
Part = Literal["train", "val", "test"]
PARTS: tuple[Part, ...] = ("train", "val", "test")


@dataclass(frozen=True)
class Split:
    """Numbers of the pictures of each part, ascending; no picture is in two parts.

    Attributes:
        train: (n,) int64, indices into `Index.paths`.
        val: (n,) int64; chooses the epoch.
        test: (n,) int64; empty where there is no test part.
    """

    train: Numbers
    val: Numbers
    test: Numbers

    def part(self, name: Part) -> Numbers:
        """The numbers of one part by its name."""
        numbers: Numbers = getattr(self, name)
        return numbers


def split(index: Index, *, seed: int, val: float = 0.2, test: float = 0.0) -> Split:
    """Divide the pictures of an index, class by class.

    A folder that came with parts keeps them. Where it has no val/, validation pictures are taken from train/;
    where it has neither val/ nor test/, both shares are. Where it has val/ but no test/, there is no test.

    Args:
        index: from `scan` or `prepare`.
        seed: >= 0.
        val: share of each class for validation, rounded, at least one picture if above 0.
        test: share of each class for the test, likewise.

    Raises:
        ConfigError: shares outside [0, 1), or that leave nothing to train on.
        DataError: a class has fewer pictures than there are parts to fill.
    """
    if not (0 <= val < 1 and 0 <= test < 1 and val + test < 1):
        raise ConfigError(
            f"split: shares are from 0 up to, not including, 1 and leave something to train on. "
            f"Got val={val}, test={test}. Pass val=0.2, say."
        )
    parts = np.array(index.parts, dtype="U5")
    given = {name: np.flatnonzero(parts == name).astype(np.int64) for name in PARTS}
    if not index.has_parts:
        return _divide(index, np.arange(len(index), dtype=np.int64), seed, val, test)
    if len(given["val"]):
        return Split(given["train"], given["val"], given["test"])
    if len(given["test"]):
        taken = _divide(index, given["train"], seed, val, 0.0)
        return Split(taken.train, taken.val, given["test"])
    return _divide(index, given["train"], seed, val, test)


def first_per_class(split: Split, labels: ArrayLike, n: int) -> Split:
    """Keep the first `n` training pictures of each class, in the order of the index; val and test stay.

    Args:
        split: to be thinned out.
        labels: (N,) ints, of the whole index.
        n: pictures per class, >= 1; a class with fewer keeps all.
    """
    if n < 1:
        raise ConfigError(f"first_per_class: n must be at least 1. Got {n}. Pass n=10, say.")
    own = np.asarray(labels)[split.train]
    kept = [np.flatnonzero(own == label)[:n] for label in np.unique(own)]
    chosen = np.sort(np.concatenate(kept)) if kept else np.zeros(0, np.int64)
    return Split(split.train[chosen], split.val, split.test)


def _divide(index: Index, numbers: Numbers, seed: int, val: float, test: float) -> Split:
    ranks = _ranks(index, numbers, seed)
    labels = index.labels[numbers]
    parts: dict[str, list[Numbers]] = {name: [] for name in PARTS}
    for label, name in enumerate(index.classes):
        own = np.flatnonzero(labels == label)
        n_val, n_test = _sizes(len(own), val, test, name)
        own = numbers[own[np.argsort(ranks[own], kind="stable")]]
        parts["test"].append(own[:n_test])
        parts["val"].append(own[n_test : n_test + n_val])
        parts["train"].append(own[n_test + n_val :])
    train, val_numbers, test_numbers = (np.sort(np.concatenate(parts[name])) for name in PARTS)
    return Split(train, val_numbers, test_numbers)


def _ranks(index: Index, numbers: Numbers, seed: int) -> NDArray[np.float64]:
    names = b"".join(blake2b(os.fsencode(index.paths[number]), digest_size=8).digest() for number in numbers.tolist())
    return sample_uniforms(np.frombuffer(names, "<u8"), 1, seed, Stream.SPLIT)[:, 0]


def _sizes(count: int, val: float, test: float, name: str) -> tuple[int, int]:
    """Pictures of a class for (val, test): shares rounded, at least 1 each, at least 1 left to train on."""
    needed = 1 + (val > 0) + (test > 0)
    if count < needed:
        raise DataError(
            f"split: every class needs a picture for each of the {needed} parts. "
            f"Got {count} of class {name!r}. Add pictures, leave the class out, or ask for fewer parts."
        )
    n_test = max(1, int(count * test + 0.5)) if test > 0 else 0
    n_val = max(1, int(count * val + 0.5)) if val > 0 else 0
    while n_val + n_test >= count:
        if n_val >= n_test:
            n_val -= 1
        else:
            n_test -= 1
    return n_val, n_test


# ------------------------------------------------------------------------------------------------ split.csv


def write_split(path: str | os.PathLike[str], index: Index, split: Split) -> None:
    """Write ``path,class,part,hash``, a line per picture that is in a part."""
    parts = sorted((int(number), name) for name in PARTS for number in split.part(name))
    rows = (
        (index.paths[number], index.classes[index.labels[number]], name, index.digest(number)) for number, name in parts
    )
    write_table(path, ("path", "class", "part", "hash"), rows)


def read_split(path: str | os.PathLike[str], index: Index) -> Split:
    """Read a split.csv back and find its pictures in `index` by path and content.

    Raises:
        DataError: the file is damaged, or names a picture that the index lacks or that has changed.
    """
    where = {name: number for number, name in enumerate(index.paths)}
    parts: dict[str, list[int]] = {name: [] for name in PARTS}
    try:
        for row in read_table(path, ("path", "part", "hash")):
            parts[row["part"]].append(_find(row["path"], row["hash"], where, index))
    except (OSError, KeyError, csv.Error, UnicodeError) as error:
        raise DataError(
            f"read_split: a table with the columns path, class, part, hash is needed. "
            f"Got {type(error).__name__}: {error} in {os.fspath(path)}. Start a new run."
        ) from error
    return Split(*(np.array(sorted(parts[name]), np.int64) for name in PARTS))


def _find(path: str, digest: str, where: dict[str, int], index: Index) -> int:
    number = where.get(path)
    if number is not None and index.digest(number) == digest:
        return number
    what = "is not there" if number is None else "has other content"
    raise DataError(
        f"read_split: every picture of the split must be in the folder, unchanged. "
        f"Got {path!r}, which {what} in {index.root}. Bring the picture back, or start a new run."
    )
