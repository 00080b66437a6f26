"""The rules of our contract, held against Keras' own MixUp and CutMix layers.

Every check states what Keras is seen to do, beside what `Mix` does, so that a change in Keras is noticed. It runs on
the backend that KERAS_BACKEND says. The figures are told in docs/methods/keras-layers.md.
"""

from __future__ import annotations

import keras  # before TensorFlow: PyTorch does not load after it
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from crossfade.keras import Mix

if not hasattr(keras.layers, "CutMix"):
    pytest.skip(f"Keras {keras.__version__} has no CutMix layer yet", allow_module_level=True)

BACKEND = keras.backend.backend()
KERAS = {"mixup": keras.layers.MixUp, "cutmix": keras.layers.CutMix}
OURS = {"mixup": "mixup:alpha=0.2", "cutmix": "cutmix:alpha=1.0"}

pytestmark = pytest.mark.filterwarnings("ignore:Explicitly requested dtype int64:UserWarning")  # Keras' MixUp on JAX

both = pytest.mark.parametrize("method", ["mixup", "cutmix"])


def lights(size=8, side=8):
    """Picture i is 1 in channel i only, so that the mean of a channel after mixing is the share of its picture."""
    images = np.zeros((size, side, side, size), np.float32)
    images[np.arange(size), :, :, np.arange(size)] = 1
    return images, np.eye(size, dtype=np.float32)


def mixed_by(layer, images, labels):
    mixed = layer({"images": images, "labels": labels}, training=True)
    return as_numpy(mixed["images"]), as_numpy(mixed["labels"])


def as_numpy(value):
    return keras.ops.convert_to_numpy(keras.ops.cast(value, "float32"))


def many(layer, side, batches):
    """Pictures and labels of several batches of eight."""
    parts = [mixed_by(layer, *lights(side=side)) for _ in range(batches)]
    return tuple(np.concatenate(part) for part in zip(*parts, strict=True))


def gap(layer, side, batches=40):
    """How far the label of a sample is from its pixels: of every sample, the largest over its classes."""
    images, labels = many(layer, side, batches)
    return np.abs(images.mean(axis=(1, 2), dtype=np.float64) - labels).max(axis=1)


# ------------------------------------------------------------------------------------------- labels equal the pixels


@pytest.mark.parametrize(("side", "low", "high"), [(8, 0.04, 0.07), (32, 0.007, 0.017)])
def test_label_weights_of_keras_cutmix_are_those_of_the_box_before_it_is_rounded(side, low, high):
    theirs, ours = gap(KERAS["cutmix"](seed=0), side), gap(Mix("cutmix", 8), side)
    assert low < theirs.mean() < high
    assert ours.max() < 1e-6


def test_label_weights_of_mixup_are_right_in_both():
    assert gap(KERAS["mixup"](1.0, seed=0), 8).max() < 1e-5
    assert gap(Mix("mixup:alpha=1.0", 8), 8).max() < 1e-5


# ----------------------------------------------------------------------------------------------- partners and boxes


@both
def test_one_sample_in_eight_or_more_of_keras_is_mixed_with_itself(method):
    """A permutation leaves one sample in place, on average, whatever the size of the batch."""
    alone = {}
    for name, layer in (("theirs", KERAS[method](seed=0)), ("ours", Mix(OURS[method].replace("0.2", "1"), 8))):
        labels = many(layer, 16, 100)[1]
        own = labels[np.arange(800), np.tile(np.arange(8), 100)]
        alone[name] = int((own > 1 - 1e-6).sum())
    assert stats.binomtest(alone["theirs"], 800, 0.125).pvalue > 1e-6 if method == "mixup" else alone["theirs"] > 80
    assert alone["ours"] == 0 if method == "mixup" else alone["ours"] < 0.05 * 800  # an empty box leaves one unmixed


def test_boxes_of_keras_hardly_ever_touch_the_upper_and_left_border():
    """A pixel belongs to the box if its upper left corner does, and a box begins a fraction of a pixel inside."""

    def touched(layer):
        images, _ = many(layer, 16, 100)
        own = images[np.arange(len(images)), :, :, np.tile(np.arange(8), 100)]
        pasted = own[(own == 0).any(axis=(1, 2))] == 0
        return {
            "top": pasted[:, 0].any(axis=1).mean(),
            "left": pasted[:, :, 0].any(axis=1).mean(),
            "bottom": pasted[:, -1].any(axis=1).mean(),
            "right": pasted[:, :, -1].any(axis=1).mean(),
        }

    theirs, ours = touched(KERAS["cutmix"](seed=0)), touched(Mix("cutmix", 8))
    assert max(theirs["top"], theirs["left"]) < 0.08
    assert min(theirs["bottom"], theirs["right"]) > 0.35
    assert min(ours.values()) > 0.28
    assert max(ours.values()) < 0.46


