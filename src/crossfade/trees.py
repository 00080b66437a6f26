"""Values that `jax.jit` and `tf.function` take as an argument: their arrays go in, the rest is part of the signature.

TensorFlow finds the two methods it looks for. JAX has to be told of a class, and is, as soon as it is loaded and a
value is made: nothing here imports either of them.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Hashable
from typing import Any, Self

Parts = tuple[tuple[Any, ...], Hashable]
_known_to_jax: set[type] = set()


class Tree(ABC):
    """What can be taken apart into arrays and a signature, and put together again with other arrays."""

    @abstractmethod
    def _apart(self) -> Parts: ...

    @classmethod
    @abstractmethod
    def _together(cls, arrays: tuple[Any, ...], signature: Any) -> Self:
        """Nothing is checked: `arrays` may be what stands for arrays while a function is traced."""

    @classmethod
    def _tell_jax(cls) -> None:
        register = getattr(sys.modules.get("jax.tree_util"), "register_pytree_node", None)
        if register is not None and cls not in _known_to_jax:
            _known_to_jax.add(cls)
            register(cls, cls._apart, lambda signature, arrays: cls._together(arrays, signature))

    def __tf_flatten__(self) -> tuple[tuple[Hashable], tuple[Any, ...]]:
        """What TensorFlow calls `_apart`."""
        arrays, signature = self._apart()
        return (signature,), arrays

    @classmethod
    def __tf_unflatten__(cls, metadata: tuple[Hashable], components: tuple[Any, ...]) -> Self:
        """What TensorFlow calls `_together`."""
        return cls._together(components, metadata[0])
