"""What holds a training back: the rate of each station on a picture's way, and the slowest of them in words.

    disk -> decode -> rows of the cache -> augment and mix -> model

In the first epoch a picture passes all of them, from the second on only the last three.
"""

from __future__ import annotations

import os
import time
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path
from typing import Any

import torch

from crossfade.data import stations
from crossfade.data.loader import Loader
from crossfade.data.onthefly import Decoded
from crossfade.data.rows import OnDisk
from crossfade.data.stations import Rate, repeat
from crossfade.training.config import RunConfig
from crossfade.training.dataset import Pictures, open_pictures
from crossfade.training.feed import Ready
from crossfade.training.loop import Training
from crossfade.training.run import Bench, build_model

BATCHES = 4  # of a round
PATIENCE = 2.0  # seconds, from which on opening a folder is worth a word


@dataclass(frozen=True)
class Diagnosis:
    """What `examine` found.

    Attributes:
        rates: of every station, in the order a picture passes them; the last is all of a training together.
        opening: seconds it takes to open the pictures once more.
        training: the slowest station from the second epoch on.
        first: the slowest station until the first epoch is over.
        words: what that means and what would help, a sentence each.
    """

    rates: tuple[Rate, ...]
    opening: float
    training: str
    first: str
    words: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "stations": {rate.station: rate.as_dict() for rate in self.rates},
            "opening_seconds": self.opening,
            "bottleneck": {"training": self.training, "first_epoch": self.first},
            "words": list(self.words),
        }


def examine(bench: Bench, config: RunConfig, root: Path, *, seconds: float = 1.0) -> Diagnosis:
    """Measure each station for about `seconds`. Nothing of it is kept, and no run folder is written."""
    pictures = bench.pictures
    began = time.perf_counter()
    open_pictures(root, config)
    opening = time.perf_counter() - began
    alone = stations.decode_alone(pictures.index, pictures.cache, seconds)
    rates = (
        stations.disk(pictures.index, seconds),
        alone,
        stations.decode_together(pictures.index, pictures.cache, alone, seconds),
        stations.rows(pictures.cache.pixels, pictures.split.train, config.batch_size, seconds),
        *_of_training(bench, config, seconds),
    )
    return diagnose(rates, opening, config, pictures)


def _of_training(bench: Bench, config: RunConfig, seconds: float) -> list[Rate]:
    model, nowhere = build_model(bench, config), Path(os.devnull)
    training = Training(config, bench.pictures, model, bench.normalisation, nowhere, bench.device, bench.precision)
    batches = _endless(training.loader)

    def prepare() -> int:
        return sum(len(ready.labels) for ready in islice(batches, BATCHES))

    kept = list(islice(batches, BATCHES))

    def learn(ready_ones: Iterable[Ready]) -> int:
        done = 0
        for ready in ready_ones:
            training.learn(ready)
            done += len(ready.labels)
        if bench.device.type == "cuda":
            torch.cuda.synchronize()  # a round ends when the device has done its part
        return done

    threads = f"{config.threads} loader thread" + ("s" if config.threads != 1 else "")
    rates = [
        repeat("augment", prepare, seconds, f"rows, augmentation, mixing, normalisation; {threads}"),
        repeat("model", lambda: learn(kept), seconds, f"forward, backward, step; {config.model}, {bench.device}"),
        repeat("together", lambda: learn(islice(batches, BATCHES)), seconds, "as a training goes"),
    ]
    batches.close()
    return rates


def _endless(loader: Loader[Ready]) -> Generator[Ready, None, None]:
    for epoch in count():
        yield from loader.epoch(epoch)


def diagnose(rates: tuple[Rate, ...], opening: float, config: RunConfig, pictures: Pictures) -> Diagnosis:
    """Name the slowest stations, and say what would help."""
    speed = {rate.station: rate.median for rate in rates}
    training = _slowest_of_training(speed, pictures)
    first = min(("disk", "decode", "augment", "model"), key=speed.__getitem__)
    words = [_about_training(training, speed, config, pictures), _about_first_epoch(first, speed, opening, pictures)]
    if opening > PATIENCE and config.trust == "content":
        words.append("Opening reads and hashes every file; --trust mtime looks at their sizes and times only.")
    if pictures.cache.mended:
        words.append(
            f"{pictures.cache.mended:,} pictures in the cache were damaged and are decoded anew. Check the disk."
        )
    return Diagnosis(rates, opening, training, first, tuple(words))


def _slowest_of_training(speed: dict[str, float], pictures: Pictures) -> str:
    if speed["model"] <= speed["augment"]:
        return "model"
    if speed["rows"] >= 2 * speed["augment"]:  # taking rows is less than half of what preparing a batch takes
        return "augment"
    pixels = pictures.cache.pixels
    return "decode" if isinstance(pixels, Decoded) else "disk" if isinstance(pixels, OnDisk) else "augment"


def _about_training(station: str, speed: dict[str, float], config: RunConfig, pictures: Pictures) -> str:
    model, augment, together = (f"{speed[name]:,.0f}" for name in ("model", "augment", "together"))
    if station == "model":
        share = min(1.0, speed["together"] / speed["model"])
        return (
            f"Training is bound by the model: it alone takes {share:.0%} of a step ({model} pictures/s; with all else "
            f"{together}). A faster disk or more loader threads change little; a smaller --size or --model, "
            "--precision bfloat16 or a GPU would help."
        )
    gigabytes = pictures.cache.pixels.nbytes / 1e9
    cause, remedy = {
        "augment": ("augmentation and mixing", f"--threads {config.threads + 1} or fewer augmentations would help."),
        "decode": ("decoding on the fly", f"Room for a cache of {gigabytes:.1f} GB (--cache-gb) would help."),
        "disk": ("the disk, since the cache is larger than half of the memory", "A smaller --size would help."),
    }[station]
    return (
        f"Training is bound by {cause}: {augment} pictures/s come out of the loader, and the model alone could take "
        f"{model}. {remedy}"
    )


def _about_first_epoch(station: str, speed: dict[str, float], opening: float, pictures: Pictures) -> str:
    reading = len(pictures.index) / min(speed["disk"], speed["decode"])
    epoch = len(pictures.split.train) / speed["together"]
    return (
        f"Before the first epoch is over, {station} is the slowest: reading and decoding takes about {reading:.1f} s, "
        f"once, and an epoch {epoch:.1f} s. Opening the same pictures again takes {opening:.1f} s."
    )
