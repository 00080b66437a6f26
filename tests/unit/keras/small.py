"""Models so small that a training takes no time, and pictures for them."""

from __future__ import annotations

import keras
import numpy as np
from keras import layers


def pictures(n: int = 40, classes: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """uint8 (n, 8, 8, 3) whose brightness tells the class, roughly, and (n,) labels."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    noise = rng.integers(0, 90, size=(n, 8, 8, 3))
    return (noise + (160 // classes * labels)[:, None, None, None]).astype(np.uint8), labels


def softmax_net(classes: int = 3, rate: float = 0.05) -> keras.Model:
    """With batch normalisation and dropout."""
    shape = (8, 8, 3) if keras.config.image_data_format() == "channels_last" else (3, 8, 8)
    model = keras.Sequential(
        [
            keras.Input(shape),
            layers.Flatten(),
            layers.Dense(6, activation="relu"),
            layers.BatchNormalization(),
            layers.Dropout(0.3),
            layers.Dense(classes, activation="softmax"),
        ]
    )
    model.compile(keras.optimizers.Adam(rate), "categorical_crossentropy", metrics=["accuracy"])
    return model


def head_net(units: int, activation: str | None, loss: object) -> keras.Model:
    """One dense layer and its activation."""
    model = keras.Sequential([keras.Input((8, 8, 3)), layers.Flatten(), layers.Dense(units, activation=activation)])
    model.compile(keras.optimizers.Adam(0.02), loss)
    return model
