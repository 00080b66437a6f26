"""The layer Mix: what it makes of a batch, in every form, and what it refuses."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import keras  # before TensorFlow: PyTorch does not load after it
import numpy as np
import pytest
import tensorflow as tf

import crossfade as cf
from crossfade.keras import Mix
from crossfade.keras.layers.draws import Draws
from tests.unit.keras.layers.batches import (
    CLASSES,
    as_numpy,
    batch,
    drawn,
    lights,
    tensors,
)

# --------------------------------------------------------------------------------------------------- what it makes


@pytest.mark.parametrize("policy", ["mixup:alpha=1.0", "cutmix", "cutmix:p=0.5"])
def test_label_weights_are_the_shares_of_the_pixels(policy):
    images, labels = lights()
    for _ in range(5):
        mixed, targets = (as_numpy(part) for part in Mix(policy, 8)((images, labels)))
        np.testing.assert_allclose(mixed.mean(axis=(1, 2)), targets, atol=1e-6)
        np.testing.assert_allclose(targets.sum(axis=1), 1, atol=1e-6)


def test_the_nth_plan_is_that_of_seed_and_n_on_every_backend():
    """The numbers are those of no backend: the host draws."""
    images, labels = batch()
    layer = Mix("cutmix", CLASSES, seed=5)
    draws = Draws(cf.CutMix(), CLASSES, 5, 0.0)
    for _ in range(3):
        mixed, targets = layer((images, labels))
        plan, expected = draws.draw(labels, (8, 8, 10))
        np.testing.assert_array_equal(as_numpy(targets), expected)
        np.testing.assert_array_equal(as_numpy(mixed), cf.mix_images(images, plan, layout="NHWC"))


def test_same_seed_same_plans_and_never_the_same_twice():
    images, labels = batch()
    first, second, other = (drawn(Mix("mixup", CLASSES, seed), images, labels, 20) for seed in (0, 0, 1))
    assert first == second
    assert len({*first, *other}) == 40


def test_each_process_of_a_training_draws_its_own(monkeypatch):
    images, labels = batch()
    own = []
    for rank in (0, 1):
        monkeypatch.setattr("crossfade.keras.layers.draws.rank", lambda rank=rank: rank)
        own += drawn(Mix("mixup", CLASSES), images, labels, 3)
    assert len(set(own)) == 6


def test_each_worker_process_draws_its_own():
    """A worker has a copy of the layer: those of an epoch, and the next epoch's, all begin with the same count."""
    draws, own = Draws(cf.MixUp(), CLASSES, 0, 0.0), []
    for _ in range(2):
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            own.append(pool.submit(draws.draw, np.arange(3), (3, 2, 2)).result()[1])
    own.append(draws.draw(np.arange(3), (3, 2, 2))[1])
    assert len({targets.tobytes() for targets in own}) == 3


@pytest.mark.parametrize("dtype", ["uint8", "float16", "bfloat16", "float32"])
@pytest.mark.parametrize("layout", ["NHWC", "NCHW"])
def test_pictures_keep_their_dtype_and_shape(dtype, layout):
    images, labels = batch(layout=layout)
    given = keras.ops.cast(keras.ops.convert_to_tensor(images), dtype)
    exact, layer = Mix("mixup:alpha=1.0", CLASSES, layout=layout), Mix("mixup:alpha=1.0", CLASSES, layout=layout)
    mixed, targets = layer((given, keras.ops.convert_to_tensor(labels)))
    assert (keras.backend.standardize_dtype(mixed.dtype), tuple(mixed.shape)) == (dtype, images.shape)
    assert (keras.backend.standardize_dtype(targets.dtype), tuple(targets.shape)) == ("float32", (8, CLASSES))
    nearest = {"uint8": 0.51, "float16": 0.13, "bfloat16": 1.1, "float32": 1e-4}[dtype]
    wanted = as_numpy(exact((images, labels))[0])
    np.testing.assert_allclose(as_numpy(keras.ops.cast(mixed, "float32")), wanted, atol=nearest)


def test_the_layout_is_that_of_keras(monkeypatch):
    assert Mix("none").layout == "NHWC"
    monkeypatch.setattr(keras.config, "image_data_format", lambda: "channels_first")
    assert Mix("none").layout == "NCHW"


