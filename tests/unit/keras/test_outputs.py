"""What the outputs of a model are, and the probabilities made of them."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from crossfade.errors import ArrayError, ConfigError
from crossfade.keras._outputs import outputs_of, rows_of


def model_of(*last: object, loss: object = "categorical_crossentropy") -> keras.Model:
    model = keras.Sequential([keras.Input((5,)), *last])
    model.compile("sgd", loss)
    return model


def binary(**more: bool) -> keras.losses.Loss:
    return keras.losses.BinaryCrossentropy(**more)


def nested() -> keras.Model:
    inputs = keras.Input((5,))
    model = keras.Model(inputs, keras.Sequential([keras.Input((5,)), layers.Dense(3, activation="softmax")])(inputs))
    model.compile("sgd", "categorical_crossentropy")
    return model


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: model_of(layers.Dense(3, activation="softmax")), "softmax"),
        (lambda: model_of(layers.Dense(3), layers.Softmax()), "softmax"),
        (lambda: model_of(layers.Dense(3), layers.Activation("softmax")), "softmax"),
        (lambda: model_of(layers.Dense(4, activation="sigmoid"), loss="binary_crossentropy"), "sigmoid"),
        (lambda: model_of(layers.Dense(3), loss=keras.losses.CategoricalCrossentropy(from_logits=True)), "logits"),
        (lambda: model_of(layers.Dense(4), loss=binary(from_logits=True)), "sigmoid_logits"),
        (lambda: model_of(layers.Dense(3), layers.Lambda(lambda x: x)), None),
        (nested, "softmax"),
    ],
)
def test_the_last_activation_or_the_loss_says_it(make: object, expected: str | None) -> None:
    assert outputs_of(make(), None) == expected


def test_a_linear_head_below_a_loss_of_probabilities_is_asked_about() -> None:
    model = model_of(layers.Dense(3))
    with pytest.raises(ConfigError, match="the last layer is linear"):
        outputs_of(model, None)
    assert outputs_of(model, "logits") == "logits"
    with pytest.raises(ConfigError, match="Did you mean softmax"):
        outputs_of(model, "softmx")


LOGITS = np.array([[2.0, 0.0, -1.0], [-800.0, 0.0, 800.0]], np.float32)


def test_logits() -> None:
    powers = np.exp(LOGITS[0].astype(np.float64))
    rows = rows_of(LOGITS, "logits")
    assert rows[0] == pytest.approx(powers / powers.sum())
    assert rows[1].tolist() == [0, 0, 1]
    assert rows_of(np.array([[0.0], [2.0]], np.float32), "logits")[:, 1] == pytest.approx([0.5, 1 / (1 + np.exp(-2))])


def test_sigmoids_of_several_classes_are_divided_by_their_sum() -> None:
    rows = rows_of(np.array([[0.9, 0.9, 0.2], [0.0, 0.0, 0.0]], np.float32), "sigmoid")
    assert rows[0] == pytest.approx([0.45, 0.45, 0.1])
    assert rows[1] == pytest.approx([1 / 3] * 3)
    assert rows_of(LOGITS[:1], "sigmoid_logits")[0] == pytest.approx(
        (1 / (1 + np.exp(-LOGITS[0])) / 1.6497).tolist(), 1e-3
    )


def test_one_sigmoid_is_two_classes_in_one_axis_or_two() -> None:
    column = np.array([0.25, 1.0], np.float32)
    for raw in (column, column[:, None]):
        assert rows_of(raw, "sigmoid").tolist() == [[0.75, 0.25], [0, 1]]


def test_rows_in_half_precision_are_probabilities() -> None:
    rows = rows_of(np.array([[0.335, 0.335, 0.335]], np.float16), "softmax")
    assert rows.sum(1) == pytest.approx([1.0])


def test_a_softmax_is_taken_as_it_is() -> None:
    """Equal probabilities in rows whose sums differ by a rounding are a tie, and stay one."""
    rows = np.array([[1.0, 3e-8, 2e-8], [1.0, 9e-8, 1e-9]], np.float32)
    assert (rows_of(rows, "softmax") == rows).all()


@pytest.mark.parametrize("outputs", ["softmax", "sigmoid", None])
def test_what_was_said_is_checked(outputs: str | None) -> None:
    error = ConfigError if outputs is None else ArrayError
    with pytest.raises(error, match="probabilities"):
        rows_of(LOGITS, outputs)
    with pytest.raises(error, match="probabilities"):
        rows_of(np.array([[1.2], [0.3]]), outputs)


def test_rows_that_nothing_was_said_of_are_taken_only_as_what_they_show() -> None:
    assert rows_of(np.array([[0.2, 0.8]]), None).tolist() == [[0.2, 0.8]]
    with pytest.raises(ConfigError, match="neither the last layer nor the loss"):
        rows_of(np.array([[0.2], [0.8]]), None)
