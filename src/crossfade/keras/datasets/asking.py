"""What Keras is about when it asks a dataset for something. Nothing but the call itself tells, so that is looked at.

Keras 3 (3.8 to 3.15 and, as it stands, later ones) does three things to a `PyDataset` that would change what is shown:

- it ends an epoch before the first one begins (`EpochIterator.reset`), and in the midst of one with `steps_per_epoch`;
- ``model.fit`` shuffles the numbers of the batches by Python's global generator, unless told ``shuffle=False``;
- its queue for `workers` keeps batches, asked for when the model was built, for the epoch after it.

Against the last, `Ahead` stands in for that queue. Where Keras calls from elsewhere than it did, nothing is found here,
and a batch is the one of its number, an end of an epoch is one.
"""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

_NEAR = 5  # calls between Keras and us: its adapter's, and those of a class that inherits


def turn_of(dataset: Any, index: int) -> int | None:
    """Which batch in turn Keras asks for when its loop over `dataset` asks for `index`; None where it is not Keras."""
    frame = _caller("_finite_generator")
    if frame is None or getattr(frame.f_locals.get("self"), "py_dataset", None) is not dataset:
        return None
    order = frame.f_locals.get("indices")
    return order.index(index) if isinstance(order, range | list) else index


def in_midst_of_epoch() -> bool:
    """Whether Keras says that an epoch ends when it has not begun, or not all of its batches were asked for."""
    if _caller("reset") is not None:
        return True
    frame = _caller("_enumerate_iterator")
    return frame is not None and getattr(frame.f_locals.get("self"), "_steps_seen", 0) > 0


def counts_steps() -> bool | None:
    """Whether the loop that asks for the number of batches was given `steps_per_epoch`; None where no loop asks.

    While a loop is made, Keras asks first whether there are batches to shuffle. There are.
    """
    if _caller("get_data_adapter") is not None:
        return False
    frame = _caller("__init__")
    return None if frame is None else bool(frame.f_locals.get("steps_per_epoch"))


def without_end() -> bool:
    """Whether a loop asks that goes on and on, since it was told of no number of batches."""
    return _caller("_infinite_generator") is not None


def _caller(name: str) -> FrameType | None:
    """The function of Keras' training loops that called, by its name."""
    frame: FrameType | None = sys._getframe(2)
    for _ in range(_NEAR):
        if frame is None:
            return None
        if frame.f_code.co_name == name and frame.f_globals.get("__name__", "").startswith("keras.src.trainers."):
            return frame
        frame = frame.f_back
    return None
