"""ONNX nodes written as arithmetic: `a + b` of two `Value`s adds a node to the `Graph` they belong to.

No broadcasting, typing or folding of our own: ONNX has all of it. A number in an expression becomes a constant of the
type of the value beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import numpy as np
import onnx
from numpy.typing import ArrayLike, DTypeLike
from onnx import helper, numpy_helper

OPSET = 18


@dataclass(frozen=True, eq=False)
class Value:
    """The output of a node, or an input of the graph."""

    graph: Graph
    name: str
    dtype: np.dtype[Any]

    def __add__(self, other: Any) -> Value:
        return self.graph.op("Add", self, other)

    def __sub__(self, other: Any) -> Value:
        return self.graph.op("Sub", self, other)

    def __mul__(self, other: Any) -> Value:
        return self.graph.op("Mul", self, other)

    def __truediv__(self, other: Any) -> Value:
        return self.graph.op("Div", self, other)

    def __floordiv__(self, other: Any) -> Value:
        return self.graph.op("Div", self, other)  # of whole numbers, none of them below 0

    def __neg__(self) -> Value:
        return self.graph.op("Neg", self)

    def __gt__(self, other: Any) -> Value:
        return self.graph.op("Greater", self, other, dtype=bool)

    def __lt__(self, other: Any) -> Value:
        return self.graph.op("Less", self, other, dtype=bool)

    def astype(self, dtype: DTypeLike) -> Value:
        """Of another type; a fraction becomes the whole number towards 0."""
        to = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        return self.graph.op("Cast", self, to=to, dtype=dtype)


@dataclass
class Graph:
    """Nodes in the order they were asked for."""

    nodes: list[onnx.NodeProto] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=count)

    def op(self, kind: str, *inputs: Any, dtype: DTypeLike = None, outputs: int = 1, **attributes: Any) -> Any:
        """Add a node of operator `kind`.

        Args:
            inputs: values; numbers and arrays become constants of the type of the first value.
            dtype: of the outputs, where it is not that of the first value.
            outputs: how many; of several a list is given back.
            attributes: of the operator.
        """
        first = next(one.dtype for one in inputs if isinstance(one, Value))
        names = [self._given(one, first).name for one in inputs]
        made = [self._value(dtype or first) for _ in range(outputs)]
        self.nodes.append(helper.make_node(kind, names, [one.name for one in made], **attributes))
        return made[0] if outputs == 1 else made

    def constant(self, value: ArrayLike, dtype: DTypeLike) -> Value:
        """A value known now."""
        array = np.asarray(value, dtype)
        made = self._value(array.dtype)
        tensor = numpy_helper.from_array(array)
        self.nodes.append(helper.make_node("Constant", [], [made.name], value=tensor))
        return made

    def shape(self, value: Value, axis: int) -> Value:
        """() int64."""
        return self.op("Squeeze", self.op("Shape", value, start=axis, end=axis + 1, dtype=np.int64), [0])

    def range(self, end: Value) -> Value:
        """(end,) int64: 0, 1, ..., end - 1."""
        return self.op("Range", 0, end, 1, dtype=np.int64)

    def unsqueeze(self, value: Value, *axes: int) -> Value:
        """With axes of length 1."""
        return self.op("Unsqueeze", value, self.constant(axes, np.int64))

    def reduce(self, kind: str, value: Value, *axes: int, keep: bool = True) -> Value:
        """ReduceSum, ReduceMax, ... over axes, which stay with length 1; over all where none is named."""
        over = [self.constant(axes, np.int64)] if axes else []
        return self.op(kind, value, *over, keepdims=int(keep))

    def stack(self, *values: Value | int) -> Value:
        """(n,) int64 of n whole numbers."""
        rows = [self.unsqueeze(self._given(one, np.dtype(np.int64)), 0) for one in values]
        return self.op("Concat", *rows, axis=0)

    def add_up(self, times: Value, start: Value, term: Callable[[Graph, Value], Value]) -> Value:
        """Start + term(0) + ... + term(times - 1), one after the other, so that only one term is held at a time."""
        inner = Graph(numbers=self.numbers)
        number, going, total = (inner._value(kind) for kind in (np.int64, bool, start.dtype))
        result, on = total + term(inner, number), inner.op("Identity", going)
        kinds = {one.name: helper.np_dtype_to_tensor_dtype(one.dtype) for one in (number, going, total, on, result)}

        def infos(*values: Value, shape: list[int] | None) -> list[onnx.ValueInfoProto]:
            return [helper.make_tensor_value_info(one.name, kinds[one.name], shape) for one in values]

        body = helper.make_graph(
            inner.nodes,
            "term",
            infos(number, going, shape=[]) + infos(total, shape=None),
            infos(on, shape=[]) + infos(result, shape=None),
        )
        return self.op("Loop", times, self.constant(True, bool), start, body=body, dtype=start.dtype)

    def _given(self, value: Any, dtype: np.dtype[Any]) -> Value:
        return value if isinstance(value, Value) else self.constant(value, dtype)

    def _value(self, dtype: DTypeLike) -> Value:
        return Value(self, f"picture_{next(self.numbers)}", np.dtype(dtype))
