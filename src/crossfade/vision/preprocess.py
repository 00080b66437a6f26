"""The way of every picture before chance touches it, in training, evaluation and prediction alike.

    fit -> view -> threshold -> morphology -> (augmentation) -> normalise -> (mixing)

`fit` happens when a picture is read, and its result is cached. `Preprocess.pictures` does the steps from uint8 to
uint8, which depend on one picture alone. Augmentation comes after them: it moves the pixels of a thresholded picture,
and only where it interpolates are there greys between 0 and 255 again. What a picture is normalised by is measured
before augmentation, so that a brighter copy stays brighter.

Importing this module loads no NumPy, since the command line reads its options here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from crossfade.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from crossfade.vision.normalise import Normalisation

Fit = Literal["stretch", "crop", "drop", "pad"]  # those of `crossfade.data.fit`, whose import would load NumPy
View = Literal["red", "green", "blue", "grey"]
Operation = Literal["erosion", "dilation", "opening", "closing"]
Element = Literal["disk", "square", "cross"]
How = Literal["standard", "divide", "minmax", "percentile"]
By = Literal["training", "picture"]


@dataclass(frozen=True)
class Preprocess:
    """The `[preprocess]` table of a run. Every field is a flag, too.

    Raises:
        ConfigError: a threshold or radius out of range.
    """

    fit: Fit = field(
        default="stretch",
        metadata={"help": "how pictures are made square; drop crops to size, and drops what is smaller"},
    )
    view: View | None = field(default=None, metadata={"help": "show the network one channel only"})
    threshold: float | Literal["otsu"] | None = field(
        default=None, metadata={"help": "make pictures 255 above this value (0..255), else 0"}
    )
    morphology: Operation | None = field(
        default=None, metadata={"help": "of each picture and channel, after the threshold"}
    )
    element: Element = field(default="disk", metadata={"help": "shape that morphology works with"})
    radius: int = field(default=3, metadata={"help": "of that shape in pixels"})
    normalise: How = field(default="standard", metadata={"help": "standard is (x - mean) / deviation, divide x / 255"})
    normalise_by: By = field(
        default="training", metadata={"help": "measure that on the training pictures, or on each picture by itself"}
    )

    def __post_init__(self) -> None:
        if self.threshold is not None:
            check_threshold(self.threshold)
        if self.radius < 1:
            raise ConfigError(f"radius: must be 1 or more pixels. Got {self.radius!r}.")

    @classmethod
    def restored(cls, state: Mapping[str, Any]) -> Preprocess:
        """From the state of a checkpoint; one that is older than the other steps has a `fit` alone."""
        return cls(**(state["preprocess"] if "preprocess" in state else {"fit": state["fit"]}))

    @property
    def leaves_pictures(self) -> bool:
        """Whether nothing is done to a picture, or measured on it, before it is augmented."""
        return self.view is self.threshold is self.morphology is None and self.normalise_by == "training"

    def channels(self, decoded: int) -> int:
        """How many channels the network sees of pictures that are decoded with so many."""
        return decoded if self.view is None else 1

    def pictures(self, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """View, threshold and morphology: (B, H, W, C) uint8 -> (B, H, W, `channels(C)`) uint8.

        The input itself where there is nothing to do.
        """
        from crossfade.vision import morphology

        if self.view is not None:
            images = morphology.view(images, self.view)
        if self.threshold is not None:
            images = morphology.threshold(images, self.threshold)
        if self.morphology is not None:
            images = morphology.morphology(images, self.morphology, element=self.element, radius=self.radius)
        return images

    def normalisation(self, counts: NDArray[np.int64]) -> Normalisation:
        """What all pictures are normalised by, or, where each goes by itself, how such numbers are shown.

        Args:
            counts: (C, 256) of the values of the training pictures after `pictures`; of these alone.
        """
        from crossfade.vision.normalise import Normalisation, as_shown, measure

        if self.normalise_by == "picture":
            return as_shown(self.normalise, len(counts))
        mean, std = measure(counts, self.normalise)
        return Normalisation(mean.tolist(), std.tolist())

    def measure_each(self, images: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]] | None:
        """What each picture is normalised by, see `normalise.in_pixels`; None where all share a `normalisation`."""
        from crossfade.vision.normalise import histogram, in_pixels, measure

        if self.normalise_by == "training":
            return None
        return in_pixels(*measure(histogram(images), self.normalise))


def check_threshold(at: object) -> None:
    """Raise ConfigError unless `at` is a level or "otsu"."""
    level = isinstance(at, int | float) and not isinstance(at, bool) and 0 <= at <= 255
    if not level and at != "otsu":
        raise ConfigError(f'threshold: must be from 0 to 255, or "otsu". Got {at!r}.')
