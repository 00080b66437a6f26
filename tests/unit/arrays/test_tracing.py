"""JAX and TensorFlow, traced and not: nothing frozen, nothing traced twice, gradients, what is refused."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tensorflow as tf

import crossfade as cf
from crossfade.arrays import jax as on_jax
from crossfade.arrays import tensorflow as on_tensorflow
from crossfade.vision.augment import Augment, Augmentation
from tests.strategies import pictures

SHAPE = (4, 7, 13)
BYTES, FLOATS = pictures(SHAPE, 3, np.uint8, 0), pictures(SHAPE, 3, np.float32, 0)
LABELS = np.array([0, 1, 2, 0])
LOGITS = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
MASKS = BYTES[..., 0].copy()
POLICY = cf.OneOf([cf.MixUp(1.0), cf.CutMix(), cf.NoMix()])
LIVELY = Augment(flip=True, rotation=20, shift=(0.1, 0.2), brightness=(0.5, 1.5), policy="rand")


class Jax:
    module = on_jax
    array = staticmethod(jnp.asarray)
    jit = jit_plainly = staticmethod(jax.jit)

    @staticmethod
    def losses(logits, labels):
        return -jax.nn.log_softmax(logits)[jnp.arange(len(labels)), labels]

    @staticmethod
    def pulled_back(function, images, upstream):
        return jax.vjp(function, images)[1](upstream)[0]


class TensorFlow:
    module = on_tensorflow
    array = staticmethod(tf.constant)
    jit = staticmethod(tf.function)
    jit_plainly = staticmethod(functools.partial(tf.function, autograph=False))  # AutoGraph hides an error in its own

    @staticmethod
    def losses(logits, labels):
        return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)

    @staticmethod
    def pulled_back(function, images, upstream):
        with tf.GradientTape() as tape:
            tape.watch(images)
            mixed = function(images)
        return tape.gradient(mixed, images, upstream)


@pytest.fixture(params=[Jax, TensorFlow], ids=["jax", "tensorflow"])
def kind(request):
    return request.param


def losses(logits, labels):
    """Cross-entropy in NumPy."""
    return np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(labels)), labels]


def everything(losses, images, pixels, labels, logits, masks, plan, drawn):
    """Each public function once."""
    return (
        cf.mix_images(images, plan, layout="NHWC"),
        cf.mix_targets(labels, plan, num_classes=3, smoothing=0.1),
        cf.mix_targets(logits, plan),
        cf.mixed_loss(losses, logits, labels, plan),
        cf.mixed_accuracy(logits, labels, plan),
        cf.mix_masks(masks, plan),
        cf.render(pixels, plan, mean=(0.1, 0.2, 0.3), std=0.5, augment=drawn),
        cf.augment_images(pixels, drawn),
    )


def plans(count):
    """All of one signature: as many layers each."""
    return [POLICY.plan(SHAPE, rng=seed).padded(2) for seed in range(count)]


class TestTraced:
    def test_nothing_is_frozen_and_nothing_traced_twice(self, kind):
        traces = []

        def mixed(images, labels, plan):
            traces.append(1)
            return cf.mix_images(images, plan, layout="NHWC"), cf.mix_targets(labels, plan, num_classes=3)

        step = kind.jit(mixed)
        for seed, plan in enumerate(plans(30)):
            images, labels = pictures(SHAPE, 3, np.float32, seed), np.roll(LABELS, seed)
            got = step(kind.array(images), kind.array(labels), plan)
            np.testing.assert_allclose(got[0], cf.mix_images(images, plan), atol=1e-5)
            np.testing.assert_allclose(got[1], cf.mix_targets(labels, plan, num_classes=3), atol=1e-6)
        assert len(traces) == 1

    def test_every_function(self, kind):
        """What is augmented may differ by a level: XLA multiplies and adds in one rounding."""
        traces = []

        def call(*arrays):
            traces.append(1)
            return everything(kind.losses, *arrays)

        step = kind.jit(call)
        for seed, plan in enumerate(plans(3)):
            drawn = LIVELY.draw(np.arange(4), seed=seed, epoch=0, size=SHAPE[1:])
            arrays = FLOATS, BYTES, LABELS, LOGITS, MASKS
            got = step(*map(kind.array, arrays), plan, drawn)
            want = everything(losses, *arrays, plan, drawn)
            for ours, theirs, atol in zip(got, want, (1e-5, 1e-6, 1e-6, 1e-5, 1e-6, 0, 0.02, 1), strict=True):
                np.testing.assert_allclose(np.asarray(ours, float), theirs, atol=atol)
        assert len(traces) == 1

    def test_another_number_of_layers_is_another_signature(self, kind):
        traces = []
        step = kind.jit(lambda images, plan: traces.append(1) or cf.mix_images(images, plan))
        for layers in (2, 3, 2, 3):
            step(kind.array(FLOATS), plans(1)[0].padded(layers))
        assert len(traces) == 2

    def test_plans_of_the_frameworks_own_arrays(self, kind):
        plan = plans(1)[0]
        moved = cf.Plan.of_arrays(*map(kind.array, plan._apart()[0]), size=SHAPE[1:])
        want = cf.mix_images(FLOATS, plan)
        np.testing.assert_allclose(cf.mix_images(kind.array(FLOATS), moved), want, atol=1e-6)
        np.testing.assert_array_equal(cf.mix_images(FLOATS, moved), want)

    def test_a_plan_that_is_traced_mixes_no_array_of_another_framework(self, kind):
        with pytest.raises(cf.PlanError, match="its numbers are not known while a function is traced"):
            kind.jit_plainly(lambda plan: cf.mix_images(FLOATS, plan))(plans(1)[0])

    def test_an_augmentation_that_is_traced_neither(self, kind):
        drawn = Augmentation(np.eye(3)[None, :2].repeat(4, 0))
        with pytest.raises(cf.ArrayError, match="augment_images: augment must be in NumPy arrays"):
            kind.jit_plainly(lambda drawn: cf.augment_images(BYTES, drawn))(drawn)

    def test_plans_come_out_again(self, kind):
        plan = cf.CutMix().plan(SHAPE, rng=3)
        passed = kind.jit(lambda plan: plan)(plan)
        assert not passed.is_checked
        assert repr(passed).startswith("Plan(4 samples of 7 x 13, 2 layers, of ")
        back = passed.checked()
        np.testing.assert_allclose(back.weight, plan.weight, atol=1e-7)
        assert (back.box == plan.box).all()

    def test_even_shares_are_even_in_float32_too(self, kind):
        plan = cf.Plan.two_layers(SHAPE, np.array([1, 0, 3, 2]), opacity=0.5 + 2**-24)
        np.testing.assert_array_equal(kind.jit(cf.mix_masks)(kind.array(MASKS), plan), MASKS)

    def test_drawing_is_refused(self, kind):
        """It would happen once, and be part of the function from then on."""
        policy = cf.MixUp()
        with pytest.raises(cf.ArrayError, match=r"apply: draws a plan, .* pass the plan in as an argument"):
            kind.jit_plainly(lambda images: policy(images, LABELS, rng=0, num_classes=3))(kind.array(FLOATS))

    def test_labels_are_checked_as_far_as_they_are_known(self, kind):
        plan, labels = plans(1)[0], kind.array(LABELS)
        with pytest.raises(cf.LabelError, match=r"labels must be in 0..1. Got 0..2"):
            cf.mix_targets(labels, plan, num_classes=2)
        kind.jit(lambda labels: cf.mix_targets(labels, plan, num_classes=2))(labels)
        with pytest.raises(cf.LabelError, match="integer labels need num_classes"):
            kind.jit_plainly(lambda labels: cf.mix_targets(labels, plan))(labels)


class TestNotTraced:
    @pytest.mark.parametrize("dtype", ["uint8", "float32"])
    def test_as_numpy_to_the_bit(self, kind, dtype):
        for plan in plans(6):
            images = BYTES if dtype == "uint8" else FLOATS
            np.testing.assert_array_equal(cf.mix_images(kind.array(images), plan), cf.mix_images(images, plan))

    @pytest.mark.parametrize("policy", [cf.MixUp(), cf.CutMix(), POLICY], ids=str)
    def test_policies_are_called(self, kind, policy):
        images, targets = policy(kind.array(FLOATS), kind.array(LABELS), rng=0, num_classes=3)
        want = policy(FLOATS, LABELS, rng=0, num_classes=3)
        assert type(images) is type(kind.array(FLOATS))
        np.testing.assert_array_equal(images, want[0])
        np.testing.assert_array_equal(targets, want[1])

    def test_every_function(self, kind):
        plan, drawn = plans(1)[0], LIVELY.draw(np.arange(4), seed=0, epoch=0, size=SHAPE[1:])
        arrays = FLOATS, BYTES, LABELS, LOGITS, MASKS
        got = everything(kind.losses, *map(kind.array, arrays), plan, drawn)
        for ours, theirs in zip(got, everything(losses, *arrays, plan, drawn), strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-6)

    def test_what_lies_elsewhere_stays_there(self, kind, monkeypatch):
        """As on a GPU: only the plan's few numbers travel."""
        monkeypatch.setattr(kind.module, "_on_this_host", lambda array: False)
        for name in ("mix_images", "render", "augment", "mix_targets", "mix_masks"):
            monkeypatch.setattr(kind.module.host, name, None)
        drawn = Augmentation(np.eye(3)[None, :2].repeat(4, 0))
        arrays = FLOATS, BYTES, LABELS, LOGITS, MASKS
        everything(kind.losses, *map(kind.array, arrays), plans(1)[0], drawn)

    def test_big_results_are_not_copied(self, kind, monkeypatch):
        made = []
        mix = kind.module.host.mix_images
        monkeypatch.setattr(kind.module.host, "mix_images", lambda *given: made.append(mix(*given)) or made[-1])
        images = np.zeros((4, 256, 256, 4), np.float32)
        mixed = cf.mix_images(kind.array(images), cf.MixUp().plan((4, 256, 256), rng=0))
        assert np.shares_memory(np.asarray(mixed), made[0])

    def test_out_is_refused(self, kind):
        images = kind.array(FLOATS)
        for out in (images, FLOATS.copy()):
            with pytest.raises(
                cf.ArrayError, match=r"mix_images: out is for arrays that can be written to, .* out= away"
            ):
                cf.mix_images(images, plans(1)[0], out=out)
        with pytest.raises(cf.ArrayError, match="render: out is for arrays that can be written to"):
            cf.render(kind.array(BYTES), plans(1)[0], mean=0, std=1, out=images)

    @pytest.mark.parametrize("dtype", ["int32", "bool"])
    def test_dtypes_refused(self, kind, dtype):
        with pytest.raises(cf.ArrayError, match=f"must be uint8, .* Got {dtype}"):
            cf.mix_images(kind.array(BYTES.astype(dtype)), plans(1)[0])

    def test_kinds_are_not_mixed(self, kind):
        with pytest.raises(cf.ArrayError, match="logits and labels must be of one framework"):
            cf.mixed_accuracy(kind.array(LOGITS), LABELS, plans(1)[0])

    def test_a_loss_that_is_reduced(self, kind):
        with pytest.raises(cf.ArrayError, match=r"one loss a sample, \(4,\). Got \(\)"):
            cf.mixed_loss(lambda *_: kind.array(1.0), kind.array(LOGITS), kind.array(LABELS), plans(1)[0])

    @pytest.mark.parametrize("dtype", ["bool", "uint8", "int16", "uint16", "int32", "uint32", "float32"])
    def test_every_type_of_id(self, kind, dtype):
        plan, ids = cf.CutMix().plan(SHAPE, rng=3), MASKS.astype(dtype)
        want = cf.mix_masks(ids, plan)
        for mix in (cf.mix_masks, kind.jit(cf.mix_masks)):
            got = mix(kind.array(ids), plan)
            assert kind.module.dtype_name(got) == dtype
            np.testing.assert_array_equal(got, want)


