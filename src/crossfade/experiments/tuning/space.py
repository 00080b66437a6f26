"""What `crossfade tune` searches: the method, its alpha, the learning rate and the weight decay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from crossfade.errors import ConfigError
from crossfade.mixing.registry import METHODS, policy_from_spec
from crossfade.training.config import RunConfig
from crossfade.training.optimise import DEFAULT_LR, DEFAULT_WEIGHT_DECAY

if TYPE_CHECKING:
    from optuna.trial import Trial

ALPHA = (0.05, 2.0)
AROUND = (1 / 30, 10.0)  # of the default of learning rate and weight decay
UNDECAYED = 1e-4  # stands for a default weight decay of 0, around which there is nothing
DIGITS = 3

Params = dict[str, Any]


@dataclass(frozen=True)
class Range:
    """An interval to search evenly by its logarithm, and the value that stands without a search."""

    low: float
    high: float
    default: float


@dataclass(frozen=True)
class Space:
    """All that may be chosen.

    Attributes:
        arms: mixing methods as the command line writes them.
        ranges: of the fields of `RunConfig` that are searched in every trial.
        alphas: of the arms that take an alpha and do not fix it.
    """

    arms: tuple[str, ...]
    ranges: Mapping[str, Range]
    alphas: Mapping[str, Range]

    def draw(self, trial: Trial) -> Params:
        """Let the study choose: {"mix", "lr", "weight_decay", "alpha"}, those that are searched.

        Numbers have `DIGITS` digits, so that what is trained can be typed.
        """
        arm = str(trial.suggest_categorical("mix", list(self.arms)))
        drawn = {name: (name, reach) for name, reach in self.ranges.items()}
        if arm in self.alphas:
            drawn["alpha"] = (_alpha_of(arm), self.alphas[arm])
        chosen = {name: trial.suggest_float(key, r.low, r.high, log=True) for name, (key, r) in drawn.items()}
        return {"mix": arm, **{name: float(f"{value:.{DIGITS}g}") for name, value in chosen.items()}}

    def first(self, number: int, per_arm: int) -> Params | None:
        """What trial `number` is told to take: the defaults of each arm, then the arms in turn; then nothing.

        So every arm has `per_arm` trials before the study may prefer one, and none is judged by bad luck alone.
        """
        if number >= per_arm * len(self.arms):
            return None
        arm = self.arms[number % len(self.arms)]
        if number >= len(self.arms):
            return {"mix": arm}
        alpha = {_alpha_of(arm): self.alphas[arm].default} if arm in self.alphas else {}
        return {"mix": arm, **{name: reach.default for name, reach in self.ranges.items()}, **alpha}

    def as_dict(self) -> dict[str, Any]:
        """{"mix": arms, name: [low, high], "alpha": {arm: [low, high]}}: `space` in tune.json."""
        alphas = {arm: [reach.low, reach.high] for arm, reach in self.alphas.items()}
        ranges = {name: [reach.low, reach.high] for name, reach in self.ranges.items()}
        return {"mix": list(self.arms), **ranges, **({"alpha": alphas} if alphas else {})}


def space_of(arms: Sequence[str], config: RunConfig) -> Space:
    """The space around the defaults of a configuration; what it fixes (lr, weight_decay, alpha) is not searched.

    Raises:
        ConfigError: an arm that is none, or two that are one.
    """
    if not arms or len(set(arms)) < len(arms):
        raise ConfigError(f"tune: needs arms, each once. Got {', '.join(arms) or 'none'}. Pass --arm none --arm mixup.")
    decay = DEFAULT_WEIGHT_DECAY.get(config.optimizer, UNDECAYED)
    defaults = {"lr": DEFAULT_LR[config.optimizer], "weight_decay": decay}
    ranges = {
        name: Range(AROUND[0] * value, AROUND[1] * value, value)
        for name, value in defaults.items()
        if getattr(config, name) is None
    }
    found = ((arm, _default_alpha(arm, config)) for arm in arms)
    return Space(tuple(arms), ranges, {arm: Range(*ALPHA, alpha) for arm, alpha in found if alpha is not None})


def arm_of(params: Params) -> str:
    """The arm with its alpha in it, as `--arm` and `--mix` take it: ``mixup:alpha=0.31``."""
    if "alpha" not in params:
        return str(params["mix"])
    return f"{params['mix']}{',' if ':' in params['mix'] else ':'}alpha={params['alpha']:g}"


def overrides(params: Params) -> dict[str, Any]:
    """The fields of `RunConfig` that a choice fixes, apart from the method."""
    return {name: value for name, value in params.items() if name not in ("mix", "alpha")}


def with_params(config: RunConfig, params: Params) -> RunConfig:
    """The configuration with what was chosen in it."""
    return replace(config, mix=arm_of(params), **overrides(params))


def is_mixing(arm: str) -> bool:
    """Whether an arm mixes at all."""
    return arm.partition(":")[0].strip() != "none"


def _alpha_of(arm: str) -> str:
    """Each arm has an alpha of its own: what is good for one says nothing of another."""
    return f"alpha of {arm}"


def _default_alpha(arm: str, config: RunConfig) -> float | None:
    """The alpha an arm has by default; None where it takes none, or where arm or configuration say it."""
    policy_from_spec(arm, {"alpha": config.alpha})
    name, _, options = arm.strip().partition(":")
    said = config.alpha is not None or any(part.split("=")[0].strip() == "alpha" for part in options.split(","))
    default = next((one.default for one in fields(METHODS[name]) if one.name == "alpha"), None)  # type: ignore[arg-type]
    return None if said or default is None else float(default)
