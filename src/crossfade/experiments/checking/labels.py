"""Do labels say anything about pictures? Answers that need no network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from crossfade.rng import Stream, derive_rng

NEIGHBOURS = 5
PERMUTATIONS = 999
LARGEST = 2_000
THUMBNAIL = 8


def thumbnails(images: NDArray[np.float32]) -> NDArray[np.float32]:
    """(N, H, W, C) -> (N, features): sums over a grid of `THUMBNAIL` x `THUMBNAIL` cells, fewer in smaller pictures."""
    height, width = images.shape[1:3]
    rows, columns = (np.linspace(0, side, min(side, THUMBNAIL) + 1).astype(int)[:-1] for side in (height, width))
    cells = np.add.reduceat(np.add.reduceat(images, rows, axis=1), columns, axis=2)
    return np.asarray(cells.reshape(len(images), -1), np.float32)


def neighbours_agree(features: NDArray[np.float32], labels: NDArray[np.int64], *, seed: int = 0) -> tuple[float, float]:
    """How often a picture's nearest others have its own class, and whether they would by chance.

        s(y) = mean over i, and over its k nearest j, of [y_j = y_i]
        p    = (1 + #{permutations pi: s(y o pi) >= s(y)}) / (1 + permutations)

    Features are standardised first, one by one.

    Args:
        features: (N, n) such as `thumbnails`; of more than `LARGEST`, evenly spread ones are taken.
        labels: (N,) ints.
        seed: of the permutations.

    Returns:
        s and p. A small p shows that labels and pictures belong together; a large one does not show the contrary.

    Source:
        Schilling 1986, Multivariate two-sample tests based on nearest neighbors; here as a permutation test.
    """
    every = -(-len(features) // LARGEST)
    features, labels = features[::every].astype(np.float64), labels[::every]
    spread = features.std(axis=0)
    features = (features - features.mean(axis=0)) / np.where(spread > 0, spread, 1)
    near = _nearest(features, min(NEIGHBOURS, len(features) - 1))
    rng = derive_rng(seed, Stream.BOOTSTRAP, 1)
    found = _agreement(labels, near)
    by_chance = sum(_agreement(rng.permutation(labels), near) >= found for _ in range(PERMUTATIONS))
    return found, (1 + by_chance) / (1 + PERMUTATIONS)


def _agreement(labels: NDArray[np.int64], near: NDArray[np.int64]) -> float:
    return float((labels[near] == labels[:, None]).mean())


def _nearest(features: NDArray[np.float64], k: int) -> NDArray[np.int64]:
    """(N, k) numbers of the nearest other rows."""
    squares = (features**2).sum(axis=1)
    distances = squares[:, None] + squares - 2 * features @ features.T
    np.fill_diagonal(distances, np.inf)
    return np.argpartition(distances, k - 1, axis=1)[:, :k]


def above_chance(right: int, labels: NDArray[np.int64]) -> float:
    """How likely somebody who always names the commonest class has so many hits, or more: a binomial tail.

    Args:
        right: hits among the pictures that were judged.
        labels: their labels.
    """
    from scipy import stats

    return float(stats.binom.sf(right - 1, len(labels), np.bincount(labels).max() / len(labels)))


def ceiling(digests: Iterable[bytes], labels: NDArray[np.int64]) -> tuple[float, int]:
    """The best accuracy that can be had, and how many pictures have a twin under another class.

    Pictures that are the same to the network are named the same, so of each set of them only those of its commonest
    label can be named rightly.

    Args:
        digests: of each picture, as the network sees it.
        labels: (N,) ints.
    """
    sets: dict[bytes, Counter[int]] = {}
    for digest, label in zip(digests, labels.tolist(), strict=True):
        sets.setdefault(digest, Counter())[label] += 1
    best = sum(max(counts.values()) for counts in sets.values())
    return best / len(labels), sum(counts.total() for counts in sets.values() if len(counts) > 1)
