"""A policy draws plans. It is a small frozen value: its parameters, and no state."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crossfade.errors import PlanError
from crossfade.mixing.plan import Plan, Shape
from crossfade.rng import as_generator

Per = Literal["sample", "batch"]
LARGEST_ALPHA = 1e9  # Beta(1e9, 1e9) is one half to five digits already; far above, sums of alphas overflow


class Policy(ABC):
    """What every mixing method is: something that draws a `Plan`, and can be called to draw and apply it."""

    needs_model: ClassVar[bool] = False
    """Whether it draws by the model in training, as SnapMix does; then it cannot draw where batches are made."""

    @final
    def plan(
        self,
        shape: Shape,
        *,
        rng: np.random.Generator | int,
        labels: ArrayLike | None = None,
        images: Any = None,
    ) -> Plan:
        """Draw a plan for a batch.

        Args:
            shape: (B, H, W), samples and pixels.
            rng: a generator, or an int seed.
            labels: (B,) or (B, C), for the rules that look at them.
            images: the batch, for the methods that look at it.

        Raises:
            PlanError: the shape is no batch, or something the method needs is missing.
        """
        return self._draw(check_shape(shape), as_generator(rng), labels, images)

    @abstractmethod
    def _draw(self, shape: Shape, rng: np.random.Generator, labels: ArrayLike | None, images: Any) -> Plan: ...

    def at(self, progress: float) -> Policy:
        """The policy in force when the fraction `progress` (0..1) of the training is done."""
        return self

    @final
    def __call__(
        self,
        images: Any,
        labels: Any,
        *,
        rng: np.random.Generator | int,
        num_classes: int | None = None,
        layout: Literal["NCHW", "NHWC"] | None = None,
    ) -> tuple[Any, Any]:
        """Draw a plan and mix a batch by it: ``(mix_images(images, plan), mix_targets(labels, plan))``.

        Args:
            images: (B, C, H, W) or (B, H, W, C) per `layout`; of NumPy, PyTorch, JAX or TensorFlow.
            labels: (B,) class numbers, then `num_classes` is needed; or (B, C) soft or multi-hot.
            rng: a generator, or an int seed.
            layout: None infers it where it cannot be wrong: one of the two channel axes is 1, 3 or 4 long.

        Returns:
            New images, like the old ones; targets (B, C) float32.
        """
        # Applying goes through the public name: mixing/ itself stays below arrays/.
        import crossfade as cf

        return cf.apply(self, images, labels, rng=rng, num_classes=num_classes, layout=layout)


@dataclass(frozen=True)
class NoMix(Policy):
    """Leave every sample as it is: the baseline arm."""

    def _draw(self, shape: Shape, rng: np.random.Generator, labels: ArrayLike | None, images: Any) -> Plan:
        return Plan.identity(shape)


def depends_on_progress(policy: Policy) -> bool:
    """Whether it mixes otherwise at the end of a training than at its start."""
    return policy.at(0.0) != policy.at(1.0)


def check_shape(shape: Shape) -> Shape:
    """(B, H, W) as three ints >= 1, or a PlanError."""
    sizes = tuple(shape) if isinstance(shape, Sequence) else ()
    if len(sizes) != 3 or not all(_is_whole(n) and n >= 1 for n in sizes):
        raise PlanError(f"plan: a shape is (B, H, W), three whole numbers from 1 on. Got {shape!r}.")
    batch, height, width = (int(n) for n in sizes)
    return batch, height, width


def check_positive(who: str, name: str, value: float) -> None:
    """Raise PlanError unless `value` is a finite number above 0."""
    if not _is_number(value) or not 0 < value <= LARGEST_ALPHA:
        raise PlanError(f"{who}: {name} must be a finite number above 0, at most 1e9. Got {value!r}. Try {name}=1.0.")


def check_fraction(who: str, name: str, value: float) -> None:
    """Raise PlanError unless `value` is a number in 0..1."""
    if not _is_number(value) or not 0 <= value <= 1:
        raise PlanError(f"{who}: {name} must be a number from 0 to 1. Got {value!r}.")


def check_bool(who: str, name: str, value: bool) -> None:
    """Raise PlanError unless `value` is True or False."""
    if not isinstance(value, bool):
        raise PlanError(f"{who}: {name} must be true or false. Got {value!r}.")


def check_choice(who: str, name: str, value: str, choices: tuple[str, ...]) -> None:
    """Raise PlanError unless `value` is one of `choices`."""
    if value not in choices:
        raise PlanError(f"{who}: {name} must be one of {', '.join(choices)}. Got {value!r}.")


def draw_lambda(alpha: float, batch: int, per: Per, rng: np.random.Generator) -> NDArray[np.float64]:
    """(B,) draws of lambda ~ Beta(alpha, alpha): one per sample, or one for the whole batch."""
    if per == "batch":
        return np.full(batch, rng.beta(alpha, alpha))
    return rng.beta(alpha, alpha, size=batch)


def _is_whole(value: object) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