@pytest.mark.parametrize("kind", ["numpy", "tensor"])
def test_what_comes_is_not_written_to(kind):
    images, labels = batch()
    data = {"images": images, "labels": labels}
    if kind == "tensor":
        data = {key: keras.ops.convert_to_tensor(value) for key, value in data.items()}
    given, before = dict(data), [as_numpy(data[key]).copy() for key in data]
    mixed = Mix("mixup:alpha=1.0", CLASSES)(data)
    assert all(data[key] is given[key] for key in given)
    assert mixed is not data
    for key, value in zip(data, before, strict=True):
        np.testing.assert_array_equal(as_numpy(data[key]), value)


def test_every_form_of_a_batch_comes_back_in_its_form():
    images, labels = batch()
    as_dict = Mix("cutmix", CLASSES)({"images": images, "labels": labels})
    as_pair = Mix("cutmix", CLASSES)((images, labels))
    as_two = Mix("cutmix", CLASSES)(images, labels)
    assert set(as_dict) == {"images", "labels"}
    assert type(as_pair) is type(as_two) is tuple
    for other in (as_pair, as_two):
        np.testing.assert_array_equal(as_numpy(other[0]), as_numpy(as_dict["images"]))
        np.testing.assert_array_equal(as_numpy(other[1]), as_numpy(as_dict["labels"]))
        assert all(keras.ops.is_tensor(part) for part in other)


# --------------------------------------------------------------------------------------------------------- labels


def test_dense_and_sparse_labels_and_a_column_say_the_same():
    images, labels = batch()
    dense = np.eye(CLASSES, dtype=np.float32)[labels]
    wanted = drawn(Mix("mixup", CLASSES), images, labels, 1)
    for same in (dense, labels[:, None], labels.astype(np.float32), labels.astype(np.int32), dense.astype(bool)):
        assert drawn(Mix("mixup", CLASSES), images, same, 1) == wanted
    assert drawn(Mix("mixup"), images, dense, 1) == wanted


@pytest.mark.parametrize("dtype", ["int64", "float32"])
@pytest.mark.parametrize("column", [False, True])
def test_a_sigmoid_gets_the_weight_of_class_one(dtype, column):
    """R1: `class_mode="binary"` and binary cross-entropy."""
    images, labels = lights()
    ones = labels % 2
    given = ones.astype(dtype)[:, None] if column else ones.astype(dtype)
    mixed, targets = (as_numpy(part) for part in Mix("cutmix", num_classes=1)((images, given)))
    assert targets.shape == (8, 1)
    np.testing.assert_allclose(targets[:, 0], mixed.mean(axis=(1, 2))[:, ones == 1].sum(axis=1), atol=1e-6)


def test_multi_hot_labels_are_mixed_as_they_are():
    images, _ = lights(4)
    labels = np.array([[1, 1, 0], [0, 0, 0], [1, 1, 1], [0, 1, 0]])
    mixed, targets = (as_numpy(part) for part in Mix("mixup:alpha=1.0")((images, labels)))
    np.testing.assert_allclose(targets, mixed.mean(axis=(1, 2)) @ labels, atol=1e-6)


def test_smoothing_is_for_training_only():
    images, labels = batch()
    layer = Mix("none", CLASSES, smoothing=0.3)
    smooth, plain = (as_numpy(layer((images, labels), training=training)[1]) for training in (True, False))
    np.testing.assert_allclose(smooth, plain * 0.7 + 0.1, atol=1e-6)
    np.testing.assert_array_equal(plain, np.eye(CLASSES)[labels])


@pytest.mark.parametrize(
    ("labels", "classes", "letter"),
    [
        (np.arange(7), 8, "needs as many labels as pictures. Got 8 pictures and 7 labels"),
        (np.arange(8), None, "integer labels need num_classes"),
        (np.arange(8), 5, r"labels must be in 0..4. Got 0..7"),
        (np.arange(8)[:, None], None, "can be read in two ways"),
        (np.arange(8), 1, "num_classes=1 takes one number from 0 to 1 for each picture"),
        (np.arange(8) / 2, 8, r"must be class numbers. Got \[0.5 1.5"),
        (np.eye(8), 3, "have 8 classes. Got num_classes=3"),
        (np.arange(8).astype(np.float16), 3000, "float16 cannot tell 3000 class numbers apart"),
        (np.zeros((8, 2, 2)), 2, r"needs a label for each of 8 pictures"),
    ],
)
def test_labels_that_no_target_can_be_made_of(labels, classes, letter):
    with pytest.raises(cf.LabelError, match=letter):
        Mix("mixup", classes)((batch()[0], labels))


