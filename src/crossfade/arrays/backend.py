"""What each framework provides, and which one an array belongs to.

A backend is a module with the functions of `Backend`. It is looked up among the modules that are loaded already:
an array of a framework cannot exist before the framework does, so nothing is imported on suspicion.
"""

from __future__ import annotations

import sys
from functools import cache
from importlib import import_module
from typing import Any, Literal, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from crossfade.arrays.augment import DrawnAugmentation
from crossfade.errors import ArrayError
from crossfade.mixing.plan import Plan

Layout = Literal["NCHW", "NHWC"]
IMAGE_DTYPES = ("uint8", "float16", "bfloat16", "float32", "float64")
KINDS = "a NumPy array, a PyTorch tensor, a JAX array or a TensorFlow tensor"
_FRAMEWORKS = {"torch": "Tensor", "jax": "Array", "tensorflow": "Tensor"}


class Backend(Protocol):
    """What each of the modules beside this one provides. Arguments are checked before they arrive."""

    TRACES: bool

    def mix_images(self, images: Any, plan: Plan, layout: Layout, out: Any) -> Any: ...
    def render(
        self,
        images: Any,
        plan: Plan,
        scale: NDArray[np.float32],
        shift: NDArray[np.float32],
        layout: Layout,
        out: Any,
    ) -> Any: ...
    def augment(self, images: Any, drawn: DrawnAugmentation, layout: Layout) -> Any: ...
    def mix_targets(self, labels: Any, plan: Plan, num_classes: int) -> Any: ...
    def mix_masks(self, masks: Any, plan: Plan, layout: Layout | None) -> Any: ...
    def take(self, labels: Any, indices: Any) -> Any: ...
    def where(self, condition: Any, values: Any, others: Any) -> Any: ...
    def weigh(self, values: Any, weights: Any) -> Any: ...
    def argmax(self, scores: Any) -> Any: ...
    def equal(self, a: Any, b: Any) -> Any: ...
    def mean(self, values: Any) -> Any: ...
    def is_concrete(self, array: Any) -> bool: ...
    def to_host(self, array: Any) -> NDArray[Any]: ...
    def dtype_name(self, array: Any) -> str: ...
    def overlaps(self, a: Any, b: Any) -> bool: ...
    def writable(self, array: Any) -> bool: ...


def backend_of(who: str, array: Any) -> Backend:
    """The backend of the framework that `array` belongs to; ArrayError if none does."""
    if isinstance(array, np.ndarray):
        return _module("numpy")
    for name, array_type in _FRAMEWORKS.items():
        framework = sys.modules.get(name)
        if framework is not None and isinstance(array, getattr(framework, array_type, ())):
            return _module(name)
    kind = f"{type(array).__module__}.{type(array).__qualname__}"
    raise ArrayError(f"{who}: needs {KINDS}. Got {kind}. numpy.asarray may help.")


@cache  # TensorFlow, which rewrites the functions that it traces, leaves a cached one as it is
def _module(name: str) -> Backend:
    return cast(Backend, import_module(f"crossfade.arrays.{name}"))