class TestGradients:
    @pytest.mark.parametrize("jitted", [False, True])
    def test_are_those_of_the_equation(self, kind, jitted):
        upstream = pictures(SHAPE, 3, np.float32, 1)
        for plan in plans(4):
            mix = functools.partial(cf.mix_images, plan=plan)
            back = kind.pulled_back(kind.jit(mix) if jitted else mix, kind.array(FLOATS), kind.array(upstream))
            for i in range(4):
                lights = np.zeros((4, 7, 13, 1), np.float32)
                lights[i] = 1
                share = cf.mix_images(lights, plan)
                np.testing.assert_allclose(np.asarray(back)[i], (share * upstream).sum(axis=0), atol=1e-5)

    def test_stay_finite_beside_infinity(self, kind):
        images = kind.array(np.array([1.0, np.inf], np.float32).reshape(2, 1, 1, 1))
        plan = cf.Plan.two_layers((2, 1, 1), np.array([1, 0]), opacity=np.array([0.0, 1.0]))
        mix = functools.partial(cf.mix_images, plan=plan, layout="NCHW")
        back = kind.pulled_back(mix, images, kind.array(np.ones((2, 1, 1, 1), np.float32)))
        assert np.asarray(back).ravel().tolist() == [2, 0]

    def test_of_the_loss(self, kind):
        plan = plans(1)[0]
        loss = functools.partial(cf.mixed_loss, kind.losses, labels=kind.array(LABELS), plan=plan)
        back = kind.pulled_back(loss, kind.array(LOGITS), kind.array(np.float32(1)))
        share = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)
        want = (share - cf.mix_targets(LABELS, plan, num_classes=3)) / 4
        np.testing.assert_allclose(back, want, atol=1e-6)


