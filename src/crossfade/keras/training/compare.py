"""The fair comparison for any Keras model: every arm from the same weights, on the same pictures, in the same order."""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import keras

from crossfade.errors import ConfigError, DataError, TrainingError
from crossfade.experiments.comparison import Design, check_fair, run_folder, summarise
from crossfade.keras.checks import check_policy
from crossfade.keras.datasets.arrays import ArrayDataset
from crossfade.keras.datasets.base import MixedDataset
from crossfade.keras.training.facts import Facts, command, environment, told_policy
from crossfade.keras.training.first import FirstWeights, Maker
from crossfade.keras.training.held_out import BATCH
from crossfade.keras.training.recorder import RunRecorder
from crossfade.keras.training.weights import ENDING, drawn_from
from crossfade.mixing.policy import Policy
from crossfade.training import record
from crossfade.training.config import read_toml, settled

ARMS = ("none", "mixup", "cutmix")

OnRun = Callable[[str, int], Sequence[keras.callbacks.Callback]]


def compare(
    build_model: Callable[[], keras.Model],
    data: MixedDataset | tuple[Any, Any],
    arms: Sequence[str] | Mapping[str, Policy | str | None] = ARMS,
    seeds: int | Sequence[int] = 3,
    *,
    validation_data: Any,
    test_data: Any = None,
    epochs: int,
    out: str | Path,
    callbacks: OnRun | None = None,
    metric: str | None = None,
    choose: Literal["best", "last"] | None = None,
    probabilities: str | None = None,
    batch_size: int = BATCH,
    weights: bool = True,
    force: bool = False,
    resume: bool = False,
    verbose: int = 1,
) -> dict[str, Any]:
    """Train a model with each way to mix, for each seed, and say whether mixing helps.

        def build_model():
            model = keras.Sequential([...])
            model.compile("adam", "categorical_crossentropy")
            return model

        arms = ["none", "mixup:alpha=0.2"]
        compare(build_model, train, arms, seeds=3, validation_data=held_out, epochs=10, out="runs/mixup")

    For each seed the first weights are drawn once, saved once (``first/seed-0.weights.h5``) and loaded for every arm;
    that they are the same is checked by their SHA-256. Optimizer and metrics are made anew for each training; dropout
    and the like start from the same seeds. All arms see the same pictures, in the same order, equally augmented.
    Keras takes the seeds that are not said from Python's `random` (on PyTorch, dropout from torch's generators), which
    are a function of the seed here and stand afterwards where they stood. Layers of your own that draw without a seed
    generator take Keras' global one, which is left alone.

    Args:
        build_model: makes a new model and compiles it; everything in it, a pretrained base too, is new at each call.
        data: training pictures, unmixed: an `ImageFolder`, an `ArrayDataset`; or (x, y), of which the latter is made.
        arms: ways to mix as the command line writes them, or {name: policy}, None for no mixing.
        seeds: of first weights, order, augmentation and mixing; a number stands for 0 to it.
        validation_data, test_data, metric, choose, probabilities, batch_size, weights: as of `RunRecorder`. Arms are
            judged on the validation data by their last epoch, or on the test data by the best on validation. Arrays
            `data` are trained on in batches of that size, too.
        epochs: of each training.
        out: folder of the comparison, which `crossfade report` reads.
        callbacks: called before each training with (arm, seed); gives the callbacks of that training. They may follow
            `val_accuracy`, `val_auc` and the others, see `RunRecorder`.
        force: whether an earlier run in the folder is removed.
        resume: keep the trainings in the folder that are finished; one that was stopped begins anew.
        verbose: 0 says nothing, 1 a line for each training and the table, 2 what `fit` says, too.

    Returns:
        The summary, which is also in ``summary.json``; the page is beside it.

    Raises:
        ConfigError: arms, seeds or options that make no sense; a model that is not compiled, or not new; one that
            takes class numbers, or has other outputs than there are targets; a comparison in the folder that is
            another one.
        DataError: data that mixes already; other pictures than those of the comparison in the folder.
        TrainingError: weights that could not be made the same.
    """
    policies = _policies(arms)
    design = Design(list(policies), list(range(seeds)) if isinstance(seeds, int) else list(seeds))
    train = _unmixed(data, epochs, batch_size)
    judged = {"validation_data": validation_data, "test_data": test_data, "metric": metric, "choose": choose}
    options = {**judged, "probabilities": probabilities, "batch_size": batch_size, "weights": weights, "page": False}
    comparing = _Comparing(Maker(build_model), train, policies, design, epochs, Path(out), callbacks, options, verbose)
    return comparing.run(force=force, resume=resume)


