"""Schedules: the numbers of each equation, and the rules they share."""

import math

import pytest

from crossfade.errors import ConfigError
from crossfade.training import schedule


@pytest.mark.parametrize("name", schedule.names())
@pytest.mark.parametrize("warmup", [0, 1, 7, 39])
def test_factors_lie_above_zero_and_reach_at_most_one(name, warmup):
    factor = schedule.make(name, 40, warmup=warmup, gamma=0.5, every=10)
    assert all(0 < factor(step) <= 1 for step in range(40))


@pytest.mark.parametrize("name", schedule.names())
def test_the_warm_up_is_a_straight_line_to_the_full_rate(name):
    factor = schedule.make(name, 40, warmup=4, every=100)
    assert [factor(step) for step in range(4)] == [0.25, 0.5, 0.75, 1.0]


def test_constant_stays():
    assert {schedule.make("constant", 9)(step) for step in range(9)} == {1.0}


def test_cosine_is_half_way_down_in_the_middle_of_what_follows_the_warm_up():
    factor = schedule.make("cosine", 110, warmup=10)
    assert factor(10) == 1.0
    assert factor(60) == pytest.approx(0.5)
    assert factor(85) == pytest.approx((1 + math.cos(0.75 * math.pi)) / 2)
    assert factor(109) < 0.001


def test_step_multiplies_at_whole_intervals_of_the_training():
    factor = schedule.make("step", 30, gamma=0.1, every=10)
    assert [factor(step) for step in (0, 9, 10, 19, 20, 29)] == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])


def test_step_counts_its_intervals_from_the_start_whatever_the_warm_up():
    factor = schedule.make("step", 30, warmup=5, gamma=0.5, every=10)
    assert (factor(9), factor(10)) == (1.0, 0.5)


@pytest.mark.parametrize(("warmup", "peak"), [(0, 30), (20, 20)])
def test_onecycle_rises_to_one_and_falls_in_a_straight_line(warmup, peak):
    factors = [schedule.make("onecycle", 100, warmup=warmup)(step) for step in range(100)]
    assert factors[peak - 1] == 1.0
    falls = [a - b for a, b in zip(factors[peak - 1 :], factors[peak:], strict=False)]
    assert falls == pytest.approx([1 / (101 - peak)] * len(falls))
    assert factors[-1] == pytest.approx(falls[0])


def test_plateau_knows_its_warm_up_and_leaves_the_rest_to_the_training():
    factor = schedule.make("plateau", 40, warmup=4, gamma=0.1, every=2)
    assert [factor(step) for step in (0, 3, 4, 39)] == [0.25, 1.0, 1.0, 1.0]


def test_what_never_improves_is_lowered_from_the_second_epoch_on():
    factors = [schedule.never_improved(step, 70, warmup=5, gamma=0.1, every=20, first=10) for step in range(70)]
    assert factors[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert factors[5:] == pytest.approx([1] * 25 + [0.1] * 20 + [0.01] * 20)


@pytest.mark.parametrize("name", schedule.names())
def test_a_training_of_one_step_has_a_rate(name):
    assert schedule.make(name, 1)(0) == 1.0


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        ({"name": "cosin"}, "Try 'cosine'"),
        ({"warmup": 10}, "warm-up must end before"),
        ({"warmup": -1}, "warm-up must end before"),
        ({"gamma": 0.0}, "gamma must be above 0"),
        ({"gamma": math.nan}, "gamma must be above 0"),
        ({"every": 0}, "every 1 step or more"),
    ],
)
def test_what_makes_no_schedule_is_refused(arguments, rule):
    with pytest.raises(ConfigError, match=rule):
        schedule.make(**{"name": "step", "total": 10, **arguments})
