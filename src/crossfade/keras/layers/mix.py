"""Mixing as a Keras layer, and as a function for `tf.data`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from importlib import import_module
from typing import Any, Self, get_args

import keras
import numpy as np
from numpy.typing import NDArray

from crossfade.arrays.dispatch import Layout, as_it_is, mix_images
from crossfade.errors import ArrayError, ConfigError, LabelError
from crossfade.keras.checks import check_policy
from crossfade.keras.layers import graphs
from crossfade.keras.layers.draws import Draws
from crossfade.mixing.policy import Policy, check_fraction
from crossfade.mixing.registry import policy_from_dict, policy_to_dict
from crossfade.rng import derive_rng

_KEYS = {"images", "labels"}


def _uncompiled(method: Callable[..., Any]) -> Callable[..., Any]:
    """`torch.compile` steps out of its graph for it, so that chance is not frozen into the graph."""
    if keras.backend.backend() != "torch":
        return method
    compiler = import_module("torch.compiler")
    outside = compiler.disable(method)

    @wraps(method)
    def either(*args: Any, **options: Any) -> Any:
        return outside(*args, **options) if compiler.is_compiling() else method(*args, **options)

    return either


@as_it_is
@keras.saving.register_keras_serializable(package="crossfade")
class Mix(keras.layers.Layer):
    """Mixes batches of pictures and labels in training, and passes pictures through otherwise.

        mix = Mix(crossfade.CutMix(), num_classes=10)
        dataset.batch(128).map(mix)                              # (x, y), or {"images": x, "labels": y}
        keras.layers.Pipeline([keras.layers.RandomFlip(), mix])
        x, y = mix((x, y), training=True)                        # anywhere, within a compiled train step too

    Chance is drawn on the host: the n-th plan of a layer is a function of (seed, n), whatever the backend; each worker
    process draws others. Of mapped batches that are made in parallel it is not said which gets which plan;
    ``dataset.map(mix)`` without `num_parallel_calls` is repeatable, and mixes by several threads all the same. A
    ``cache()`` belongs before it: what is mixed first and cached then is the same in every epoch. Where a layer is
    saved with its model's weights, so is n; elsewhere a training that goes on needs another seed. TensorFlow compiled
    by XLA cannot call the host and is refused.

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
        # Arrays are taken as they come, as by keras.layers.Pipeline: tf.data brings TensorFlow's to any backend.
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

    @_uncompiled
    def __call__(self, data: Any, *args: Any, **options: Any) -> Any:
        """See the class. Once `training` is said, Keras has nothing to find out, which takes it as long as mixing."""
        if isinstance(options.get("training"), bool) and not _is_symbolic(data):
            return self.call(data, *args, **options)
        return super().__call__(data, *args, **options)

    def call(self, data: Any, labels: Any = None, sample_weight: Any = None, training: bool | None = True) -> Any:
        """Mix, or pass through; see the class."""
        if sample_weight is not None:
            raise ArrayError(
                "Mix: cannot mix sample weights: a mixed picture is part of two samples. Leave them out, or weigh "
                "classes by repeating their pictures."
            )
        images, labels, packed = _unpack(data, labels)
        return packed(*self._mixed(images, labels, paired=False) if training else self._unmixed(images, labels))

    @as_it_is
    @_uncompiled
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

    def compute_output_spec(
        self, data: Any, labels: Any = None, sample_weight: Any = None, training: bool | None = True
    ) -> Any:
        """Pictures as they come, and dense targets."""
        images, labels, packed = _unpack(data, labels)
        if labels is None:
            raise _without_labels()
        shape = (images.shape[0], self._draws.classes(labels.shape))
        return packed(keras.KerasTensor(images.shape, images.dtype), keras.KerasTensor(shape, "float32"))

    def get_config(self) -> dict[str, Any]:
        """Everything the layer was made with, as JSON can hold it."""
        return {
            "policy": policy_to_dict(self.policy, keras.saving.get_registered_name),
            "num_classes": self._draws.num_classes,
            "seed": self._draws.seed,
            "smoothing": self._draws.smoothing,
            "layout": self.layout,
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """The layer that `get_config` described. A policy of your own must be registered with `keras.saving`."""
        policy = config["policy"]
        if isinstance(policy, Mapping):
            policy = policy_from_dict(policy, keras.saving.get_registered_object)
        return cls(**{**config, "policy": policy})

    def save_own_variables(self, store: Any) -> None:
        """How many plans were drawn: a training that goes on draws others."""
        store["count"] = np.int64(self._draws.count)

    def load_own_variables(self, store: Any) -> None:
        """See `save_own_variables`."""
        self._draws.count = int(np.asarray(store["count"]))

    def _mixed(self, images: Any, labels: Any, *, paired: bool) -> tuple[Any, Any]:
        if labels is None:
            raise _without_labels()
        _check_alike(images, labels)
        if graphs.in_tensorflow():
            return graphs.mix_in_tensorflow(self._draws, images, labels, self.layout, paired=paired)
        if graphs.in_jax(images, labels):
            return graphs.mix_in_jax(self._draws, images, labels, self.layout, paired=paired)
        rows, *size = graphs.sizes(images.shape, self.layout)
        batch = rows // 2 if paired else rows
        plan, targets = self._draws.draw(_to_host(labels), (batch, *size), images=images, paired=paired)
        mixed = mix_images(images, plan, layout=self.layout)
        # Frameworks take as long for the slice that is the whole as for a part.
        return _as_tensor(mixed[:batch] if paired else mixed), _beside(images, targets)

    def _unmixed(self, images: Any, labels: Any) -> tuple[Any, Any]:
        if labels is None:
            return _as_tensor(images), None
        _check_alike(images, labels)
        if graphs.in_tensorflow() or graphs.in_jax(labels):
            return images, graphs.targets_of(self._draws, labels)
        return _as_tensor(images), _beside(images, self._draws.unmixed(_to_host(labels)))


def _unpack(data: Any, labels: Any) -> tuple[Any, Any, Callable[[Any, Any], Any]]:
    """Pictures, labels, and what puts them back into the form in which they came."""
    if isinstance(data, Mapping):
        if not {"images"} <= set(data) <= _KEYS or labels is not None:
            raise ArrayError(
                f'Mix: takes a dict of "images" and "labels". Got {sorted(data)}. Map the others by themselves, '
                "or draw a plan and mix them by it: crossfade.mix_masks(masks, plan)."
            )
        keys = [key for key in data if key in _KEYS]
        return data["images"], data.get("labels"), lambda *mixed: {k: mixed[k == "labels"] for k in keys}
    if isinstance(data, tuple | list):
        if len(data) != 2 or labels is not None:
            raise ArrayError(f"Mix: takes a pair of pictures and labels. Got {len(data)} parts.")
        return data[0], data[1], lambda *mixed: mixed
    return data, labels, lambda *mixed: mixed if labels is not None else mixed[0]


def _is_symbolic(data: Any) -> bool:
    parts = data.values() if isinstance(data, Mapping) else data if isinstance(data, tuple | list) else (data,)
    return any(isinstance(part, keras.KerasTensor) for part in parts)


def _without_labels() -> LabelError:
    return LabelError(
        "Mix: needs the labels that go with the pictures, for both are mixed. Got pictures alone. Mix where there are "
        "both: dataset.map(mix), or in a train step, not as a layer of a model that sees only pictures."
    )


def _check_alike(images: Any, labels: Any) -> None:
    if len(images.shape) != 4:
        raise ArrayError(f"Mix: takes batches of pictures (B, H, W, C). Got {tuple(images.shape)}. Mix after batching.")
    batch, others = images.shape[0], labels.shape[0]
    if None not in (batch, others) and batch != others:
        raise LabelError(f"Mix: needs as many labels as pictures. Got {batch} pictures and {others} labels.")


def _to_host(labels: Any) -> NDArray[Any]:
    return np.asarray(keras.ops.convert_to_numpy(labels) if keras.ops.is_tensor(labels) else labels)


def _as_tensor(array: Any) -> Any:
    """A NumPy array as the backend's own, as layers give them; others as they are."""
    return keras.ops.convert_to_tensor(array) if isinstance(array, np.ndarray) else array


def _beside(images: Any, targets: NDArray[np.float32]) -> Any:
    """The targets in the framework, and on the device, of the pictures."""
    if type(images).__module__.startswith("tensorflow"):
        return import_module("tensorflow").constant(targets)
    tensor = keras.ops.convert_to_tensor(targets)
    return tensor.to(images.device) if keras.backend.backend() == "torch" and keras.ops.is_tensor(images) else tensor


def _joined(first: Any, second: Any) -> Any:
    """Both along their first axis, in their own framework."""
    if first is None or second is None:
        raise _without_labels()
    if isinstance(first, np.ndarray):
        return np.concatenate([first, np.asarray(second)])
    if type(first).__module__.startswith("tensorflow"):
        return graphs.joined(first, second)
    return keras.ops.concatenate([first, second], axis=0)
