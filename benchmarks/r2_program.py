"""``python benchmarks/r2_program.py CIFAR10 [--epochs 1] [--steps N] [--none]``: how long R2 takes here.

R2 is a reference system, CutMix on CIFAR-10 with Keras and TensorFlow; this is its program written anew from what is
known of it, in its own way: two shuffled streams, zipped, each pair mixed by itself in `tf.data`. It needs
`pip install tensorflow pillow`, and nothing of crossfade's. Reading the pictures is not part of its time.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from PIL import Image

BATCH, SHUFFLE, ALPHA, SIDE = 32, 1024, 0.25, 32


def main() -> None:
    parser = argparse.ArgumentParser(prog="r2_program", description=__doc__)
    parser.add_argument("data", type=Path, help="holds train/<class>/ and test/<class>/")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--steps", type=int, help="of each epoch, instead of all; validation is always whole")
    parser.add_argument("--none", action="store_true", help="train without CutMix")
    given = parser.parse_args()
    train, test = read(given.data / "train"), read(given.data / "test")
    model = resnet20()
    model.compile(optimizer="adam", loss="categorical_crossentropy", metrics=["accuracy"])
    clock = Clock()
    batches = plain(*train) if given.none else mixed(*train)
    options = {"validation_data": plain(*test, shuffle=False), "epochs": given.epochs, "callbacks": [clock]}
    if given.steps:
        batches, options = batches.repeat(), options | {"steps_per_epoch": given.steps}
    model.fit(batches, verbose=2, **options)
    print("seconds per epoch:", ", ".join(f"{seconds:.1f}" for seconds in clock.seconds))


class Clock(keras.callbacks.Callback):
    """The seconds of each epoch, its validation included."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []

    def on_epoch_begin(self, epoch: int, logs: object = None) -> None:
        """Start the clock."""
        self._start = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: object = None) -> None:
        """Read it."""
        self.seconds.append(time.perf_counter() - self._start)


def read(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """(N, 32, 32, 3) float32 in 0..1, and (N, 10) one-hot labels, in random order: streams shuffle near by only."""
    classes = sorted(path.name for path in folder.iterdir())
    files = [(path, k) for k, name in enumerate(classes) for path in sorted((folder / name).iterdir())]
    files = [files[n] for n in np.random.default_rng(0).permutation(len(files))]
    pictures = np.stack([np.asarray(Image.open(path).convert("RGB")) for path, _ in files])
    return pictures.astype(np.float32) / 255, np.eye(len(classes), dtype=np.float32)[[k for _, k in files]]


def plain(pictures: np.ndarray, labels: np.ndarray, *, shuffle: bool = True) -> tf.data.Dataset:
    """Batches as they are."""
    found = tf.data.Dataset.from_tensor_slices((pictures, labels))
    return (found.shuffle(SHUFFLE) if shuffle else found).batch(BATCH).prefetch(tf.data.AUTOTUNE)


def mixed(pictures: np.ndarray, labels: np.ndarray) -> tf.data.Dataset:
    """Batches of pairs from two streams, each mixed by a box of its own."""
    streams = [tf.data.Dataset.from_tensor_slices((pictures, labels)).shuffle(SHUFFLE) for _ in range(2)]
    pairs = tf.data.Dataset.zip(tuple(streams))
    return pairs.map(cutmix, num_parallel_calls=tf.data.AUTOTUNE).batch(BATCH).prefetch(tf.data.AUTOTUNE)


def cutmix(first: tuple[tf.Tensor, tf.Tensor], second: tuple[tf.Tensor, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
    """The box of one picture replaced by the same box of another; the labels weighed by what is seen of each."""
    (one, its), (other, others) = first, second
    draws = [tf.random.gamma([], ALPHA) for _ in range(2)]
    side = tf.cast(SIDE * tf.sqrt(1 - draws[0] / (draws[0] + draws[1])), tf.int32)
    centre = tf.random.uniform([2], 0, SIDE, tf.int32)
    low = tf.clip_by_value(centre - side // 2, 0, SIDE)
    size = tf.maximum(tf.clip_by_value(centre + side // 2, 0, SIDE) - low, 1)
    low = tf.minimum(low, SIDE - size)
    patch = tf.image.crop_to_bounding_box(other, low[0], low[1], size[0], size[1])
    hole = tf.image.crop_to_bounding_box(one, low[0], low[1], size[0], size[1])
    picture = one + tf.image.pad_to_bounding_box(patch - hole, low[0], low[1], SIDE, SIDE)
    kept = 1 - tf.cast(size[0] * size[1], tf.float32) / SIDE**2
    return tf.ensure_shape(picture, (SIDE, SIDE, 3)), kept * its + (1 - kept) * others


def resnet20(depth: int = 20) -> keras.Model:
    """ResNet v1 of depth 6n + 2 for 32-pixel pictures (He et al. 2015, section 4.2), with L2 on every kernel."""
    inputs = x = keras.Input((SIDE, SIDE, 3))
    x = layers.ReLU()(_convolution(x, 16))
    for stage, filters in enumerate((16, 32, 64)):
        for block in range((depth - 2) // 6):
            stride = 2 if stage and not block else 1
            y = layers.ReLU()(_convolution(x, filters, stride))
            y = _convolution(y, filters)
            if stride > 1:
                x = layers.Conv2D(filters, 1, stride, "same", **_KERNEL)(x)
            x = layers.ReLU()(layers.add([x, y]))
    x = layers.Flatten()(layers.AveragePooling2D(8)(x))
    return keras.Model(inputs, layers.Dense(10, activation="softmax", kernel_initializer="he_normal")(x))


_KERNEL = {"kernel_initializer": "he_normal", "kernel_regularizer": keras.regularizers.L2(1e-4)}


def _convolution(x: object, filters: int, stride: int = 1) -> object:
    return layers.BatchNormalization()(layers.Conv2D(filters, 3, stride, "same", **_KERNEL)(x))


if __name__ == "__main__":
    main()
