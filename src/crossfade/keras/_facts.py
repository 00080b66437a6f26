"""What there is to be told of a Keras training before it begins: its data, its model, its settings."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, is_dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from crossfade.data.split import Split
from crossfade.keras.callbacks import rate_of
from crossfade.keras.dataset import MixedDataset
from crossfade.keras.folder import ImageFolder
from crossfade.mixing.policy import Policy
from crossfade.training import record
from crossfade.training.dataset import Parts

FRAMEWORK = "keras"


@dataclass(frozen=True)
class Facts:
    """The data of a training.

    Attributes:
        train: what is fitted, of any kind; a data set of ours tells more.
        val, test: what it is judged on; `test` may be None.
        class_names: None takes those of the data, or numbers.
    """

    train: Any
    val: Any
    test: Any = None
    class_names: Sequence[str] | None = None

    @property
    def pictures(self) -> int | None:
        """Training pictures in an epoch, where that is known."""
        return self.train.n if isinstance(self.train, MixedDataset) else _length(self.train)

    @property
    def root(self) -> Path | None:
        """The folder of the training pictures."""
        return self.train.directory if isinstance(self.train, ImageFolder) else None

    def names(self, classes: int) -> list[str]:
        """Of so many classes, in the order of the labels."""
        given = self.class_names or getattr(self.train, "class_names", None) or map(str, range(classes))
        return [str(name) for name in given]

    def parts(self) -> Parts | None:
        """Which picture is in which part, where all are of one folder."""
        named = {"train": self.train, "val": self.val, "test": self.test}
        given = {part: data for part, data in named.items() if data is not None}
        folders = [data for data in given.values() if isinstance(data, ImageFolder)]
        if len(folders) < len(given) or len({folder.directory for folder in folders}) > 1:
            return None
        numbers = {"test": np.zeros(0, np.int64), **{part: data.source.ids for part, data in given.items()}}
        return Parts(folders[0].index, Split(**numbers, notes=self.train.split.notes))

    def described(self, names: Sequence[str]) -> dict[str, Any]:
        """`data.json`: what scan found; of data that is no folder, how many pictures of each class there are."""
        if (parts := self.parts()) is not None:
            return parts.described(_side(self.train), int(self.train.source.rows.shape[3]))
        labels = {"train": labels_of(self.train), "val": labels_of(self.val), "test": labels_of(self.test)}
        counts = {
            part: dict(zip(names, np.bincount(found, minlength=len(names)).tolist(), strict=False))
            for part, found in labels.items()
            if found is not None
        }
        return {"parts": counts} if counts else {}

    def settings(self, model: Any, epochs: int, more: Mapping[str, Any]) -> dict[str, Any]:
        """`config.toml`."""
        return {
            "framework": FRAMEWORK,
            "model": model.name,
            **self._of_data(),
            "epochs": epochs,
            "optimizer": type(model.optimizer).__name__.lower(),
            "lr": rate_of(model.optimizer),
            "loss": model.loss if isinstance(model.loss, str) else type(model.loss).__name__,
            **record.plain(more),
        }

    def lambdas(self, steps: int | None) -> list[NDArray[np.float64]]:
        """What each sample keeps of itself in the epoch that comes, batch by batch; of data of ours alone.

        Args:
            steps: of the epoch, where they are not all.
        """
        if not isinstance(self.train, MixedDataset):
            return []
        plans = (self.train.plan(step) for step in range(min(steps or len(self.train), len(self.train))))
        paired = self.train.source.feed.paired  # then partners stand behind the samples
        return [plan.lam[: len(plan) // 2] if paired else plan.lam for plan in plans]

    def _of_data(self) -> dict[str, Any]:
        if not isinstance(self.train, MixedDataset):
            return {}
        source = self.train.source
        return record.plain(
            {
                "mix": told_policy(self.train.mix) if self.train.mixes else "none",
                "partners": "stream" if source.feed.paired else "batch",
                "batch_size": self.train.batch_size,
                "seed": self.train.seed,
                "size": _side(self.train),
                "channels": int(source.rows.shape[3]),
                "augment": _told(source.feed.augment),
                "preprocess": _told(source.feed.function or source.feed.preprocess),
            }
        )


def command(facts: Facts) -> dict[str, Any]:
    """`command.json`: the program that trains, where it is one that can be called again."""
    program = ["python", *sys.argv] if Path(sys.argv[0]).suffix == ".py" else []
    root = {} if facts.root is None else {"data": str(facts.root)}
    return {"kind": "fit", **root, "argv": program}


def environment(model: Any) -> dict[str, Any]:
    """`environment.json`, with Keras and its backend; the device is that of the first weight."""
    backend = keras.config.backend()
    device = next((str(getattr(weight.value, "device", "")) for weight in model.weights), "")
    return {
        **record.environment(
            device.rpartition("/")[2].removeprefix("device:").lower(), keras.config.dtype_policy().name
        ),
        "keras": keras.__version__,
        "backend": backend,
        backend: metadata.version(backend),
    }


def told_policy(policy: Any) -> str:
    """A policy as it would be written: its first argument, and what is not as it is by default."""
    if isinstance(policy, tuple):
        return f"[{', '.join(map(told_policy, policy))}]"
    if not isinstance(policy, Policy):
        return repr(policy)
    first, *others = fields(policy) or (None,)  # type: ignore[arg-type]
    shown = [] if first is None else [first, *(one for one in others if getattr(policy, one.name) != one.default)]
    told = (f"{one.name}={told_policy(getattr(policy, one.name))}" for one in shown)
    return f"{type(policy).__name__}({', '.join(told)})"


def labels_of(data: Any) -> NDArray[np.int64] | None:
    """(N,) class numbers, where they are at hand without reading the pictures; None where there are none."""
    given = data.classes if isinstance(data, MixedDataset) else data[1] if _is_pair(data) else None
    if given is None:
        return None
    labels = np.asarray(keras.ops.convert_to_numpy(given))
    if labels.ndim == 2 and labels.shape[1] > 1:
        return labels.argmax(1).astype(np.int64)
    labels = labels.reshape(-1)
    return labels.astype(np.int64) if (labels >= 0).all() and (labels == np.rint(labels)).all() else None


def _is_pair(data: Any) -> bool:
    return isinstance(data, tuple) and len(data) == 2


def _length(data: Any) -> int | None:
    return len(data[0]) if _is_pair(data) else None


def _side(data: MixedDataset) -> Any:
    """In pixels; (height, width) of rectangles."""
    height, width = (int(n) for n in data.source.rows.shape[1:3])
    return height if height == width else (height, width)


def _told(value: Any) -> Any:
    """A step in words that are the same in every process: its fields, or its name."""
    if value is None or (is_dataclass(value) and not isinstance(value, type)):
        return value and asdict(value)
    named = value if hasattr(value, "__qualname__") else type(value)
    return f"{named.__module__}.{named.__qualname__}"
