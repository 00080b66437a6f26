"""Who is mixed with whom: the rules that give every sample a partner from its own batch."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crossfade.errors import PlanError

PartnerRule = Literal["permute", "derange", "roll", "flip", "same_class", "cross_class"]
RULES: tuple[str, ...] = get_args(PartnerRule)

Partners = NDArray[np.int64]


def draw_partners(
    rule: PartnerRule, batch: int, *, rng: np.random.Generator, labels: ArrayLike | None = None
) -> Partners:
    """Draw a partner for each sample.

    ======================  =====================================================================
    ``derange`` (default)   a random cycle through the batch: nobody meets itself if B > 1, and
                            every other sample is equally likely
    ``permute``             a random permutation, as in most papers' code: some samples meet themselves
    ``roll``                the sample before it in the batch
    ``flip``                the batch read backwards; an odd batch leaves the middle one to itself
    ``same_class``          a random cycle through the samples of its own class
    ``cross_class``         a random sample of another class, or itself where the batch has only one
    ======================  =====================================================================

    Args:
        rule: one of the above.
        batch: B >= 1.
        labels: (B,) class numbers, or (B, C) of which the largest counts; for the last two rules.

    Returns:
        (B,) int64.

    Raises:
        PlanError: an unknown rule, or a rule that needs labels without them.
    """
    if rule == "derange":
        return _random_cycle(np.arange(batch), rng)
    if rule == "permute":
        return rng.permutation(batch)
    if rule == "roll":
        return np.roll(np.arange(batch), 1)
    if rule == "flip":
        return np.arange(batch)[::-1].copy()
    if rule == "same_class":
        return _same_class(_classes(rule, batch, labels), rng)
    if rule == "cross_class":
        return _cross_class(_classes(rule, batch, labels), rng)
    raise PlanError(f"partner: must be one of {', '.join(RULES)}. Got {rule!r}.")


def check_rule(rule: str) -> None:
    """Raise PlanError unless `rule` is one of `RULES`."""
    if rule not in RULES:
        raise PlanError(f"partner: must be one of {', '.join(RULES)}. Got {rule!r}.")


def _random_cycle(members: Partners, rng: np.random.Generator) -> Partners:
    """The partner of each of `members`, in their order: the next one on a random round trip."""
    tour = rng.permutation(len(members))
    partner = np.empty(len(members), np.int64)
    partner[tour[1:]], partner[tour[0]] = members[tour[:-1]], members[tour[-1]]
    return partner


def _same_class(classes: Partners, rng: np.random.Generator) -> Partners:
    partner = np.empty(len(classes), np.int64)
    for name in np.unique(classes):
        members = np.flatnonzero(classes == name)
        partner[members] = _random_cycle(members, rng)
    return partner


def _cross_class(classes: Partners, rng: np.random.Generator) -> Partners:
    """With the batch sorted by class, the others of a sample are all but one run of it: skip that run."""
    order = np.argsort(classes, kind="stable")
    _, inverse, counts = np.unique(classes, return_inverse=True, return_counts=True)
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])[inverse]
    own = counts[inverse]
    others = len(classes) - own
    pick = np.floor(rng.random(len(classes)) * others).astype(np.int64)
    partner = order[np.where(pick >= starts, pick + own, pick) % len(classes)]
    return np.where(others > 0, partner, np.arange(len(classes)))


def _classes(rule: str, batch: int, labels: ArrayLike | None) -> Partners:
    if labels is None:
        raise PlanError(f"partner: {rule!r} needs labels. Got none. Pass labels=, (B,) class numbers.")
    classes = np.asarray(labels)
    if classes.ndim == 2:
        classes = classes.argmax(axis=1)
    if classes.shape != (batch,):
        raise PlanError(f"partner: {rule!r} needs {batch} labels. Got shape {np.shape(labels)}.")
    if classes.dtype.kind == "f" and np.isnan(classes).any():
        raise PlanError(f"partner: {rule!r} needs class numbers. Got {labels}, of which some are no number.")
    return classes
