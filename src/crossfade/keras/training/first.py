"""Models that are new, and the weights that all arms of a seed begin with."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from crossfade.errors import ConfigError, TrainingError
from crossfade.keras.datasets.base import MixedDataset
from crossfade.keras.training.weights import save_weights, seed_states


class Maker:
    """Calls `build_model`, and sees that what comes is compiled, new in all its parts, and takes mixed targets."""

    def __init__(self, build_model: Callable[[], keras.Model]) -> None:
        if not callable(build_model) or isinstance(build_model, keras.Model):
            raise ConfigError(
                f"compare: every training begins with a new model. Got {type(build_model).__name__}. "
                "Pass a function that makes one and compiles it."
            )
        self._build = build_model
        self._before: dict[int, weakref.ref[Any]] = {}

    @property
    def name(self) -> str:
        """Of the function, "" where it has none."""
        name = getattr(self._build, "__name__", "")
        return "" if name.startswith("<") else name

    def new(self, data: MixedDataset) -> keras.Model:
        """A model with all its weights, for batches of `data`.

        Raises:
            ConfigError: it is no model, not compiled, not new, or takes other targets than the data gives.
        """
        model = self._build()
        if not isinstance(model, keras.Model) or not model.compiled:
            what = "a model that is not compiled" if isinstance(model, keras.Model) else type(model).__name__
            raise ConfigError(f"compare: build_model returns a compiled model. Got {what}. Call model.compile in it.")
        self._check_new("model", model)
        self._check_new("optimizer", model.optimizer)
        if not model.built or not model.weights:
            model(keras.ops.convert_to_tensor(data[0][0][:1]))
        for weight in model.weights:
            self._check_new("weight", weight)
        _check_targets(model, data)
        for part in (model, model.optimizer, *model.weights):
            self._before[id(part)] = weakref.ref(part)
        return model

    def _check_new(self, what: str, part: Any) -> None:
        known: Any = self._before[id(part)]() if id(part) in self._before else None
        if known is part:
            name = f" {part.path}" if what == "weight" else ""
            raise ConfigError(
                f"compare: every training begins with a new model, or it would go on where another ended. Got the same "
                f"{what}{name} twice. Make it inside build_model."
            )


def _check_targets(model: keras.Model, data: MixedDataset) -> None:
    name = model.loss if isinstance(model.loss, str) else type(model.loss).__name__
    if "sparse" in str(name).lower() and data.class_mode != "sparse":
        raise ConfigError(
            f"compare: mixed targets are the weights of all classes, and {name} takes class numbers. "
            "Compile the model with categorical_crossentropy."
        )
    given, wanted = getattr(model, "output_shape", None), data[0][1].shape[1:]
    if isinstance(given, tuple) and data.class_mode != "sparse" and tuple(given[1:]) != wanted:
        raise ConfigError(
            f"compare: a model has one output for each target. Got outputs {tuple(given[1:])} for targets {wanted}. "
            'Pass class_mode="binary" to the data set of a single sigmoid, num_classes= to one that lacks a class.'
        )


class FirstWeights:
    """Of one seed: those of the first model are saved, and every later one gets them.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seeds: list[Any] | None = None

    def give(self, model: keras.Model) -> None:
        """Save the weights of the first model; load them into every other.

        Raises:
            TrainingError: a model cannot take them.
        """
        if not self._path.exists():
            save_weights(model, self._path)
        try:
            model.load_weights(str(self._path))
        except (ValueError, OSError) as error:
            raise TrainingError(
                f"compare: every model takes the first weights of its seed. Got {str(error).splitlines()[0]}. "
                "Let build_model make the same network at every call."
            ) from error
        self._give_seeds(model)

    def _give_seeds(self, model: keras.Model) -> None:
        """The seeds of dropout and the like, which no file of weights holds."""
        states = seed_states(model)
        if self._seeds is None:
            self._seeds = [np.array(keras.ops.convert_to_numpy(state)) for state in states]
        elif len(states) != len(self._seeds):
            raise TrainingError(
                f"compare: all arms have the same network. Got {len(states)} generators for {len(self._seeds)}. "
                "Let build_model make the same network at every call."
            )
        for state, value in zip(states, self._seeds, strict=True):
            state.assign(value)
