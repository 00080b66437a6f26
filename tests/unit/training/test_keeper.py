"""The best epoch, when a training stops, and when its rate is lowered."""

from __future__ import annotations

import json
import math
from types import SimpleNamespace

import numpy as np
import pytest

from crossfade.errors import ConfigError
from crossfade.training.config import RunConfig
from crossfade.training.keeper import Keeper, chosen_metric, flattery
from crossfade.training.metrics import METRICS
from crossfade.training.optimise import build_schedule, schedule_to_draw


def follow(values: list[float], name: str = "accuracy", **options: object) -> tuple[Keeper, list[bool]]:
    """A keeper that was shown `values` until it stopped, and which of them it called the best so far."""
    keeper, best = Keeper(RunConfig(**{"epochs": 99, **options}), METRICS[name]), []
    for epoch, value in enumerate(values, start=1):
        best.append(keeper.see(epoch, {name: value, "loss": 1.0 / epoch}))
        if keeper.stops:
            break
    return keeper, best


def test_the_best_is_the_highest_and_of_equal_ones_the_earlier() -> None:
    keeper, best = follow([0.5, 0.7, 0.7, 0.6, 0.7])
    assert best == [True, True, False, False, False]
    summary = keeper.summary()
    assert (summary["best_epoch"], summary["val"]["accuracy"], summary["val"]["loss"]) == (2, 0.7, 0.5)
    assert summary["last"] == {"accuracy": 0.7, "loss": 0.2}


def test_the_best_is_the_lowest_where_lower_is_better() -> None:
    keeper, best = follow([0.5, 0.7, 0.4], "log_loss")
    assert best == [True, False, True]
    assert keeper.summary()["best_epoch"] == 3


def test_a_metric_that_was_not_defined_gives_way_to_a_number() -> None:
    assert follow([math.nan, math.nan, 0.2, math.nan, 0.1], "auc")[1] == [True, False, True, False, False]


def test_patience_counts_epochs_since_the_best() -> None:
    keeper, best = follow([0.5, 0.4, 0.6, 0.6, 0.5, 0.9], patience=2)
    assert len(best) == 5
    assert keeper.summary()["stopped_early"] == 5


def test_without_patience_nothing_stops() -> None:
    keeper, best = follow([0.5] * 50)
    assert len(best) == 50
    assert "stopped_early" not in keeper.summary()


def test_a_training_that_reached_its_end_was_not_stopped_early() -> None:
    assert "stopped_early" not in follow([0.5, 0.5, 0.5], patience=2, epochs=3)[0].summary()


def factors(values: list[float], **options: object) -> list[float]:
    keeper, found = Keeper(RunConfig(**{"schedule": "plateau", **options}), METRICS["accuracy"]), []
    for epoch, value in enumerate(values, start=1):
        keeper.see(epoch, {"accuracy": value})
        found.append(keeper.factor)
    return found


def test_a_plateau_lowers_the_rate_again_and_again() -> None:
    values = [0.5, 0.5, 0.4, 0.6, 0.6, 0.6, 0.6, 0.6]
    assert factors(values, plateau=2, gamma=0.1) == pytest.approx([1, 1, 0.1, 0.1, 0.1, 0.01, 0.01, 0.001])


def test_an_improvement_begins_the_count_anew() -> None:
    assert factors([0.1, 0.1, 0.2, 0.2, 0.3, 0.3], plateau=2) == [1] * 6


def test_other_schedules_know_no_plateau() -> None:
    assert factors([0.5] * 9, schedule="cosine", plateau=1) == [1] * 9


@pytest.mark.parametrize(("plateau", "gamma", "warmup"), [(1, 0.5, 0.0), (2, 0.1, 1.5), (3, 0.5, 0.0)])
def test_what_is_drawn_is_what_happens_if_nothing_improves(plateau: int, gamma: float, warmup: float) -> None:
    config = RunConfig(epochs=12, schedule="plateau", plateau=plateau, gamma=gamma, warmup=warmup)
    steps, keeper, trained = 7, Keeper(config, METRICS["accuracy"]), []
    for epoch in range(config.epochs):
        trained += [build_schedule(config, steps)(epoch * steps + step) * keeper.factor for step in range(steps)]
        keeper.see(epoch + 1, {"accuracy": 0.5})
    drawn = schedule_to_draw(config, steps)
    assert [drawn(step) for step in range(config.epochs * steps)] == pytest.approx(trained)


