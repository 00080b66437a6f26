"""What chance does: lambda against Beta, boxes against every place they may be."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import crossfade as cf

ALPHAS = (0.1, 0.2, 0.5, 1.0, 2.0, 8.0)
SURE = 1e-3  # seeds are fixed: a draw that passes once passes always


def looks_like_beta(lam: np.ndarray, alpha: float, end: float = 1e-3) -> bool:
    """Kolmogorov-Smirnov between the ends; within `end` of them, where opacities and pixels are coarse, by count."""
    beta = stats.beta(alpha, alpha)
    middle = lam[(lam > end) & (lam < 1 - end)]
    low, high = beta.cdf([end, 1 - end])
    parts = [(int((lam <= end).sum()), low), (int((lam >= 1 - end).sum()), 1 - high)]
    counted = all(stats.binomtest(count, len(lam), share).pvalue > SURE for count, share in parts)
    return counted and stats.kstest(middle, lambda x: (beta.cdf(x) - low) / (high - low)).pvalue > SURE


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("seed", [0, 1])
def test_lambda_of_mixup_is_beta(alpha, seed):
    assert looks_like_beta(cf.MixUp(alpha).plan((5000, 1, 1), rng=seed).lam, alpha)


@pytest.mark.parametrize("alpha", ALPHAS)
def test_lambda_of_cutmix_is_beta(alpha):
    """Kept whole, on pictures so large that rounding to pixels does not show."""
    assert looks_like_beta(cf.CutMix(alpha, inside=True).plan((5000, 30_000, 30_000), rng=2).lam, alpha)


@pytest.mark.parametrize("policy", [cf.MixUp, cf.CutMix])
def test_one_lambda_a_batch_is_beta_over_batches(policy):
    options = {"inside": True} if policy is cf.CutMix else {}
    policy, rng = policy(0.5, per="batch", **options), np.random.default_rng(3)
    assert looks_like_beta(np.array([policy.plan((2, 9000, 9000), rng=rng).lam[0] for _ in range(1500)]), 0.5)


def test_the_test_can_tell_alphas_apart():
    """keras-cv#1361: gamma(1, beta=alpha) is uniform whatever alpha is."""
    lam = cf.MixUp(1.0).plan((20_000, 1, 1), rng=0).lam
    assert looks_like_beta(lam, 1.0)
    assert not looks_like_beta(lam, 0.9)
    assert not looks_like_beta(lam, 1.1)
    assert not looks_like_beta(np.sqrt(lam), 1.0)


def test_neighbours_draw_independently():
    lam = cf.MixUp(1.0).plan((5000, 1, 1), rng=0).lam
    assert abs(np.corrcoef(lam[1:], lam[:-1])[0, 1]) < 0.05


def boxes(policy: cf.Policy, height: int, width: int, count: int = 60_000) -> np.ndarray:
    return policy.plan((count, height, width), rng=0).box[:, 1]


def test_inside_every_position_is_equally_often():
    drawn = boxes(cf.CutMix(inside=True), 5, 7)
    top, left, bottom, right = drawn.T
    for h in range(1, 6):
        for w in range(1, 8):
            chosen = (bottom - top == h) & (right - left == w)
            counts = np.zeros((5 - h + 1, 7 - w + 1))
            np.add.at(counts, (top[chosen], left[chosen]), 1)
            if counts.size > 1 and chosen.sum() > 20 * counts.size:
                assert stats.chisquare(counts.ravel()).pvalue > 1e-4, (h, w)
                assert (counts > 0).all()


def test_inside_every_place_of_every_side_that_can_be_drawn_is_reached():
    """r = sqrt(1 - lambda) is shared by both sides: those pairs, everywhere they fit."""
    legal = set()
    for side in np.linspace(0, 1, 20_001):
        h, w = int(5 * side + 0.5), int(7 * side + 0.5)
        legal |= {(t, x, t + h, x + w) for t in range(6 - h) for x in range(8 - w)}
    reached = set(map(tuple, boxes(cf.CutMix(inside=True), 5, 7).tolist()))
    assert reached <= legal
    missed = {box for box in legal - reached if box[0] < box[2] and box[1] < box[3]}
    assert not missed


def test_clipped_boxes_touch_all_four_borders_equally_often():
    """timm#2739: never the right nor the bottom one; kornia#4730: from -1 on."""
    for size in (7, 8):
        drawn = boxes(cf.CutMix(), size, size)
        top, left, bottom, right = drawn[(drawn[:, 2] > drawn[:, 0]) & (drawn[:, 3] > drawn[:, 1])].T
        touched = [(top == 0).sum(), (left == 0).sum(), (bottom == size).sum(), (right == size).sum()]
        assert min(touched) > 10_000
        assert np.ptp(touched) < 0.03 * min(touched)


def test_clipped_boxes_cover_the_picture_evenly_left_and_right_up_and_down():
    for height, width in ((7, 13), (8, 6)):
        covered = np.zeros((height, width))
        for top, left, bottom, right in boxes(cf.CutMix(), height, width, 20_000):
            covered[top:bottom, left:right] += 1
        assert covered.min() > 0
        np.testing.assert_allclose(covered, covered[::-1, ::-1], rtol=0.08)
        np.testing.assert_allclose(covered, covered[:, ::-1], rtol=0.08)


def test_clipped_boxes_are_everywhere():
    """Every pixel is some box's corner, and every 1 x 1 box occurs."""
    drawn = boxes(cf.CutMix(), 5, 7)
    single = {tuple(box[:2]) for box in drawn.tolist() if box[2] - box[0] == 1 and box[3] - box[1] == 1}
    assert single == {(y, x) for y in range(5) for x in range(7)}
    assert {tuple(box[:2]) for box in drawn.tolist()} >= single
    assert {tuple(box[2:]) for box in drawn.tolist()} >= {(y + 1, x + 1) for y, x in single}


def test_boxes_of_a_batch_are_not_all_in_one_place():
    """kornia#4712."""
    assert len(np.unique(boxes(cf.CutMix(), 32, 32, 64), axis=0)) > 40
