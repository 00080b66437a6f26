"""Policies made of policies: a choice between them, now and then, until some time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crossfade.errors import PlanError
from crossfade.mixing.plan import Plan, Shape, full_boxes
from crossfade.mixing.policy import NoMix, Per, Policy, check_choice, check_fraction


@dataclass(frozen=True)
class OneOf(Policy):
    """Use one of several policies, drawn anew for each batch or each sample.

    Args:
        policies: at least one.
        weights: their probabilities, up to a common factor; equal if None.
        per: "batch" draws one for the batch; "sample" one for each sample, all in one plan.
    """

    policies: Sequence[Policy]
    weights: Sequence[float] | None = None
    per: Per = "batch"

    def __post_init__(self) -> None:
        if isinstance(self.policies, Sequence):
            object.__setattr__(self, "policies", tuple(self.policies))
        if not isinstance(self.policies, tuple) or not self.policies or not all(map(_is_policy, self.policies)):
            raise PlanError(f"OneOf: needs a list of policies, such as [MixUp(), CutMix()]. Got {self.policies!r}.")
        check_choice("OneOf", "per", self.per, ("sample", "batch"))
        object.__setattr__(self, "weights", None if self.weights is None else tuple(self._probabilities().tolist()))

    def _probabilities(self) -> NDArray[np.float64]:
        count = len(self.policies)
        try:
            weights = np.ones(count) if self.weights is None else np.asarray(self.weights, float)
        except (TypeError, ValueError):
            weights = np.zeros(0)
        if weights.shape != (count,) or not ((weights >= 0) & (weights < 1e100)).all() or weights.sum() == 0:
            raise PlanError(
                f"OneOf: needs {count} weights >= 0, one of them above 0. Got {self.weights!r}. "
                "Leave them out for equal ones."
            )
        return weights / weights.sum()

    def at(self, progress: float) -> Policy:
        """Each of the policies as it is at `progress`."""
        return replace(self, policies=tuple(policy.at(progress) for policy in self.policies))

    def _draw(self, shape: Shape, rng: np.random.Generator, labels: ArrayLike | None, images: Any) -> Plan:
        probabilities = self._probabilities()
        if self.per == "batch":
            chosen = self.policies[int(rng.choice(len(self.policies), p=probabilities))]
            return chosen.plan(shape, rng=rng, labels=labels, images=images)
        choice = rng.choice(len(self.policies), size=shape[0], p=probabilities)
        plans = [policy.plan(shape, rng=rng, labels=labels, images=images) for policy in self.policies]
        return merge_rows(plans, choice)


@dataclass(frozen=True)
class Sometimes(Policy):
    """Mix with probability `p`, for each sample on its own or for the whole batch; otherwise leave it as it is."""

    policy: Policy
    p: float
    per: Per = "sample"

    def __post_init__(self) -> None:
        _check_policy("Sometimes", self.policy)
        check_fraction("Sometimes", "p", self.p)
        check_choice("Sometimes", "per", self.per, ("sample", "batch"))

    def at(self, progress: float) -> Policy:
        """The inner policy as it is at `progress`, still only sometimes."""
        return replace(self, policy=self.policy.at(progress))

    def _draw(self, shape: Shape, rng: np.random.Generator, labels: ArrayLike | None, images: Any) -> Plan:
        choice = OneOf((self.policy, NoMix()), weights=(self.p, 1 - self.p), per=self.per)
        return choice.plan(shape, rng=rng, labels=labels, images=images)


@dataclass(frozen=True)
class Until(Policy):
    """Mix for the first `fraction` of the training only. A training asks ``policy.at(progress)`` as it goes.

    Source:
        Ending without mixing: He et al. 2019, Data augmentation revisited, arXiv:1909.09148, sec. 3.
    """

    policy: Policy
    fraction: float

    def __post_init__(self) -> None:
        _check_policy("Until", self.policy)
        check_fraction("Until", "fraction", self.fraction)

    def at(self, progress: float) -> Policy:
        """The inner policy while ``progress < fraction``, then none."""
        return self.policy.at(progress) if progress < self.fraction else NoMix()

    def _draw(self, shape: Shape, rng: np.random.Generator, labels: ArrayLike | None, images: Any) -> Plan:
        return self.policy.plan(shape, rng=rng, labels=labels, images=images)


def members(policy: Policy) -> Iterator[Policy]:
    """The policy, then all those it is made of."""
    yield policy
    for value in vars(policy).values():
        for part in value if isinstance(value, tuple) else (value,):
            if _is_policy(part):
                yield from members(part)


def merge_rows(plans: Sequence[Plan], choice: NDArray[np.int64]) -> Plan:
    """One plan whose row i is row i of ``plans[choice[i]]``; shorter stacks get empty layers on top.

    Raises:
        PlanError: the plans fit their boxes in different ways.
    """
    shape, layers = plans[0].shape, max(plan.layers for plan in plans)
    boxed_fits = {plan.fit for plan in plans if (plan.box != plan.box[:, :1]).any()}
    if len(boxed_fits) > 1:
        raise PlanError('OneOf: policies that crop and policies that resize cannot share a plan. Use per="batch".')
    rows = np.arange(shape[0])
    padded = [_pad_layers(plan, layers) for plan in plans]
    return Plan(
        source=np.stack([plan.source for plan in padded])[choice, rows],
        opacity=np.stack([plan.opacity for plan in padded])[choice, rows],
        box=np.stack([plan.box for plan in padded])[choice, rows],
        mask=_merge_masks(padded, choice),
        weight=np.stack([plan.weight for plan in padded])[choice, rows],
        fit=next(iter(boxed_fits), "crop"),
    )


def _pad_layers(plan: Plan, layers: int) -> Plan:
    missing = layers - plan.layers
    batch = len(plan)
    own = np.arange(batch)[:, None]
    boxes = np.broadcast_to(full_boxes(plan.shape)[:, None], (batch, missing, 4))
    return Plan(
        source=np.concatenate([plan.source, np.repeat(own, missing, axis=1)], axis=1),
        opacity=np.concatenate([plan.opacity, np.zeros((batch, missing))], axis=1),
        box=np.concatenate([plan.box, boxes], axis=1),
        mask=plan.mask,
        weight=np.concatenate([plan.weight, np.zeros((batch, missing))], axis=1),
        fit=plan.fit,
    )


def _merge_masks(plans: Sequence[Plan], choice: NDArray[np.int64]) -> NDArray[np.float32] | None:
    if all(plan.mask is None for plan in plans):
        return None
    everywhere = np.ones(plans[0].shape, np.float32)
    masks = np.stack([everywhere if plan.mask is None else plan.mask for plan in plans])
    return masks[choice, np.arange(len(plans[0]))]


def _check_policy(who: str, policy: object) -> None:
    if not _is_policy(policy):
        raise PlanError(f"{who}: needs a policy, such as MixUp(alpha=0.2). Got {policy!r}.")


def _is_policy(value: object) -> bool:
    return isinstance(value, Policy)
