"""What FlipCrop draws, and for whom."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import crossfade as cf
from crossfade.vision.augment import Augmentation, FlipCrop


def test_a_draw_belongs_to_the_sample():
    crop = FlipCrop(pad=4)
    whole = crop.draw(np.arange(50), seed=3, epoch=2)
    order = np.random.default_rng(0).permutation(50)
    part = crop.draw(order[:7], seed=3, epoch=2)
    np.testing.assert_array_equal(part.flip, whole.flip[order[:7]])
    np.testing.assert_array_equal(part.offset, whole.offset[order[:7]])


def test_epochs_and_seeds_draw_anew():
    crop = FlipCrop(pad=4)
    draws = [
        crop.draw(np.arange(100), seed=seed, epoch=epoch).offset.tobytes() for seed in range(3) for epoch in range(3)
    ]
    assert len(set(draws)) == 9


def test_flips_and_shifts_are_uniform():
    drawn = FlipCrop(pad=4).draw(np.arange(20_000), seed=0, epoch=0)
    assert stats.binomtest(int(drawn.flip.sum()), 20_000, 0.5).pvalue > 1e-3
    pairs = np.zeros((9, 9))
    np.add.at(pairs, tuple(drawn.offset.T + 4), 1)
    assert stats.chisquare(pairs.ravel()).pvalue > 1e-3
    assert abs(np.corrcoef(drawn.flip, drawn.offset[:, 0])[0, 1]) < 0.03


def test_shapes_and_types():
    drawn = FlipCrop(pad=1, padding="constant").draw([5, 9], seed=0, epoch=0)
    assert (drawn.flip.dtype, drawn.flip.shape) == (np.bool_, (2,))
    assert (drawn.offset.dtype, drawn.offset.shape) == (np.int64, (2, 2))
    assert drawn.padding == "constant"


def test_nothing_to_do():
    assert FlipCrop(flip=False).draw([0], seed=0, epoch=0) is None
    assert not FlipCrop(flip=False, pad=1).draw(np.arange(100), seed=0, epoch=0).flip.any()
    assert (FlipCrop(pad=0).draw(np.arange(100), seed=0, epoch=0).offset == 0).all()


@pytest.mark.parametrize(
    "options",
    [
        {"pad": -1},
        {"pad": 1.5},
        {"pad": float("nan")},
        {"pad": "2"},
        {"pad": True},
        {"padding": "wrap"},
        {"flip": 1},
        {"flip": "no"},
    ],
)
def test_what_is_refused(options):
    with pytest.raises(cf.ConfigError, match="FlipCrop: "):
        FlipCrop(**options)


def test_a_shift_of_one_row_down():
    """Worked by hand: pixel (y, x) shows (y + 1, x - 1) of the flipped picture."""
    picture = np.arange(1, 7, dtype=np.uint8).reshape(1, 2, 3, 1)
    options = {"mean": 0, "std": 1 / 255}

    def seen(flip, padding):
        augment = Augmentation(np.array([flip]), np.array([[1, -1]]), padding)
        return cf.render(picture, cf.Plan.identity((1, 2, 3)), augment=augment, **options)[0, :, :, 0].round(3).tolist()

    assert seen(False, "constant") == [[0, 4, 5], [0, 0, 0]]
    assert seen(True, "constant") == [[0, 6, 5], [0, 0, 0]]
    assert seen(False, "reflect") == [[5, 4, 5], [2, 1, 2]]
    assert seen(True, "reflect") == [[5, 6, 5], [2, 3, 2]]
