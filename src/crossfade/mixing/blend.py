"""Methods that blend whole pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from crossfade.mixing.partner import PartnerRule, check_rule, draw_partners
from crossfade.mixing.plan import Plan, Shape
from crossfade.mixing.policy import Per, Policy, check_choice, check_positive, draw_lambda


@dataclass(frozen=True)
class MixUp(Policy):
    """Blend every sample with a partner.

        lambda ~ Beta(alpha, alpha)
        x~ = lambda x_i + (1 - lambda) x_j          y~ = lambda y_i + (1 - lambda) y_j

    Args:
        alpha: > 0. Small values mix little: Beta(0.2, 0.2) lies mostly near 0 and 1.
        partner: who x_j is, see `draw_partners`.
        per: draw lambda for each "sample", or one for the whole "batch" as the paper's code does.

    Example:
        >>> plan = MixUp(alpha=0.2).plan((4, 32, 32), rng=0)
        >>> plan.layers, bool((plan.weight == plan.visible()).all())
        (2, True)

    Source:
        Zhang, Cisse, Dauphin, Lopez-Paz 2018, mixup: Beyond empirical risk minimization, arXiv:1710.09412, eq. 1.
        Differs: lambda per sample, and no sample is wasted on itself.
    """

    alpha: float = 0.2
    partner: PartnerRule = "derange"
    per: Per = "sample"

    def __post_init__(self) -> None:
        check_positive("MixUp", "alpha", self.alpha)
        check_rule(self.partner)
        check_choice("MixUp", "per", self.per, ("sample", "batch"))

    def _draw(self, shape: Shape, rng: np.random.Generator, labels: ArrayLike | None, images: Any) -> Plan:
        partner = draw_partners(self.partner, shape[0], rng=rng, labels=labels)
        lam = draw_lambda(self.alpha, shape[0], self.per, rng)
        return Plan.two_layers(shape, partner, opacity=1 - lam)
