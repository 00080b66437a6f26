"""Using a trained run: the run's own preprocessing and class names, on single pictures."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from crossfade.data.decode import load_picture
from crossfade.data.loader import Batch
from crossfade.data.refusal import MAX_PIXELS, RefusedPicture
from crossfade.errors import CheckpointError, ConfigError
from crossfade.models.registry import build
from crossfade.training import checkpoint
from crossfade.training.feed import Feed
from crossfade.training.hardware import choose_device
from crossfade.training.record import read_json
from crossfade.vision.normalise import Normalisation
from crossfade.vision.preprocess import Preprocess

BATCH = 64


@dataclass(frozen=True)
class Prediction:
    """What a run says of one picture; `refused` is the reason where it could not be read.

    Attributes:
        path: as it was asked for.
        probabilities: (C,) float64, in the order of the run's classes; None where refused.
    """

    path: Path
    probabilities: NDArray[np.float64] | None = None
    refused: str | None = None


@dataclass(frozen=True)
class Predictor:
    """A trained network with all that its training did to pictures before it saw them."""

    model: nn.Module
    classes: tuple[str, ...]
    size: int
    channels: int
    max_pixels: int
    feed: Feed

    def predict(self, paths: Iterable[Path]) -> Iterator[Prediction]:
        """Probabilities for each picture, in the order asked for; one that cannot be read does not stop the others."""
        waiting: list[tuple[Path, NDArray[np.uint8] | str]] = []
        for path in paths:
            try:
                waiting.append((path, self._load(path)))
            except RefusedPicture as refusal:
                waiting.append((path, str(refusal)))
            if len(waiting) == BATCH:
                yield from self._flush(waiting)
                waiting = []
        yield from self._flush(waiting)

    def _load(self, path: Path) -> NDArray[np.uint8]:
        fit = self.feed.preprocess.fit
        return load_picture(path, size=self.size, channels=self.channels, fit=fit, max_pixels=self.max_pixels)

    def _flush(self, waiting: list[tuple[Path, NDArray[np.uint8] | str]]) -> Iterator[Prediction]:
        pictures = [picture for _, picture in waiting if not isinstance(picture, str)]
        rows = iter(self._probabilities(np.stack(pictures)) if pictures else [])
        for path, picture in waiting:
            yield Prediction(path, refused=picture) if isinstance(picture, str) else Prediction(path, next(rows))

    def _probabilities(self, pictures: NDArray[np.uint8]) -> NDArray[np.float64]:
        nothing = np.zeros(len(pictures), np.int64)
        images, _ = self.feed.to_device(self.feed.prepare(Batch(pictures, nothing, nothing, 0, 0)))
        with torch.inference_mode():
            return self.model(images).double().softmax(1).cpu().numpy()


def load_run(run: str | os.PathLike[str], *, name: str | None = None, device: str = "auto") -> Predictor:
    """The network of a run folder, ready to predict.

    Args:
        run: the folder of one training.
        name: "best" (on validation) or "last"; None takes the one its summary judged, "best" if it was never judged.
        device: "cpu", "cuda" or "auto".

    Raises:
        ConfigError: no run folder.
        CheckpointError: the weights are damaged, of another version, or do not fit the network.
    """
    folder = Path(run)
    name = name or _judged_epoch(folder)
    if not any((folder / "checkpoints").glob(f"{name}*")):
        kind = "a comparison; name one of its runs" if any(folder.glob("*/seed-*")) else "no run with weights"
        raise ConfigError(
            f"predict: {folder} is {kind}, such as {folder}/none/seed-0. Pass the folder of one training."
        )
    saved = checkpoint.load(folder / "checkpoints" / name)
    where = choose_device(device)
    try:
        state = saved.state
        preprocess, classes = Preprocess.restored(state), tuple(state["classes"])
        channels = preprocess.channels(state["channels"])
        model = build(state["model"], num_classes=len(classes), channels=channels, size=state["size"])
        model.load_state_dict(saved.tensors.get("ema", saved.tensors["model"]))  # what was judged
        feed = Feed(Normalisation(state["mean"], state["std"]), where, preprocess)
        model = model.to(where, memory_format=torch.channels_last).eval()
        sizes = state["size"], state["channels"], state.get("max_pixels", MAX_PIXELS)
        return Predictor(model, classes, *sizes, feed)
    except (KeyError, RuntimeError) as error:
        raise CheckpointError(
            f"predict: {folder} was written by another version of crossfade ({str(error).splitlines()[0]}). "
            "Use that version, or train again."
        ) from error


def _judged_epoch(folder: Path) -> str:
    try:
        return str(read_json(folder / "summary.json")["judged"]["epoch"])
    except (OSError, ValueError, KeyError, TypeError):
        return "best"