def test_smoothing_of_one_column_is_refused():
    with pytest.raises(cf.LabelError, match=r"label_smoothing= to keras\.losses\.BinaryCrossentropy"):
        Mix("mixup", 1, smoothing=0.1)((batch()[0], np.ones(8)))


# ------------------------------------------------------------------------------------------------- out of training


@pytest.mark.parametrize("kind", ["numpy", "tensor", "tf.data"])
def test_out_of_training_pictures_pass_and_labels_are_dense(kind):
    images, labels = batch()
    layer = Mix("mixup:alpha=1.0", CLASSES)
    if kind == "tf.data":
        dataset = tf.data.Dataset.from_tensors((images, labels))
        ((same, dense),) = dataset.map(lambda x, y: layer(x, y, training=False))
    else:
        same, dense = layer(tensors(images, labels) if kind == "tensor" else (images, labels), training=False)
    np.testing.assert_array_equal(as_numpy(same), images)
    np.testing.assert_array_equal(as_numpy(dense), np.eye(CLASSES)[labels])
    assert layer._draws.count == 0


def test_pictures_alone_pass_out_of_training_only():
    images, _ = batch()
    np.testing.assert_array_equal(as_numpy(Mix("mixup")(images, training=False)), images)
    assert set(Mix("mixup")({"images": images}, training=False)) == {"images"}
    for alone in (images, {"images": images}):
        with pytest.raises(cf.LabelError, match="needs the labels that go with the pictures"):
            Mix("mixup")(alone, training=True)


def test_within_a_layer_it_mixes_as_that_one_trains():
    class Outer(keras.layers.Layer):
        def __init__(self):
            super().__init__()
            self.mix = Mix("mixup:alpha=1.0", CLASSES)

        def call(self, x, training=False):
            return self.mix({"images": x, "labels": self.labels})["images"]

    images, labels = batch()
    outer = Outer()
    outer.labels = keras.ops.convert_to_tensor(labels)
    x = keras.ops.convert_to_tensor(images)
    np.testing.assert_array_equal(as_numpy(outer(x, training=False)), images)
    assert np.abs(as_numpy(outer(x, training=True)) - images).max() > 1


# -------------------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("options", "letter"),
    [
        ({"num_classes": 0}, "num_classes must be a whole number from 1 on, or None. Got 0"),
        ({"layout": "channels_last"}, 'layout must be "NCHW" or "NHWC". Got'),
        ({"seed": -1}, "a seed is a whole number"),
    ],
)
def test_options_it_does_not_take(options, letter):
    with pytest.raises(cf.ConfigError, match=letter):
        Mix("mixup", **options)


def test_what_is_no_batch_is_refused():
    images, labels = batch()
    layer = Mix("mixup", CLASSES)
    with pytest.raises(cf.ArrayError, match="Mix after batching"):
        layer((images[0], labels[:1]))
    with pytest.raises(cf.ArrayError, match=r"Got \['boxes', 'images', 'labels'\]"):
        layer({"images": images, "labels": labels, "boxes": labels})
    with pytest.raises(cf.ArrayError, match="Got 3 parts"):
        layer((images, labels, labels))
    with pytest.raises(cf.ArrayError, match="cannot mix sample weights"):
        layer(images, labels, np.ones(8))


def test_a_policy_that_ends_asks_how_far_the_training_is():
    images, labels = batch()
    layer = Mix("mixup:alpha=1.0,until=0.5", CLASSES)
    with pytest.raises(cf.ConfigError, match=r"Set mix.progress to epoch / epochs"):
        layer((images, labels))
    layer.progress = 0.4
    assert np.abs(as_numpy(layer((images, labels))[0]) - images).max() > 1
    layer.progress = 0.5
    np.testing.assert_array_equal(as_numpy(layer((images, labels))[0]), images)


def test_no_other_framework_is_loaded():
    """What Keras itself has not loaded stays so."""
    code = """
import sys
import keras
before = set(sys.modules) & {"torch", "jax", "tensorflow"}
import numpy as np
from crossfade.keras import Mix
Mix("cutmix", 2)((np.zeros((2, 4, 4, 3), "float32"), np.arange(2)))
print(set(sys.modules) & {"torch", "jax", "tensorflow"} == before)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"
