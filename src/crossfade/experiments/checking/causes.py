"""Why a network does not even fit a few pictures: the likely causes, each with what speaks for it.

Certain causes come first: pictures without content, weights that get no gradient, a loss that is no number. Then
labels that nothing speaks for, and learning rates that a short training at another one shows to be wrong.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from hashlib import blake2b

import numpy as np
import torch
from numpy.typing import NDArray

from crossfade.data.loader import Loader
from crossfade.experiments.checking import labels as tests
from crossfade.experiments.probe import Descent, new_training
from crossfade.training.config import RunConfig
from crossfade.training.device_feed import DeviceFeed
from crossfade.training.feed import Ready
from crossfade.training.run import Bench

CHANCE = 0.01  # a test below it is taken to show something
FEW = 50  # pictures; of fewer, no test of labels has the power to say that they mean nothing
FLAT = 2  # grey levels: a picture that varies by no more is one colour
MOST_BLANK = 0.5
LEAST_MOVED = 0.5
CLEARLY = 1.5  # times the fall of the loss
LEAST_GAIN = 0.05  # of the first loss

TOO_HIGH, TOO_LOW = "learning rate too high", "learning rate too low"
SHUFFLED, FROZEN, CONSTANT = "labels shuffled", "frozen network", "constant pictures"
LAGGING, SHORT = "running statistics lag", "too few steps"


@dataclass(frozen=True)
class Cause:
    """Why it may have failed: in three words, what speaks for it, and what to do."""

    cause: str
    evidence: str
    advice: str

    def as_dict(self) -> dict[str, str]:
        """For `check.json`."""
        return asdict(self)


@dataclass(frozen=True)
class Looks:
    """What the training pictures are to the network.

    Attributes:
        labels: (N,) of the pictures.
        digests: of each as the network sees it.
        thumbnails: (N, features) of the same.
        blank: how many are one colour.
    """

    labels: NDArray[np.int64]
    digests: list[bytes]
    thumbnails: NDArray[np.float32]
    blank: int


def look(bench: Bench, config: RunConfig) -> Looks:
    """See the training pictures as the network does, unmixed and not augmented."""
    digests: list[bytes] = []
    small, blank = [], 0
    for ready in _plain_batches(bench, config):
        digests += [blake2b(row.tobytes(), digest_size=16).digest() for row in np.ascontiguousarray(ready.pixels)]
        small.append(tests.thumbnails(ready.pixels))
        shown = config.preprocess.pictures(bench.pictures.cache.pixels[ready.ids])
        spread = np.ptp(shown.reshape(len(shown), -1, shown.shape[-1]).astype(int), axis=1)
        blank += int((spread.max(axis=1) <= FLAT).sum())
    labels = np.asarray(bench.pictures.index.labels[bench.pictures.split.train])
    return Looks(labels, digests, np.concatenate(small), blank)


def _plain_batches(bench: Bench, config: RunConfig) -> Iterator[Ready]:
    feed = DeviceFeed(bench.normalisation, config.preprocess, device=torch.device("cpu"))
    pictures = bench.pictures
    loader: Loader[Ready] = Loader(
        pictures.cache.pixels,
        pictures.index.labels,
        pictures.split.train,
        batch_size=128,
        seed=0,
        shuffle=False,
        prepare=feed.prepare,
    )
    yield from loader.epoch(0)


def constant_pictures(looks: Looks, bound: float) -> Cause | None:
    """Most pictures are one colour, or so many are the same under several classes that the bound is out of reach."""
    total = len(looks.labels)
    best, contradicted = tests.ceiling(looks.digests, looks.labels)
    if looks.blank > MOST_BLANK * total:
        evidence = f"{looks.blank:,} of {total:,} training pictures are one colour all over"
        return Cause(CONSTANT, evidence, "Look at them with crossfade preview; was a threshold, or the folder, wrong?")
    if best <= bound:
        evidence = (
            f"{contradicted:,} of {total:,} training pictures are the same as one of another class, "
            f"so that no network can name more than {100 * best:.1f}% of them rightly"
        )
        return Cause(CONSTANT, evidence, "Give each picture one class; see crossfade scan, and the preprocessing.")
    return None


def moved(bench: Bench, config: RunConfig) -> tuple[int, int, int]:
    """How many weights there are, how many may be trained, and how many get a gradient in the third step.

    Not in the first: residual blocks may begin with a factor of 0, which keeps gradients back until it has moved.
    """
    training = new_training(bench, config)
    parameters = list(training.model.parameters())
    trainable = sum(p.numel() for p in parameters if p.requires_grad)
    if trainable:
        training.descend(3)
    reached = sum(p.numel() for p in parameters if p.grad is not None and bool((p.grad != 0).any()))
    return sum(p.numel() for p in parameters), trainable, reached


def frozen_network(weights: int, trainable: int, reached: int) -> Cause | None:
    """Fewer than half of the weights can learn."""
    if reached >= LEAST_MOVED * weights:
        return None
    if trainable < LEAST_MOVED * weights:
        evidence = f"{trainable:,} of {weights:,} weights may be trained; the others are frozen"
    else:
        evidence = f"{reached:,} of {weights:,} weights get a gradient; to the others none comes"
    return Cause(
        FROZEN, evidence, "Set requires_grad on the weights that are to learn, and see what stops the gradient."
    )


def no_number(letter: str, others: Sequence[Descent]) -> Cause:
    """The loss blew up, as the letter of the training says."""
    what = letter.partition("Got ")[2].partition(". ")[0] or letter
    calm = min(others, key=lambda one: one.final)
    if not math.isfinite(calm.final):
        rates = " and ".join(f"{one.lr:g}" for one in others)
        return Cause(TOO_HIGH, f"the loss became {what}", f"It does so at {rates}, too: look for damaged weights.")
    advice = f"Pass --lr {calm.lr:g}, at which the loss stays a number, or --clip-norm 1."
    return Cause(TOO_HIGH, f"the loss became {what}", advice)


def learning_rate(descents: Sequence[Descent], lr: float) -> Cause | None:
    """Whether a short training at another rate falls clearly further than one at `lr`, which is among them."""
    own = next(one for one in descents if one.lr == lr)
    best = min(descents, key=lambda one: one.final)
    start = own.losses[0]
    fall, best_fall = start - own.final, start - best.final
    if best_fall < CLEARLY * fall or best_fall - fall < LEAST_GAIN * start:
        return None
    ended = f"to {own.final:.4g}" if math.isfinite(own.final) else "to no number"
    evidence = (
        f"in {len(best.losses)} steps at {lr:g} the loss goes from {start:.4g} {ended}, "
        f"at {best.lr:g} to {best.final:.4g}"
    )
    cause = TOO_HIGH if best.lr < lr else TOO_LOW
    return Cause(cause, evidence, f"Pass --lr {best.lr:g}, or look for a rate with crossfade lr --range.")


def shuffled_labels(looks: Looks, judged: NDArray[np.int64], hits: Sequence[int]) -> Cause | None:
    """Nothing that was tried shows that labels belong to pictures: neither neighbours nor any trained network.

    Args:
        looks: the training pictures.
        judged: labels of the held-out pictures.
        hits: how many of these each network named rightly.
    """
    agreement, p = tests.neighbours_agree(looks.thumbnails, looks.labels)
    best = max(hits, default=0)
    if min(p, tests.above_chance(best, judged)) < CHANCE or len(looks.labels) < FEW:
        return None
    evidence = (
        f"no more of the {len(judged):,} held-out pictures are named rightly than by chance ({best:,}), and the "
        f"pictures that look most like a picture have its class no more often than by chance "
        f"({100 * agreement:.0f}%, p = {p:.2g})"
    )
    return Cause(
        SHUFFLED, evidence, "See in crossfade preview --figure classes whether the folders hold what they say."
    )


def lagging_statistics(running: float, plain: float, bound: float) -> Cause | None:
    """The network fits while it learns, by the statistics of its batches, but not by the running ones."""
    if not running > bound >= plain:
        return None
    evidence = (
        f"while it learns {100 * running:.1f}% are named rightly, by the running statistics of batch norm "
        f"{100 * plain:.1f}%"
    )
    return Cause(LAGGING, evidence, "Take more steps (--epochs, a smaller --batch-size), or --schedule cosine.")


def too_few_steps(trend: float, steps: int) -> Cause | None:
    """The loss still falls."""
    if trend >= 0:
        return None
    evidence = f"after {steps:,} steps the loss still falls, by {100 * -math.expm1(trend):.2g}% an epoch"
    return Cause(SHORT, evidence, "Pass more --epochs, or a smaller --batch-size.")