@both
def test_lambda_is_drawn_for_each_sample_in_both(method):
    for layer in (KERAS[method](1.0, seed=1), Mix(OURS[method], 8)):
        labels = many(layer, 16, 5)[1]
        assert len(np.unique(labels.max(axis=1).round(4))) > 10


def test_alpha_of_keras_cutmix_is_drawn_anew_for_each_batch():
    """`factor=1` draws alpha itself from 0..1, so lambda is no Beta(1, 1): it lies mostly near 0 and 1."""
    labels = np.concatenate([many(KERAS["cutmix"](seed=seed), 64, 5)[1] for seed in range(8)])
    lam = labels[np.arange(len(labels)), np.tile(np.arange(8), 40)]
    extreme = ((lam < 0.1) | (lam > 0.9)).mean()
    assert extreme > 0.4  # of a uniform lambda, 0.2 and the samples mixed with themselves: 0.3


@both
def test_partners_of_the_same_class_leave_a_whole_label_in_both(method):
    images, _ = lights()
    for layer in (KERAS[method](seed=0), Mix(OURS[method], 3)):
        labels = np.tile(np.eye(3, dtype=np.float32)[1], (8, 1))
        _, targets = mixed_by(layer, images, labels)
        np.testing.assert_allclose(targets, labels, atol=1e-6)


# ---------------------------------------------------------------------------------------------- kinds of arrays


@both
def test_bytes_become_float32_in_keras_and_stay_bytes_here(method):
    """Nothing is truncated: Keras keeps fractions, ours are rounded to nearest."""
    images, labels = lights()
    images = (images * 255).astype(np.uint8)
    theirs = KERAS[method](seed=0)({"images": images, "labels": labels}, training=True)["images"]
    ours = Mix(OURS[method], 8)({"images": images, "labels": labels}, training=True)["images"]
    kinds = [keras.backend.standardize_dtype(each.dtype) for each in (theirs, ours)]
    assert kinds == ["float32", "uint8"]


@both
def test_shapes_are_kept_and_odd_single_and_ragged_batches_work_in_both(method):
    for layer in (KERAS[method](seed=0), Mix(OURS[method], 8)):
        for size in (8, 7, 1):
            images, labels = (part[:size] for part in lights())
            mixed, targets = mixed_by(layer, images, labels)
            assert (mixed.shape, targets.shape) == (images.shape, labels.shape)


@both
def test_the_input_is_kept_in_both(method):
    for layer in (KERAS[method](seed=0), Mix(OURS[method], 8)):
        images, labels = lights()
        data = {"images": images, "labels": labels}
        mixed = layer(data, training=True)
        assert data["images"] is images
        assert mixed is not data
        np.testing.assert_array_equal(images, lights()[0])
        np.testing.assert_array_equal(labels, lights()[1])


HALF = {  # what Keras says of a layer of half precision; None: it works, on labels of lower precision
    ("torch", "mixup"): None,
    ("torch", "cutmix"): NotImplementedError,
    ("jax", "mixup"): None,
    ("jax", "cutmix"): None,
    ("tensorflow", "mixup"): tf.errors.InvalidArgumentError,
    ("tensorflow", "cutmix"): None,
}


@both
def test_half_precision(method):
    """`dtype="float16"`, as a mixed precision policy gives it to every layer, breaks some of Keras' own."""
    images, labels = (part.astype(np.float16) for part in lights(side=32))
    error = HALF[BACKEND, method]
    if error is None:
        _, targets = mixed_by(KERAS[method](seed=0, dtype="float16"), images, labels)
        np.testing.assert_allclose(targets.sum(axis=1), 1, atol=2e-3)
    else:
        with pytest.raises(error):
            KERAS[method](seed=0, dtype="float16")({"images": images, "labels": labels}, training=True)
    mixed = Mix(OURS[method], 8)({"images": images, "labels": labels}, training=True)
    assert keras.backend.standardize_dtype(mixed["images"].dtype) == "float16"
    assert keras.backend.standardize_dtype(mixed["labels"].dtype) == "float32"
    np.testing.assert_allclose(as_numpy(mixed["labels"]).sum(axis=1), 1, atol=1e-6)


