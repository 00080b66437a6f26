"""What every part of the door that mixes asks of a policy."""

from __future__ import annotations

from crossfade.errors import ConfigError
from crossfade.mixing.choice import members
from crossfade.mixing.policy import Policy
from crossfade.mixing.registry import policy_from_spec


def check_policy(who: str, policy: Policy | str) -> Policy:
    """The policy, or the one that a text such as ``"cutmix:alpha=1.0"`` names.

    Raises:
        ConfigError: it is neither, or it, or one that it is made of, needs a model.
    """
    found = policy_from_spec(policy) if isinstance(policy, str) else policy
    if not isinstance(found, Policy):
        raise ConfigError(f'{who}: needs a policy, such as crossfade.MixUp(0.2) or "cutmix:alpha=1.0". Got {policy!r}.')
    for member in members(found):
        if member.needs_model:
            raise ConfigError(
                f"{who}: {type(member).__name__} needs a model to draw its plans, and here batches are made before "
                "any model sees them. Use a policy that needs none, such as crossfade.CutMix(), or draw the plan in a "
                "train step of your own."
            )
    return found
