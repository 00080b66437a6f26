"""Mixing a batch in Keras: our `Mix` beside Keras' own layers, on every backend, in `tf.data` and called on a batch.

The backend of Keras is chosen once for a process, so each is measured in a process of its own. Keras' layers get
labels that are dense already, ours class numbers. Of uint8 pictures Keras makes float32 ones, ours stay uint8.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.table import Section, beside_peers
from benchmarks.timing import THREADS, Timing, Work, installed, interleave

BACKENDS = ("torch", "jax", "tensorflow")
PLACES = ("tf.data", "layer")
BAR = 3.0
OURS = "crossfade Mix"
TRIES = 20


@dataclass(frozen=True)
class Size:
    """How much of it is measured."""

    shapes: tuple[tuple[int, ...], ...] = ((128, 32, 32, 3), (64, 224, 224, 3))
    dtypes: tuple[str, ...] = ("float32", "uint8")
    classes: int = 10
    pictures: int = 1280  # of one measurement, as many batches as hold them
    rounds: int = 9


def measure(size: Size, backends: tuple[str, ...] = BACKENDS) -> list[Section]:
    """A section for each backend that is installed."""
    needed = [name for name in ("keras", "tensorflow") if not installed(name)]
    if needed:
        return [Section("Mixing in Keras", [], [], [f"{', '.join(needed)}: not installed, so this was skipped"])]
    return [_section(backend, size) for backend in backends if installed(backend)]


def _section(backend: str, size: Size) -> Section:
    """What a process of that backend measures, which it prints as its last line."""
    environment = os.environ | {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-m", "benchmarks.keras_speed", json.dumps(asdict(size))]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    lines, candidates = [], []
    for what, seconds in json.loads(done.stdout.splitlines()[-1]).items():
        ours, *peers = (Timing(name, tuple(values)) for name, values in seconds.items())
        lines.append(beside_peers(f"Keras on {backend}, {what}", ours, peers, BAR))
        candidates += [Timing(f"{each.name}, {what}", each.seconds) for each in (ours, *peers)]
    return Section(f"Mixing a batch in Keras {installed('keras')} on {backend}", lines, candidates)


def _in_this_process(size: Size) -> dict[str, dict[str, tuple[float, ...]]]:
    """Seconds a batch, by what was done and by whom; ours come first."""
    found = {}
    for shape in size.shapes:
        batches = max(1, size.pictures // shape[0])
        for dtype in size.dtypes:
            images, labels = _batch(shape, dtype, size.classes)
            for method in ("mixup", "cutmix"):
                for place in PLACES:
                    works = {
                        name: _repeat(one, batches) for name, one in _works(method, place, images, labels, size.classes)
                    }
                    timings = interleave(works, size.rounds)
                    what = f"{dtype} {'x'.join(map(str, shape))} -> {method}, {place}"
                    found[what] = {name: timing.per(batches).seconds for name, timing in timings.items()}
    return found


def _works(
    method: str, place: str, images: NDArray[Any], labels: NDArray[np.int64], classes: int
) -> Iterator[tuple[str, Work]]:
    """Ours, then Keras' own: what mixes one batch."""
    import keras

    from crossfade.keras import Mix

    ours = Mix("mixup:alpha=1.0" if method == "mixup" else "cutmix", classes)
    theirs = keras.layers.MixUp(alpha=1.0) if method == "mixup" else keras.layers.CutMix()
    dense = np.eye(classes, dtype=np.float32)[labels]
    for name, layer, given in ((OURS, ours, labels), (f"keras.layers.{type(theirs).__name__}", theirs, dense)):
        one = {"tf.data": _from_dataset, "layer": _called}[place](layer, images, given)
        _check(name, one, images)
        yield name, one


def _from_dataset(layer: Any, images: NDArray[Any], labels: NDArray[Any]) -> Work:
    """The next batch of a data set. None is made ahead, which would be in another candidate's time."""
    import tensorflow as tf

    options = tf.data.Options()
    options.experimental_optimization.inject_prefetch = False
    batch = {"images": images, "labels": labels}
    batches = iter(tf.data.Dataset.from_tensors(batch).repeat().map(layer).with_options(options))
    return lambda: next(batches)


def _called(layer: Any, images: NDArray[Any], labels: NDArray[Any]) -> Work:
    """The layer, called on tensors of the backend; what it gives is there when the call is over."""
    import keras

    batch = {"images": keras.ops.convert_to_tensor(images), "labels": keras.ops.convert_to_tensor(labels)}
    wait: Callable[[Any], Any] = lambda mixed: mixed  # noqa: E731
    if keras.backend.backend() == "jax":
        import jax

        wait = jax.block_until_ready
    return lambda: wait(layer(dict(batch), training=True))


def _check(name: str, one: Work, images: NDArray[Any]) -> None:
    """Whether a candidate really mixes. A pasted box may happen to be empty, so it has several tries."""
    for _ in range(TRIES):
        mixed: Any = one()
        changed = np.asarray(mixed["images"]).astype(np.float32) != images.astype(np.float32)
        sums = np.asarray(mixed["labels"]).sum(axis=1)
        if not np.allclose(sums, 1, atol=1e-3):
            raise AssertionError(f"{name}: must give labels whose rows sum to 1. Got {sums}.")
        if changed.any():
            return
    raise AssertionError(f"{name}: must change the pictures. Got them unmixed, {TRIES} times.")


def _repeat(one: Work, times: int) -> Work:
    def work() -> None:
        for _ in range(times):
            one()

    return work


def _batch(shape: tuple[int, ...], dtype: str, classes: int) -> tuple[NDArray[Any], NDArray[np.int64]]:
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, shape).astype(dtype), rng.integers(0, classes, shape[0])


def main() -> None:
    """Measure on the backend of this process, and print it as JSON."""
    import keras  # before TensorFlow: PyTorch does not load after it

    from crossfade.arrays import parallel

    if keras.backend.backend() == "torch":
        import torch

        torch.set_num_threads(THREADS)
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(THREADS)
    parallel.set_threads(THREADS)
    given = json.loads(sys.argv[1])
    shapes = tuple(map(tuple, given.pop("shapes")))
    print(json.dumps(_in_this_process(Size(**given, shapes=shapes))))


if __name__ == "__main__":
    main()
