"""What a trained run is worth: all metrics with intervals, calibration, the hardest pictures, robustness.

    RUN/evaluation/   evaluation.json   everything that was found
                      predictions.csv   path, truth, predicted, loss, and the probability of each class
                      hardest.npz       images (n, H, W, C) uint8: those of the highest loss, as the model sees them

It is made from the run and the pictures alone, so writing it again loses nothing.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from crossfade.data.split import named_groups
from crossfade.data.table import write_table
from crossfade.disk import take_place
from crossfade.errors import ConfigError, CrossfadeError
from crossfade.experiments.evaluation.bootstrap import with_intervals
from crossfade.experiments.evaluation.calibration import calibrate, log_softmax
from crossfade.experiments.evaluation.robustness import evenly, robustness
from crossfade.experiments.evaluation.selection import Choice, Selection, near_copies, select
from crossfade.experiments.evaluation.subject import Pool, Progress, Subject
from crossfade.rng import Stream, derive_rng
from crossfade.training import record
from crossfade.training.keeper import chosen_on_validation
from crossfade.training.metrics import Scorer
from crossfade.training.predict import trained

FOLDER = "evaluation"
Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Options:
    """What is asked for.

    Args:
        part: which pictures; None chooses, see `selection.select`.
        with_trained: judge by pictures that the run was trained on, too.
        weights: "best" or "last"; None for those that the run's summary judged.
        hardest: how many pictures of the highest loss to keep.
        robustness: how many pictures to spoil and attack; None for no such thing.
        seed: of resamples, noise and starts of attacks.
    """

    part: Choice | None = None
    with_trained: bool = False
    weights: Literal["best", "last"] | None = None
    hardest: int = 16
    robustness: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (("hardest", 0), ("robustness", 1), ("seed", 0)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise ConfigError(f"evaluate: {name} must be {least} or more. Got {value}.")


@dataclass(frozen=True)
class Evaluation:
    """What was found: `summary` is `evaluation.json`; the rest goes into the files beside it.

    Attributes:
        paths: (n) of the pictures judged.
        truth: (n,) their classes.
        log_probabilities: (n, C).
        hardest: (k, H, W, C) uint8, as the model sees them.
    """

    summary: dict[str, Any]
    paths: Sequence[str] = field(repr=False)
    truth: Numbers = field(repr=False)
    log_probabilities: NDArray[np.float64] = field(repr=False)
    hardest: NDArray[np.uint8] = field(repr=False)


# -------------------------------------------------------------------------------------------------------- evaluating


def evaluate(
    subject: Subject,
    pool: Pool,
    options: Options,
    *,
    own_pool: Callable[[], Pool],
    argv: Sequence[str] = (),
    progress: Progress,
) -> Evaluation:
    """Judge a run by the pictures of a folder.

    Args:
        pool: the folder.
        own_pool: opens the folder that the run was trained from, should `pool` be another.
        argv: the command, for the record.
        progress: called as ``progress(what, done, total)``.

    Raises:
        DataError: no picture is left to judge by; see `select`.
    """
    start = time.perf_counter()
    chosen = select(
        pool.index,
        subject.predictor.classes,
        subject.member,
        own=pool.own,
        part=options.part,
        with_trained=options.with_trained,
    )
    logits = subject.logits("evaluating", pool.cache.pixels, chosen.labels, chosen.numbers, progress)
    truth = chosen.labels[chosen.numbers]
    log_p = log_softmax(logits)
    scorer = Scorer(np.exp(log_p), truth)
    own, notes = _own(pool, own_pool)
    calibration, more = _calibration(subject, pool, own, chosen, logits, options.seed, progress)
    groups, of_groups = _groups(subject, pool, chosen)
    notes += [*more, *of_groups, *_origin_notes(subject, pool, own, chosen, options)]
    predicted_at = time.perf_counter()
    metrics = with_intervals(scorer, len(truth), rng=derive_rng(options.seed, Stream.BOOTSTRAP, 0), groups=groups)
    scored_at = time.perf_counter()
    rows = hardest_rows(log_p, truth, options.hardest)
    summary = {
        "run": str(subject.folder),
        "epoch": subject.predictor.epoch,
        "trained": trained(subject.predictor.state),
        "data": {
            "root": str(pool.index.root),
            "part": chosen.part,
            "pictures": len(truth),
            "left_out": chosen.left_out,
            "notes": [*chosen.notes, *notes],
        },
        "classes": list(subject.predictor.classes),
        "metrics": metrics,
        "per_class": [
            {"class": name, **row} for name, row in zip(subject.predictor.classes, scorer.per_class(), strict=True)
        ],
        "confusion": _confusion(truth, log_p.argmax(1), log_p.shape[1]),
        "calibration": calibration,
        "hardest": _describe(rows, pool.index.paths, chosen, log_p, subject.predictor.classes),
        **_robustness(subject, pool, chosen, options, progress),
        "argv": list(argv),
    }
    summary["seconds"] = {
        "read": pool.seconds,
        "predict": predicted_at - start,
        "intervals": scored_at - predicted_at,
        "robustness": time.perf_counter() - scored_at if options.robustness else 0.0,
    }
    images = subject.seen(pool.cache.pixels, chosen.numbers[rows])
    return Evaluation(summary, [pool.index.paths[number] for number in chosen.numbers.tolist()], truth, log_p, images)


def _own(pool: Pool, own_pool: Callable[[], Pool]) -> tuple[Pool | None, list[str]]:
    """The run's own pictures; None where they are not to be had, and what is to be said of that."""
    try:
        return pool if pool.own else own_pool(), []
    except CrossfadeError as error:
        return None, [
            f"no temperature was fitted, and whether any is near-identical to a training picture was not looked at: "
            f"the run's own pictures are not to be had ({error})"
        ]


