"""Using a trained run: the run's own preprocessing and class names, on single pictures."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from crossfade.data.decode import decode
from crossfade.data.files import read_file
from crossfade.data.fit import to_row
from crossfade.data.loader import Batch
from crossfade.data.refusal import MAX_PIXELS, RefusedPicture
from crossfade.data.rows import Pixels
from crossfade.errors import CheckpointError, ConfigError
from crossfade.models.registry import build
from crossfade.models.weights import file_digest, read_weights
from crossfade.training import checkpoint
from crossfade.training.config import read_toml, resolve
from crossfade.training.device_feed import DeviceFeed
from crossfade.training.hardware import choose_device
from crossfade.training.record import json_table, read_json
from crossfade.training.tta import NO_TTA, Tta
from crossfade.vision.augment import Augment, augment_from
from crossfade.vision.normalise import Normalisation
from crossfade.vision.preprocess import Preprocess

BATCH = 64
HUB_FILES = ("config.json", "model.safetensors")  # what `crossfade export --to hub` writes

State = Mapping[str, Any]


@dataclass(frozen=True)
class Prediction:
    """What a run says of one picture.

    Attributes:
        path: as it was asked for.
        probabilities: (C,) float64, in the order of the run's classes; None where refused.
        refusal: why it could not be read.
    """

    path: Path
    probabilities: NDArray[np.float64] | None = None
    refusal: RefusedPicture | None = None

    @property
    def refused(self) -> str | None:
        """Why it could not be read, in a sentence."""
        return None if self.refusal is None else str(self.refusal)


@dataclass(frozen=True)
class Predictor:
    """A trained network with all that its training did to pictures before it saw them.

    Attributes:
        model: on its device, in float32 and for evaluation.
        classes: names in index order.
        size: side of the pictures in pixels.
        channels: of the pictures as they are decoded, 1 or 3.
        max_pixels: larger pictures are refused.
        feed: the way from decoded pictures to the network.
        state: what the run stored of all this.
        augment: what its training did to pictures at random; None where that is not known.
        tta: over what probabilities are averaged.
        epoch: "best" or "last" of its training; None where there is but one set of weights.
        temperature: that logits are divided by.
    """

    model: nn.Module
    classes: tuple[str, ...]
    size: int
    channels: int
    max_pixels: int
    feed: DeviceFeed
    state: State
    augment: Augment | None = None
    tta: Tta = NO_TTA
    epoch: str | None = None
    temperature: float = 1.0

    def predict(
        self, paths: Iterable[Path], *, batch: int = BATCH, read: Callable[[Path], bytes] = read_file
    ) -> Iterator[Prediction]:
        """Probabilities for each picture, in the order asked for; one that cannot be read does not stop the others.

        No more than `batch` pictures are held at a time, and paths are taken only as they are needed.
        """
        waiting: list[tuple[Path, Pixels | RefusedPicture]] = []
        for path in paths:
            try:
                waiting.append((path, self.row(decode(read(path), max_pixels=self.max_pixels))))
            except RefusedPicture as refusal:
                waiting.append((path, refusal))
            if len(waiting) == batch:
                yield from self._flush(waiting)
                waiting = []
        yield from self._flush(waiting)

    def row(self, picture: Pixels) -> Pixels:
        """(size, size, channels): a decoded picture (H, W, 1 or 3) as a cache would hold it."""
        return to_row(picture, self.size, self.channels, self.feed.preprocess.fit)

    def probabilities(self, rows: Pixels) -> NDArray[np.float64]:
        """(B, C) of pictures (B, size, size, channels) uint8, see `row`.

        Raises:
            CheckpointError: the weights give no numbers.
        """
        views = [(rows, None)]
        if self.tta.mirror:
            views.append((np.ascontiguousarray(rows[:, :, ::-1]), None))
        views += [(rows, copy) for copy in range(self.tta.copies)]
        found = np.mean([self._probabilities(view, copy) for view, copy in views], axis=0)
        if not np.isfinite(found).all():
            raise CheckpointError(
                "predict: a network must give numbers. Got nan, as of weights that are not finite. "
                "Take another checkpoint, or train again with a lower learning rate."
            )
        return found

    def _probabilities(self, rows: Pixels, copy: int | None) -> NDArray[np.float64]:
        nothing = np.zeros(len(rows), np.int64)
        if copy is None:
            ready = self.feed.prepare(Batch(rows, nothing, nothing, 0, 0))
        else:
            ready = self._augmenting.prepare_alone(Batch(rows, nothing, _content_ids(rows), copy, 0))
        images, _ = self.feed.to_device(ready)
        with torch.inference_mode():
            return (self.model(images).double() / self.temperature).softmax(1).cpu().numpy()

    @cached_property
    def _augmenting(self) -> DeviceFeed:
        assert self.augment is not None
        return replace(self.feed, augment=replace(self.augment, append=False))

    def _flush(self, waiting: list[tuple[Path, Pixels | RefusedPicture]]) -> Iterator[Prediction]:
        pictures = [picture for _, picture in waiting if not isinstance(picture, RefusedPicture)]
        found = iter(self.probabilities(np.stack(pictures)) if pictures else [])
        for path, picture in waiting:
            if isinstance(picture, RefusedPicture):
                yield Prediction(path, refusal=picture)
            else:
                yield Prediction(path, next(found))


def _content_ids(rows: Pixels) -> NDArray[np.int64]:
    """(B,) numbers that depend on the pixels alone, so that a picture's copies are the same whatever its name."""
    digests = (hashlib.sha256(row.tobytes()).digest() for row in rows)
    return np.array([int.from_bytes(digest[:8], "big") >> 1 for digest in digests], np.int64)


