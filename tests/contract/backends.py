"""Every way in which crossfade executes a plan, behind one face that takes and gives NumPy arrays.

bfloat16, which NumPy does not have, travels as float32 numbers that bfloat16 holds exactly.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import jax
import jax.numpy as jnp
import numpy as np
import tensorflow as tf
import torch

import crossfade as cf
from crossfade import memory
from crossfade.arrays import numpy as host
from crossfade.arrays import torch as device


class NumpyKernels:
    name = "numpy-kernels"
    dtypes = ("uint8", "float16", "float32", "float64")
    compiles = False  # something for each new shape and type
    immutable = False

    @contextmanager
    def active(self) -> Iterator[None]:
        assert host.load_kernels() is not None
        yield

    def enter(self, array, dtype=None):
        """The array in the backend's own kind."""
        return array if dtype is None else array.astype(dtype)

    def leave(self, array):
        """Back to NumPy."""
        return array

    def round_trip(self, array, dtype):
        """What `dtype` makes of the numbers, before any mixing."""
        return self.leave(self.enter(array, dtype))

    def mix_images(self, images, plan, layout):
        return cf.mix_images(images, plan, layout=layout)

    def render(self, images, plan, **options):
        return cf.render(images, plan, **options)

    def mix_targets(self, labels, plan, **options):
        return cf.mix_targets(labels, plan, **options)

    def mix_masks(self, masks, plan, **options):
        return cf.mix_masks(masks, plan, **options)


class NumpyBypass(NumpyKernels):
    """Batches as small as those of the rules would not be stored past the cache."""

    name = "numpy-bypass"

    @contextmanager
    def active(self):
        with patch.object(host, "BYPASS_BYTES", 0):
            yield


class NumpyPlain(NumpyKernels):
    name = "numpy-plain"

    @contextmanager
    def active(self):
        with patch.object(host, "load_kernels", lambda *_: None):
            yield


class TorchFast(NumpyKernels):
    name = "torch-fast"
    dtypes = ("uint8", "float32", "float64")

    def enter(self, array, dtype=None):
        tensor = torch.from_numpy(np.array(array))
        return tensor if dtype is None else tensor.to(getattr(torch, dtype))

    def leave(self, array):
        array = array.detach()
        return (array.float() if array.dtype == torch.bfloat16 else array).numpy()


class TorchGeneric(TorchFast):
    """The path a GPU takes."""

    name = "torch-generic"
    dtypes = ("uint8", "float16", "bfloat16", "float32", "float64")

    @contextmanager
    def active(self):
        with patch.object(device, "_runs_on_host", lambda images: False):
            yield


class TorchGradient(TorchFast):
    """The path of a tensor that needs a gradient, as users come to it."""

    name = "torch-gradient"
    dtypes = ("float16", "bfloat16", "float32", "float64")

    def enter(self, array, dtype=None):
        tensor = super().enter(array, dtype)
        return tensor.requires_grad_() if tensor.is_floating_point() else tensor


class NumpyReused(NumpyKernels):
    """Every result, however small, in memory that was used before."""

    name = "numpy-reused"

    @contextmanager
    def active(self):
        with patch.object(memory, "WORTH_KEEPING", 1):
            yield


class TorchReused(TorchFast):
    """The same of tensors."""

    name = "torch-reused"
    active = NumpyReused.active


def render_with(images, drawn, **options):
    plan, augment = drawn
    return cf.render(images, plan, augment=augment, **options)


class JaxEager(NumpyKernels):
    """As JAX is by default, without 64 bits."""

    name = "jax-eager"
    compiles = immutable = True
    dtypes = ("uint8", "float16", "bfloat16", "float32")

    def enter(self, array, dtype=None):
        return jnp.array(array if dtype is None else np.asarray(array).astype(jnp.dtype(dtype)))

    def leave(self, array):
        return np.asarray(array.astype("float32") if array.dtype == jnp.bfloat16 else array)


class JaxWide(JaxEager):
    """With 64 bits."""

    name = "jax-wide"
    dtypes = ("uint8", "float32", "float64")

    @contextmanager
    def active(self):
        jax.config.update("jax_enable_x64", True)
        yield
        jax.config.update("jax_enable_x64", False)


class JaxJit(JaxEager):
    """Traced, with the plan as an argument."""

    name = "jax-jit"

    def __init__(self):
        self.jitted = {}

    def _call(self, function, array, plan, options):
        key = function, *sorted(options.items())
        if key not in self.jitted:
            self.jitted[key] = jax.jit(lambda array, plan: function(array, plan, **options))
        return self.jitted[key](array, plan)

    def mix_images(self, images, plan, layout):
        return self._call(cf.mix_images, images, plan, {"layout": layout})

    def render(self, images, plan, augment=None, **options):
        return self._call(render_with, images, (plan, augment), options)

    def mix_targets(self, labels, plan, **options):
        return self._call(cf.mix_targets, labels, plan, options)

    def mix_masks(self, masks, plan, **options):
        return self._call(cf.mix_masks, masks, plan, options)


class TensorFlowEager(NumpyKernels):
    name = "tensorflow-eager"
    immutable = True
    dtypes = ("uint8", "float16", "bfloat16", "float32", "float64")

    def enter(self, array, dtype=None):
        tensor = tf.constant(np.array(array))
        return tensor if dtype is None else tf.cast(tensor, dtype)

    def leave(self, array):
        return np.asarray(tf.cast(array, tf.float32) if array.dtype == tf.bfloat16 else array)


class TensorFlowGraph(JaxJit, TensorFlowEager):
    """Inside a tf.function, with the plan as an argument."""

    name = "tensorflow-graph"
    compiles = True
    dtypes = TensorFlowEager.dtypes
    enter, leave = TensorFlowEager.enter, TensorFlowEager.leave

    def _call(self, function, array, plan, options):
        key = function, *sorted(options.items())
        if key not in self.jitted:
            self.jitted[key] = tf.function(lambda array, plan: function(array, plan, **options))
        return self.jitted[key](array, plan)


class TensorFlowData(TensorFlowGraph):
    """Inside the map of a tf.data pipeline, zipped with its plans."""

    name = "tensorflow-data"

    def _call(self, function, array, plan, options):
        pair = tf.data.Dataset.from_tensors((array, plan))
        return pair.map(lambda array, plan: function(array, plan, **options)).get_single_element()


BACKENDS = (
    NumpyKernels(),
    NumpyBypass(),
    NumpyPlain(),
    NumpyReused(),
    TorchFast(),
    TorchReused(),
    TorchGeneric(),
    TorchGradient(),
    JaxEager(),
    JaxWide(),
    JaxJit(),
    TensorFlowEager(),
    TensorFlowGraph(),
    TensorFlowData(),
)
