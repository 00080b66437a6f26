"""Mixing from within compiled code, which calls the host for what chance decides.

A call to the host is made anew each time the code runs, so nothing is frozen into it; and what comes back has shapes
that were known before, so nothing is compiled anew from batch to batch.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from crossfade.arrays.dispatch import Layout, mix_images
from crossfade.errors import ArrayError, ConfigError
from crossfade.keras.layers.draws import Draws
from crossfade.mixing.plan import Plan


def in_tensorflow() -> bool:
    """Whether TensorFlow is making a graph, such as those of `tf.data`, whatever the backend of Keras.

    Not whether a batch is symbolic: one that the graph merely sees would be mixed once, and be a part of it.
    """
    tf = sys.modules.get("tensorflow")
    return tf is not None and not tf.executing_eagerly()


def in_jax(*arrays: Any) -> bool:
    """Whether JAX is tracing: the arrays, or what only sees them, which shows in what JAX makes of a constant."""
    jax = sys.modules.get("jax")
    if jax is None:
        return False
    arrays = arrays if keras.backend.backend() != "jax" else (*arrays, jax.numpy.add(0, 0))
    return any(isinstance(array, jax.core.Tracer) for array in arrays)


def mix_in_tensorflow(draws: Draws, images: Any, labels: Any, layout: Layout, *, paired: bool) -> tuple[Any, Any]:
    """In a graph: by the fused kernels if it is one of `tf.data`, else on the device, where gradients pass through."""
    import tensorflow as tf

    images, labels = tf.convert_to_tensor(images), tf.convert_to_tensor(labels)
    graph = tf.compat.v1.get_default_graph()
    _refuse_xla(graph)
    if keras.backend.backend() != "tensorflow" or _in_tf_data(graph):
        return _on_host(tf, draws, images, labels, layout, paired=paired)
    return _on_device(tf, draws, images, labels, layout, paired=paired)


def mix_in_jax(draws: Draws, images: Any, labels: Any, layout: Layout, *, paired: bool) -> tuple[Any, Any]:
    """While JAX traces: the plan and the targets come from the host, the pictures stay on the device."""
    import jax
    from jax.experimental import io_callback

    images, labels = jax.numpy.asarray(images), jax.numpy.asarray(labels)
    rows, height, width = sizes(images.shape, layout)
    shape = (rows // 2 if paired else rows, height, width)
    outline = draws.outline(shape)
    shapes = [(shape[0], draws.classes(labels.shape)), *_shapes(rows, height, width, outline)]
    described = tuple(map(jax.ShapeDtypeStruct, shapes, _TYPES))

    def host(labels: Any) -> tuple[NDArray[Any], ...]:
        return draws.arrays(np.asarray(labels), shape, outline, paired=paired)

    targets, *arrays = io_callback(host, described, jax.lax.stop_gradient(labels), ordered=False)
    return mix_images(images, _plan(arrays, (height, width)), layout=layout)[: shape[0]], targets


def targets_of(draws: Draws, labels: Any) -> Any:
    """(B, C) targets of labels as they are."""
    classes = draws.classes(labels.shape)
    if in_jax(labels):
        import jax

        described = jax.ShapeDtypeStruct((labels.shape[0], classes), np.float32)
        return jax.pure_callback(lambda held: draws.unmixed(np.asarray(held)), described, labels)
    import tensorflow as tf

    _refuse_xla(tf.compat.v1.get_default_graph())
    targets = tf.numpy_function(draws.unmixed, [labels], tf.float32, stateful=False)
    targets.set_shape((labels.shape[0], classes))
    return targets


def joined(first: Any, second: Any) -> Any:
    """Two tensors of TensorFlow, of one shape, along their first axis."""
    import tensorflow as tf

    text = (
        "Mix.pairs: pictures and labels of the two streams must be alike. Drop what is left over, or repeat a stream."
    )
    with tf.control_dependencies([tf.debugging.assert_equal(tf.shape(first), tf.shape(second), message=text)]):
        return tf.concat([first, second], axis=0)


def _on_host(tf: Any, draws: Draws, images: Any, labels: Any, layout: Layout, *, paired: bool) -> tuple[Any, Any]:
    def host(images: NDArray[Any], labels: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.float32]]:
        rows, *size = sizes(images.shape, layout)
        batch = rows // 2 if paired else rows
        plan, targets = draws.draw(labels, (batch, *size), images=images, paired=paired)
        return mix_images(images, plan, layout=layout)[:batch], targets

    mixed, targets = tf.numpy_function(host, [images, labels], [images.dtype, tf.float32])
    return _shaped(draws, mixed, targets, images, labels, paired=paired)


def _on_device(tf: Any, draws: Draws, images: Any, labels: Any, layout: Layout, *, paired: bool) -> tuple[Any, Any]:
    rows, height, width = sizes(images.shape, layout)
    if height is None or width is None:
        raise ArrayError(f"Mix: needs pictures of a size that is known when the graph is made. Got {images.shape}.")
    outline = draws.outline((2, height, width))

    def host(labels: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        batch = len(labels) // 2 if paired else len(labels)
        return draws.arrays(labels, (batch, height, width), outline, paired=paired)

    shapes = _shapes(rows, height, width, outline)
    targets, *arrays = tf.numpy_function(host, [labels], _TYPES[: 1 + len(shapes)])
    for array, shape in zip(arrays, shapes, strict=True):
        array.set_shape(shape)
    mixed = mix_images(images, _plan(arrays, (height, width)), layout=layout)
    mixed = mixed[: tf.shape(targets)[0]] if paired else mixed
    return _shaped(draws, mixed, targets, images, labels, paired=paired)


_TYPES = (np.float32, np.int32, np.float32, np.int32, np.float32)  # targets, source, opacity, box, mask


def _shapes(rows: Any, height: int, width: int, outline: tuple[int, bool]) -> list[tuple[Any, ...]]:
    """Of source, opacity, box and, where there may be one, mask."""
    layers, masked = outline
    mask = [(rows, height, width)] if masked else []
    return [(rows, layers), (rows, layers), (rows, layers, 4), *mask]


def _plan(arrays: Sequence[Any], size: tuple[int, int]) -> Plan:
    source, opacity, box, *mask = arrays
    return Plan.of_arrays(source, opacity, box, None, *mask, size=size)


def _shaped(draws: Draws, mixed: Any, targets: Any, images: Any, labels: Any, *, paired: bool) -> tuple[Any, Any]:
    """What is known of the shapes before the host was called, told to TensorFlow."""
    batch = images.shape[0] // 2 if paired and images.shape[0] else images.shape[0]
    mixed.set_shape((batch, *images.shape[1:]))
    targets.set_shape((batch, draws.classes(labels.shape)))
    return mixed, targets


def sizes(shape: Any, layout: Layout) -> tuple[Any, Any, Any]:
    """B, H and W of a batch's shape."""
    batch, a, b, c = shape
    return (batch, b, c) if layout == "NCHW" else (batch, a, b)


def _in_tf_data(graph: Any) -> bool:
    """Whether `tf.data` traces, which names its graphs after the method they are made for: Dataset.map()."""
    while graph is not None:
        if getattr(graph, "name", "").startswith("Dataset_"):
            return True
        graph = getattr(graph, "outer_graph", None)
    return False


def _refuse_xla(graph: Any) -> None:
    from tensorflow.python.ops.control_flow_util import GraphOrParentsInXlaContext

    if GraphOrParentsInXlaContext(graph):
        raise ConfigError(
            "Mix: plans are drawn on the host, which TensorFlow code compiled by XLA cannot call. "
            "Pass jit_compile=False to compile(), or mix where the batches are made: dataset.map(mix)."
        )
