"""Dividing pictures into parts by whole groups, every class as nearly in the wanted shares as groups allow."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from crossfade.data.twins import members

Numbers = NDArray[np.int64]


def allot(groups: Numbers, labels: Numbers, ranks: NDArray[np.float64], wanted: Numbers) -> Numbers:
    """The part of each picture.

    Groups of several pictures go first, the largest first, each to the part that lacks most pictures of the group's
    classes (of equals, the first). Single pictures then fill the parts, the first part with the lowest ranks. So no
    part misses its share by more than one group, and without groups every share is exact.

    Args:
        groups: (n,) equal numbers for pictures that stay together.
        labels: (n,) classes.
        ranks: (n,) numbers in [0, 1), by which chance enters.
        wanted: (P, C) pictures of each class in each part; columns add up to the pictures of the class.

    Returns:
        (n,) int64 in 0..P - 1.
    """
    lacking = wanted.astype(np.int64).copy()
    parts = np.full(len(labels), -1, np.int64)
    several = list(members(groups))
    several.sort(key=lambda pictures: (-len(pictures), float(ranks[pictures].min())))
    for pictures in several:
        count = np.bincount(labels[pictures], minlength=wanted.shape[1])
        part = int(np.argmax(lacking @ count))
        parts[pictures] = part
        lacking[part] -= count
    for label in range(wanted.shape[1]):
        single = np.flatnonzero((labels == label) & (parts < 0))
        single = single[np.argsort(ranks[single], kind="stable")]
        parts[single] = np.repeat(np.arange(len(wanted)), _fill(lacking[:, label], len(single)))
    return parts


def _fill(lacking: Numbers, count: int) -> Numbers:
    """How many of `count` pictures each part gets; where groups took too much of one, the last parts get less."""
    room = np.maximum(lacking, 0)
    before = np.cumsum(room) - room
    return np.clip(count - before, 0, room)


def leave_none_empty(parts: Numbers, groups: Numbers, labels: Numbers, wanted: Numbers) -> tuple[Numbers, Numbers]:
    """Give the smallest group there is to a part that groups left without a picture of a class.

    The last part gives, and keeps a picture of that class itself.

    Returns:
        The parts, and the (n, 2) parts and classes for which there was no group to give.
    """
    parts, empty = parts.copy(), []
    giver = len(wanted) - 1
    sizes = np.bincount(groups, minlength=int(groups.max(initial=0)) + 1)
    for part, label in np.argwhere(wanted > 0).tolist():
        own = labels == label
        if (own & (parts == part)).any():
            continue
        held = np.unique(groups[own & (parts == giver)])
        if len(held) < 2:
            empty.append((part, label))
        else:
            parts[groups == held[np.argmin(sizes[held])]] = part
    return parts, np.array(empty, np.int64).reshape(-1, 2)