# --------------------------------------------------------------------------------------------------------- labels


@both
def test_class_numbers_are_mixed_as_if_they_were_weights_by_keras_in_tf_data(method):
    """Without a word, on every backend; the model would be trained on a (B, B) array of mixed class numbers."""
    images, _ = lights()
    dataset = tf.data.Dataset.from_tensors({"images": images, "labels": np.arange(8)})
    (theirs,) = dataset.map(KERAS[method](seed=0))
    assert theirs["labels"].shape == (8, 8)
    assert theirs["labels"].numpy().max() > 1
    (ours,) = dataset.map(Mix(OURS[method], 8))
    np.testing.assert_allclose(ours["labels"].numpy().sum(axis=1), 1, atol=1e-6)


@both
def test_fewer_labels_than_pictures_break_keras_and_are_refused_here(method):
    images, labels = lights()
    data = {"images": images, "labels": labels[:6]}
    with pytest.raises((IndexError, TypeError, tf.errors.InvalidArgumentError)):
        KERAS[method](seed=0)(data, training=True)
    with pytest.raises(ValueError, match=r"as many labels as pictures\. Got 8 pictures"):
        Mix(OURS[method], 8)(data, training=True)


@both
def test_a_pair_of_pictures_and_labels_is_nothing_keras_takes(method):
    images, labels = lights()
    with pytest.raises((AttributeError, TypeError, ValueError, tf.errors.InvalidArgumentError)):
        KERAS[method](seed=0)((images, labels), training=True)
    assert len(Mix(OURS[method], 8)((images, labels))) == 2


def test_class_ids_of_masks_are_blended_by_keras_mixup():
    """And flattened: a take without an axis. `crossfade.mix_masks` keeps them class ids."""
    images, labels = lights(4)
    masks = np.full((4, 8, 8, 1), 7, np.float32)
    masks[:2] = 2
    data = {"images": images, "labels": labels, "segmentation_masks": masks}
    theirs = as_numpy(KERAS["mixup"](1.0, seed=0)(data, training=True)["segmentation_masks"])
    assert theirs.shape == (4, 8, 8, 4)
    assert not np.isin(theirs, (2, 7)).all()


# --------------------------------------------------------------------------------------------------------- chance


@both
def test_a_seed_repeats_and_batches_differ_in_both(method):
    images, labels = lights()
    for make in (lambda: KERAS[method](seed=3), lambda: Mix(OURS[method], 8, seed=3)):
        first, second = ([mixed_by(layer, images, labels)[1] for _ in range(3)] for layer in (make(), make()))
        np.testing.assert_array_equal(first, second)
        assert len({targets.tobytes() for targets in first}) == 3


@pytest.mark.skipif(BACKEND != "jax", reason="jax.jit is there on the JAX backend only")
@both
def test_jit_freezes_the_chance_of_keras(method):
    """A layer that is no argument of the jitted function: its seed is a constant of the trace."""
    import jax

    images, labels = (keras.ops.convert_to_tensor(part) for part in lights())

    def distinct(layer):
        step = jax.jit(lambda x, y: layer({"images": x, "labels": y}, training=True)["labels"])
        return len({np.asarray(step(images, labels)).tobytes() for _ in range(4)})

    assert distinct(KERAS[method](seed=0)) == 1
    assert distinct(Mix("mixup:alpha=1.0" if method == "mixup" else "cutmix", 8)) == 4


@pytest.mark.skipif(BACKEND != "tensorflow", reason="tf.function is that of the TensorFlow backend")
@both
def test_tf_function_freezes_nobody(method):
    images, labels = (keras.ops.convert_to_tensor(part) for part in lights())
    for layer in (KERAS[method](1.0, seed=0), Mix(OURS[method], 8)):
        step = tf.function(lambda x, y, layer=layer: layer({"images": x, "labels": y}, training=True)["labels"])
        assert len({step(images, labels).numpy().tobytes() for _ in range(4)}) == 4


@both
def test_tf_data_freezes_nobody(method):
    images, labels = lights()
    # With num_parallel_calls Keras' layers draw a batch twice now and then: threads read one state before it moves on.
    for layer, threads in ((KERAS[method](1.0, seed=0), None), (Mix(OURS[method], 8), None), (Mix(OURS[method], 8), 4)):
        dataset = tf.data.Dataset.from_tensors({"images": images, "labels": labels}).repeat(50)
        dataset = dataset.map(layer, num_parallel_calls=threads)
        assert len({mixed["labels"].numpy().tobytes() for mixed in dataset}) == 50
