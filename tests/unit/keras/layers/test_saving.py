"""Mix is what its config says, and comes back from a saved model."""

from __future__ import annotations

import json

import keras  # before TensorFlow: PyTorch does not load after it
import pytest

import crossfade as cf
from crossfade.keras import Mix
from tests.unit.keras.layers.batches import (
    CLASSES,
    Stripes,
    as_numpy,
    batch,
)

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
