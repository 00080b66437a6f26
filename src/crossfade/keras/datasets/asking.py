"""What Keras is about when it asks a dataset for something. Nothing but the call itself tells, so that is looked at.

Keras 3 (3.8 to 3.15 and, as it stands, later ones) does four things to a `PyDataset` that would change what is shown:

- it ends an epoch before the first one begins (`EpochIterator.reset`), in the midst of one with `steps_per_epoch`, and
  after each `evaluate` and `predict`, which are no epochs of a training;
- it cuts an epoch short where `steps_per_epoch` does not divide the batches, unless it takes them to have no end;
- ``model.fit`` shuffles the numbers of the batches by Python's global generator, unless told ``shuffle=False``;
- its queue for `workers` keeps batches, asked for when the model was built, for the epoch after it.

Against the last, `Ahead` stands in for that queue. Where Keras calls from elsewhere than it did, nothing is found here,
and a batch is the one of its number, an end of an epoch is one.
"""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

_NEAR = 8  # calls between Keras and us: its adapter's, and those of a class that inherits


def turn_of(dataset: Any, index: int) -> int | None:
    """Which batch in turn Keras asks for when its loop over `dataset` asks for `index`; None where it is not Keras.

    With `steps_per_epoch` turns go on through the epochs.
    """
    frame = _caller("_finite_generator", "_infinite_generator")
    if frame is None or getattr(frame.f_locals.get("self"), "py_dataset", None) is not dataset:
        return None
    order = frame.f_locals.get("indices")
    return order.index(index) if isinstance(order, range | list) else index


def batches_shown() -> int | None:
    """How many a loop with `steps_per_epoch` has taken, where Keras says that an epoch ends; None if no training's.

    0 where a whole epoch was shown, or somebody else says that it ends.
    """
    if _caller("reset", "evaluate", "predict") is not None:
        return None
    frame = _caller("_enumerate_iterator")
    return 0 if frame is None else getattr(frame.f_locals.get("self"), "_steps_seen", 0)


def counts_steps() -> bool | None:
    """Whether the loop that asks for the number of batches was given `steps_per_epoch`; None where no loop asks.

    While a loop is made, Keras asks first whether there are batches to shuffle. There are.
    """
    if _caller("get_data_adapter") is not None:
        return False
    frame = _caller("__init__", "reset")
    return None if frame is None else bool(getattr(frame.f_locals.get("self"), "steps_per_epoch", None))


def validation_data() -> Any:
    """What ``model.fit`` was told to validate on, where that is who asks."""
    frame = _caller("fit")
    return None if frame is None else frame.f_locals.get("validation_data")


def _caller(*names: str) -> FrameType | None:
    """The function of Keras' training loops that called, by its name."""
    frame: FrameType | None = sys._getframe(2)
    for _ in range(_NEAR):
        if frame is None:
            return None
        if frame.f_code.co_name in names and frame.f_globals.get("__name__", "").startswith("keras.src."):
            return frame
        frame = frame.f_back
    return None
