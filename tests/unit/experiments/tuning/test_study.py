"""The memory of a search."""

from __future__ import annotations

import math
import random
from pathlib import Path

import numpy as np
import pytest
import torch

from crossfade.experiments.tuning.space import Space, space_of
from crossfade.experiments.tuning.study import PER_ARM, Pruned, Study
from crossfade.training.config import RunConfig

SPACE = space_of(("none", "mixup"), RunConfig())


def open_study(folder: Path, space: Space = SPACE, *, seed: int = 0, maximise: bool = True) -> Study:
    return Study(folder, space, seed=seed, epochs=6, maximise=maximise)


def worth(params: dict) -> float:
    return 0.9 - abs(math.log10(params["lr"] / 2e-3)) - 0.1 * abs(math.log10(params.get("alpha", 1.0)))


def run(study: Study, trials: int, *, cut_off_in: int | None = None) -> None:
    """Trials of six epochs up to `trials` in all; the trial `cut_off_in` is begun and never told of."""
    while len(study.ended) < trials:
        asked = study.ask()
        value = worth(asked.params)
        try:
            for epoch in range(1, 7):
                asked.report(epoch, value * epoch / 6, last=epoch == 6)
                if asked.number == cut_off_in and epoch == 2:
                    return
        except Pruned:
            study.tell(asked, None, {"epochs": epoch})
        else:
            study.tell(asked, value, {"epochs": 6})


def test_the_same_seed_gives_the_same_trials(tmp_path: Path) -> None:
    found = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        (tmp_path / name).mkdir()
        study = open_study(tmp_path / name, seed=seed)
        run(study, 12)
        found.append(study.trials)
    assert found[0] == found[1]
    assert found[0] != found[2]


@pytest.mark.parametrize("cuts", [(3,), (0, 1, 7), (7, 7, 9)])
def test_a_search_that_was_cut_off_gives_the_trials_of_one_that_was_not(tmp_path: Path, cuts: tuple[int, ...]) -> None:
    (tmp_path / "whole").mkdir()
    whole = open_study(tmp_path / "whole")
    run(whole, 12)
    (tmp_path / "cut").mkdir()
    for cut in cuts:
        run(open_study(tmp_path / "cut"), 12, cut_off_in=cut)
    again = open_study(tmp_path / "cut")
    assert len(again.ended) == cuts[-1]
    run(again, 12)
    assert again.trials == whole.trials
    assert [trial["number"] for trial in again.trials] == list(range(12))
    assert again.importance() == whole.importance()


def test_no_two_trials_are_alike(tmp_path: Path) -> None:
    study = open_study(tmp_path)
    run(study, 14)
    chosen = [tuple(sorted(trial["params"].items())) for trial in study.trials]
    assert len(set(chosen)) == 14


def test_the_search_goes_where_it_is_good(tmp_path: Path) -> None:
    study = open_study(tmp_path)
    run(study, 40)
    first, last = study.trials[: 2 * PER_ARM], study.trials[-10:]
    assert np.mean([worth(trial["params"]) for trial in last]) > np.mean([worth(t["params"]) for t in first])


def test_no_global_generator_is_touched(tmp_path: Path) -> None:
    run(open_study(tmp_path), 8)  # imports that draw for themselves are over
    (tmp_path / "again").mkdir()
    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()
    study = open_study(tmp_path / "again")
    run(study, 8)
    study.importance()
    assert random.getstate() == before[0]
    assert np.random.get_state()[1].tolist() == before[1]
    assert (torch.get_rng_state() == before[2]).all()


def told(study: Study, value: float) -> None:
    asked = study.ask()
    for epoch in range(1, 7):
        asked.report(epoch, value, last=epoch == 6)
    study.tell(asked, value, {})


@pytest.mark.parametrize(("maximise", "worse"), [(True, 0.2), (False, 0.8)])
def test_a_trial_is_given_up_against_its_own_arm(tmp_path: Path, maximise: bool, worse: float) -> None:
    """Arms take turns: those of even numbers end at 0.5, those of odd ones at `worse`, and are no rivals."""
    study = open_study(tmp_path, maximise=maximise)
    for number in range(4):
        told(study, 0.5 if number % 2 == 0 else worse)
    fifth, better = study.ask(), 1 - worse
    fifth.report(1, worse, last=False)
    fifth.report(2, worse, last=False)  # a third of the epochs: too early
    with pytest.raises(Pruned):
        fifth.report(3, worse, last=False)
    study.tell(fifth, None, {})
    sixth = study.ask()
    for epoch in range(1, 7):
        sixth.report(epoch, worse, last=epoch == 6)  # as good as its own arm
    study.tell(sixth, better, {})


def test_the_last_epoch_is_never_given_up_and_nan_is_behind(tmp_path: Path) -> None:
    study = open_study(tmp_path)
    for _ in range(4):
        told(study, 0.5)
    fifth = study.ask()
    fifth.report(6, 0.1, last=True)
    study.tell(fifth, 0.1, {})
    sixth = study.ask()
    with pytest.raises(Pruned):
        sixth.report(4, math.nan, last=False)


def test_importance_says_nothing_of_few_trials_and_sums_to_one_else(tmp_path: Path) -> None:
    study = open_study(tmp_path)
    run(study, 2)
    assert study.importance() == {}
    run(study, 20)
    found = study.importance()
    assert sum(found.values()) == pytest.approx(1)
    assert set(found) <= {"mix", "lr", "weight_decay", "alpha of mixup"}


def test_a_folder_of_any_name_will_do(tmp_path: Path) -> None:
    folder = tmp_path / "a %3F?#é b"
    folder.mkdir()
    run(open_study(folder), 1)
    assert (folder / "study.sqlite").is_file()
    assert len(open_study(folder).ended) == 1
