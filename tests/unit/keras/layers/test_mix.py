"""The layer Mix: what it makes of a batch, in every form and everywhere a batch can be mixed."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

import keras  # before TensorFlow: PyTorch does not load after it
import numpy as np
import pytest
import tensorflow as tf

import crossfade as cf
from crossfade.keras import Mix
from crossfade.keras.layers.draws import Draws
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


# ----------------------------------------------------------------------------------------------------- two streams


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


# ------------------------------------------------------------------------------------------------- kept and loaded


@dataclass(frozen=True)
class Stripes(cf.Policy):
    """Every other row is the partner's."""

    every: int = 2

    def _draw(self, shape, rng, labels, images):
        mask = np.zeros(shape, np.float32)
        mask[:, :: self.every] = 1
        return Plan.two_layers(shape, rng.permutation(shape[0]), mask=mask)


POLICIES = [
    cf.MixUp(0.4, partner="same_class", per="batch"),
    cf.CutMix(inside=True),
    cf.Until(cf.OneOf([cf.MixUp(), cf.Sometimes(cf.CutMix(0.5), 0.25)], weights=[1, 3], per="sample"), 0.8),
    "cutmix:alpha=0.5,p=0.5",
]


@pytest.mark.parametrize("policy", POLICIES, ids=str)
def test_the_layer_is_what_its_config_says(policy):
    layer = Mix(policy, 5, 7, smoothing=0.1, layout="NCHW", name="mixer")
    text = json.dumps(keras.saving.serialize_keras_object(layer))
    again = keras.saving.deserialize_keras_object(json.loads(text))
    assert isinstance(again, Mix)
    assert (again._draws, again.layout, again.name) == (layer._draws, "NCHW", "mixer")


def test_a_policy_of_your_own_is_loaded_once_it_is_registered():
    config = Mix(Stripes(3)).get_config()
    with pytest.raises(cf.ConfigError, match="no method is called 'Stripes'"):
        Mix.from_config(config)
    with keras.saving.custom_object_scope({"Stripes": Stripes}):
        assert Mix.from_config(config).policy == Stripes(3)


def test_a_model_that_is_saved_and_loaded_goes_on_with_other_plans(tmp_path):
    images, labels = batch()
    x, y = keras.Input((8, 10, 3)), keras.Input((), dtype="int32")
    model = keras.Model([x, y], Mix("mixup", CLASSES)({"images": x, "labels": y})["labels"])
    given = [images, labels.astype("int32")]
    before = [as_numpy(model(given, training=True)).tobytes() for _ in range(3)]
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    after = [as_numpy(loaded(given, training=True)).tobytes() for _ in range(3)]
    assert len({*before, *after}) == 6
    assert after == [as_numpy(model(given, training=True)).tobytes() for _ in range(3)]


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
