"""What is searched."""

from __future__ import annotations

from dataclasses import replace

import pytest

from crossfade.errors import ConfigError
from crossfade.experiments.tuning.space import arm_of, is_mixing, space_of, with_params
from crossfade.mixing.registry import policy_from_spec
from crossfade.training.config import RunConfig

ARMS = ("none", "mixup", "cutmix")


class Fixed:
    """A trial that gives back the geometric middle, or the first name, and remembers what it was asked."""

    def __init__(self, arm: str) -> None:
        self.arm, self.asked = arm, {}

    def suggest_categorical(self, name, choices):
        assert self.arm in choices
        return self.arm

    def suggest_float(self, name, low, high, *, log):
        assert log
        self.asked[name] = (low, high)
        return (low * high) ** 0.5


def test_alpha_is_searched_only_for_a_method_that_takes_it() -> None:
    space = space_of(ARMS, RunConfig())
    assert "alpha" not in space.draw(Fixed("none"))
    trial = Fixed("mixup")
    assert space.draw(trial)["alpha"] == pytest.approx((0.05 * 2) ** 0.5, rel=5e-3)
    assert set(trial.asked) == {"lr", "weight_decay", "alpha of mixup"}


def test_an_arm_that_says_its_alpha_keeps_it() -> None:
    space = space_of(("none", "mixup:alpha=0.3", "cutmix:p=0.5"), RunConfig())
    assert set(space.alphas) == {"cutmix:p=0.5"}
    params = space.draw(Fixed("cutmix:p=0.5"))
    assert arm_of(params) == f"cutmix:p=0.5,alpha={params['alpha']:g}"


@pytest.mark.parametrize(
    ("fixed", "left"), [({"lr": 0.1}, {"weight_decay"}), ({"weight_decay": 0.0}, {"lr"}), ({"alpha": 0.4}, None)]
)
def test_what_is_said_is_not_searched(fixed: dict, left: set | None) -> None:
    space = space_of(ARMS, RunConfig(**fixed))
    assert set(space.ranges) == (left or {"lr", "weight_decay"})
    assert set(space.alphas) == (set() if "alpha" in fixed else {"mixup", "cutmix"})


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
def test_rates_are_searched_around_the_defaults(optimizer: str) -> None:
    for reach in space_of(ARMS, RunConfig(optimizer=optimizer)).ranges.values():
        assert reach.low == pytest.approx(reach.default / 30)
        assert reach.high == pytest.approx(reach.default * 10)
        assert reach.low > 0


def test_what_is_trained_can_be_typed() -> None:
    """The arm's text gives the very alpha, and the configuration the very rates, of the choice."""
    space = space_of(ARMS, RunConfig())
    params = space.draw(Fixed("mixup"))
    config = with_params(RunConfig(), params)
    assert policy_from_spec(config.mix).alpha == params["alpha"]
    assert (config.lr, config.weight_decay) == (params["lr"], params["weight_decay"])
    assert all(float(f"{params[name]:.3g}") == params[name] for name in ("lr", "weight_decay", "alpha"))
    assert replace(config, mix="none", lr=None, weight_decay=None) == RunConfig()


def test_every_arm_begins_with_its_defaults_and_is_tried_as_often() -> None:
    space = space_of(ARMS, RunConfig())
    told = [space.first(number, 3) for number in range(10)]
    assert told[0] == {"mix": "none", "lr": 1e-3, "weight_decay": 0.05}
    assert told[1] == {"mix": "mixup", "lr": 1e-3, "weight_decay": 0.05, "alpha of mixup": 0.2}
    assert [one["mix"] for one in told[:9]] == 3 * list(ARMS)
    assert told[9] is None


@pytest.mark.parametrize("arms", [(), ("mixup", "mixup"), ("nonsense",)])
def test_arms_that_cannot_be_searched_are_refused(arms: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError):
        space_of(arms, RunConfig())


def test_an_arm_mixes_unless_it_is_none() -> None:
    assert [is_mixing(arm) for arm in ("none", "none:p=0.5", "mixup", "cutmix:alpha=1")] == [False, False, True, True]
