"""The plan: what chance decided for one batch, before any pixel is touched.

For each output sample i a plan holds K layers, bottom first. Layer k shows image ``source[i, k]`` of the batch
with ``opacity[i, k]`` inside ``box[i, k]``:

    out      <- image[source[i, 0]]
    for k = 1 .. K-1:   out[p] <- (1 - a_k[p]) out[p] + a_k[p] image[source[i, k]][p]
    a_k[p]    = opacity[i, k] * (p inside box[i, k]) * mask[i, p]      (the mask acts on layer 1 only)
    weight[i, k] = mean over p of  a_k[p] * prod_{m > k} (1 - a_m[p])   <- the share of the picture that is visible
"""

from __future__ import annotations

import base64
import json
import zipfile
import zlib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from crossfade.errors import PlanError
from crossfade.mixing.visibility import EVEN, dominant, shares
from crossfade.mixing.words import described
from crossfade.trees import Parts, Tree

Shape = tuple[int, int, int]
_DAMAGED = (EOFError, MemoryError, RuntimeError, zipfile.BadZipFile, zlib.error)
FORMAT = 1


@dataclass(frozen=True, eq=False, repr=False)
class Plan(Tree):
    """A stack of K layers for each of B samples of H x W pixels. Arrays are read-only copies.

    Args:
        source: (B, K) int64, index in the batch of the image each layer shows; -1 is a constant fill (black).
            Layer 0 is the sample itself: ``source[i, 0] == i``.
        opacity: (B, K) float32 in 0..1; 1 in layer 0.
        box: (B, K, 4) int32 top, left, bottom, right: half-open pixels inside the picture; layer 0 fills it.
        mask: (B, H, W) float32 in 0..1, multiplies the opacity of layer 1; or None.
        weight: (B, K) float64 label weights, rows sum to 1. Left out, they are the visible shares.
        fit: "crop" if a boxed layer shows the same place of its source, "resize" if its whole source.

    Raises:
        PlanError: one of the rules above is broken; the message says which.
    """

    source: NDArray[np.int64]
    opacity: NDArray[np.float32]
    box: NDArray[np.int32]
    mask: NDArray[np.float32] | None = None
    weight: NDArray[np.float64] = None  # type: ignore[assignment]
    fit: Literal["crop", "resize"] = "crop"

    def __post_init__(self) -> None:
        self._freeze("source", np.int64, 2)
        self._freeze("opacity", np.float32, 2)
        self._freeze("box", np.int32, 3)
        if self.mask is not None:
            self._freeze("mask", np.float32, 3)
        self._check_geometry()
        if self.weight is None:
            object.__setattr__(self, "weight", self.visible())
        self._freeze("weight", np.float64, 2)
        self._check_weight()
        self._tell_jax()

    def _freeze(self, name: str, dtype: type[np.generic], ndim: int) -> None:
        try:
            given = np.asarray(getattr(self, name))
        except ValueError as error:
            raise PlanError(f"Plan: {name} must be an array. Got a ragged list.") from error
        kinds = "iu" if issubclass(dtype, np.integer) else "fiu"
        if given.dtype.kind not in kinds or given.ndim != ndim:
            raise PlanError(
                f"Plan: {name} must be {np.dtype(dtype)} with {ndim} axes. Got {given.dtype} {given.shape}."
            )
        array = given.astype(dtype, order="C", copy=True)
        if kinds == "iu" and given.dtype != dtype:
            _require(bool((array == given).all()), f"{name} within {np.dtype(dtype)}", "larger numbers")
        array.flags.writeable = False
        object.__setattr__(self, name, array)

    @classmethod
    def of_arrays(
        cls,
        source: Any,
        opacity: Any,
        box: Any,
        weight: Any,
        mask: Any = None,
        *,
        size: tuple[int, int],
        fit: Literal["crop", "resize"] = "crop",
    ) -> Self:
        """A plan whose arrays belong to another framework, as they do while `jax.jit` or `tf.function` traces.

        Nothing is checked. `checked` gives the plan in NumPy back.

        Args:
            size: (H, W), which the boxes do not tell while their numbers are not known.
        """
        plan = cls.__new__(cls)
        arrays = {"source": source, "opacity": opacity, "box": box, "weight": weight, "mask": mask}
        for name, value in {**arrays, "fit": fit, "_size": size}.items():
            object.__setattr__(plan, name, value)
        cls._tell_jax()
        return plan

    def _apart(self) -> Parts:
        arrays = self.source, self.opacity, self.box, self.weight
        return arrays if self.mask is None else (*arrays, self.mask), (self.size, self.fit)

    @classmethod
    def _together(cls, arrays: tuple[Any, ...], signature: Any) -> Self:
        size, fit = signature
        return cls.of_arrays(*arrays, size=size, fit=fit)

    @property
    def is_checked(self) -> bool:
        """Whether the arrays are NumPy's and keep the rules above."""
        return "_size" not in self.__dict__

    def checked(self) -> Self:
        """The same plan in NumPy, every rule checked. Raises PlanError while its numbers are not known yet."""
        if self.is_checked:
            return self
        try:
            arrays = {f.name: np.asarray(getattr(self, f.name)) for f in fields(self) if f.name not in ("mask", "fit")}
            mask = None if self.mask is None else np.asarray(self.mask)
        except Exception as error:
            raise PlanError(
                "Plan: its numbers are not known while a function is traced. Mix arrays of the framework that traces."
            ) from error
        if arrays["weight"].dtype == np.float32:
            sums = arrays["weight"].sum(axis=1, keepdims=True, dtype=np.float64)
            if np.allclose(sums, 1, rtol=0, atol=EVEN):  # as nearly as float32 can; others are refused
                arrays["weight"] = arrays["weight"] / sums
        return type(self)(**arrays, mask=mask, fit=self.fit)

    def padded(self, layers: int) -> Self:
        """The same plan with unseen layers on top: one that `jax.jit` and `tf.function` need not be traced anew for.

        Raises:
            PlanError: it has more than `layers` already.
        """
        more = layers - self.layers
        _require(more >= 0, f"padded({layers}) of at most {layers} layers", self.layers)
        none = np.zeros((len(self), more))
        return type(self)(
            source=np.hstack([self.source, np.repeat(self.source[:, :1], more, axis=1)]),
            opacity=np.hstack([self.opacity, none]),
            box=np.concatenate([self.box, np.repeat(self.box[:, :1], more, axis=1)], axis=1),
            mask=self.mask,
            weight=np.hstack([self.weight, none]),
            fit=self.fit,
        )

    def _check_geometry(self) -> None:
        batch, layers = self.source.shape
        _require(batch >= 1 and layers >= 1, "at least one sample and one layer", f"source {self.source.shape}")
        for name, shape in (("opacity", (batch, layers)), ("box", (batch, layers, 4))):
            _require(getattr(self, name).shape == shape, f"{name} of shape {shape}", getattr(self, name).shape)
        _require(
            bool((self.source[:, 0] == np.arange(batch)).all()), "layer 0 to be the sample itself", self.source[:, 0]
        )
        _require(self.source.min() >= -1 and self.source.max() < batch, f"sources in -1..{batch - 1}", self.source)
        _require(
            self.opacity.min() >= 0 and self.opacity.max() <= 1 and bool((self.opacity[:, 0] == 1).all()),
            "opacities in 0..1, and 1 in layer 0",
            self.opacity,
        )
        height, width = self.shape[1:]
        _require(
            bool((self.box[:, 0] == (0, 0, height, width)).all()) and height >= 1 and width >= 1,
            "layer 0 to fill the picture, of one size for all",
            self.box[:, 0],
        )
        first, last = self.box[..., :2], self.box[..., 2:]
        inside = (first >= 0) & (first <= last) & (last <= (height, width))
        if not inside.all():
            raise _broken(f"boxes inside the {height} x {width} picture", self.box[~inside.all(axis=-1)][:1])
        _require(self.fit in ("crop", "resize"), 'fit "crop" or "resize"', repr(self.fit))
        if self.mask is not None:
            _require(layers >= 2 and self.mask.shape == self.shape, f"a mask of shape {self.shape}", self.mask.shape)
            _require(bool(((self.mask >= 0) & (self.mask <= 1)).all()), "mask values in 0..1", "others")

    def _check_weight(self) -> None:
        _require(self.weight.shape == self.source.shape, f"weight of shape {self.source.shape}", self.weight.shape)
        sums = self.weight.sum(axis=1)
        _require(
            bool((self.weight >= 0).all()) and bool((np.abs(sums - 1) <= 1e-9).all()),
            "label weights >= 0 whose rows sum to 1",
            sums,
        )
        _require(
            not ((self.source < 0) & (self.weight > 0)).any(),
            "weight 0 where a layer is a constant, which has no label; pass weight=",
            self.weight,
        )

    @property
    def shape(self) -> Shape:
        """(B, H, W) of the batch the plan was drawn for."""
        return (self.source.shape[0], *self.size)

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of the pictures."""
        known: tuple[int, int] | None = self.__dict__.get("_size")
        return known or (int(self.box[0, 0, 2]), int(self.box[0, 0, 3]))

    @property
    def layers(self) -> int:
        """K, the number of layers."""
        return int(self.source.shape[1])

    @property
    def lam(self) -> NDArray[np.float64]:
        """(B,) lambda: the label weight each sample keeps, ``weight[:, 0]``."""
        return self.weight[:, 0]

    def __len__(self) -> int:
        return self.source.shape[0]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Plan):
            return NotImplemented
        ours, theirs = self.checked(), other.checked()
        return all(_same(getattr(ours, f.name), getattr(theirs, f.name)) for f in fields(self))

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy is checked and read-only, too."""
        return type(self), tuple(getattr(self, f.name) for f in fields(self))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        batch, height, width = self.shape
        known = f"mean lambda {self.lam.mean():.3f}" if self.is_checked else f"of {type(self.source).__name__}"
        return f"Plan({batch} samples of {height} x {width}, {self.layers} layers, {known})"

    @classmethod
    def identity(cls, shape: Shape) -> Self:
        """The plan that leaves every sample as it is: one layer."""
        batch = shape[0]
        return cls(np.arange(batch)[:, None], np.ones((batch, 1), np.float32), full_boxes(shape)[:, None])

    @classmethod
    def two_layers(
        cls,
        shape: Shape,
        partner: NDArray[np.int64],
        *,
        opacity: NDArray[Any] | float = 1.0,
        box: NDArray[Any] | None = None,
        mask: NDArray[np.float32] | None = None,
    ) -> Self:
        """Each sample below, its partner above it.

        Args:
            shape: (B, H, W).
            partner: (B,) index of the upper image.
            opacity: (B,) or a number, of the upper layer.
            box: (B, 4) of the upper layer; the whole picture if None.
            mask: (B, H, W), as in `Plan`.

        Raises:
            PlanError: one of these has another shape, or breaks a rule of `Plan`.
        """
        full, opacities = full_boxes(shape), np.ones((shape[0], 2), np.float32)
        partner, upper = np.asarray(partner), full if box is None else np.asarray(box)
        _require(partner.shape == shape[:1], f"a partner for each sample, {shape[:1]}", partner.shape)
        _require(upper.shape == full.shape, f"a box for each sample, {full.shape}", upper.shape)
        _require(np.shape(opacity) in ((), shape[:1]), f"an opacity for each sample, {shape[:1]}", np.shape(opacity))
        opacities[:, 1] = opacity
        return cls(source=_pair(np.arange(shape[0]), partner), opacity=opacities, box=_pair(full, upper), mask=mask)

    def visible(self) -> NDArray[np.float64]:
        """(B, K) float64: the share of the picture that shows each layer, recounted from the geometry.

        For opaque boxes this is an integer count of pixels divided once by the integer area.
        """
        return shares(self)

    def dominant(self) -> NDArray[np.int8]:
        """(B, H, W) int8: the layer that contributes most to each pixel; the lower one where two are even (`EVEN`)."""
        return dominant(self)

    def describe(self, samples: int = 8) -> str:
        """The plan in words, one line for each of the first `samples` samples."""
        return described(self, samples)

    def to_json(self) -> str:
        """The plan as JSON text, exact to the bit; a mask is base64 of little-endian float32."""
        record: dict[str, Any] = {"format": FORMAT, "fit": self.fit}
        for name in ("source", "opacity", "box", "weight"):
            record[name] = getattr(self, name).tolist()
        if self.mask is not None:
            record["mask"] = base64.b64encode(self.mask.astype("<f4").tobytes()).decode()
        return json.dumps(record)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote. Raises PlanError for anything else."""
        try:
            record = json.loads(text)
            _require(record["format"] == FORMAT, f"format {FORMAT}", record["format"])
            arrays = {name: np.array(record[name]) for name in ("source", "opacity", "box", "weight")}
            if "mask" in record:
                batch, (height, width) = len(arrays["source"]), arrays["box"][0, 0, 2:]
                flat = np.frombuffer(base64.b64decode(record["mask"]), "<f4")
                arrays["mask"] = flat.reshape(batch, height, width)
            return cls(**arrays, fit=record["fit"])
        except (KeyError, TypeError, IndexError, ValueError, RecursionError) as error:
            raise error if isinstance(error, PlanError) else _unreadable("from_json", error) from error

    def save(self, path: str | Path) -> None:
        """Write the plan to `path` as an `.npz` file."""
        arrays = {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) is not None}
        with Path(path).open("wb") as file:
            np.savez(file, format=FORMAT, **arrays)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what `save` wrote; nothing is unpickled. Raises PlanError for anything else."""
        try:
            with Path(path).open("rb") as file, np.load(file, allow_pickle=False) as stored:
                arrays: dict[str, Any] = dict(stored)
            _require(int(arrays.pop("format")) == FORMAT, f"format {FORMAT}", "another")
            return cls(**{**arrays, "fit": str(arrays["fit"])})
        except FileNotFoundError:
            raise
        except (KeyError, TypeError, AttributeError, OSError, ValueError, *_DAMAGED) as error:
            raise error if isinstance(error, PlanError) else _unreadable("load", error) from error


def full_boxes(shape: Shape) -> NDArray[np.int32]:
    """(B, 4) int32: the whole picture as a box, for each sample."""
    batch, height, width = shape
    boxes = np.empty((batch, 4), np.int32)
    boxes[:] = 0, 0, height, width
    return boxes


def _pair(lower: NDArray[Any], upper: NDArray[Any]) -> NDArray[Any]:
    """(B, 2, ...) of two layers (B, ...)."""
    return np.concatenate([lower[:, None], upper[:, None]], axis=1)


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return np.array_equal(a, b)
    return type(a) is type(b) and a == b


def _require(held: bool, rule: str, got: object) -> None:
    if not held:
        raise _broken(rule, got)


def _broken(rule: str, got: object) -> PlanError:
    return PlanError(f"Plan: needs {rule}. Got {got}.")


def _unreadable(who: str, error: Exception) -> PlanError:
    return PlanError(f"Plan.{who}: this is no plan that crossfade wrote ({error!r}). Draw it again, or pass another.")
