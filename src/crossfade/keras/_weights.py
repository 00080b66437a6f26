"""The weights of a Keras model: drawn from a seed, told apart by a digest, written whole."""

from __future__ import annotations

import hashlib
import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np

from crossfade.rng import Stream, derive_rng

ENDING = ".weights.h5"  # which Keras asks for


@contextmanager
def drawn_from(seed: int) -> Iterator[None]:
    """Inside, Python's `random`, from which Keras takes every seed that is not said, is a function of `seed`.

    Afterwards it stands where it stood before. Initialisers and layers such as dropout draw their seeds when they are
    made, so a model that is built and trained inside depends on the seed alone; no other global generator is touched.
    """
    state = random.getstate()
    random.seed(int(derive_rng(seed, Stream.WEIGHTS, 0).integers(2**62)))
    try:
        yield
    finally:
        random.setstate(state)


def weights_digest(model: Any) -> str:
    """SHA-256 over number, dtype, shape and bytes of every weight, in order: equal if and only if all of these are.

    Names are left out: Keras counts the models it made in them.
    """
    digest = hashlib.sha256()
    for number, weight in enumerate(model.weights):
        values = np.ascontiguousarray(keras.ops.convert_to_numpy(weight))
        digest.update(f"{number} {values.dtype} {values.shape}\n".encode())
        digest.update(values.view(np.uint8).reshape(-1) if values.ndim else values.tobytes())
    return digest.hexdigest()


def save_weights(model: Any, path: Path) -> None:
    """Write Keras' own file of weights, so that the old file or the new one stands, and never a part of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".new{ENDING}")
    model.save_weights(str(new))
    os.replace(new, path)


@contextmanager
def with_weights(model: Any, path: Path) -> Iterator[None]:
    """Inside, a model has the weights of a file; afterwards those that it had."""
    own = model.get_weights()
    model.load_weights(str(path))
    try:
        yield
    finally:
        model.set_weights(own)


def seed_states(model: Any) -> list[Any]:
    """The variables that are no weights: where the generators of dropout and the like stand."""
    weights = {id(weight) for weight in model.weights}
    return [variable for variable in model.variables if id(variable) not in weights]
