"""The pictures that an exported network is held against its run on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from crossfade.data.decode import decode
from crossfade.data.files import read_file
from crossfade.data.refusal import RefusedPicture
from crossfade.data.rows import Pixels
from crossfade.data.table import read_table
from crossfade.errors import DataError, TrainingError
from crossfade.rng import Stream, derive_rng
from crossfade.training.export import BOUND
from crossfade.training.predict import Predictor
from crossfade.training.record import own_root, places

MOST = 32
_NOISE_SIDES = ((48, 64), (65, 37), (200, 150), (31, 31))

Judge = Callable[[Pixels], NDArray[np.floating]]


@dataclass(frozen=True)
class Samples:
    """Decoded pictures (H, W, 1 or 3), where they are from in words, and how many were refused."""

    pictures: Sequence[Pixels]
    origin: str
    refused: int = 0
    real: bool = True


@dataclass(frozen=True)
class Check:
    """What the comparison of an export with its run found.

    Attributes:
        difference: the largest of any probability.
        agree: pictures whose most probable class is the same.
        samples: on what.
    """

    difference: float
    agree: int
    samples: Samples

    def __str__(self) -> str:
        samples = self.samples
        n = len(samples.pictures)
        refused = f" ({samples.refused} more could not be read)" if samples.refused else ""
        noise = "" if samples.real else " No real pictures were at hand: pass some with --pictures."
        return (
            f"checked on {n} {samples.origin}{refused}: probabilities differ by {self.difference:.1e} at most, "
            f"{self.agree} of {n} most probable classes agree.{noise}"
        )


def choose(predictor: Predictor, run: Path, given: Iterable[Path] | None) -> Samples:
    """The first pictures of those given, else of the run's validation pictures, else noise.

    Raises:
        DataError: pictures were given, and none can be read.
    """
    if given is not None:
        samples = _read(predictor, given, "pictures given")
        if not samples.pictures:
            raise DataError(
                f"export: --pictures must name some that can be read. Got {samples.refused} that cannot. Pass others."
            )
        return samples
    samples = _read(predictor, _validation(run), "of the run's validation pictures")
    return samples if samples.pictures else _noise(predictor)


def compare(predictor: Predictor, judge: Judge, samples: Samples) -> Check:
    """Ask the run and its export about each picture.

    Args:
        predictor: the run, in float32 on the CPU.
        judge: the export: (H, W, 1 or 3) uint8 -> (C,) probabilities.
        samples: what about.

    Raises:
        TrainingError: they differ by more than `BOUND`.
    """
    differences, agree = [], 0
    for picture in samples.pictures:
        ours, theirs = predictor.probabilities(predictor.row(picture)[None])[0], judge(picture)
        differences.append(np.abs(ours - theirs).max())
        agree += int(ours.argmax() == theirs.argmax())
    largest = float(np.max(differences))
    if not largest <= BOUND:  # nan is not
        raise TrainingError(
            f"export: every probability must be the run's to within {BOUND:g}. Got a difference of {largest:.1e} on "
            f"{len(samples.pictures)} {samples.origin}. Nothing was written; please report the model and the versions."
        )
    return Check(largest, agree, samples)


def _read(predictor: Predictor, paths: Iterable[Path], origin: str) -> Samples:
    pictures, refused = [], 0
    for path in paths:
        try:
            picture = decode(read_file(path), max_pixels=predictor.max_pixels)
            predictor.row(picture)
        except RefusedPicture:
            refused += 1
            continue
        pictures.append(picture)
        if len(pictures) == MOST:
            break
    return Samples(pictures, origin, refused)


def _validation(run: Path) -> Iterator[Path]:
    """Evenly spread over the validation pictures of a run, as long as their folder is where it was."""
    root = own_root(run)
    if root is None or not root.is_dir():
        return
    for place in places(run):
        try:
            names = [row["path"] for row in read_table(place / "split.csv", ("path", "part")) if row["part"] == "val"]
        except (OSError, KeyError, ValueError):
            continue
        chosen = np.linspace(0, len(names), min(MOST, len(names)), endpoint=False).astype(int)
        yield from (root / names[number] for number in chosen)
        return


def _noise(predictor: Predictor) -> Samples:
    """Pictures of many sides, smooth and rough; one has exactly the network's side, and none is smaller under drop."""
    rng = derive_rng(0, Stream.WEIGHTS, 0)
    sides = [(predictor.size,) * 2, *((max(h, predictor.size), max(w, predictor.size)) for h, w in _NOISE_SIDES)]
    pictures = [
        (255 * rng.random((height, width, predictor.channels)) ** power).astype(np.uint8)
        for height, width in sides
        for power in (1, 4)
    ]
    return Samples(pictures, "pictures of noise", real=False)
