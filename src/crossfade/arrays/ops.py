"""The few operations in which mixing and augmenting whole batches are written, once for every framework.

Arithmetic, comparison and slices are written as everywhere; what differs between frameworks has its name here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol


class Ops(Protocol):
    """The operations of one framework; each backend has them."""

    def wide(self) -> str:
        """The widest floating type there is."""

    def whole(self) -> str:
        """The widest type of whole numbers from 0 on."""

    def like(self, values: Any, beside: Any) -> Any:
        """Numbers drawn on the host as an array of the framework, on the device of another."""

    def span(self, count: Any, beside: Any) -> Any:
        """``0 .. count-1``, int32."""

    def count(self, array: Any) -> Any:
        """The length of the first axis."""

    def dtype_name(self, array: Any) -> str:
        """Such as "float32"."""

    def cast(self, values: Any, dtype: str) -> Any:
        """To another type."""

    def reshape(self, values: Any, shape: tuple[int, ...]) -> Any:
        """Other axes."""

    def take(self, values: Any, indices: Any) -> Any:
        """``values[indices]``, along the first axis; all indices lie inside."""

    def put(self, values: Any, indices: Any, new: Any) -> Any:
        """The same with ``values[indices]`` new; perhaps in the same memory."""

    def where(self, condition: Any, values: Any, others: Any) -> Any:
        """One or the other."""

    def any(self, conditions: Any) -> Any:
        """Whether one of all holds; needed where functions are traced."""

    def only_if(self, condition: Any, change: Callable[[Any], Any], values: Any) -> Any:
        """``change(values)`` if the condition holds, else `values`, computing nothing in vain; needed likewise."""

    def blend(self, below: Any, above: Any, a: Any, shown: Any) -> Any:
        """``(1 - a) below + a above``, black for `above` where not `shown`; what an `a` of 0 or 1 hides does not count,
        be it infinite."""  # noqa: D209

    def clip(self, values: Any, low: int, high: int) -> Any:
        """Nothing below `low` or above `high`."""

    def round(self, values: Any) -> Any:
        """To the nearest whole number, the even one of two."""

    def floor(self, values: Any) -> Any:
        """Down to a whole number."""

    def roll(self, pictures: Any, down: int, right: int) -> Any:
        """(B, H, W, C), moved along H and W, round the border."""

    def stack(self, channels: Sequence[Any]) -> Any:
        """Along a new last axis."""

    def sum(self, values: Any, axes: tuple[int, ...]) -> Any:
        """Of all along these axes."""

    def amin(self, values: Any, axis: int) -> Any:
        """The least along an axis."""

    def amax(self, values: Any, axis: int) -> Any:
        """The largest along an axis."""

    def cumsum(self, values: Any) -> Any:
        """The running sum along the second axis."""

    def bincount(self, values: Any, length: Any) -> Any:
        """(length,): how often each number occurs."""
