"""The training loop.

    for every epoch:  for every batch:  draw, render, forward, mixed loss, backward, step
                      evaluate on unmixed pictures, record, save

All that is random in an epoch is a function of (seed, epoch), so the state of a training is its weights, its
optimiser, its running average, its `Progress` and, in the middle of an epoch, torch's generators. All of it is in the
checkpoint `last`; a training that goes on from there ends with the bits of one that was never stopped.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from crossfade.arrays.dispatch import mixed_accuracy, mixed_loss
from crossfade.data.loader import Loader
from crossfade.data.split import Part
from crossfade.errors import TrainingError
from crossfade.mixing.policy import Policy
from crossfade.rng import Stream, derive_rng
from crossfade.training import checkpoint, record
from crossfade.training.balance import build_loss
from crossfade.training.callbacks import Callback, Step
from crossfade.training.config import RunConfig
from crossfade.training.dataset import Pictures
from crossfade.training.device_feed import DeviceFeed
from crossfade.training.feed import Ready
from crossfade.training.guard import Guard, check_finite, check_logits
from crossfade.training.inference import at_most, forward, logits_of, plain_loader
from crossfade.training.keeper import Keeper, chosen_metric
from crossfade.training.metrics import scores
from crossfade.training.optimise import Ema, build_optimizer, build_schedule
from crossfade.training.progress import Progress
from crossfade.training.running import confusion_matrix
from crossfade.training.schedule import Schedule
from crossfade.training.signals import Stop, listen
from crossfade.vision.normalise import Normalisation

PREPARE_PICTURES = 5000  # of 32 pixels a side or less; fewer of larger ones
SAVE_SECONDS = 600  # in a long epoch, so much work is lost at most

log = logging.getLogger(__name__)


@dataclass
class Training:
    """One training, from first weights to summary. Build it, `restore` it where it was stopped, then `run` it once.

    Args:
        config: how.
        pictures: on what.
        model: with its first weights; trained in place.
        normalisation: of the pictures.
        folder: its run folder.
        device: to train on.
        precision: torch.float32, or torch.bfloat16 for autocast.
        callbacks: told of every step and epoch.
        schedule: of the learning rate, in place of the configured one.
    """

    config: RunConfig
    pictures: Pictures
    model: nn.Module
    normalisation: Normalisation
    folder: Path
    device: torch.device
    precision: torch.dtype = torch.float32
    callbacks: Sequence[Callback] = ()
    schedule: Schedule | None = None
    progress: Progress = field(default_factory=Progress, init=False)
    _stop: Stop = field(default_factory=Stop, init=False)
    _saved: tuple[int, int] | None = field(default=None, init=False)
    _saved_at: float = field(default_factory=time.monotonic, init=False)
    _start: float = field(default_factory=time.perf_counter, init=False)
    _generators: dict[str, Tensor] = field(default_factory=dict, init=False)
    _validated: dict[int, tuple[dict[str, float], Tensor]] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        config, split = self.config, self.pictures.split
        self.model.to(self.device, memory_format=torch.channels_last)
        self.policy: Policy = config.policy()
        augment = config.augmentation()
        feed = partial(DeviceFeed, self.normalisation, config.preprocess, device=self.device)
        self._train_feed = feed(policy=self.policy, augment=augment, seed=config.seed, epochs=config.epochs)
        self._plain_feed = feed()
        self._loader: Loader[Ready] = Loader(
            self.pictures.cache.pixels,
            self.pictures.index.labels,
            split.train,
            batch_size=config.batch_size,
            seed=config.seed,
            balanced=config.balance == "sampling",
            drop_last=config.drops_last(len(split.train)),
            gather=self._train_feed.gather,
            copies=2 if augment.append else 1,
            prepare=self._train_feed.prepare,
            threads=config.threads,
        )
        self._optimizer = build_optimizer(self.model, config)
        self._schedule = self.schedule or build_schedule(config, len(self._loader))
        self._keeper = Keeper(config, chosen_metric(config, self.pictures))
        self._ema = Ema(self.model, config.ema) if config.ema else None
        self._loss = build_loss(config, self.pictures, self.device)
        self._guard = Guard(self.model, self.pictures.index.paths, self._images_again, self.device)

    @property
    def judged_model(self) -> nn.Module:
        """The weights that are evaluated: the running average where there is one."""
        return self.model if self._ema is None else self._ema.model

    @property
    def loader(self) -> Loader[Ready]:
        """Of the training pictures."""
        return self._loader

    def learn(self, ready: Ready) -> None:
        """One step on one batch, outside of any epoch: to measure how long it takes."""
        self.model.train()
        images, labels = self._train_feed.to_device(ready)
        self._step(0, images, labels, ready)

    def descend(self, steps: int, go_on: Callable[[float], bool] = math.isfinite) -> list[float]:
        """The losses of the first `steps` steps of a training, of which nothing is written.

        Args:
            steps: at most; an epoch follows the other.
            go_on: told each loss; False ends it there.
        """
        losses: list[float] = []
        with torch.random.fork_rng(devices=self._accelerators):
            self._prepare_model()
            for epoch in range(-(-steps // len(self._loader))):
                self._reseed(epoch)
                self.model.train()
                for ready in self._loader.epoch(epoch):
                    images, labels = self._train_feed.to_device(ready)
                    try:
                        losses.append(float(self._step(len(losses), images, labels, ready)[1]))
                    except TrainingError:  # of the guard: something is not finite
                        losses.append(math.nan)
                    if not go_on(losses[-1]) or len(losses) == steps or not math.isfinite(losses[-1]):
                        return losses
        return losses

    @property
    def _accelerators(self) -> list[torch.device]:
        return [self.device] if self.device.type == "cuda" else []

    def restore(self, saved: checkpoint.Checkpoint) -> None:
        """Go on from a checkpoint `last` of this run.

        Raises:
            CheckpointError: it is of another training.
        """
        self.progress = Progress.restored(saved.state)
        self._saved = self.progress.place
        self._keeper.restore(saved.state["keeper"])
        self.model.load_state_dict(saved.tensors["model"])
        checkpoint.restore_optimizer(self._optimizer, saved.tensors["optimizer"], saved.state["optimizer"])
        if self._ema is not None:
            self._ema.restore(saved.tensors["ema"], saved.state["ema_updates"])
        self._generators = saved.tensors["generators"]

    def run(self) -> dict[str, Any]:
        """Train, and write everything but the head of the run folder.

        Returns:
            The summary that is also in `summary.json`, which is written last: where it stands, the run is finished.

        Raises:
            TrainingError: a number is no longer finite; the message names it and the batch.
            Interruption: Ctrl-C or SIGTERM came; `checkpoints/last` was saved.
        """
        summary = None
        for callback in self.callbacks:
            callback.on_start(self.config, self.folder)
        try:
            summary = self._run()
        except BaseException as error:
            for callback in self.callbacks:
                callback.on_error(error)
            raise
        finally:
            for callback in self.callbacks:
                callback.on_end(summary)
        return summary

    def _run(self) -> dict[str, Any]:
        progress = self.progress
        self._start = time.perf_counter() - progress.seconds
        with listen() as self._stop, torch.random.fork_rng(devices=self._accelerators):
            if self._saved is None:
                progress.initial_weights = checkpoint.tensors_digest(self.model.state_dict())
                self._prepare_model()
            record.write_lines(self.folder / "metrics.jsonl", progress.history)
            while progress.epochs_done < self.config.epochs and not self._keeper.stops:
                self._reseed(progress.epochs_done)
                line = self._epoch(progress.epochs_done)
                record.append_line(self.folder / "metrics.jsonl", line)
                self._end_epoch(line)
                for callback in self.callbacks:
                    callback.on_epoch(line)
                self._leave_if_asked()
            summary = self._finish()
            summary["seconds"] = time.perf_counter() - self._start
            record.write_json(self.folder / "summary.json", summary)
            self._leave_if_asked()
        return summary

    def _leave_if_asked(self) -> None:
        """Between two batches: save, unless this very place is saved, and leave if a signal has come."""
        if self._stop.signal is not None:
            if self._saved != self.progress.place:
                self._save_last()
            self._stop.leave(self.folder)

    def _prepare_model(self) -> None:
        """Show training pictures, evenly spread, to a model that wants to see some before it learns: models.whiten."""
        prepare = getattr(self.model, "prepare", None)
        if prepare is None:
            return
        train, most = self.pictures.split.train, at_most(PREPARE_PICTURES, 32, self.pictures.cache.pixels)
        loader = self._evaluation_loader(train[:: -(-len(train) // most)])
        images = torch.cat([self._plain_feed.to_device(ready)[0] for ready in loader.epoch(0)])
        prepare(images)

    def _reseed(self, epoch: int) -> None:
        """What a layer draws in this epoch (dropout, say) depends on (seed, epoch) alone."""
        seed = int(derive_rng(self.config.seed, Stream.WEIGHTS, epoch + 1).integers(2**62))
        torch.default_generator.manual_seed(seed)
        if self.device.type == "cuda":
            torch.cuda.manual_seed(seed)
        if self.progress.steps_into_next and self._generators:
            self._set_generators(self._generators)

    def _epoch(self, epoch: int) -> dict[str, Any]:
        progress, steps = self.progress, len(self._loader)
        self.model.train()
        start = time.perf_counter() - progress.epoch_seconds
        for ready in self._loader.epoch(epoch, start=progress.steps_into_next):
            images, labels = self._train_feed.to_device(ready)
            if epoch == 0 and ready.step == 0:
                record.write_seen(self.folder, self._train_feed.undo(images), ready.labels, ready.plan)
            logits, loss = self._step(epoch * steps + ready.step, images, labels, ready)
            progress.loss.add(loss, len(ready.labels))
            progress.accuracy.add(mixed_accuracy(logits, labels, ready.plan), len(ready.labels))
            progress.lambdas.add(ready.plan.lam)
            progress.steps_into_next = ready.step + 1
            progress.epoch_seconds = time.perf_counter() - start
            done = Step(epoch * steps + ready.step + 1, self.config.epochs * steps, self._lr, loss)
            for callback in self.callbacks:
                callback.on_step(done)
            self._leave_if_asked()
            if time.monotonic() - self._saved_at > SAVE_SECONDS:
                self._save_last()
        self._guard.check()
        seconds = progress.epoch_seconds
        train = {"loss": progress.loss.value, "accuracy_by_label_weight": progress.accuracy.value}
        return {
            "epoch": epoch + 1,
            "train": train,
            "val": self._validate(epoch + 1),
            "lr": self._lr,
            "seconds": seconds,
            "images_per_second": len(self.pictures.split.train) / seconds,
        }

    def _images_again(self, ready: Ready) -> Tensor:
        return self._train_feed.to_device(next(self._loader.epoch(ready.epoch, start=ready.step)))[0]

    def _step(self, step: int, images: Tensor, labels: Tensor, ready: Ready) -> tuple[Tensor, Tensor]:
        for group in self._optimizer.param_groups:
            group["lr"] = group["base_lr"] * self._schedule(step) * self._keeper.factor
        logits = forward(self.model, images, self.precision)
        loss = mixed_loss(self._loss, logits, labels, ready.plan)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = self._guard.look(loss.detach(), ready)
        if self.config.clip_norm is not None:
            nn.utils.clip_grads_with_norm_(self.model.parameters(), self.config.clip_norm, norm)
        self._optimizer.step()
        if self._ema is not None:
            self._ema.update(self.model)
        return logits.detach(), loss.detach()

    @property
    def _lr(self) -> float:
        return float(self._optimizer.param_groups[0]["lr"])

    def _validate(self, epoch: int) -> dict[str, float]:
        """The scores on validation after `epoch` (from 1 on), kept with the confusion for the end."""
        self._validated[epoch] = self.evaluate("val")
        return self._validated[epoch][0]

    def evaluate(self, part: Part) -> tuple[dict[str, float], Tensor]:
        """The loss and all `scores` on the pictures of a part, as they are: not mixed, not augmented.

        Returns:
            the scores; and (C, C) int64, how often each class (row) was taken for which (column).
        """
        loader = self._evaluation_loader(self.pictures.split.part(part))
        logits, labels = logits_of(self.judged_model, loader, self._plain_feed, self.precision, self._leave_if_asked)
        check_logits(logits, self.judged_model)
        confusion = confusion_matrix(labels, logits.argmax(1), len(self.pictures.classes))
        loss = float(F.cross_entropy(logits.double(), labels))
        probabilities = logits.double().softmax(1)
        return {"loss": loss, **scores(probabilities.cpu().numpy(), labels.cpu().numpy())}, confusion

    def _evaluation_loader(self, numbers: NDArray[np.int64]) -> Loader[Ready]:
        pixels, labels = self.pictures.cache.pixels, self.pictures.index.labels
        return plain_loader(pixels, labels, numbers, self._plain_feed, threads=self.config.threads)

    def _end_epoch(self, line: dict[str, Any]) -> None:
        self.progress.end_epoch(line)
        if self._keeper.see(self.progress.epochs_done, line["val"]):
            self._save_as("best", {"model": self.judged_model.state_dict()})
        needed = (self._keeper.best_epoch, self.progress.epochs_done)
        self._validated = {epoch: found for epoch, found in self._validated.items() if epoch in needed}
        self._save_last()

    def _save_last(self) -> None:
        self._guard.check()
        self.progress.seconds = time.perf_counter() - self._start
        optimizer, entries = checkpoint.flatten_optimizer(self._optimizer)
        tensors = {"model": self.model.state_dict(), "optimizer": optimizer, "generators": self._get_generators()}
        if self._ema is not None:
            tensors["ema"] = self._ema.model.state_dict()
        updates = 0 if self._ema is None else self._ema.updates
        self._save_as("last", tensors, optimizer=entries, ema_updates=updates)
        self._saved, self._saved_at = self.progress.place, time.monotonic()

    def _save_as(self, name: str, tensors: Mapping[str, Any], **more: Any) -> None:
        """Weights, and all that is needed to use them: `crossfade.training.predict` builds on nothing else."""
        for group, members in tensors.items():
            check_finite(members, "optimiser's" if group == "optimizer" else "weight")
        state = {
            "config": self.config.as_dict(),
            "model": self.config.model,
            "classes": list(self.pictures.classes),
            "size": self.pictures.cache.size,
            "channels": self.pictures.cache.channels,
            "max_pixels": self.config.max_pixels,
            "preprocess": asdict(self.config.preprocess),
            "mean": self.normalisation.mean,
            "std": self.normalisation.std,
            **self.progress.state(),
            "keeper": self._keeper.state(),
            **more,
        }
        place = self.folder / "checkpoints"
        if self._saved is not None and not place.exists():
            log.warning("%s is gone, with all that was saved in it; it is made anew.", place)
        checkpoint.save(place / name, tensors, state)

    def _get_generators(self) -> dict[str, Tensor]:
        states = {"cpu": torch.get_rng_state()}
        return {**states, "cuda": torch.cuda.get_rng_state(self.device)} if self.device.type == "cuda" else states

    def _set_generators(self, states: Mapping[str, Tensor]) -> None:
        torch.set_rng_state(states["cpu"])
        if self.device.type == "cuda" and "cuda" in states:
            torch.cuda.set_rng_state(states["cuda"], self.device)

    def _finish(self) -> dict[str, Any]:
        """The summary; the test part is touched here, once."""
        part = self.pictures.judged
        choose = self.config.choose or ("best" if part == "test" else "last")
        if choose == "best":
            best = checkpoint.read(self.folder / "checkpoints" / "best")
            self.judged_model.load_state_dict(best.tensors["model"])
        epoch = self._keeper.best_epoch if choose == "best" else self.progress.epochs_done
        known = self._validated.get(epoch) if part == "val" else None
        found, confusion = known or self.evaluate(part)
        record.write_json(self.folder / "confusion.json", {"part": part, "matrix": confusion.tolist()})
        record.write_json(self.folder / "lambda.json", self.progress.lambdas.as_dict())
        return {
            **self._keeper.summary(),
            **({"test": found} if part == "test" else {}),
            "judged": {"part": part, "epoch": choose, "metric": self._keeper.metric.name, **found},
            "parameters": sum(parameter.numel() for parameter in self.model.parameters()),
            "initial_weights": self.progress.initial_weights,
        }
