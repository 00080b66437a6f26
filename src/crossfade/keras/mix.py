"""Mixing as a Keras layer, and as a function for `tf.data`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Self, get_args

import keras
import numpy as np

from crossfade.arrays.dispatch import Layout, mix_images
from crossfade.errors import ArrayError, ConfigError, LabelError
from crossfade.keras import _graphs
from crossfade.keras._checks import check_policy
from crossfade.keras._draws import Draws
from crossfade.mixing.policy import Policy, check_fraction
from crossfade.mixing.registry import policy_from_dict, policy_to_dict
from crossfade.rng import derive_rng

_KEYS = {"images", "labels"}


@keras.saving.register_keras_serializable(package="crossfade")
class Mix(keras.layers.Layer):
    """Mixes batches of pictures and labels in training, and passes pictures through otherwise.

        mix = Mix(crossfade.CutMix(), num_classes=10)
        dataset.batch(128).map(mix)                              # (x, y), or {"images": x, "labels": y}
        keras.layers.Pipeline([keras.layers.RandomFlip(), mix])
        x, y = mix((x, y), training=True)                        # anywhere, within a compiled train step too

    Chance is drawn on the host: the n-th plan of a layer is a function of (seed, n), whatever the backend. Of mapped
    batches that are made in parallel it is not said which gets which plan; ``dataset.map(mix)`` without
    `num_parallel_calls` is repeatable, and mixes by several threads all the same. Where a layer is saved with its
    model's weights, so is n. TensorFlow compiled by XLA cannot call the host and is refused.

    Args:
        policy: what to mix, or its name: ``"cutmix:alpha=1.0"``.
        num_classes: C, needed for class numbers; 1 is one column of 0 and 1, as a sigmoid head has it.
        seed: of the plans.
        smoothing: of the labels in training, 0..1, see `crossfade.mix_targets`.
        layout: of the pictures, "NCHW" or "NHWC"; as Keras is configured if None.
        name: of the layer.

    On call:
        data: pictures (B, H, W, C) or (B, C, H, W), uint8 or floating, and labels (B,), (B, 1) or (B, C); as
            ``{"images": ..., "labels": ...}``, as a pair, or as two arguments. Nothing of it is written to.
        training: whether to mix; as the layer around it, else True.

    Returns:
        The same form: pictures of the same dtype and shape, targets (B, C) float32.

    Raises:
        ConfigError: the policy is none, or needs a model.
        LabelError, ArrayError: pictures and labels that do not belong together.
    """

    def __init__(
        self,
        policy: Policy | str,
        num_classes: int | None = None,
        seed: int = 0,
        *,
        smoothing: float = 0.0,
        layout: Layout | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name)
        derive_rng(seed)
        check_fraction("Mix", "smoothing", smoothing)
        if num_classes is not None and (not isinstance(num_classes, int | np.integer) or num_classes < 1):
            raise ConfigError(f"Mix: num_classes must be a whole number from 1 on, or None. Got {num_classes!r}.")
        if layout not in (None, *get_args(Layout)):
            raise ConfigError(f'Mix: layout must be "NCHW" or "NHWC". Got {layout!r}.')
        configured: Layout = "NCHW" if keras.config.image_data_format() == "channels_first" else "NHWC"
        self.layout: Layout = layout or configured
        self._draws = Draws(check_policy("Mix", policy), num_classes, seed, smoothing)
        self.supports_jit = keras.backend.backend() != "tensorflow"
        self.built = True
        # Arrays are taken as they come, as keras.layers.Pipeline takes them: tf.data brings TensorFlow's to any backend.
        self._convert_input_args = False
        self._allow_non_tensor_positional_args = True

    @property
    def policy(self) -> Policy:
        """What is mixed."""
        return self._draws.policy

    @property
    def progress(self) -> float | None:
        """The fraction of the training that is done, 0..1; set it for a policy such as `crossfade.Until`."""
        return self._draws.progress

    @progress.setter
    def progress(self, value: float | None) -> None:
        if value is not None:
            check_fraction("Mix", "progress", value)
        self._draws.progress = value

    def call(self, data: Any, labels: Any = None, sample_weight: Any = None, training: bool | None = True) -> Any:
        """Mix, or pass through; see the class."""
        if sample_weight is not None:
            raise ArrayError(
                "Mix: cannot mix sample weights: a mixed picture is part of two samples. Leave them out, or weigh "
                "classes by repeating their pictures."
            )
        images, labels, packed = _unpack(data, labels)
        return packed(*self._mixed(images, labels, paired=False) if training else self._unmixed(images, labels))

    def pairs(self, first: Any, second: Any, training: bool | None = True) -> Any:
        """Mix two streams pair by pair: ``tf.data.Dataset.zip((a, b)).map(mix.pairs)``.

        Args:
            first: a batch in any of the forms the layer takes; its pictures lie below.
            second: as many pictures, that are mixed into those.
            training: whether to mix; otherwise the first stream passes.

        Returns:
            A batch in the form of the first.
        """
        images, labels, packed = _unpack(first, None)
        if not training:
            return packed(*self._unmixed(images, labels))
        others, their_labels, _ = _unpack(second, None)
        for one, other, what in ((images, others, "pictures"), (labels, their_labels, "labels")):
            if one is not None and other is not None and one.shape != other.shape:
                raise ArrayError(f"Mix.pairs: {what} must be alike. Got {tuple(one.shape)} and {tuple(other.shape)}.")
        return packed(*self._mixed(_joined(images, others), _joined(labels, their_labels), paired=True))
