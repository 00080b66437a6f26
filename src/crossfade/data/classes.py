"""Classes by name: those of a folder that meets a run, and how unequal they are."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crossfade.data.listing import natural_key
from crossfade.errors import DataError


def match_classes(run_classes: Sequence[str], folder_classes: Sequence[str]) -> NDArray[np.int64]:
    """Where each class of a folder stands among the classes of a run, by its name and by nothing else.

    Args:
        run_classes: in the order of the run's outputs, as in `classes.json`.
        folder_classes: in the order of the folder's labels; some of the run's may be missing.

    Returns:
        (folder classes,) int64: ``match_classes(run, folder)[label of the folder]`` is the label of the run.

    Raises:
        DataError: the folder has classes that the run was not trained on; they are named, with the nearest names.
    """
    where = {name: number for number, name in enumerate(run_classes)}
    strangers = sorted((name for name in folder_classes if name not in where), key=natural_key)
    if strangers:
        raise DataError(
            f"classes: every class of the folder must be one of the run's {len(where)}. "
            f"Got {', '.join(_with_nearest(name, run_classes) for name in strangers[:5])}"
            f"{f' and {len(strangers) - 5} more' if len(strangers) > 5 else ''}. "
            "Rename the folders as in the run's classes.json, leave them out, or train with them."
        )
    return np.array([where[name] for name in folder_classes], np.int64)


def _with_nearest(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=2, cutoff=0.5)
    return f"{name!r} (the run has {' and '.join(map(repr, near))})" if near else repr(name)


def class_weights(labels: ArrayLike, classes: int) -> NDArray[np.float64]:
    """The weight of each class in a loss to which all classes together contribute the same.

        w_c = N / (C n_c)                so that the mean of w_{y_i} over the N pictures is 1

    Args:
        labels: (N,) ints, of the training pictures.
        classes: how many there are; of those, C have pictures.

    Returns:
        (classes,) float64; 0 for a class without a picture.
    """
    counts = np.bincount(np.asarray(labels, np.int64), minlength=classes)
    weights: NDArray[np.float64] = np.zeros(classes)
    held = counts > 0
    weights[held] = counts.sum() / (held.sum() * counts[held])
    return weights


def balanced_sample(ids: NDArray[np.int64], labels: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """As many of `ids` as there are, the classes in equal numbers (a difference of one, drawn, where that must be).

    Of a class with m pictures, k are needed: each is taken k // m times, and k % m of them, drawn, once more.

    Args:
        ids: (n,) numbers of pictures.
        labels: (n,) their classes.

    Returns:
        (n,) int64, class by class: to be shuffled.
    """
    present = rng.permutation(np.unique(labels))
    chosen = []
    for turn, label in enumerate(present.tolist()):
        own = ids[labels == label]
        needed = len(ids) // len(present) + (turn < len(ids) % len(present))
        times, rest = divmod(needed, len(own))
        chosen += [np.tile(own, times), rng.permutation(own)[:rest]]
    return np.concatenate(chosen)
