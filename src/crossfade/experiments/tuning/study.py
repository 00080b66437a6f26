"""The memory of a search: an Optuna study in a file, which a search that was cut off goes on with.

What trial k is given depends on (seed, k) and on the trials that ended before it, never on how often the search was
stopped in between: the sampler is made anew for each trial, and a trial that was cut off is forgotten and run again.
"""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from crossfade.errors import MissingExtra
from crossfade.experiments.tuning.space import Params, Space
from crossfade.rng import Stream, seed_sequence

try:
    import optuna
    from optuna.study import StudyDirection
    from optuna.trial import FrozenTrial, Trial, TrialState
    from sqlalchemy.engine import URL
except ModuleNotFoundError as error:
    raise MissingExtra(f"tune: needs {error.name}. Run: pip install 'crossfade[tune]'.") from error

PER_ARM = 3  # trials of every arm before the study chooses the arm as well
RIVALS = 2  # finished trials of the same arm before one is given up
FILE = "study.sqlite"
_NAME = "crossfade"
_ENDED = (TrialState.COMPLETE, TrialState.PRUNED)


class Pruned(Exception):
    """A trial is no longer worth its time."""


@dataclass(frozen=True)
class Asked:
    """A trial that runs.

    Attributes:
        number: 0, 1, ... among the trials that ended: one that was cut off gives its number on.
        params: what was chosen.
    """

    number: int
    params: Params
    trial: Trial

    def report(self, epoch: int, value: float, *, last: bool) -> None:
        """Tell how good it is after an epoch (from 1 on).

        Raises:
            Pruned: it falls behind, and this is not its `last` epoch.
        """
        self.trial.report(value, epoch)
        if not last and self.trial.should_prune():
            raise Pruned


class Study:
    """The study in `folder`, made there unless there is one.

    Args:
        folder: of the search.
        space: what is searched.
        seed: of what is chosen.
        epochs: of each trial; in the first third of them nothing is given up.
        maximise: whether a higher value is better.
    """

    def __init__(self, folder: Path, space: Space, *, seed: int, epochs: int, maximise: bool) -> None:
        self._space, self._seed = space, seed
        with _quiet():
            url = URL.create("sqlite", database=str(folder.absolute() / FILE)).render_as_string()
            self._study = optuna.create_study(
                storage=optuna.storages.RDBStorage(url),
                study_name=_NAME,
                load_if_exists=True,
                direction="maximize" if maximise else "minimize",
                pruner=_MedianOfItsArm(first=1 + epochs // 3),
            )
            for cut_off in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
                self._study.tell(cut_off.number, state=TrialState.FAIL)

    def ask(self) -> Asked:
        """The next trial."""
        number = len(self.ended)
        seed = int(seed_sequence(self._seed, Stream.TUNE, number).generate_state(1)[0])
        with _quiet():
            self._study.sampler = optuna.samplers.TPESampler(
                seed=seed,
                n_startup_trials=PER_ARM * len(self._space.arms),
                multivariate=False,  # alpha is there in some trials only
                constant_liar=False,  # trials run one after another
            )
            fixed = self._space.first(number, PER_ARM)
            if fixed is not None and not self._study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
                self._study.enqueue_trial(fixed)
            trial = self._study.ask()
            params = self._space.draw(trial)
        for key, value in (("number", number), ("params", params)):
            trial.set_user_attr(key, value)
        return Asked(number, params, trial)

    def tell(self, asked: Asked, value: float | None, notes: Mapping[str, Any]) -> None:
        """A trial has ended, with its value or pruned (None); `notes` are what else `trials` is to say of it."""
        for key, note in notes.items():
            asked.trial.set_user_attr(key, note)
        with _quiet():
            if value is None:
                self._study.tell(asked.trial, state=TrialState.PRUNED)
            else:
                self._study.tell(asked.trial, value)

    @property
    def ended(self) -> list[FrozenTrial]:
        """The trials that ended, in their order."""
        return self._study.get_trials(deepcopy=False, states=_ENDED)

    @property
    def trials(self) -> list[dict[str, Any]]:
        """[{"number", "state", "value", "params", "values", and the notes of `tell`}], as in tune.json.

        "state" is "finished" or "pruned"; "values" holds that of each epoch.
        """
        return [
            {
                **trial.user_attrs,
                "state": "finished" if trial.state == TrialState.COMPLETE else "pruned",
                "value": trial.value if trial.state == TrialState.COMPLETE else None,
                "values": [value for _, value in sorted(trial.intermediate_values.items())],
            }
            for trial in self.ended
        ]

    def importance(self) -> dict[str, float]:
        """{parameter: share}, the largest first, sum 1: how much each tells good trials from the rest.

        Of finished trials, and of the parameters that four of them or more have; {} where these are too few to tell.

        Source:
            Watanabe et al. 2023, PED-ANOVA, arXiv:2304.10255, as Optuna has it.
        """
        finished = self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        counts = Counter(name for trial in finished for name in trial.params)
        names = [name for name, count in counts.items() if count >= 4]
        with _quiet(), warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            evaluator = optuna.importance.PedAnovaImportanceEvaluator()
            found = optuna.importance.get_param_importances(self._study, evaluator=evaluator, params=names)
        if any("will be equal" in str(one.message) for one in said):  # nothing was measured
            return {}
        return {name: float(share) for name, share in found.items()}


class _MedianOfItsArm(optuna.pruners.BasePruner):
    """Gives up a trial whose best epoch so far is below the median, at this epoch, of the finished trials of its arm.

    Its arm alone: a method that mixes learns later than one that does not, and would lose to it half way.

    Args:
        first: epoch from which on it looks.

    Source:
        Golovin et al. 2017, Google Vizier, section 3.5.2 (the median stopping rule). Differs: by arm.
    """

    def __init__(self, first: int) -> None:
        self._first = first

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        """Whether to give up `trial`."""
        finished = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        epoch = trial.last_step or 0
        rivals = [t.intermediate_values[epoch] for t in finished if _is_rival(t, trial, epoch)]
        if epoch < self._first or len(rivals) < RIVALS:
            return False
        sign = 1 if study.direction == StudyDirection.MAXIMIZE else -1
        own = [sign * value for value in trial.intermediate_values.values() if math.isfinite(value)]
        return max(own, default=-math.inf) < median(sign * value for value in rivals)


def _is_rival(other: FrozenTrial, trial: FrozenTrial, epoch: int) -> bool:
    return other.params["mix"] == trial.params["mix"] and math.isfinite(other.intermediate_values.get(epoch, math.nan))


@contextmanager
def _quiet() -> Iterator[None]:
    """Optuna says nothing of its own; how loud it was is left as it was found."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)
