"""What was in the folder of pictures, and what was left out of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crossfade.report import words

LISTED = 200
MOST_PATHS = 1000  # of one list
MOST_OF_GROUP = 50
UNEQUAL = 2  # times the pictures, from which on classes are called unequal
PARTS = ("train", "val", "test")


Group = tuple[list[str], int]  # the first paths that are alike, and how many more there are


@dataclass(frozen=True)
class Data:
    """What was in the folder of pictures."""

    parts: list[str]
    classes: list[tuple[str, list[int], int]]  # name, pictures per part, all
    totals: list[int]
    largest: int
    refused: list[tuple[str, int, list[tuple[str, str]]]]  # reason, how many, (path, detail) of the first
    ignored: list[str]
    ignored_count: int
    duplicates: list[Group]
    duplicate_groups: int
    near_duplicates: list[Group]
    near_groups: int
    leaks: list[tuple[str, Group]]  # what is where, paths
    leak_count: int
    conflicts: list[tuple[str, Group]]
    conflict_count: int
    imbalance: str  # how unequal the classes are, "" where they are not
    notes: list[str]  # what the split could not do, or groups it found
    has_scan: bool


def data(scan: Mapping[str, Any], part_counts: Mapping[str, Counter[str]], classes: Sequence[str]) -> Data:
    """The data summary, from data.json where there is one, else from split.csv."""
    order, table = _class_table(scan, part_counts, classes)
    refused = _by_reason(words.listing(scan.get("refused")))
    ignored, duplicates, near, leaks, conflicts = (
        words.listing(scan.get(key)) for key in ("ignored", "duplicates", "near_duplicates", "leaks", "conflicts")
    )
    return Data(
        parts=order,
        classes=[(name, counts, sum(counts)) for name, counts in table],
        totals=[sum(counts[i] for _, counts in table) for i in range(len(order))],
        largest=max((sum(counts) for _, counts in table), default=0),
        refused=[(reason, len(items), items[:LISTED]) for reason, items in refused],
        ignored=[str(path) for path in ignored[:LISTED]],
        ignored_count=len(ignored),
        duplicates=_groups(duplicates),
        duplicate_groups=len(duplicates),
        near_duplicates=_groups(near),
        near_groups=len(near),
        leaks=_alike(leaks, "parts"),
        leak_count=len(leaks),
        conflicts=_alike(conflicts, "classes"),
        conflict_count=len(conflicts),
        imbalance=_imbalance([sum(counts) for _, counts in table]),
        notes=[str(note) for note in words.listing(scan.get("split_notes"))],
        has_scan="images" in scan,
    )


def _groups(found: Sequence[Any]) -> list[Group]:
    """The first groups of paths, as many as show `MOST_PATHS` together."""
    shown: list[Group] = []
    left = MOST_PATHS
    for group in found[:LISTED]:
        paths = [str(path) for path in words.listing(group)]
        first = paths[:MOST_OF_GROUP]
        left -= len(first)
        if left < 0:
            break
        shown.append((first, len(paths) - len(first)))
    return shown


KINDS = {"identical": "The same bytes", "near_identical": "Nearly the same", "group": "One group"}


def _alike(found: Sequence[Any], where: str) -> list[tuple[str, Group]]:
    """("The same bytes, train and test", paths) of the first leaks, or conflicts."""
    told = [words.mapping(one) for one in found]
    shown = []
    for one, group in zip(told, _groups([one.get("paths") for one in told]), strict=False):
        places = " and ".join(words.line(name) for name in words.listing(one.get(where)))
        shown.append((f"{KINDS.get(str(one.get('kind')), 'Alike')}, {places}", group))
    return shown


def _imbalance(totals: Sequence[int]) -> str:
    if not totals or max(totals) < UNEQUAL * min(totals):
        return ""
    if not min(totals):
        return "A class has no picture at all."
    ratio = max(totals) / min(totals)
    return f"The largest class has {ratio:.1f} times the pictures of the smallest (the option balance makes up for it)."


def _class_table(
    scan: Mapping[str, Any], part_counts: Mapping[str, Counter[str]], classes: Sequence[str]
) -> tuple[list[str], list[tuple[str, list[int]]]]:
    counted = {part: words.mapping(counts) for part, counts in words.mapping(scan.get("parts")).items()}
    parts = {part: counts for part, counts in (counted or part_counts).items() if counts}
    everything = words.mapping(scan.get("classes"))
    if not parts and everything:
        parts = {"pictures": everything}
    order = sorted(parts, key=lambda part: PARTS.index(part) if part in PARTS else len(PARTS))
    names = list(classes) or list(everything) or sorted({n for counts in parts.values() for n in counts})
    return order, [(n, [round(words.number(parts[p].get(n)) or 0) for p in order]) for n in names]


def _by_reason(refused: Sequence[Any]) -> list[tuple[str, list[tuple[str, str]]]]:
    """(reason, files with details), the commonest reason first."""
    found: dict[str, list[tuple[str, str]]] = {}
    for item in map(words.mapping, refused):
        file = str(item.get("path")), str(item.get("detail") or "")
        found.setdefault(str(item.get("reason")), []).append(file)
    return sorted(found.items(), key=lambda reason: -len(reason[1]))
