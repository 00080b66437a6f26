"""Train, val and test: which picture belongs to which part.

The part of a picture is a function of the seed and of the pictures' paths, not of the order of files or of
the machine. Each picture gets a number in [0, 1) from (seed, its path); in each class the lowest go to test,
the next to val and the rest to train. So adding a picture moves at most a few others.

Pictures that are the same, or nearly, and pictures of one group (a patient's, say) stay in one part: see `allot`.
"""

from __future__ import annotations

import csv
import os
import re
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crossfade.data.allot import allot, leave_none_empty
from crossfade.data.listing import natural_key
from crossfade.data.scan import Index
from crossfade.data.table import read_table, write_table
from crossfade.data.twins import join_sets, members
from crossfade.errors import ConfigError, DataError
from crossfade.rng import Stream, sample_uniforms

Numbers = NDArray[np.int64]
Part = Literal["train", "val", "test"]
SplitBy = Literal["content", "name"]
PARTS: tuple[Part, ...] = ("train", "val", "test")
FILLED: tuple[Part, ...] = ("test", "val", "train")  # in this order


@dataclass(frozen=True)
class Split:
    """Numbers of the pictures of each part, ascending; no picture is in two parts.

    Attributes:
        train: (n,) int64, indices into `Index.paths`.
        val: (n,) int64; chooses the epoch.
        test: (n,) int64; empty where there is no test part.
        groups: (N,) int64, of all N pictures of the index: equal numbers for what `group` names together; None
            without it.
        notes: what a reader of the scores should know of it, a sentence each.
    """

    train: Numbers
    val: Numbers
    test: Numbers
    groups: Numbers | None = None
    notes: tuple[str, ...] = ()

    def part(self, name: Part) -> Numbers:
        """The numbers of one part by its name."""
        numbers: Numbers = getattr(self, name)
        return numbers


def split(
    index: Index,
    *,
    seed: int,
    val: float = 0.2,
    test: float = 0.0,
    by: SplitBy = "content",
    group: str | None = None,
    folds: int | None = None,
    fold: int | None = None,
) -> Split:
    """Divide the pictures of an index, class by class.

    A folder that came with parts keeps them. Where it has no val/, validation pictures are taken from train/;
    where it has neither val/ nor test/, both shares are. Where it has val/ but no test/, there is no test.

    Args:
        index: from `scan` or `prepare`.
        seed: >= 0.
        val: share of each class for validation, rounded, at least one picture if above 0.
        test: share of each class for the test, likewise.
        by: "content" keeps identical and near-identical pictures in one part; "name" takes the first of each class
            in the natural order of their paths to train, then val, then test, whatever they show.
        group: a regular expression; pictures in whose paths it captures the same text stay in one part.
        folds: K; instead of a share, one of K equal parts of each class is for validation.
        fold: which one, from 0 on: over all K, every picture is in val exactly once.

    Raises:
        ConfigError: shares outside [0, 1), or that leave nothing to train on; options that exclude each other.
        DataError: a class has fewer pictures than there are parts to fill.
    """
    _check_options(index, val, test, by, group, folds, fold)
    groups, notes = (None, ()) if group is None else named_groups(index, group)
    parts = np.array(index.parts, dtype="U5")
    given = {name: np.flatnonzero(parts == name).astype(np.int64) for name in PARTS}
    if not index.has_parts:
        given["train"] = np.arange(len(index), dtype=np.int64)
    if len(given["val"]):
        done = Split(given["train"], given["val"], given["test"])
    else:
        share = 0.0 if len(given["test"]) else test
        if by == "name":
            done = _divide_by_name(index, given["train"], val, share)
        elif folds is not None and fold is not None:
            done = _fold(index, given["train"], seed, groups, folds, fold)
        else:
            done = _divide(index, given["train"], seed, groups, val, share)
        if len(given["test"]):
            done = replace(done, test=given["test"])
    return replace(done, groups=groups, notes=(*notes, *done.notes))


def _check_options(
    index: Index, val: float, test: float, by: str, group: str | None, folds: int | None, fold: int | None
) -> None:
    if not (0 <= val < 1 and 0 <= test < 1 and val + test < 1):
        raise ConfigError(
            f"split: shares are from 0 up to, not including, 1 and leave something to train on. "
            f"Got val={val}, test={test}. Pass val=0.2, say."
        )
    if by not in ("content", "name"):
        raise ConfigError(f'split: by is "content" or "name". Got {by!r}.')
    if (folds is None) != (fold is None) or (folds is not None and not (folds >= 2 and 0 <= (fold or 0) < folds)):
        raise ConfigError(
            f"split: folds is 2 or more, and fold one of 0 to folds - 1. Got folds={folds}, fold={fold}. "
            "Pass folds=5, fold=0, say."
        )
    if by == "name" and (group is not None or folds is not None):
        raise ConfigError(
            f"split: by name goes by nothing but the names. Got group={group!r}, folds={folds} beside it. "
            'Leave them out, or split by "content".'
        )
    if folds is not None and (test > 0 or "val" in index.parts):
        what = f"test={test}" if test > 0 else f"a folder with a val part, {index.root}"
        raise ConfigError(f"split: folds divide everything into train and val. Got {what} beside them. Leave one out.")


