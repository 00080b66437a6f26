"""Mix in tf.data and in compiled code: chance is not frozen, nothing is compiled twice."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

import keras  # before TensorFlow: PyTorch does not load after it
import numpy as np
import pytest
import tensorflow as tf

import crossfade as cf
from crossfade.keras import Mix
from tests.unit.keras.layers.batches import (
    BACKEND,
    CLASSES,
    MixingModel,
    Stripes,
    as_numpy,
    batch,
    compiled,
    lights,
    tensors,
)

# -------------------------------------------------------------------------------------------------------- tf.data


@pytest.mark.parametrize("form", ["pair", "dict", "pipeline"])
def test_tf_data_on_every_backend(form):
    """With the last batch ragged; shapes stay known, plans differ, and go on in the second epoch."""
    images, labels = lights(7)
    layer = Mix("cutmix", 7, seed=3)
    data = {"images": images, "labels": labels} if form != "pair" else (images, labels)
    dataset = tf.data.Dataset.from_tensor_slices(data).repeat(4).batch(6)
    dataset = dataset.map(keras.layers.Pipeline([layer]) if form == "pipeline" else layer)
    seen = []
    for _ in range(2):
        for mixed in dataset:
            x, y = (mixed["images"], mixed["labels"]) if form != "pair" else mixed
            np.testing.assert_allclose(x.numpy().mean(axis=(1, 2)), y.numpy(), atol=1e-6)
            seen.append(y.numpy().tobytes())
    assert len(set(seen)) == len(seen) == 10
    spec = dataset.element_spec
    shapes = [spec["images"].shape, spec["labels"].shape] if form != "pair" else [part.shape for part in spec]
    assert [list(shape) for shape in shapes] == [[None, 7, 9, 7], [None, 7]]


def test_tf_data_draws_what_a_plain_batch_does():
    images, labels = batch()
    dataset = tf.data.Dataset.from_tensors((images, labels)).repeat(3).map(Mix("mixup", CLASSES, seed=4))
    layer = Mix("mixup", CLASSES, seed=4)
    for x, y in dataset:
        mixed, targets = layer((images, labels))
        np.testing.assert_array_equal(x, as_numpy(mixed))
        np.testing.assert_array_equal(y, as_numpy(targets))


@pytest.mark.parametrize("dtype", ["uint8", "float16", "bfloat16", "float64"])
def test_tf_data_keeps_the_dtype(dtype):
    images, labels = batch()
    dataset = tf.data.Dataset.from_tensors((tf.cast(images, dtype), labels)).map(Mix("mixup:alpha=1.0", CLASSES))
    ((x, y),) = dataset
    assert (x.dtype.name, y.dtype.name) == (dtype, "float32")
    wanted = as_numpy(Mix("mixup:alpha=1.0", CLASSES)((images, labels))[0])
    np.testing.assert_allclose(tf.cast(x, "float32"), wanted, atol={"float64": 1e-4}.get(dtype, 1.1))


def test_maps_in_parallel_never_draw_a_plan_twice():
    images, labels = batch(4)
    layer = Mix("mixup", CLASSES)
    dataset = tf.data.Dataset.from_tensors((images, labels)).repeat(200).map(layer, num_parallel_calls=8)
    assert len({y.numpy().tobytes() for _, y in dataset}) == layer._draws.count == 200


def test_threads_never_draw_a_plan_twice():
    images, labels = batch(4)
    layer = Mix("mixup", CLASSES)
    with ThreadPoolExecutor(8) as pool:
        targets = list(pool.map(lambda _: as_numpy(layer((images, labels))[1]).tobytes(), range(200)))
    assert len(set(targets)) == layer._draws.count == 200


def test_tf_data_that_merely_sees_a_batch_is_not_frozen():
    images, labels = batch()
    for seen in ((images, labels), (tf.constant(images), tf.constant(labels))):
        layer = Mix("mixup", CLASSES)
        dataset = tf.data.Dataset.range(5).map(lambda _, layer=layer, seen=seen: layer(seen, training=True))
        assert len({y.numpy().tobytes() for _, y in dataset}) == layer._draws.count == 5


def test_keras_layers_before_it_may_cast_the_labels():
    """Keras' preprocessing casts all that passes through it in tf.data to the layer's dtype."""
    images, labels = batch()
    pipeline = keras.layers.Pipeline([keras.layers.RandomFlip(seed=0), Mix("mixup", CLASSES)])
    dataset = tf.data.Dataset.from_tensors({"images": images, "labels": labels}).map(pipeline)
    (mixed,) = dataset
    np.testing.assert_allclose(mixed["labels"].numpy().sum(axis=1), 1, atol=1e-6)


def test_tf_data_says_which_labels_are_wrong():
    images, labels = batch()
    dataset = tf.data.Dataset.from_tensors((images, labels + 5)).map(Mix("mixup", CLASSES))
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"labels must be in 0\.\.2"):
        list(dataset)


# ---------------------------------------------------------------------------------------------------- compiled code


@pytest.mark.parametrize("policy", ["cutmix", "mixup:alpha=1.0", "cutmix:p=0.5"])
def test_compiled_code_neither_freezes_chance_nor_is_compiled_again(policy):
    images, labels = lights()
    traced, layer, plain = [], Mix(policy, 8, seed=1), Mix(policy, 8, seed=1)
    step = compiled(lambda x, y: layer((x, y), training=True), traced)
    given = tensors(images, labels)
    seen = set()
    for _ in range(6):
        mixed, targets = (as_numpy(part) for part in step(*given))
        expected = [as_numpy(part) for part in plain((images, labels))]
        np.testing.assert_allclose(mixed, expected[0], atol=1e-6)
        np.testing.assert_allclose(targets, expected[1], atol=1e-7)
        np.testing.assert_allclose(mixed.mean(axis=(1, 2)), targets, atol=1e-6)
        seen.add(targets.tobytes())
    assert len(seen) == 6
    assert len(traced) == (0 if BACKEND == "torch" else 1)  # torch.compile steps over the layer, which has no graph


@pytest.mark.parametrize("kind", ["numpy", "tensor"])
def test_compiled_code_that_merely_sees_a_batch_is_not_frozen(kind):
    """It is a constant of the code, its plans are not."""
    images, labels = lights()
    seen, layer = (images, labels) if kind == "numpy" else tensors(images, labels), Mix("mixup", 8)
    step = compiled(lambda scale: [part * scale for part in layer(tuple(seen), training=True)], [])
    for n in range(1, 6):
        mixed, targets = (as_numpy(part) for part in step(*tensors(np.float32(1))))
        np.testing.assert_allclose(mixed.mean(axis=(1, 2)), targets, atol=1e-6)
        assert layer._draws.count == n


@pytest.mark.skipif(BACKEND != "tensorflow", reason="AutoGraph rewrites functions of TensorFlow's graphs only")
def test_autograph_leaves_it_as_it_is(monkeypatch):
    """Rewriting it takes seconds."""
    callers = []

    def mix(draws, images, labels, *given, **options):
        callers.append(sys._getframe(1).f_code.co_filename)
        return images, labels

    monkeypatch.setattr("crossfade.keras.layers.graphs.mix_in_tensorflow", mix)
    layer = Mix("mixup", CLASSES)

    def both(x, y):
        return layer((x, y), training=True), layer.pairs((x, y), (x, y))

    tf.function(both)(*tensors(*batch()))
    assert [caller.endswith("mix.py") for caller in callers] == [True, True]


def test_compiled_code_takes_the_ragged_last_batch():
    traced, layer = [], Mix("cutmix", 8)
    step = compiled(lambda x, y: layer((x, y), training=True), traced)
    for size in (8, 5, 8, 1):
        images, labels = lights(8)
        mixed, targets = (as_numpy(part) for part in step(*tensors(images[:size], labels[:size])))
        np.testing.assert_allclose(mixed.mean(axis=(1, 2)), targets, atol=1e-6)


def test_compiled_out_of_training():
    images, labels = batch()
    layer = Mix("cutmix", CLASSES)
    step = compiled(lambda x, y: layer((x, y), training=False), [])
    same, dense = step(*tensors(images, labels))
    np.testing.assert_array_equal(as_numpy(same), images)
    np.testing.assert_array_equal(as_numpy(dense), np.eye(CLASSES)[labels])


def test_a_mask_travels_into_compiled_code():
    """Policies may mask their upper layer; here only every other plan does."""
    images, labels = lights()
    policy = cf.OneOf([Stripes(), cf.MixUp(1.0)], per="batch")
    layer, plain, traced = Mix(policy, 8), Mix(policy, 8), []
    step = compiled(lambda x, y: layer((x, y), training=True), traced)
    for _ in range(6):
        mixed, targets = (as_numpy(part) for part in step(*tensors(images, labels)))
        np.testing.assert_allclose(mixed, as_numpy(plain((images, labels))[0]), atol=1e-6)
        np.testing.assert_allclose(mixed.mean(axis=(1, 2)), targets, atol=1e-6)
    assert len(traced) <= 1


@pytest.mark.parametrize("jit_compile", [False, "auto"])
def test_inside_the_train_step_of_a_model(jit_compile):
    """What the model sees is mixed anew in each step of each epoch, and its labels with it."""
    images, labels = batch(20)
    model = MixingModel()
    model.compile("sgd", keras.losses.CategoricalCrossentropy(from_logits=True), jit_compile=jit_compile)
    model.fit(images / 255, np.eye(CLASSES)[labels], batch_size=8, epochs=3, verbose=0)
    assert model.mix._draws.count == 9
    assert model.jit_compile is (jit_compile == "auto" and BACKEND == "jax")


def test_an_input_of_a_model_is_mixed():
    """As a layer of a functional model that takes both; what it drew is kept with the weights."""
    images, labels = batch()
    x, y = keras.Input((8, 10, 3)), keras.Input((), dtype="int32")
    mixed = Mix(cf.OneOf([cf.MixUp(1.0), cf.CutMix()], weights=[1, 3]), CLASSES)({"images": x, "labels": y})
    assert (tuple(mixed["images"].shape), tuple(mixed["labels"].shape)) == ((None, 8, 10, 3), (None, CLASSES))
    model = keras.Model([x, y], mixed)
    first = as_numpy(model([images, labels.astype("int32")], training=True)["labels"])
    second = as_numpy(model([images, labels.astype("int32")], training=True)["labels"])
    assert (first != second).any()


@pytest.mark.skipif(BACKEND != "tensorflow", reason="XLA-compiled TensorFlow is there on the TensorFlow backend only")
def test_xla_is_refused_with_the_reason():
    images, labels = tensors(*batch())
    layer = Mix("mixup", CLASSES)
    step = tf.function(lambda x, y: layer((x, y), training=True), jit_compile=True)
    with pytest.raises(cf.ConfigError, match="jit_compile=False to compile"):
        step(images, labels)
    assert not layer.supports_jit


@pytest.mark.skipif(BACKEND != "tensorflow", reason="gradients of tf.function")
def test_gradients_pass_through_a_graph():
    images, labels = tensors(*lights())
    layer = Mix("mixup:alpha=1.0", 8)

    @tf.function
    def slope(x, y):
        with tf.GradientTape() as tape:
            tape.watch(x)
            total = tf.reduce_sum(layer((x, y), training=True)[0])
        return tape.gradient(total, x)

    assert slope(images, labels).numpy().mean() == pytest.approx(1, abs=1e-5)
