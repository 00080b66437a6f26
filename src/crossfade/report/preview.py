"""What `crossfade preview` draws: the figures of a folder of pictures, as a training would use it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from crossfade.arrays.dispatch import augment_images, mix_images
from crossfade.data.loader import Batch, Loader
from crossfade.mixing.plan import Plan
from crossfade.mixing.policy import Policy
from crossfade.report import sheets
from crossfade.report.grids import preview_figure
from crossfade.rng import Stream, derive_rng
from crossfade.training.dataset import Pictures
from crossfade.vision.augment import PRESETS, each_alone
from crossfade.vision.morphology import morphology, threshold, view
from crossfade.vision.normalise import as_pictures, as_shown, normalise
from crossfade.vision.preprocess import Preprocess

MIXED = 12
LAMBDAS = 2000
OF_A_CLASS = 5
ROWS = 3

Images = NDArray[np.uint8]


@dataclass(frozen=True)
class Preview:
    """The figures by name; `draw` makes one.

    Args:
        pictures: of the folder; only training pictures are shown, except on the sheet of classes.
        preprocess: as of the run.
        policy: how to mix.
        mix: the same in words.
        seed: of what is shown, and of mixing.
    """

    pictures: Pictures
    preprocess: Preprocess
    policy: Policy
    mix: str
    seed: int

    def draw(self, name: str) -> Figure:
        """One of `FIGURES`."""
        return FIGURES[name](self)

    @cached_property
    def batch(self) -> Batch:
        """The first training pictures that this seed shows, as they are cached."""
        cache, train = self.pictures.cache, self.pictures.split.train
        size = min(MIXED, len(train))
        labels = self.pictures.index.labels
        return next(iter(Loader(cache.pixels, labels, train, batch_size=size, seed=self.seed, threads=0).epoch(0)))

    @cached_property
    def samples(self) -> Images:
        """A few of these, of as many classes as can be."""
        _, first = np.unique(self.batch.labels, return_index=True)
        rest = np.setdiff1d(np.arange(len(self.batch.labels)), first)
        return self.batch.images[np.concatenate([np.sort(first), rest])[:ROWS]]

    def mixed(self) -> Figure:
        """Mixed pictures with their label weights."""
        rng, classes, labels = self._rng(), self.pictures.classes, self.batch.labels
        images = self.preprocess.pictures(self.batch.images)
        plan = self.policy.plan(images.shape[:3], rng=rng, labels=labels, images=images)
        names = [["" if source < 0 else classes[labels[source]] for source in row] for row in plan.source.tolist()]
        return preview_figure(self._mix(images, plan), plan.weight, names, self._lambdas(rng), title=self.mix)

    def _mix(self, images: Images, plan: Plan) -> Images:
        how = self.preprocess.normalise
        if self.preprocess.normalise_by == "training":
            return mix_images(images, plan, layout="NHWC")
        return as_pictures(mix_images(normalise(images, how), plan, layout="NHWC"), as_shown(how, images.shape[3]))

    def _rng(self) -> np.random.Generator:
        return derive_rng(self.seed, Stream.PLAN, 0, 0, 0)

    def _lambdas(self, rng: np.random.Generator) -> NDArray[np.float64]:
        size = self.pictures.cache.size
        return self.policy.plan((LAMBDAS, size, size), rng=rng, labels=np.arange(LAMBDAS)).lam

    def lambdas(self) -> Figure:
        """The histogram of lambda."""
        return sheets.lambda_sheet(self._lambdas(self._rng()), alpha=_alpha(self.policy), title=f"lambda of {self.mix}")

    def classes(self) -> Figure:
        """Some pictures of each class, evenly spread over its files."""
        index, pixels = self.pictures.index, self.pictures.cache.pixels
        rows = []
        for label, (name, count) in enumerate(index.counts.items()):
            own = np.flatnonzero(index.labels == label) if label < sheets.MOST_CLASSES else np.zeros(0, np.int64)
            chosen = own[np.linspace(0, len(own) - 1, min(OF_A_CLASS, len(own))).astype(int)]
            rows.append(sheets.ClassRow(name, count, pixels[chosen]))
        return sheets.class_sheet(rows, title=f"{len(index):,} pictures, {len(rows)} classes")

    def channels(self) -> Figure:
        """Pictures beside their channels."""
        if self.samples.shape[3] == 1:
            return sheets.channel_sheet([[image] for image in self.samples], ["grey"], title="One channel")
        views = [self.samples, *(view(self.samples, name) for name in ("red", "green", "blue", "grey"))]  # type: ignore[arg-type]
        names = ["picture", "red", "green", "blue", "grey"]
        return sheets.channel_sheet([list(row) for row in zip(*views, strict=True)], names, title="Channels")

    def morphology(self) -> Figure:
        """A picture, its threshold, and every operation on that; red above 125 where the run says no other."""
        steps, picture = self.preprocess, self.samples[:1]
        which, at = (steps.view, steps.threshold) if steps.threshold is not None else (steps.view or "red", 125)
        binary = threshold(picture if which is None else view(picture, which), at)
        limit = "Otsu's threshold" if at == "otsu" else f"above {at:g}"
        cells = [("original", picture[0]), (limit if which is None else f"{which} {limit}", binary[0])]
        for operation in ("erosion", "dilation", "opening", "closing"):
            done = morphology(binary, operation, element=steps.element, radius=steps.radius)  # type: ignore[arg-type]
            cells.append((operation, done[0]))
        return sheets.titled_sheet(cells, title=f"Threshold, then a {steps.element} of radius {steps.radius}")

    def normalisations(self) -> Figure:
        """Pictures under the three normalisations, each by itself."""
        images = self.preprocess.pictures(self.samples[:2])
        formulas = {
            "divide": ("divide", "x / 255"),
            "minmax": ("min-max", "(x\u2212min)/(max\u2212min)"),
            "percentile": ("percentile", "(x\u2212p5)/(p95\u2212p5)"),
        }
        done = {how: normalise(images, how) for how in formulas}  # type: ignore[arg-type]
        rows = [
            [sheets.Normalised(*formulas[how], values[picture]) for how, values in done.items()]
            for picture in range(len(images))
        ]
        return sheets.normalisation_sheet(rows, title="Normalised, over the histogram of values")

    def augmented(self) -> Figure:
        """A picture beside each augmentation by itself, and beside one draw of each preset."""
        picture = self.preprocess.pictures(self.samples[:1])
        size = picture.shape[1:3]
        cells = [("original", picture[0])]
        cells += [(name, augment_images(picture, drawn)[0]) for name, drawn in each_alone(size).items()]
        for name, augment in PRESETS.items():
            drawn = augment.draw([1], seed=self.seed, epoch=0, size=size)
            if drawn is not None:
                cells.append((f"preset {name}", augment_images(picture, drawn)[0]))
        return sheets.titled_sheet(cells, title="Augmentation: each alone, presets last")


FIGURES: dict[str, Callable[[Preview], Figure]] = {
    "mix": Preview.mixed,
    "lambda": Preview.lambdas,
    "classes": Preview.classes,
    "channels": Preview.channels,
    "morphology": Preview.morphology,
    "normalise": Preview.normalisations,
    "augment": Preview.augmented,
}


def _alpha(policy: Any) -> float | None:
    """Of a method, perhaps wrapped (`Sometimes`, `Until`); None of a choice between several."""
    while hasattr(policy, "policy"):
        policy = policy.policy
    return getattr(policy, "alpha", None)