@dataclass(frozen=True)
class _Comparing:
    """A comparison under way."""

    maker: Maker
    data: MixedDataset
    policies: Mapping[str, Policy | None]
    design: Design
    epochs: int
    folder: Path
    callbacks: OnRun | None
    options: Mapping[str, Any]
    verbose: int

    def run(self, *, force: bool, resume: bool) -> dict[str, Any]:
        """Train all arms of a seed before the next seed."""
        goes_on = resume and record.has_begun(self.folder)
        if not goes_on:
            record.check_folder(self.folder, force=force)
        # What cannot be used is found before a folder is touched.
        self._recorder(self.design.arms[0], self.design.seeds[0])
        with drawn_from(self.design.seeds[0]):
            model = self.maker.new(self.data)
        if not goes_on:
            record.make_folder(self.folder, force=force)
        with record.alone_in(self.folder):
            self._check_same(model) if goes_on else self._write_head(model)
            del model
            found: dict[tuple[str, int], dict[str, Any]] = {}
            summary: dict[str, Any] = {}
            for done, seed in enumerate(self.design.seeds, start=1):
                first = FirstWeights(self.folder / "first" / f"seed-{seed}{ENDING}")
                for arm in self.design.arms:
                    found[arm, seed] = self._train(arm, seed, first)
                    check_fair(found, seed)
                summary = summarise(replace(self.design, seeds=self.design.seeds[:done]), found)
                record.write_json(self.folder / "summary.json", summary)
        return self._told(summary)

    def _train(self, arm: str, seed: int, first: FirstWeights) -> dict[str, Any]:
        own = self.folder / run_folder(arm, seed)
        if (summary := record.finished(own)) is not None:
            return summary
        with drawn_from(seed):
            model = self.maker.new(self.data)
            first.give(model)
            recorder = self._recorder(arm, seed)
            more = self.callbacks(arm, seed) if self.callbacks is not None else ()
            model.fit(
                recorder.data, epochs=self.epochs, shuffle=False, verbose=max(0, self.verbose - 1),
                callbacks=[recorder, *more],
            )  # fmt: skip
        if recorder.summary is None:
            raise TrainingError(f"{arm}, seed {seed}: the training left no summary. Did a callback stop it at once?")
        self._say(f"{arm}, seed {seed}: {_score(recorder.summary)}, {recorder.summary['seconds']:.1f} s")
        del model
        gc.collect()  # models hold themselves in circles
        return recorder.summary

    def _recorder(self, arm: str, seed: int) -> RunRecorder:
        data = self.data.with_mix(self.policies[arm], seed=seed)
        own = self.folder / run_folder(arm, seed)
        return RunRecorder(own, data=data, config={"mix": arm}, force=True, **self.options)

    def _write_head(self, model: keras.Model) -> None:
        facts = self._facts
        record.write_json(self.folder / "command.json", command(facts))
        record.write_json(self.folder / "data.json", self._described)
        names = facts.names(self.data.num_classes)
        record.write_head(self.folder, facts.parts(), self._table(model), environment(model), names)

    @property
    def _described(self) -> dict[str, Any]:
        return self._facts.described(self._facts.names(self.data.num_classes))

    @property
    def _facts(self) -> Facts:
        return Facts(self.data, self.options["validation_data"], self.options["test_data"])

    def _table(self, model: keras.Model) -> dict[str, Any]:
        """What all trainings have in common, and what they differ in."""
        policies = {arm: told_policy(policy) for arm, policy in self.policies.items() if policy is not None}
        several = {"arm": list(self.design.arms), "seeds": list(self.design.seeds), "policies": policies}
        part = "val" if self.options["test_data"] is None else "test"
        judged = {"metric": self.options["metric"], "choose": self.options["choose"], "judged": part}
        common = self._facts.settings(model, self.epochs, {"model": self.maker.name or model.name})
        return {**common, "mix": None, "seed": None, **judged, **several}

    def _check_same(self, model: keras.Model) -> None:
        """Raise unless the comparison in the folder is this one."""
        then, now = read_toml(self.folder / "config.toml"), settled(self._table(model))
        keys = sorted(key for key in {*then, *now} if then.get(key) != now.get(key))
        odd = [f"{key} {now.get(key)!r} for {then.get(key)!r}" for key in keys]
        if odd:
            raise ConfigError(
                f"compare: a comparison goes on with the options it began with. Got {', '.join(odd[:5])} in "
                f"{self.folder}. Leave them, or compare into another folder."
            )
        if record.json_table(self.folder / "data.json") != record.plain(self._described):
            raise DataError(
                "compare: a comparison goes on with the pictures it began with. Got others than data.json in "
                f"{self.folder} tells of. Pass the same, or compare into another folder."
            )

    def _told(self, summary: dict[str, Any]) -> dict[str, Any]:
        from crossfade.report import summary_table, write_report

        page = write_report(self.folder)
        self._say(f"\n{summary_table(summary)}\npage: {page}")
        return summary

    def _say(self, words: str) -> None:
        if self.verbose:
            print(words, flush=True)


def _policies(arms: Sequence[str] | Mapping[str, Policy | str | None]) -> dict[str, Policy | None]:
    """What each arm mixes by."""
    if isinstance(arms, str):
        raise ConfigError(f'compare: arms are several. Got {arms!r}. Pass ["none", {arms!r}].')
    named = dict(arms) if isinstance(arms, Mapping) else {arm: arm for arm in arms}
    if not isinstance(arms, Mapping) and len(named) < len(arms):
        raise ConfigError(f"compare: every arm is run once. Got {', '.join(arms)}.")
    return {name: None if spec is None else check_policy("compare", spec) for name, spec in named.items()}


def _unmixed(data: MixedDataset | tuple[Any, Any], epochs: int, batch_size: int) -> MixedDataset:
    """The training pictures, which the arms mix."""
    if isinstance(data, tuple) and len(data) == 2:
        x, y = data
        return ArrayDataset(x, y, batch_size=batch_size, epochs=epochs)
    if not isinstance(data, MixedDataset):
        raise ConfigError(
            f"compare: data is an ImageFolder, an ArrayDataset, or arrays (x, y). Got {type(data).__name__}. "
            "What cannot be mixed anew for each arm cannot be compared."
        )
    if data.mixes:
        raise DataError("compare: each arm mixes in its own way. Got data that mixes already. Leave its mix out.")
    return data


def _score(summary: Mapping[str, Any]) -> str:
    judged = summary["judged"]
    return f"{judged['part']} {judged['metric']} {judged[judged['metric']]:.4f}"