def load_run(
    run: str | os.PathLike[str],
    *,
    name: str | None = None,
    device: str = "auto",
    tta: str | None = None,
    exact: bool = False,
    calibrated: bool = False,
) -> Predictor:
    """The network of a run folder, or of a folder that `crossfade export --to hub` wrote, ready to predict.

    Args:
        run: the folder.
        name: "best" (on validation) or "last"; None takes the one its summary judged, "best" if it was never judged.
        device: "cpu", "cuda" or "auto".
        tta: see `Tta.parse`; None averages over nothing.
        exact: take the very checkpoint that was asked for, or none; else the one before it, with a warning, where it
            is damaged.
        calibrated: divide logits by the temperature that `crossfade evaluate` found for these weights. An exported
            folder has its own, if any, which is always used.

    Raises:
        ConfigError: no such folder, a `tta` it cannot do, or no temperature.
        CheckpointError: the weights are damaged, of another version, or do not fit the network.
    """
    folder, where, wanted = Path(run), choose_device(device), Tta.parse(tta)
    if all((folder / file).is_file() for file in HUB_FILES):
        state, tensors, augment = _read_hub(folder, name)
    else:
        name = name or _judged_epoch(folder)
        state, tensors, augment = _read_run(folder, name, exact)
        if calibrated:
            state = {**state, "temperature": _temperature(folder, name, trained(state))}
    if calibrated and "temperature" not in state:
        raise ConfigError(
            f"calibrated: {folder} was exported without a temperature. Export the run again with --calibrated."
        )
    wanted.check(augment)
    try:
        preprocess, classes = Preprocess.restored(state), tuple(state["classes"])
        channels = preprocess.channels(state["channels"])
        model = build(state["model"], num_classes=len(classes), channels=channels, size=state["size"])
        model.load_state_dict(tensors)
        feed = DeviceFeed(Normalisation(state["mean"], state["std"]), preprocess, device=where)
        model = model.to(where, memory_format=torch.channels_last).eval()
        sizes = state["size"], state["channels"], state.get("max_pixels", MAX_PIXELS)
        temperature = float(state.get("temperature", 1.0))
        return Predictor(model, classes, *sizes, feed, state, augment, wanted, name, temperature)
    except (KeyError, RuntimeError, TypeError) as error:
        raise _other_version(folder, error) from error


def _other_version(folder: Path, error: Exception) -> CheckpointError:
    return CheckpointError(
        f"run: {folder} was written by another version of crossfade ({str(error).splitlines()[0]}). "
        "Use that version, or train again."
    )


def _read_run(folder: Path, name: str, exact: bool) -> tuple[State, Mapping[str, torch.Tensor], Augment | None]:
    if not any((folder / "checkpoints").glob(f"{name}*")):
        raise _no_run(folder, name)
    saved = (checkpoint.read if exact else checkpoint.load)(folder / "checkpoints" / name)
    try:
        augment = resolve(read_toml(folder / "config.toml", "run"), {}).augmentation()
    except ConfigError:  # a checkpoint by itself predicts, too
        augment = None
    return saved.state, saved.tensors.get("ema", saved.tensors["model"]), augment  # what was judged


def trained(state: State) -> list[int]:
    """How far the weights of a checkpoint were trained, in epochs and steps of the next: which they are, in one run."""
    return [int(state.get("epochs_done", 0)), int(state.get("steps_into_next", 0))]


def _temperature(folder: Path, name: str, weights: list[int]) -> float:
    """What `crossfade evaluate` found for these very weights, on pictures they were not trained on."""
    found = json_table(folder / "evaluation" / "evaluation.json")
    calibration = found.get("calibration", {})
    temperature = calibration["temperature"] if calibration.get("of_validation") else None
    if (found.get("epoch"), found.get("trained")) != (name, weights) or temperature is None:
        raise ConfigError(
            "calibrated: needs the temperature that crossfade evaluate finds, on validation pictures. Got none for "
            f"these weights. Run crossfade evaluate {folder} --checkpoint {name} first."
        )
    return float(temperature)


def _read_hub(folder: Path, name: str | None) -> tuple[State, Mapping[str, torch.Tensor], Augment | None]:
    if name is not None:
        raise ConfigError(
            f"run: {folder} is an exported folder, which has one set of weights. Got --checkpoint {name}. "
            "Leave --checkpoint out."
        )
    weights = folder / "model.safetensors"
    try:
        state = read_json(folder / "config.json")["crossfade"]
        if file_digest(weights) != state["sha256"]:
            raise CheckpointError(
                f"run: {weights} is not the file that was exported (its SHA-256 differs). Export the run again."
            )
        return state, read_weights(weights), augment_from(state["augment"]) if state.get("augment") else None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _other_version(folder, error) from error


def _no_run(folder: Path, name: str) -> ConfigError:
    runs = sorted(folder.glob("*/seed-*"))
    if runs:
        named = ", ".join(map(str, runs[:3])) + (f" and {len(runs) - 3} more" if len(runs) > 3 else "")
        return ConfigError(f"run: {folder} is a comparison. Name one of its runs: {named}.")
    if not folder.is_dir():
        what = "a file" if folder.exists() else "not there"
        return ConfigError(f"run: RUN must be the folder of one training. Got {folder}, which is {what}.")
    if any((folder / "checkpoints").glob("*/state.json")):
        return ConfigError(f"run: {folder} has no checkpoint called {name}. Leave --checkpoint out.")
    return ConfigError(
        f"run: {folder} is no run with weights, which has a folder checkpoints. Pass the folder of one training."
    )


def _judged_epoch(folder: Path) -> str:
    try:
        return str(read_json(folder / "summary.json")["judged"]["epoch"])
    except (OSError, ValueError, KeyError, TypeError):
        return "best"
