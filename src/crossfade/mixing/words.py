"""A plan in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from crossfade.mixing.plan import Plan


def described(plan: Plan, samples: int) -> str:
    """One line for each of the first `samples` samples."""
    batch, height, width = plan.shape
    head = f"Plan: {batch} samples of {height} x {width} pixels, {plan.layers} layers"
    lines = [f"{i:5d}  {_row(plan, i)}" for i in range(min(samples, batch))]
    if batch > samples:
        lines.append(f"  ...  and {batch - samples} more")
    return "\n".join([head, *lines])


def _row(plan: Plan, i: int) -> str:
    upper = [k for k in range(1, plan.layers) if _shows(plan, i, k)]
    if not upper:
        return "unmixed"
    parts = [f"{plan.weight[i, 0]:.3f} itself"]
    for k in upper:
        image = "a constant fill" if plan.source[i, k] < 0 else f"sample {plan.source[i, k]}"
        parts.append(f"{plan.weight[i, k]:.3f} {image} {_place(plan, i, k)}")
    return " + ".join(parts)


def _place(plan: Plan, i: int, k: int) -> str:
    top, left, bottom, right = plan.box[i, k]
    masked = " under the mask" if plan.mask is not None and k == 1 else ""
    whole = (top, left, bottom, right) == (0, 0, *plan.shape[1:])
    place = "over the whole picture" if whole else f"in rows {top}..{bottom}, columns {left}..{right}"
    opaque = "" if plan.opacity[i, k] == 1 else f"at opacity {plan.opacity[i, k]:.3f} "
    return f"{opaque}{place}{masked}"


def _shows(plan: Plan, i: int, k: int) -> bool:
    top, left, bottom, right = plan.box[i, k]
    return bool(plan.opacity[i, k] > 0 and bottom > top and right > left)
