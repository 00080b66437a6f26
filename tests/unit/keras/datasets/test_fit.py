"""What ``model.fit`` shows: epoch e is that of (seed, e), whole, in its order, whoever made the batches."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from crossfade.keras import ArrayDataset, ImageFolder
from tests.unit.keras.watching import Watching, assert_same, epochs_of

PICTURES = np.random.default_rng(0).integers(0, 256, (23, 6, 6, 3), dtype=np.uint8)
LABELS = np.arange(23) % 3
WORKERS = [(0, False), (1, False), (2, False), (1, True), (2, True)]


def mixed(size: int = 5, **options: Any) -> ArrayDataset:
    options = {"mix": "mixup:alpha=1.0", "augment": "light", "seed": 3, **options}
    return ArrayDataset(PICTURES[: options.pop("n", 23)], LABELS[: options.pop("n", 23)], size, **options)


@pytest.mark.parametrize(("workers", "processes"), WORKERS)
@pytest.mark.parametrize("n", [23, 5, 8])
def test_epochs_are_whole_and_in_order(workers: int, processes: bool, n: int) -> None:
    dataset = ArrayDataset(
        PICTURES[:n], LABELS[:n], 5, mix="mixup", augment="light", workers=workers, use_multiprocessing=processes
    )
    model = Watching()
    model.fit(dataset, epochs=3, verbose=0)
    assert_same(model.seen(), epochs_of(dataset, 0, 1, 2))
    assert dataset.epoch == 3
    model.fit(dataset, epochs=1, verbose=0)
    assert_same(model.seen()[3 * len(dataset) :], epochs_of(dataset, 3))


@pytest.mark.parametrize("workers", [0, 2])
def test_shuffling_by_keras_changes_nothing(workers: int) -> None:
    random.seed(0)
    dataset = mixed(workers=workers)
    one, other = Watching(), Watching()
    one.fit(dataset, epochs=2, verbose=0, shuffle=True)
    other.fit(mixed(), epochs=2, verbose=0, shuffle=False)
    assert_same(one.seen(), other.seen())


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_validation_data_stay_as_they_are(workers: int, corners: Path) -> None:
    share = {"validation_split": 0.25, "workers": workers}
    train = ImageFolder(corners, 12, 8, subset="training", mix="cutmix", **share)
    held_out = ImageFolder(corners, 12, 7, subset="validation", **share)
    model = Watching()
    model.fit(train, validation_data=held_out, epochs=2, verbose=0)
    assert_same(model.seen("judged"), epochs_of(held_out, 0, 0))
    assert_same(model.seen(), epochs_of(train, 0, 1))


@pytest.mark.parametrize("workers", [0, 2])
def test_steps_per_epoch_do_not_cut_an_epoch_short(workers: int) -> None:
    dataset = mixed(4, workers=workers)
    model = Watching()
    model.fit(dataset, epochs=4, steps_per_epoch=3, verbose=0)
    assert len(dataset) == 6
    assert_same(model.seen(), epochs_of(dataset, 0, 1))
    assert dataset.epoch == 2


def test_a_training_can_go_on_at_a_later_epoch() -> None:
    dataset = mixed()
    dataset.set_epoch(2)
    model = Watching()
    model.fit(dataset, initial_epoch=2, epochs=3, verbose=0)
    assert_same(model.seen(), epochs_of(dataset, 2))


def test_looking_at_a_batch_in_a_callback_disturbs_nothing() -> None:
    class Looking(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            np.testing.assert_array_equal(dataset[1][0], fixed[1][0])
            dataset.preview(3)

    dataset, model = mixed(), Watching()
    fixed = epochs_of(dataset, 0)
    model.fit(dataset, epochs=1, verbose=0, callbacks=[Looking()])
    assert_same(model.seen(), fixed)


def test_a_class_that_inherits_shows_the_same() -> None:
    class Mine(ArrayDataset):
        def __getitem__(self, index: int) -> Any:
            return super().__getitem__(index)

        def on_epoch_end(self) -> None:
            super().on_epoch_end()

    model = Watching()
    dataset = Mine(PICTURES, LABELS, 5, mix="mixup", workers=2)
    model.fit(dataset, epochs=2, verbose=0)
    assert_same(model.seen(), epochs_of(dataset, 0, 1))


def test_what_is_wrapped_is_asked_as_the_wrapper_likes() -> None:
    class EverySecond(keras.utils.PyDataset):
        def __len__(self) -> int:
            return 3

        def __getitem__(self, index: int) -> Any:
            return dataset[4 - 2 * index]

        def on_epoch_end(self) -> None:
            dataset.on_epoch_end()

    dataset, model = mixed(), Watching()
    model.fit(EverySecond(), epochs=2, verbose=0, shuffle=False)
    first, second = epochs_of(dataset, 0), epochs_of(dataset, 1)
    assert_same(model.seen(), [first[4], first[2], first[0], second[4], second[2], second[0]])
    assert dataset.epoch == 2


def test_a_binary_head_learns_from_mixed_targets(two_corners: Path) -> None:
    dataset = ImageFolder(two_corners, 12, 8, class_mode="binary", mix="mixup:alpha=0.2", seed=1)
    model = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(1, activation="sigmoid")])
    model.compile(keras.optimizers.Adam(0.01), "binary_crossentropy")
    losses = model.fit(dataset, epochs=8, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