def test_other_schedules_are_drawn_as_they_are() -> None:
    config = RunConfig(epochs=5, schedule="step", every=2, warmup=1)
    drawn, real = schedule_to_draw(config, 3), build_schedule(config, 3)
    assert [drawn(step) for step in range(15)] == [real(step) for step in range(15)]


@pytest.mark.parametrize("cut", range(1, 9))
def test_it_goes_on_from_its_state_as_if_it_had_not_been_stopped(cut: int) -> None:
    values = [math.nan, 0.5, 0.4, 0.4, 0.6, 0.1, 0.2, 0.3, 0.3]
    options = {"schedule": "plateau", "plateau": 2, "gamma": 0.3, "patience": 4, "epochs": 99}
    whole = Keeper(RunConfig(**options), METRICS["auc"])
    first, second = (Keeper(RunConfig(**options), METRICS["auc"]) for _ in range(2))
    for epoch, value in enumerate(values[:cut], start=1):
        whole.see(epoch, {"auc": value})
        first.see(epoch, {"auc": value})
    second.restore(json.loads(json.dumps(first.state())))
    for epoch, value in enumerate(values[cut:], start=cut + 1):
        assert second.see(epoch, {"auc": value}) == whole.see(epoch, {"auc": value})
        assert (second.factor, second.stops) == (whole.factor, whole.stops)
    assert second.summary() == whole.summary()
    assert whole.summary()["stopped_early"] == 9


def test_a_state_does_not_change_with_the_keeper_it_came_of() -> None:
    keeper, _ = follow([0.5, 0.4])
    state = json.dumps(kept := keeper.state())
    keeper.see(3, {"accuracy": 0.9})
    assert json.dumps(kept) == state


def pictures(*labels: list[int], classes: int = 2) -> SimpleNamespace:
    """Validation pictures with these labels, and test pictures where a second list is given."""
    joined = np.array([label for part in labels for label in part])
    numbers = dict(zip(("val", "test"), np.split(np.arange(len(joined)), [len(labels[0])]), strict=True))
    return SimpleNamespace(
        classes=tuple("abcdefgh"[:classes]),
        index=SimpleNamespace(labels=joined),
        split=SimpleNamespace(part=numbers.__getitem__),
        judged="test" if len(labels) > 1 else "val",
    )


@pytest.mark.parametrize(
    ("given", "found", "expected"),
    [
        (None, pictures([0, 1]), "auc"),
        (None, pictures([0, 1], [1, 0]), "auc"),
        (None, pictures([0, 0]), "accuracy"),
        (None, pictures([0, 1], [1, 1]), "accuracy"),
        (None, pictures([0, 1, 2], classes=3), "accuracy"),
        ("auc", pictures([0, 1, 2], classes=3), "auc"),
        ("log_loss", pictures([0, 0]), "log_loss"),
        ("top5", pictures([0, 1], classes=6), "top5"),
    ],
)
def test_two_classes_are_judged_by_their_auc(given: str | None, found: SimpleNamespace, expected: str) -> None:
    assert chosen_metric(RunConfig(metric=given), found).name == expected


@pytest.mark.parametrize(
    ("given", "found", "words"),
    [
        ("auc", pictures([0, 0]), "two classes or more in each part it judges. Got one class in val"),
        ("auc", pictures([0, 1], [1, 1]), "Got one class in test"),
        ("top5", pictures([0, 1], classes=5), "top5 says nothing of 5 classes. Choose accuracy, auc, f1, log_loss"),
    ],
)
def test_a_metric_that_is_not_defined_is_refused_before_the_first_epoch(given, found, words) -> None:
    with pytest.raises(ConfigError, match=words):
        chosen_metric(RunConfig(metric=given), found)


@pytest.mark.parametrize(
    ("part", "epoch", "patience", "schedule", "chosen"),
    [("val", "last", 3, "cosine", "when to stop"), ("val", "best", None, "step", "the best epoch"),
     ("val", "best", 3, "plateau", "the best epoch and when to stop and when to lower the learning rate"),
     ("val", "last", None, "cosine", None), ("test", "best", 3, "plateau", None)],
)  # fmt: skip
def test_pictures_that_chose_something_flatter_the_result(
    part: str, epoch: str, patience: int | None, schedule: str, chosen: str | None
) -> None:
    told = f"the validation pictures chose {chosen}, which flatters what is measured on them" if chosen else ""
    assert flattery({"part": part, "epoch": epoch}, patience, schedule) == told
