"""What JAX and TensorFlow take apart; neither is loaded for it."""

from __future__ import annotations

import subprocess
import sys

import jax
import numpy as np
import tensorflow as tf

import crossfade as cf
from crossfade.vision.augment import Augmentation


def both():
    yield cf.CutMix().plan((2, 5, 6), rng=0), 4
    yield Augmentation(np.eye(3)[None, :2] * [[[1]], [[1 / 3]]], "wrap", colours=np.ones((2, 3), int)), 3


def test_jax_and_tensorflow_see_the_arrays():
    for value, count in both():
        leaves = jax.tree.leaves(value)
        assert [type(leaf) for leaf in leaves] == [np.ndarray] * count
        for ours, theirs in zip(leaves, tf.nest.flatten(value), strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_put_together_again():
    (plan, _), (drawn, _) = both()
    for copied in (jax.tree.map(np.asarray, plan), tf.nest.map_structure(np.asarray, plan)):
        assert copied == plan
    for copied in (jax.tree.map(np.asarray, drawn), tf.nest.map_structure(np.asarray, drawn)):
        np.testing.assert_allclose(copied.matrix, drawn.matrix, rtol=0, atol=2**-33)
        np.testing.assert_array_equal(copied.colours, drawn.colours)
        assert (copied.fill, copied.value) == (drawn.fill, drawn.value)


def test_signatures_differ_in_what_is_no_array():
    plan = cf.CutMix().plan((2, 5, 6), rng=0)
    masked = cf.Plan.two_layers((2, 5, 6), np.array([1, 0]), mask=np.ones((2, 5, 6), np.float32))
    others = [plan.padded(2), cf.CutMix().plan((2, 5, 6), rng=1), cf.CutMix().plan((2, 6, 5), rng=0), masked]
    same = [jax.tree.structure(plan) == jax.tree.structure(other) for other in others]
    assert same == [True, True, False, False]


def test_neither_is_loaded():
    program = (
        "import sys, crossfade as cf, numpy as np;"
        "cf.MixUp()(np.zeros((2, 5, 6, 3)), np.array([0, 1]), rng=0, num_classes=2);"
        "print(sorted({'jax', 'tensorflow', 'torch', 'keras'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_jax_may_come_later():
    """A plan that was drawn before is known as soon as another is drawn."""
    program = (
        "import crossfade as cf; p = cf.MixUp().plan((2, 5, 6), rng=0); import jax; cf.MixUp().plan((2, 5, 6), rng=0);"
    )
    program += "print(len(jax.tree.leaves(p)))"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "4\n"
