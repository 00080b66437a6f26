"""One run: from a configuration and the pictures to a run folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from crossfade.models.registry import build, seeded
from crossfade.models.timm import published_statistics
from crossfade.rng import Stream, derive_rng
from crossfade.training import record
from crossfade.training.callbacks import Callback
from crossfade.training.config import RunConfig
from crossfade.training.dataset import Pictures, count_values
from crossfade.training.hardware import choose_device, choose_precision
from crossfade.training.loop import Training
from crossfade.training.record import alone_in, finished, has_begun
from crossfade.training.resume import check_same, last_whole
from crossfade.vision.normalise import Normalisation


@dataclass(frozen=True)
class Bench:
    """What all trainings on one folder share: the pictures, their normalisation, the device."""

    pictures: Pictures
    normalisation: Normalisation
    device: torch.device
    precision: torch.dtype

    def without_test(self) -> Bench:
        """The same with no test part in it, for trainings that something is chosen by: judged is validation."""
        split = replace(self.pictures.split, test=np.zeros(0, np.int64))
        return replace(self, pictures=replace(self.pictures, split=split))

    @property
    def environment(self) -> dict[str, Any]:
        """For `environment.json`."""
        return record.environment(str(self.device), str(self.precision).removeprefix("torch."))


def open_bench(pictures: Pictures, config: RunConfig) -> Bench:
    """Choose device and precision, and take the statistics of the training pictures."""
    device = choose_device(config.device)
    return Bench(pictures, choose_normalisation(pictures, config), device, choose_precision(config.precision, device))


def choose_normalisation(pictures: Pictures, config: RunConfig) -> Normalisation:
    """As `[preprocess]` says, from training pictures alone; the published one of a pretrained network, if it fits."""
    preprocess, cache = config.preprocess, pictures.cache
    if config.pretrained and (preprocess.normalise, preprocess.normalise_by) == ("standard", "training"):
        published = published_statistics(config.model)
        if published is not None and len(published[0]) == preprocess.channels(cache.channels):
            return Normalisation(*published)
    return preprocess.normalisation(count_values(cache.pixels, pictures.split.train, preprocess))


def build_model(bench: Bench, config: RunConfig) -> nn.Module:
    """A network whose first weights are a function of the configuration's seed alone."""
    with seeded(int(derive_rng(config.seed, Stream.WEIGHTS, 0).integers(2**62))):
        return build(
            config.model,
            num_classes=len(bench.pictures.classes),
            channels=config.preprocess.channels(bench.pictures.cache.channels),
            size=bench.pictures.cache.size,
            pretrained=config.pretrained,
            weights=None if config.weights is None else Path(config.weights),
        )


def train_one(
    bench: Bench, config: RunConfig, folder: Path, *, callbacks: Sequence[Callback] = (), resume: bool = False
) -> dict[str, Any]:
    """One training into a folder made by `record.make_folder`; returns its summary.

    Args:
        resume: go on from what is there: nothing, a training that was stopped, or one that is finished, whose summary
            is given back. Else the folder must be empty but for what the caller wrote.

    Raises:
        TrainingError: as `Training.run`; or another process trains into the folder.
        ConfigError: what is there was trained with other options.
        DataError: or on other pictures.
    """
    with alone_in(folder):
        if not resume or not has_begun(folder):
            record.write_head(folder, bench.pictures, config.as_dict(), bench.environment)
        else:
            check_same(folder, config, bench.pictures)
            if (summary := finished(folder)) is not None:
                return summary
        saved = last_whole(folder, config) if resume else None
        model = build_model(bench, config if saved is None else replace(config, pretrained=False, weights=None))
        training = Training(
            config, bench.pictures, model, bench.normalisation, folder, bench.device, bench.precision, callbacks
        )
        if saved is not None:
            training.restore(saved)
        return training.run()
