"""Mix.pairs: two streams, mixed pair by pair."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import crossfade as cf
from crossfade.keras import Mix
from tests.unit.keras.layers.batches import (
    CLASSES,
    as_numpy,
    batch,
    compiled,
    lights,
    tensors,
)


@pytest.mark.parametrize("where", ["numpy", "tensor", "tf.data", "compiled"])
def test_two_streams_are_mixed_pair_by_pair(where):
    """Sample i of the first is mixed with sample i of the second, and with nobody else."""
    images, labels = lights(8)
    first, second = (images[:4], labels[:4]), (images[4:], labels[4:])
    layer = Mix("cutmix", 8)
    if where == "tf.data":
        streams = [tf.data.Dataset.from_tensor_slices(part).batch(3) for part in (first, second)]
        batches = list(tf.data.Dataset.zip(tuple(streams)).map(layer.pairs))
        mixed, targets = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    elif where == "compiled":
        step = compiled(lambda *parts: layer.pairs(parts[:2], parts[2:]), [])
        mixed, targets = step(*tensors(*first, *second))
    else:
        given = [tensors(*part) if where == "tensor" else part for part in (first, second)]
        mixed, targets = layer.pairs(*given)
    mixed, targets = as_numpy(mixed), as_numpy(targets)
    assert mixed.shape == (4, 7, 9, 8)
    np.testing.assert_allclose(mixed.mean(axis=(1, 2)), targets, atol=1e-6)
    rows, others = np.nonzero(targets)
    assert set(zip(rows, others, strict=True)) <= {(i, j) for i in range(4) for j in (i, i + 4)}


def test_pairs_out_of_training_are_the_first_stream():
    images, labels = batch()
    mixed = Mix("mixup", CLASSES).pairs({"images": images, "labels": labels}, (images, labels), training=False)
    np.testing.assert_array_equal(as_numpy(mixed["images"]), images)


def test_streams_of_different_lengths_are_refused():
    images, labels = batch()
    with pytest.raises(cf.ArrayError, match=r"Mix.pairs: pictures must be alike. Got \(8, 8, 10, 3\) and \(6"):
        Mix("mixup", CLASSES).pairs((images, labels), (images[:6], labels[:6]))
    streams = [tf.data.Dataset.from_tensor_slices((images[:n], labels[:n])).batch(5) for n in (8, 7)]
    with pytest.raises(tf.errors.InvalidArgumentError, match="two streams must be alike"):
        list(tf.data.Dataset.zip(tuple(streams)).map(Mix("mixup", CLASSES).pairs))
