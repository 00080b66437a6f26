"""Which pictures of a folder a run is evaluated on: never, unless asked for, one that it was trained on.

A picture is known by the bytes of its file, not by its name, so a copy of a training picture is found in any folder.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from crossfade.data.classes import match_classes
from crossfade.data.likeness import near_identical
from crossfade.data.scan import Index
from crossfade.data.split import PARTS
from crossfade.data.table import read_table
from crossfade.errors import DataError

Choice = Literal["test", "val", "train", "all"]
Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Membership:
    """Which part of a run's split a picture was in: its `split.csv`, by content.

    Attributes:
        of: {part: hashes}, 32 hexadecimal digits each.
        paths: {(path, hash): part}.
    """

    of: Mapping[str, frozenset[str]]
    paths: Mapping[tuple[str, str], str] = field(repr=False)

    @classmethod
    def read(cls, folder: Path) -> Membership:
        """From a run folder.

        Raises:
            DataError: its split.csv is missing or damaged.
        """
        try:
            rows = [(row["path"], row["hash"], row["part"]) for row in read_table(folder / "split.csv", _COLUMNS)]
        except (OSError, KeyError, csv.Error, UnicodeError) as error:
            raise DataError(
                "evaluate: a run's split.csv tells which pictures it was trained on. "
                f"Got {type(error).__name__}: {error} in {folder}. Bring the file back, or train again."
            ) from error
        of: dict[str, frozenset[str]] = {
            part: frozenset(digest for _, digest, its in rows if its == part) for part in PARTS
        }
        return cls(of, {(path, digest): part for path, digest, part in rows})

    def holds(self, part: str, digests: Sequence[str]) -> NDArray[np.bool_]:
        """(n,) whether each picture was in `part`, under whatever name."""
        known = self.of[part]
        return np.array([digest in known for digest in digests], bool)


_COLUMNS = ("path", "part", "hash")


@dataclass(frozen=True)
class Selection:
    """What is judged.

    Attributes:
        part: "test", "val", "train" or "all".
        numbers: (n,) ascending, indices into the folder's index.
        labels: (N,) of the whole index in the numbering of the run; -1 for a class it does not know.
        left_out: {"trained_on", "refused", "unknown_class"}: pictures of that part, and files of the folder, counted.
        notes: what a reader of the scores should know, a sentence each.
    """

    part: Choice
    numbers: Numbers
    labels: Numbers
    left_out: dict[str, int]
    notes: tuple[str, ...]


def select(
    index: Index,
    classes: Sequence[str],
    member: Membership,
    *,
    own: bool,
    part: Choice | None = None,
    with_trained: bool = False,
) -> Selection:
    """Choose the pictures of a folder to judge a run by.

    The parts are the run's own where `index` is the folder it was trained from, else those of the folder if it came
    with parts, else again the run's own, by content. Where no part is asked for: test if there is one, else val, else
    all.

    Args:
        index: of the folder.
        classes: of the run, in the order of its outputs; those of the folder are found by name.
        member: the run's split.
        own: whether the run was trained from this folder.
        part: None chooses.
        with_trained: keep pictures that the run was trained on.

    Raises:
        DataError: no picture is left, or no class of the folder is one of the run's.
    """
    digests = [index.digest(picture) for picture in range(len(index))]
    parts = _parts(index, digests, member, own)
    wanted = part or _default(index, member, own)
    inside = np.ones(len(index), bool) if wanted == "all" else parts == wanted
    labels = _labels(index, classes)
    unknown = inside & (labels < 0)
    trained = inside & (labels >= 0) & member.holds("train", digests) & (not with_trained)
    numbers = np.flatnonzero(inside & (labels >= 0) & ~trained)
    left_out = {
        "trained_on": int(trained.sum()),
        "refused": len(index.refused),
        "unknown_class": int(unknown.sum()),
    }
    if not len(numbers):
        raise DataError(_nothing_left(index, wanted, left_out, sorted(set(parts.tolist()) - {""})))
    notes = _notes(index, classes, labels, numbers, unknown)
    if own and wanted != "all":
        notes += _changed(member, wanted, parts)
    if with_trained and (known := int(member.holds("train", digests)[numbers].sum())):
        notes.append(f"{known:,} of these pictures were trained on: such scores say little about new pictures")
    return Selection(wanted, numbers, labels, left_out, tuple(notes))


def near_copies(index: Index, numbers: Numbers, own: Index, trained: Numbers) -> Numbers:
    """Those of the pictures `numbers` that are near-identical to one the run was trained on, but of other bytes.

    Args:
        index: of the folder.
        own: of the folder that the run was trained from.
        trained: (n,) the pictures of it that the run was trained on.
    """
    sketches = np.concatenate([own.sketches[trained], index.sketches[numbers]])
    pairs = near_identical(sketches, np.concatenate([own.sizes[trained], index.sizes[numbers]]))
    across = (pairs.first < len(trained)) & (pairs.second >= len(trained))
    return numbers[np.unique(pairs.second[across]) - len(trained)]


def _parts(index: Index, digests: Sequence[str], member: Membership, own: bool) -> NDArray[np.str_]:
    """(N,) names of parts; "" for a picture that is in none."""
    if own:
        return np.array([member.paths.get(key, "") for key in zip(index.paths, digests, strict=True)], "U5")
    if index.has_parts:
        return np.array(index.parts, "U5")
    found = np.full(len(digests), "", "U5")
    for part in PARTS:
        found[member.holds(part, digests)] = part
    return found


def _default(index: Index, member: Membership, own: bool) -> Choice:
    """Test where there is one, else val, else all: of the run's own parts, or of those the folder came with."""
    there = [part for part in PARTS if member.of[part]] if own else index.parts
    return "test" if "test" in there else "val" if "val" in there else "all"


