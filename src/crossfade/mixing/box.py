"""Methods that paste boxes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crossfade.mixing.partner import PartnerRule, check_rule, draw_partners
from crossfade.mixing.plan import Plan, Shape
from crossfade.mixing.policy import Per, Policy, check_bool, check_choice, check_positive, draw_lambda


@dataclass(frozen=True)
class CutMix(Policy):
    """Paste a box of a partner into every sample; labels are weighed by the pixels that came of it.

        lambda ~ Beta(alpha, alpha)
        box sides  r_h = H sqrt(1 - lambda),  r_w = W sqrt(1 - lambda)          (eq. 2)
        box centre uniform over the picture, the box clipped at its border

    Sides are rounded to pixels and the box is clipped, so the share that is really pasted differs from
    1 - lambda; the label weights are counted afterwards, pixel by pixel.

    Args:
        alpha: > 0; 1 draws lambda uniformly.
        partner: whose box it is, see `draw_partners`.
        per: a box for each "sample", or one for the whole "batch" as the paper's code does.
        inside: keep boxes whole: their place is uniform over all that fit, and nothing is clipped.

    Source:
        Yun, Han, Oh, Chun, Choe, Yoo 2019, CutMix, arXiv:1905.04899, eq. 1 and 2.
        Differs: sides are rounded to nearest, weights counted after clipping, a box per sample.
    """

    alpha: float = 1.0
    partner: PartnerRule = "derange"
    per: Per = "sample"
    inside: bool = False

    def __post_init__(self) -> None:
        check_positive("CutMix", "alpha", self.alpha)
        check_rule(self.partner)
        check_choice("CutMix", "per", self.per, ("sample", "batch"))
        check_bool("CutMix", "inside", self.inside)

    def _draw(self, shape: Shape, rng: np.random.Generator, labels: ArrayLike | None, images: Any) -> Plan:
        batch, height, width = shape
        partner = draw_partners(self.partner, batch, rng=rng, labels=labels)
        side = np.sqrt(1 - draw_lambda(self.alpha, batch, self.per, rng))
        place = rng.random((2, 1) if self.per == "batch" else (2, batch))
        top, bottom = _span(height, side, place[0], self.inside)
        left, right = _span(width, side, place[1], self.inside)
        return Plan.two_layers(shape, partner, box=np.stack([top, left, bottom, right], axis=1))


def _span(
    size: int, side: NDArray[np.float64], place: NDArray[np.float64], inside: bool
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The box along one axis of `size` pixels: `side` is its share of it, `place` in [0, 1) decides where.

    Half a pixel is rounded up, so that the two borders are met equally often.
    """
    length = np.floor(size * side + 0.5).astype(np.int64)
    if inside:
        start = np.floor(place * (size - length + 1)).astype(np.int64)
    else:
        start = np.floor(place * size - length / 2 + 0.5).astype(np.int64)
    return np.clip(start, 0, size), np.clip(start + length, 0, size)