class TestJaxAlone:
    def test_a_batch_of_plans(self):
        """vmap over plans that were stacked, leaf by leaf."""
        several = plans(3)
        stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *several)
        got = jax.vmap(lambda plan: cf.mix_images(jnp.asarray(FLOATS), plan, layout="NHWC"))(stacked)
        for mixed, plan in zip(got, several, strict=True):
            np.testing.assert_allclose(mixed, cf.mix_images(FLOATS, plan), atol=1e-6)

    def test_leaves_may_be_numpy_again(self):
        plan = cf.CutMix().plan(SHAPE, rng=3)
        assert jax.tree.map(np.asarray, plan).checked() == plan
        drawn = LIVELY.draw(np.arange(4), seed=0, epoch=0, size=SHAPE[1:])
        back = jax.tree.map(np.asarray, drawn)
        np.testing.assert_array_equal(cf.augment_images(BYTES, back), cf.augment_images(BYTES, drawn))

    def test_what_breaks_the_rules_does_not_reach_the_kernels(self):
        wild = jax.tree.map(lambda leaf: leaf * 100, cf.CutMix().plan(SHAPE, rng=3))
        with pytest.raises(cf.PlanError, match="Plan: needs"):
            cf.mix_images(FLOATS, wild)

    def test_placed_as_the_images_are(self):
        plan = plans(1)[0]
        for images in (jnp.asarray(FLOATS), jax.device_put(FLOATS, jax.devices("cpu")[0])):
            assert cf.mix_images(images, plan).committed == images.committed