def _labels(index: Index, classes: Sequence[str]) -> Numbers:
    known = [name for name in index.classes if name in set(classes)]
    of_known = dict(zip(known, match_classes(classes, known or index.classes).tolist(), strict=True))
    table = np.array([of_known.get(name, -1) for name in index.classes], np.int64)
    return table[index.labels]


def _notes(
    index: Index, classes: Sequence[str], labels: Numbers, numbers: Numbers, unknown: NDArray[np.bool_]
) -> list[str]:
    notes = []
    strangers = sorted({index.classes[label] for label in index.labels[unknown].tolist()})
    if strangers:
        notes.append(f"the run knows no class {_listed(strangers)}; {int(unknown.sum()):,} pictures left out")
    counts = np.bincount(labels[numbers], minlength=len(classes))
    empty = [name for name, count in zip(classes, counts, strict=True) if not count]
    if empty:
        notes.append(f"no picture of class {_listed(empty)}")
    return notes


def _changed(member: Membership, part: str, parts: NDArray[np.str_]) -> list[str]:
    """Own pictures that are no longer there as they were, and new ones."""
    missing = sum(its == part for its in member.paths.values()) - int((parts == part).sum())
    fresh = int((parts == "").sum()) if part in ("test", "val") else 0
    notes = [f"{missing:,} pictures of the run's {part} part are gone or changed"] if missing else []
    if fresh:
        notes.append(f"{fresh:,} pictures of the folder are in no part of the run and are not judged; --part all does")
    return notes


def _nothing_left(index: Index, part: str, left_out: Mapping[str, int], parts: Sequence[str]) -> str:
    reasons = [
        f"{count:,} {what}"
        for what, count in zip(("were trained on", "refused", "of unknown classes"), left_out.values(), strict=True)
        if count
    ]
    there = f", whose parts are {', '.join(parts)}" if parts and part not in ("all", *parts) else ""
    return (
        f"evaluate: at least one picture is needed that the run was not trained on. "
        f"Got none of part {part} in {index.root}{there} ({', '.join(reasons) or 'nothing was left out'}). "
        "Pass other pictures or another --part, or --with-trained to judge it by those."
    )


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(map(repr, names[:5]))
    return f"{shown} and {len(names) - 5} more" if len(names) > 5 else shown
