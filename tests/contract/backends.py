"""Every way in which crossfade executes a plan, behind one face that takes and gives NumPy arrays.

bfloat16, which NumPy does not have, travels as float32 numbers that bfloat16 holds exactly.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import numpy as np
import torch

import crossfade as cf
from crossfade import memory
from crossfade.arrays import numpy as host
from crossfade.arrays import torch as device


class NumpyKernels:
    name = "numpy-kernels"
    dtypes = ("uint8", "float16", "float32", "float64")

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


BACKENDS = (
    NumpyKernels(),
    NumpyBypass(),
    NumpyPlain(),
    NumpyReused(),
    TorchFast(),
    TorchReused(),
    TorchGeneric(),
    TorchGradient(),
)