class TestTensorFlowAlone:
    def test_batches_of_any_size(self):
        """One trace for the ragged last batch, too: tf.data does not know how long a batch will be."""
        traces = []
        spec = tf.TensorSpec((None, 7, 13, 3)), tf.TensorSpec((None,), tf.int64)

        @tf.function(input_signature=[*spec, tree_of_specs()])
        def step(images, labels, plan):
            traces.append(1)
            return cf.mix_images(images, plan), cf.mix_targets(labels, plan, num_classes=3)

        for batch in (4, 4, 3):
            plan = cf.MixUp(1.0).plan((batch, 7, 13), rng=batch)
            got = step(FLOATS[:batch], LABELS[:batch], plan)
            np.testing.assert_allclose(got[0], cf.mix_images(FLOATS[:batch], plan), atol=1e-5)
            np.testing.assert_allclose(got[1], cf.mix_targets(LABELS[:batch], plan, num_classes=3), atol=1e-6)
        assert len(traces) == 1

    def test_a_tensor_of_unknown_rank(self):
        with pytest.raises(cf.ArrayError, match=r"the number of axes must be known.* set_shape"):
            tf.function(cf.mix_images, input_signature=[tf.TensorSpec(None), tree_of_specs()])(FLOATS, plans(1)[0])

    def test_compiled_by_xla(self):
        step = tf.function(lambda images, plan: cf.mix_images(images, plan), jit_compile=True)
        for plan in plans(3):
            np.testing.assert_allclose(step(tf.constant(FLOATS), plan), cf.mix_images(FLOATS, plan), atol=1e-5)


def tree_of_specs():
    """A plan of any number of samples, as TensorFlow writes signatures."""
    shapes = ((None, 2), tf.int64), ((None, 2), tf.float32), ((None, 2, 4), tf.int32), ((None, 2), tf.float64)
    return cf.Plan.of_arrays(*(tf.TensorSpec(*each) for each in shapes), size=SHAPE[1:])
