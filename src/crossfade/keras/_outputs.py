"""What the numbers a Keras model gives mean: from its outputs to rows of probabilities, never by a silent guess."""

from __future__ import annotations

from typing import Any, Literal, get_args

import keras
import numpy as np
from numpy.typing import NDArray

from crossfade.errors import ArrayError, ConfigError, check_known

Outputs = Literal["softmax", "sigmoid", "logits", "sigmoid_logits"]
ROUNDING = 0.02  # of the sum of a row of probabilities, in half precision
EXACT = 1e-3  # what `crossfade.training.metrics` takes

Floats = NDArray[np.float64]


def outputs_of(model: Any, said: str | None) -> Outputs | None:
    """What the outputs of a model are: what was said, else what its last activation and its loss say.

        softmax          (N, C) probabilities
        sigmoid          (N, 1) probabilities of class 1, or (N, C) each of its own class
        logits           (N, C) whose softmax they are, or (N, 1) whose sigmoid
        sigmoid_logits   (N, C) whose sigmoids, each of its own class

    Returns:
        None where neither says it; the rows themselves may (see `rows_of`).

    Raises:
        ConfigError: an unknown word; a last layer that is linear, below a loss that takes probabilities.
    """
    if said is not None:
        check_known("probabilities", "kind of output", said, get_args(Outputs))
        return said  # type: ignore[return-value]
    activation, loss = _last_activation(model), getattr(model, "loss", None)
    named = {keras.activations.softmax: "softmax", keras.activations.sigmoid: "sigmoid"}
    if activation in named:
        return named[activation]  # type: ignore[return-value]
    if getattr(loss, "from_logits", False):
        return "sigmoid_logits" if "Binary" in type(loss).__name__ else "logits"
    if activation is keras.activations.linear:
        raise ConfigError(
            "probabilities: the last layer is linear, and the loss does not say from_logits=True. "
            f"Got {type(loss).__name__ if not isinstance(loss, str) else loss!r}. "
            f"Say what the outputs are: probabilities={' or '.join(map(repr, get_args(Outputs)))}."
        )
    return None


def rows_of(raw: NDArray[Any], outputs: Outputs | None) -> Floats:
    """(N, C) float64 probabilities whose rows sum to 1, C >= 2.

    Sigmoids of more classes than one are each divided by the sum of their row: the order of the classes in a row, and
    so the accuracy, stays as it is. Where all of them are 0 the row says nothing, and its classes are alike.

    Args:
        raw: (N,) or (N, K), finite, as the model gave them.
        outputs: what they are; None asks the rows themselves, which must then be probabilities.

    Raises:
        ArrayError: the outputs are no rows, or not what was said of them.
        ConfigError: nothing was said of them, and they are no probabilities.
    """
    values = np.asarray(raw, np.float64)
    values = values[:, None] if values.ndim == 1 else values
    if values.ndim != 2:
        raise ArrayError(
            f"probabilities: a model gives a row of numbers for each picture. Got {raw.shape}. "
            "Give the model one output, (N, C)."
        )
    if outputs in ("logits", "sigmoid_logits"):
        values = _softmax(values) if outputs == "logits" and values.shape[1] > 1 else _sigmoid(values)
    elif outputs is None and not _are_distributions(values):
        raise ConfigError(
            "probabilities: neither the last layer nor the loss says what the outputs are, and their rows do not sum "
            f"to 1. Got {values[0].tolist()[:5]}. Say probabilities={' or '.join(map(repr, get_args(Outputs)))}."
        )
    elif outputs == "softmax" and not _are_distributions(values):
        raise _not_as_said(values, "softmax", "rows of 2 or more numbers from 0 to 1 that sum to 1")
    elif outputs == "sigmoid" and not _are_shares(values):
        raise _not_as_said(values, "sigmoid", "numbers from 0 to 1")
    if values.shape[1] == 1:
        return np.hstack([1 - values, values])
    # Dividing moves the last digit, and what was equal in two rows would no longer be: only where it must be.
    return values if (abs(values.sum(1) - 1) < EXACT).all() else _normalised(values)


def _last_activation(layer: Any) -> Any:
    """The function that makes the outputs of a model or a layer, None where it does not show it."""
    if isinstance(layer, keras.Sequential):
        return _last_activation(layer.layers[-1]) if layer.layers else None
    if isinstance(layer, keras.Model):
        outputs = getattr(layer, "outputs", None) or []  # of a subclass there are none
        if len(outputs) > 1:
            raise ConfigError(f"probabilities: a classifier has one output. Got {len(outputs)}. Score a model of one.")
        return _last_activation(outputs[0]._keras_history.operation) if outputs else None
    return getattr(layer, "activation", keras.activations.softmax if _is_softmax(layer) else None)


def _is_softmax(layer: Any) -> bool:
    return isinstance(layer, keras.layers.Softmax) and layer.axis == -1


def _are_shares(values: Floats) -> bool:
    return bool(((values >= 0) & (values <= 1)).all())


def _are_distributions(values: Floats) -> bool:
    return values.shape[1] > 1 and _are_shares(values) and bool((abs(values.sum(1) - 1) < ROUNDING).all())


def _not_as_said(values: Floats, what: str, rule: str) -> ArrayError:
    return ArrayError(
        f"probabilities: {what} gives {rule}. Got shape {values.shape}, from {values.min():.4g} to {values.max():.4g}, "
        f"the first row {values[0].tolist()[:5]}. Say what the outputs are by probabilities=."
    )


def _normalised(values: Floats) -> Floats:
    total = values.sum(1, keepdims=True)
    return np.divide(values, total, out=np.full_like(values, 1 / values.shape[1]), where=total > 0)


def _softmax(logits: Floats) -> Floats:
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def _sigmoid(logits: Floats) -> Floats:
    return np.exp(-np.logaddexp(0, -logits))