def _calibration(
    subject: Subject,
    pool: Pool,
    own: Pool | None,
    chosen: Selection,
    logits: NDArray[Any],
    seed: int,
    progress: Progress,
) -> tuple[dict[str, Any], list[str]]:
    """Temperature scaling, fitted on the run's validation pictures, and what is to be said of that.

    Where some of these are judged themselves, halves of the pictures judged are fitted on each other. "of_validation"
    says whether the temperature is of validation pictures alone, so that others may be scaled by it.
    """
    truth = chosen.labels[chosen.numbers]
    if validated := _validated(subject, pool, chosen):
        note = (
            f"{validated:,} of these pictures are of the val part: the temperature that is judged was fitted on the "
            "other half of these pictures"
        )
        found = calibrate(logits, truth, None, rng=derive_rng(seed, Stream.BOOTSTRAP, 1))
        return {**found, "of_validation": validated == len(truth)}, [note]
    if own is None:
        return calibrate(logits, truth, None), []
    try:
        val = select(own.index, subject.predictor.classes, subject.member, own=True, part="val")
    except CrossfadeError as error:
        return calibrate(logits, truth, None), [f"no temperature was fitted: no val pictures are left ({error})"]
    fitted = subject.logits("calibrating", own.cache.pixels, val.labels, val.numbers, progress)
    return {**calibrate(logits, truth, (fitted, val.labels[val.numbers])), "of_validation": True}, []


def _groups(subject: Subject, pool: Pool, chosen: Selection) -> tuple[Numbers | None, list[str]]:
    """(n,) the groups of the pictures judged, where the run was split by groups, and what is to be said of them."""
    if (pattern := subject.config.group) is None:
        return None, []
    try:
        groups = named_groups(pool.index, pattern)[0][chosen.numbers]
    except ConfigError:
        return None, [f"the run's group {pattern} matches no path here: the intervals take pictures for independent"]
    count = len(np.unique(groups))
    return groups, [f"the intervals take groups ({pattern}) for independent, not pictures; there are {count:,} here"]


def _validated(subject: Subject, pool: Pool, chosen: Selection) -> int:
    """How many of the pictures judged were validated on."""
    digests = [pool.index.digest(number) for number in chosen.numbers.tolist()]
    return int(subject.member.holds("val", digests).sum())