def named_groups(index: Index, group: str) -> tuple[Numbers, tuple[str, ...]]:
    """(N,) a number for each text that `group` captures, and what to say of them.

    Every path that it does not match is a group of its own. Without parentheses in it, the whole match counts.
    """
    try:
        pattern = re.compile(group)
    except re.error as error:
        raise ConfigError(f"group: must be a regular expression. Got {group!r}: {error}.") from error
    seen: dict[object, int] = {}
    numbers = np.zeros(len(index), np.int64)
    unmatched = []
    for picture, path in enumerate(index.paths):
        match = pattern.search(path)
        if match is None:
            unmatched.append(path)
        key = ("alone", path) if match is None else (match.groups() or match.group())
        numbers[picture] = seen.setdefault(key, len(seen))
    if len(unmatched) == len(index):
        raise ConfigError(
            f"group: must match paths such as {index.paths[0]!r}. Got {group!r}, which matches none of "
            f"{len(index):,}. Try it on a few of them."
        )
    said = f"group {group}: {len(seen) - len(unmatched):,} groups"
    if unmatched:
        said += f"; {len(unmatched):,} paths do not match and stand alone, such as {unmatched[0]!r}"
    return numbers, (said,)


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
    return replace(split, train=split.train[chosen])


def _divide(index: Index, numbers: Numbers, seed: int, groups: Numbers | None, val: float, test: float) -> Split:
    labels = index.labels[numbers]
    wanted = np.zeros((len(FILLED), len(index.classes)), np.int64)
    for label, count in enumerate(np.bincount(labels, minlength=len(index.classes)).tolist()):
        n_val, n_test = _sizes(count, val, test, index.classes[label])
        wanted[:, label] = n_test, n_val, count - n_test - n_val
    together = _together(index, numbers, groups)
    parts = allot(together, labels, _ranks(index, numbers, seed), wanted)
    parts, empty = leave_none_empty(parts, together, labels, wanted)
    for part in np.unique(empty[:, 0]).tolist():
        if not (parts == part).any():
            raise DataError(
                f"split: {FILLED[part]} needs a picture. Got none, since all pictures of a class belong together "
                "(they are near-identical, or of one group). Add other pictures, or another group."
            )
    notes = tuple(
        f"{FILLED[part]} has no picture of class {index.classes[label]!r}: all of them belong together"
        for part, label in empty.tolist()
    )
    test_numbers, val_numbers, train = (numbers[parts == part] for part in range(len(FILLED)))
    return Split(train, val_numbers, test_numbers, notes=notes)


def _fold(index: Index, numbers: Numbers, seed: int, groups: Numbers | None, folds: int, fold: int) -> Split:
    labels = index.labels[numbers]
    wanted = np.zeros((folds, len(index.classes)), np.int64)
    for label, count in enumerate(np.bincount(labels, minlength=len(index.classes)).tolist()):
        if count < folds:
            raise DataError(
                f"split: every class needs a picture for each of the {folds} folds. "
                f"Got {count} of class {index.classes[label]!r}. Add pictures, or ask for fewer folds."
            )
        wanted[:, label] = count // folds
        # The remainders of the classes go to different folds, so that these stay equally large.
        first = int(wanted.sum()) % folds
        wanted[(first + np.arange(count % folds)) % folds, label] += 1
    together = _together(index, numbers, groups)
    parts = allot(together, labels, _ranks(index, numbers, seed), wanted)
    notes = tuple(
        f"{where} of fold {fold} has no picture of class {name!r}: too many of them belong together"
        for where, inside in (("val", parts == fold), ("train", parts != fold))
        for label, name in enumerate(index.classes)
        if not (inside & (labels == label)).any()
    )
    inside = parts == fold
    if inside.all() or not inside.any():
        raise DataError(
            f"split: fold {fold} of {folds} needs pictures to train on and to validate with. Got too few groups of "
            "pictures that belong together. Ask for fewer folds."
        )
    return Split(numbers[~inside], numbers[inside], np.zeros(0, np.int64), notes=notes)


def _divide_by_name(index: Index, numbers: Numbers, val: float, test: float) -> Split:
    parts: dict[str, list[Numbers]] = {name: [] for name in PARTS}
    for label, name in enumerate(index.classes):
        own = numbers[index.labels[numbers] == label]
        own = np.array(sorted(own.tolist(), key=lambda number: natural_key(index.paths[number])), np.int64)
        n_val, n_test = _sizes(len(own), val, test, name)
        ends = len(own) - n_val - n_test, len(own) - n_test
        for part, chosen in zip(PARTS, np.split(own, ends), strict=True):
            parts[part].append(chosen)
    train, val_numbers, test_numbers = (np.sort(np.concatenate(parts[name])) for name in PARTS)
    return Split(train, val_numbers, test_numbers)


def _together(index: Index, numbers: Numbers, groups: Numbers | None) -> Numbers:
    """(n,) equal numbers for those of `numbers` that stay in one part."""
    sets = list(index.twins.together) + ([] if groups is None else list(members(groups)))
    return join_sets(len(index), sets)[numbers]


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
    train, val, test = (np.array(sorted(parts[name]), np.int64) for name in PARTS)
    return Split(train, val, test)


def _find(path: str, digest: str, where: dict[str, int], index: Index) -> int:
    number = where.get(path)
    if number is not None and index.digest(number) == digest:
        return number
    what = "is not there" if number is None else "has other content"
    raise DataError(
        f"read_split: every picture of the split must be in the folder, unchanged. "
        f"Got {path!r}, which {what} in {index.root}. Bring the picture back, or start a new run."
    )
