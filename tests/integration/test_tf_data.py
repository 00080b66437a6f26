"""Plans in a tf.data pipeline: those of (seed, epoch, step), each pass over the data an epoch."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import crossfade as cf
from crossfade.rng import Stream, derive_rng
from crossfade.tensorflow import plans
from tests.strategies import pictures

SHAPE = (4, 7, 13)
IMAGES = pictures((16, 7, 13), 3, np.uint8, 0)
LABELS = np.arange(16) % 5
POLICY = cf.OneOf([cf.MixUp(1.0), cf.CutMix(), cf.NoMix()])


def mix(batch, plan):
    images, labels = batch
    return cf.mix_images(images, plan), cf.mix_targets(labels, plan, num_classes=5)


def test_every_batch_of_every_epoch_has_a_plan_of_its_own():
    batches = tf.data.Dataset.from_tensor_slices((IMAGES, LABELS)).batch(4, drop_remainder=True)
    mixed = tf.data.Dataset.zip(batches, plans(POLICY, SHAPE, seed=7)).map(mix, num_parallel_calls=2).prefetch(2)
    for epoch in range(2):
        for step, (images, targets) in enumerate(mixed):
            rows = slice(4 * step, 4 * step + 4)
            plan = POLICY.plan(SHAPE, rng=derive_rng(7, Stream.PLAN, epoch, step, 0))
            np.testing.assert_array_equal(images, cf.mix_images(IMAGES[rows], plan))
            np.testing.assert_allclose(targets, cf.mix_targets(LABELS[rows], plan, num_classes=5), atol=1e-6)
        assert step == 3


def test_a_training_that_is_taken_up_again_begins_with_its_epoch():
    third = next(iter(plans(POLICY, SHAPE, seed=7, first_epoch=3)))
    np.testing.assert_array_equal(third.source, plan_of(epoch=3).source)


def plan_of(epoch):
    return POLICY.plan(SHAPE, rng=derive_rng(7, Stream.PLAN, epoch, 0, 0)).padded(2)


def test_what_is_refused():
    with pytest.raises(cf.ConfigError, match=r"plans: needs a policy, such as crossfade.MixUp\(\). Got 'mixup'"):
        plans("mixup", SHAPE, seed=0)
    with pytest.raises(cf.PlanError, match="labels"):
        plans(cf.MixUp(partner="same_class"), SHAPE, seed=0)
    with pytest.raises(cf.PlanError, match=r"padded\(1\) of at most 1 layers. Got 2"):
        plans(cf.MixUp(), SHAPE, seed=0, layers=1)
