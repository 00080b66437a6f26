"""R1's generator in `model.fit`."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras.src.legacy.preprocessing.image import ImageDataGenerator

from crossfade.keras import MixupImageDataGenerator
from tests.unit.keras.datasets.generators import R1, SIDE, made

# Keras asks SciPy for a name that SciPy 2 will drop.
pytestmark = pytest.mark.filterwarnings("ignore:Please import `affine_transform`:DeprecationWarning")


def small_model(classes: int, shape) -> keras.Model:
    model = keras.Sequential(
        [keras.Input(shape), keras.layers.Flatten(), keras.layers.Dense(classes, activation="sigmoid")]
    )
    model.compile(keras.optimizers.SGD(0.05), loss="binary_crossentropy", metrics=["accuracy"])
    return model


def test_model_fit_with_what_is_held_out(corners):
    train = made(corners, subset="training")
    history = small_model(3, (SIDE, SIDE, 3)).fit(train, epochs=3, validation_data=train.held_out(), verbose=0).history
    assert len(history["val_accuracy"]) == 3
    assert np.isfinite(history["loss"]).all()
    assert history["loss"][-1] < history["loss"][0]
    assert train.epoch == 3


class Recording(MixupImageDataGenerator):
    """Keeps the order in which batches were made."""

    def _next(self, epoch, step):
        self.__dict__.setdefault("asked", []).append((epoch, step))
        return super()._next(epoch, step)


# Of Keras 3.8's own iterators over a folder, which do not call their parent's constructor.
@pytest.mark.filterwarnings("ignore:Your `PyDataset` class should call:UserWarning")
def test_r1s_steps_per_epoch_are_all_made_and_go_on_from_epoch_to_epoch(corners):
    generator = ImageDataGenerator(**R1, data_format="channels_last")
    train = Recording(generator, corners, 8, SIDE, SIDE, subset="training")
    plain_one = generator.flow_from_directory(corners, (SIDE, SIDE), batch_size=9, subset="validation")
    counted = Counting()
    train.batch_index = 3  # somebody iterated before
    small_model(3, (SIDE, SIDE, 3)).fit(
        train,
        steps_per_epoch=train.get_steps_per_epoch(),
        epochs=3,
        validation_data=plain_one,
        validation_steps=2,
        callbacks=[counted],
        verbose=0,
    )
    assert counted.steps == [5, 5, 5]
    began = max(n for n, place in enumerate(train.asked) if place == (0, 0))  # earlier looks built the model
    assert train.asked[began : began + 15] == [(k // 6, k % 6) for k in range(15)]


class Counting(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.steps = []

    def on_epoch_begin(self, epoch, logs=None):
        self.steps.append(0)

    def on_train_batch_end(self, batch, logs=None):
        self.steps[-1] += 1


def test_without_steps_an_epoch_ends_even_after_a_training_with_steps(corners):
    train, model, counted = made(corners, subset="training"), small_model(3, (SIDE, SIDE, 3)), Counting()
    model.fit(train, steps_per_epoch=2, epochs=1, verbose=0, callbacks=[counted])
    model.fit(train, epochs=1, verbose=0, callbacks=[counted])
    assert counted.steps == [2, 6]


def test_binary_targets_are_the_weight_of_class_one(two_corners):
    train = made(two_corners, 8, class_mode="binary")
    whole = made(two_corners, 8)
    assert train[0][1].shape == (8, 1)
    assert np.allclose(train[0][1][:, 0], whole[0][1][:, 1])
    small_model(1, (SIDE, SIDE, 3)).fit(train, epochs=1, verbose=0)
