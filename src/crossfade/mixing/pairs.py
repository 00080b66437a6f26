"""Two streams mixed pair by pair: the plan of a batch that holds both."""

from __future__ import annotations

import numpy as np

from crossfade.mixing.plan import Plan, full_boxes


def across(plan: Plan) -> Plan:
    """Sample i keeps its place, and every layer above it shows sample B + i, its partner in the second stream.

    Args:
        plan: for B samples; whom it mixes with whom no longer counts, where and how much does.

    Returns:
        A plan for 2B samples, those of the first stream and then those of the second, which stay as they are:
        the first B of what it makes are the mixed ones.
    """
    batch = len(plan)
    rows = np.arange(batch)[:, None]
    above = np.where(plan.source >= 0, rows + batch, plan.source)
    source = np.hstack([rows, above[:, 1:]])
    alone = np.repeat(rows + batch, plan.layers, axis=1)
    unseen = np.zeros_like(plan.opacity)
    unseen[:, 0] = 1
    full = np.repeat(full_boxes(plan.shape)[:, None], plan.layers, axis=1)
    mask = None if plan.mask is None else np.concatenate([plan.mask, np.zeros_like(plan.mask)])
    return Plan(
        source=np.concatenate([source, alone]),
        opacity=np.concatenate([plan.opacity, unseen]),
        box=np.concatenate([plan.box, full]),
        mask=mask,
        weight=np.concatenate([plan.weight, unseen.astype(np.float64)]),
        fit=plan.fit,
    )
