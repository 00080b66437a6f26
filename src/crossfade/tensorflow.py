"""The tf.data door: plans to zip with the batches of a `tf.data.Dataset`."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

from crossfade.errors import ConfigError, MissingExtra
from crossfade.mixing.plan import Plan, Shape
from crossfade.mixing.policy import Policy
from crossfade.rng import Stream, derive_rng

try:
    import tensorflow as tf
except ModuleNotFoundError as error:
    raise MissingExtra("crossfade.tensorflow: needs TensorFlow. Run: pip install 'crossfade[tensorflow]'.") from error

__all__ = ["plans"]


def plans(policy: Policy, shape: Shape, *, seed: int, layers: int = 2, first_epoch: int = 0) -> Any:
    """An endless `tf.data.Dataset` of plans, each a function of (seed, epoch, step).

        def mix(batch, plan):
            images, labels = batch
            return cf.mix_images(images, plan), cf.mix_targets(labels, plan, num_classes=10)

        batches = pictures.batch(32, drop_remainder=True)
        mixed = tf.data.Dataset.zip(batches, plans(cf.CutMix(), (32, 224, 224), seed=0)).map(mix)

    Every pass over the data set is an epoch, and has plans of its own.

    Args:
        policy: draws them; it sees neither labels nor pictures.
        shape: (B, H, W) of every batch.
        seed: of the plans.
        layers: K, the same for all: what has fewer is padded.
        first_epoch: the number of the first pass.

    Raises:
        ConfigError: `policy` is none.
        PlanError: it needs labels or pictures, or has more layers.
    """
    if not isinstance(policy, Policy):
        raise ConfigError(f"plans: needs a policy, such as crossfade.MixUp(). Got {policy!r}.")
    epochs = count(first_epoch)

    def draw(epoch: int, step: int) -> Plan:
        return policy.plan(shape, rng=derive_rng(seed, Stream.PLAN, epoch, step, 0)).padded(layers)

    def pass_over() -> Iterator[tuple[Any, ...]]:
        epoch = next(epochs)
        for step in count():
            yield draw(epoch, step).__tf_flatten__()[1]

    (signature,), arrays = draw(first_epoch, 0).__tf_flatten__()
    specs = tuple(tf.TensorSpec(array.shape, array.dtype) for array in arrays)
    drawn = tf.data.Dataset.from_generator(pass_over, output_signature=specs)
    return drawn.map(lambda *tensors: Plan.__tf_unflatten__((signature,), tensors))
