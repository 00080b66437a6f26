"""Test-time augmentation: the probabilities of a picture, averaged over it and changed copies of it.

Copies are drawn by what the run's own training did to pictures, as a function of a picture's pixels and the number of
the copy: the same picture has the same copies whatever it is called and whatever stands beside it.
"""

from __future__ import annotations

from dataclasses import dataclass

from crossfade.errors import ConfigError
from crossfade.vision.augment import Augment

MOST = 1000


@dataclass(frozen=True)
class Tta:
    """Over what the probabilities of a picture are averaged, beside the picture itself.

    Args:
        mirror: its mirror image, left for right.
        copies: so many augmented copies.
    """

    mirror: bool = False
    copies: int = 0

    @classmethod
    def parse(cls, text: str | None) -> Tta:
        """``flip``, a number of copies, or both: ``flip,8``; None is nothing.

        Raises:
            ConfigError: it is something else.
        """
        parts = [] if text is None else [part.strip() for part in text.split(",")]
        copies = [int(part) for part in parts if part.isascii() and part.isdecimal() and len(part) < 5]
        mirror = "flip" in parts
        if len(parts) != len(copies) + mirror or len(copies) > 1 or not all(1 <= n <= MOST for n in copies):
            raise ConfigError(
                f"tta: flip, a number of copies from 1 to {MOST}, or both. Got {text!r}. Pass --tta flip,8, say."
            )
        return cls(mirror, sum(copies))

    def check(self, augment: Augment | None) -> None:
        """Raise ConfigError where copies are wanted, and the run's augmentation would leave all of them alike."""
        if self.copies and (augment is None or augment.does_nothing):
            why = "is not known, for its config.toml cannot be read" if augment is None else "does nothing"
            raise ConfigError(
                f"tta: copies are drawn by the run's own augmentation. Got a run whose augmentation {why}. "
                "Pass --tta flip, or leave it out."
            )


NO_TTA = Tta()
