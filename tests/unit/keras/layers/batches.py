"""Batches, a policy and a model that the tests of Mix share, and how each backend compiles."""

from __future__ import annotations

from dataclasses import dataclass

import keras  # before TensorFlow: PyTorch does not load after it
import numpy as np
import tensorflow as tf

import crossfade as cf
from crossfade.keras import Mix
from crossfade.mixing.plan import Plan

BACKEND = keras.backend.backend()
CLASSES = 3


def batch(size=8, side=8, dtype="float32", layout="NHWC", seed=0):
    """Pictures (size, side, side + 2, 3) of values 0..255, and class numbers."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (size, side, side + 2, 3))
    images = images.transpose(0, 3, 1, 2) if layout == "NCHW" else images
    return images.astype(dtype), rng.integers(0, CLASSES, size)


def lights(size=8):
    """Picture i is 1 in channel i only: after mixing, the mean of a channel is the share of its picture."""
    images = np.zeros((size, 7, 9, size), np.float32)
    images[np.arange(size), :, :, np.arange(size)] = 1
    return images, np.arange(size)


def as_numpy(value):
    return value.numpy() if isinstance(value, tf.Tensor) else keras.ops.convert_to_numpy(value)


def tensors(*arrays):
    return [keras.ops.convert_to_tensor(array) for array in arrays]


def drawn(layer, images, labels, count, **options):
    """The targets of `count` batches, as bytes."""
    return [as_numpy(layer((images, labels), **options)[1]).tobytes() for _ in range(count)]


def compiled(function, traced):
    """`function` compiled by the backend; each trace appends to `traced`."""

    def counted(*arrays):
        traced.append(1)
        return function(*arrays)

    if BACKEND == "jax":
        import jax

        return jax.jit(counted)
    if BACKEND == "tensorflow":
        return tf.function(counted, reduce_retracing=True)
    import torch

    def count(graph, example):
        traced.append(1)
        return graph.forward

    return torch.compile(function, backend=count)


@dataclass(frozen=True)
class Stripes(cf.Policy):
    """Every other row is the partner's."""

    every: int = 2

    def _draw(self, shape, rng, labels, images):
        mask = np.zeros(shape, np.float32)
        mask[:, :: self.every] = 1
        return Plan.two_layers(shape, rng.permutation(shape[0]), mask=mask)


class MixingModel(keras.Model):
    """A dense network that mixes in its own train step, in each backend's way."""

    def __init__(self):
        super().__init__()
        self.mix = Mix("mixup:alpha=1.0", CLASSES)
        self.flat, self.dense = keras.layers.Flatten(), keras.layers.Dense(CLASSES)

    def call(self, x):
        return self.dense(self.flat(x))

    def train_step(self, *given):
        *state, (x, y) = given
        return super().train_step(*state, self.mix((x, y), training=True))
