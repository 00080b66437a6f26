"""Which pictures of a folder are the same, or nearly: for the split, for leaks and for labels in conflict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossfade.data.likeness import NEAR, Pairs, distance, near_identical

Numbers = NDArray[np.int64]
Sets = tuple[Numbers, ...]
ORDER = ("train", "val", "test")


@dataclass(frozen=True)
class Twins:
    """The pictures that are alike. Of a folder without any, nothing is held.

    Attributes:
        copies: sets of pictures with the same bytes, ascending.
        near: pairs that are near-identical; of pictures with the same bytes only the first by path stands in a pair.
        together: sets of pictures that are identical, or near-identical by a chain of pairs.
    """

    copies: Sets
    near: Pairs
    together: Sets

    def kinds(self) -> Iterator[tuple[str, Numbers]]:
        """("identical", a set of copies), then ("near_identical", both pictures of a pair and their copies)."""
        yield from (("identical", pictures) for pictures in self.copies)
        copies = {int(picture): pictures for pictures in self.copies for picture in pictures}
        for pair in zip(self.near.first.tolist(), self.near.second.tolist(), strict=True):
            both = [copies.get(picture, np.array([picture])) for picture in pair]
            yield "near_identical", np.sort(np.concatenate(both))


def find_twins(
    paths: Sequence[str], digests: NDArray[np.uint8], sketches: NDArray[np.uint8], sizes: NDArray[np.int32]
) -> Twins:
    """Compare all pictures. What is found depends on the pictures and their paths, not on the order they come in.

    Args:
        paths: N.
        digests: (N, 16) of the files.
        sketches: (N, 96), or (0, 96) where they are not known: then only identical bytes are found.
        sizes: (N, 2) height, width.
    """
    keys = np.ascontiguousarray(digests).view(np.dtype((np.void, digests.shape[1])))[:, 0]
    identical: Numbers = np.unique(keys, return_inverse=True)[1].astype(np.int64)
    copies = tuple(members(identical))
    if not len(sketches):
        empty = np.zeros(0, np.int64)
        return Twins(copies, Pairs(empty, empty, np.zeros(0)), copies)
    by_path = np.array(sorted(range(len(paths)), key=paths.__getitem__), np.int64)
    once = by_path[np.sort(np.unique(identical[by_path], return_index=True)[1])]
    found = near_identical(sketches[once], sizes[once])
    # `once` is in the order of the paths, so pairs of one distance are in that order, too.
    near = replace(found, first=once[found.first], second=once[found.second])
    return Twins(copies, near, _chained(copies, near, sketches))


def members(numbers: Numbers) -> Iterator[Numbers]:
    """The pictures that share a number with others, set by set."""
    order = np.argsort(numbers, kind="stable")
    starts = np.flatnonzero(np.diff(numbers[order]))
    yield from (pictures for pictures in np.split(order, starts + 1) if len(pictures) > 1)


def join_sets(n: int, sets: Iterable[Numbers]) -> Numbers:
    """(n,) equal numbers for pictures that stand in one set, or in sets that have a picture in common."""
    union = Union(n)
    for pictures in sets:
        union.join(pictures.tolist())
    return union.roots()


def _chained(copies: Sets, near: Pairs, sketches: NDArray[np.uint8]) -> Sets:
    """`Twins.together`.

    Two groups that a pair links become one only if every picture of the smaller one is within twice `NEAR` of the
    larger one's root, and so all of a group are within twice `NEAR` of its root: a chain of small steps ends where it
    has left the picture it began with, and cannot gather half a class.
    """
    if not len(near):
        return copies
    union = Union(len(sketches))
    for pictures in copies:
        union.join(pictures.tolist())
    groups = {union.root(int(pictures[0])): pictures.tolist() for pictures in copies}
    for pair in zip(near.first.tolist(), near.second.tolist(), strict=True):
        smaller, larger = sorted(map(union.root, pair), key=lambda root: union.size[root])
        if smaller == larger:
            continue
        joining = groups.get(smaller, [smaller])
        if (distance(sketches[joining], sketches[[larger]]) < 2 * NEAR).all():
            union.join([larger, smaller])
            groups.setdefault(larger, [larger]).extend(joining)
    return tuple(members(union.roots()))


class Union:
    """Groups of the numbers 0 to n - 1 that grow by joining; a group's root is that of the larger half."""

    def __init__(self, n: int) -> None:
        self.parent = list(range(n))
        self.size = [1] * n

    def root(self, number: int) -> int:
        """What stands for the group of `number`."""
        while self.parent[number] != number:
            self.parent[number] = number = self.parent[self.parent[number]]
        return number

    def join(self, numbers: Sequence[int]) -> None:
        """Make the groups of all these one."""
        for number in numbers[1:]:
            one, other = self.root(numbers[0]), self.root(number)
            if one != other:
                if self.size[one] < self.size[other]:  # of equals, the first stays root
                    one, other = other, one
                self.parent[other] = one
                self.size[one] += self.size[other]

    def roots(self) -> Numbers:
        """(n,) the root of each number."""
        return np.array([self.root(number) for number in range(len(self.parent))], np.int64)


# ----------------------------------------------------------------------------------------------- what is reported


def leaks(
    paths: Sequence[str], parts: Sequence[str], twins: Twins, groups: Numbers | None = None
) -> list[dict[str, Any]]:
    """Pictures of one kind in more than one part, which make a score look better than it is.

    Args:
        paths: N.
        parts: N names of parts; "" for a picture that is in none.
        twins: of the pictures.
        groups: (N,) equal numbers for pictures of one patient, say.

    Returns:
        ``{"kind": "identical" | "near_identical" | "group", "parts": [...], "paths": [...]}``, as JSON has it.
    """
    kinds = list(twins.kinds())
    if groups is not None:
        kinds += [("group", pictures) for pictures in members(groups)]
    found = []
    for kind, pictures in kinds:
        inside = [picture for picture in pictures.tolist() if parts[picture]]
        spanned = {parts[picture] for picture in inside}
        if len(spanned) > 1:
            named = sorted(spanned, key=ORDER.index)
            found.append({"kind": kind, "parts": named, "paths": sorted(paths[picture] for picture in inside)})
    return found


def tell(found: Sequence[Mapping[str, Any]]) -> str:
    """How many leaks or conflicts there are, by kind: "2 identical, 1 near-identical"."""
    kinds = Counter(str(one["kind"]).replace("_", "-") for one in found)
    return ", ".join(f"{count:,} {kind}" for kind, count in kinds.items())


def conflicts(paths: Sequence[str], labels: Numbers, classes: Sequence[str], twins: Twins) -> list[dict[str, Any]]:
    """Pictures of one kind under more than one class: ``{"kind": ..., "classes": [...], "paths": [...]}``."""
    return [
        {
            "kind": kind,
            "classes": [classes[label] for label in np.unique(labels[pictures]).tolist()],
            "paths": sorted(paths[picture] for picture in pictures.tolist()),
        }
        for kind, pictures in twins.kinds()
        if len(np.unique(labels[pictures])) > 1
    ]