def _origin_notes(subject: Subject, pool: Pool, own: Pool | None, chosen: Selection, options: Options) -> list[str]:
    """What makes these scores better than those of new pictures: what they chose, and what was nearly trained on."""
    notes, config = [], subject.config
    what = chosen_on_validation(subject.predictor.epoch, config.patience, config.schedule)
    if what and (validated := _validated(subject, pool, chosen)):
        notes.append(f"{validated:,} of these pictures chose {what}, which flatters it")
    if own is not None and not options.with_trained:
        digests = [own.index.digest(number) for number in range(len(own.index))]
        trained = np.flatnonzero(subject.member.holds("train", digests))
        if len(near := near_copies(pool.index, chosen.numbers, own.index, trained)):
            notes.append(
                f"{len(near):,} of these pictures are near-identical to ones that the run was trained on, such as "
                f"{pool.index.paths[near[0]]}, which flatters it"
            )
    if config.weights is not None:
        notes.append(f"its first weights were those of {config.weights}: what they were trained on is not known here")
    return notes


def hardest_rows(log_p: NDArray[np.float64], truth: Numbers, most: int) -> Numbers:
    """The rows of the highest loss, the highest first; of equal ones the first."""
    losses = -log_p[np.arange(len(truth)), truth]
    return np.argsort(-losses, kind="stable")[:most]


def _describe(
    rows: Numbers, paths: Sequence[str], chosen: Selection, log_p: NDArray[np.float64], classes: Sequence[str]
) -> list[dict[str, Any]]:
    truth = chosen.labels[chosen.numbers]
    return [
        {
            "path": paths[chosen.numbers[row]],
            "truth": classes[truth[row]],
            "predicted": classes[log_p[row].argmax()],
            "probability": float(np.exp(log_p[row].max())),
            "loss": float(-log_p[row, truth[row]]),
        }
        for row in rows.tolist()
    ]


def _robustness(
    subject: Subject, pool: Pool, chosen: Selection, options: Options, progress: Progress
) -> dict[str, Any]:
    if options.robustness is None:
        return {}
    numbers = evenly(chosen.numbers, chosen.labels[chosen.numbers], options.robustness, options.seed)
    found = robustness(
        subject.predictor.model,
        subject.predictor.feed,
        subject.precision,
        pool.cache.pixels,
        chosen.labels,
        numbers,
        seed=options.seed,
        threads=subject.config.threads,
        progress=lambda done, total: progress("robustness", done, total),
    )
    return {"robustness": found}


def _confusion(truth: Numbers, predicted: Numbers, classes: int) -> list[list[int]]:
    """Rows are the truth, columns the prediction."""
    return np.bincount(truth * classes + predicted, minlength=classes**2).reshape(classes, classes).tolist()


# ------------------------------------------------------------------------------------------------------------ writing


def write(folder: Path, evaluation: Evaluation) -> Path:
    """Write ``folder/evaluation``, whole; an earlier one is replaced.

    Raises:
        ConfigError: it cannot be written.
    """
    summary, log_p = evaluation.summary, evaluation.log_probabilities
    classes, predicted = summary["classes"], log_p.argmax(1)
    losses = 0 - log_p[np.arange(len(log_p)), evaluation.truth]  # -0.0 would be a text that begins with a sign
    rows = (
        [path, classes[truth], classes[named], f"{loss:.6f}", *(f"{p:.6f}" for p in row)]
        for path, truth, named, loss, row in zip(
            evaluation.paths, evaluation.truth, predicted, losses, np.exp(log_p).tolist(), strict=True
        )
    )
    with replacing(folder / FOLDER) as new:
        write_table(new / "predictions.csv", ["path", "truth", "predicted", "loss", *classes], rows)
        np.savez_compressed(new / "hardest.npz", images=evaluation.hardest)
        record.write_json(new / "evaluation.json", summary)
    return folder / FOLDER


def check_writable(folder: Path) -> None:
    """Say before any work that nothing can be written into the run folder.

    Raises:
        ConfigError: so it is.
    """
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise _not_writable(folder, error) from error


def _not_writable(folder: Path, error: OSError) -> ConfigError:
    return ConfigError(
        f"evaluate: what is found is written into the run folder. Got {folder}, {error.strerror or error}. "
        "Free the disk, or copy the run to a place that can be written to."
    )


@contextmanager
def replacing(folder: Path) -> Iterator[Path]:
    """Gives an empty folder beside `folder`; when all is written there, it takes the place of `folder`.

    Raises:
        ConfigError: it cannot be written; what stood there still does.
    """
    new = folder.with_name(f".{folder.name}.new")
    try:
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir()
        yield new
        take_place(new, folder)
    except OSError as error:
        shutil.rmtree(new, ignore_errors=True)
        raise _not_writable(folder, error) from error
