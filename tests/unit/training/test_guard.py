"""A number that is not finite stops a training at that step, is named, and reaches neither weights nor checkpoint."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from crossfade.errors import TrainingError
from crossfade.training import checkpoint, guard
from crossfade.training.callbacks import Callback
from crossfade.training.config import RunConfig
from crossfade.training.dataset import open_pictures
from crossfade.training.device_feed import DeviceFeed
from crossfade.training.guard import Guard, check_finite, check_logits
from crossfade.training.loop import Training
from crossfade.training.record import make_folder
from crossfade.training.run import Bench, build_model, open_bench, train_one
from tests.integration.folders import write_corners

CONFIG = RunConfig(model="cnn4", epochs=3, batch_size=8, lr=3e-3, precision="float32", device="cpu", threads=0)
STEP = 9  # of 6 in an epoch: the third of the second one
NAN = float("nan")


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CROSSFADE_CACHE", str(tmp_path_factory.mktemp("cache")))
        return open_bench(open_pictures(write_corners(tmp_path_factory.mktemp("data")), CONFIG), CONFIG)


class Planted(Callback):
    """Does something to the network when so many steps are done, and counts those that follow."""

    def __init__(self, plant) -> None:
        self.plant, self.steps = plant, 0

    def on_step(self, step) -> None:
        self.steps = step.done
        if step.done == STEP - 1:
            self.plant()


def train(bench: Bench, folder: Path, plant) -> tuple[str, int]:
    """What a training says that something is planted in, and how many steps it took."""
    make_folder(folder, force=False)
    model = build_model(bench, CONFIG)
    planted = Planted(lambda: plant(model))
    with pytest.raises(TrainingError) as caught:
        Training(CONFIG, bench.pictures, model, bench.normalisation, folder, bench.device, callbacks=[planted]).run()
    assert all(weights.isfinite().all() for weights in model.parameters()) or "weight" in str(caught.value)
    return str(caught.value), planted.steps


def saved(folder: Path) -> checkpoint.Checkpoint:
    found = checkpoint.read(folder / "checkpoints" / "last")
    assert all(t.isfinite().all() for group in found.tensors.values() for t in group.values())
    return found


def test_nan_in_a_picture(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = DeviceFeed.to_device

    def to_device(self, ready):
        images, labels = real(self, ready)
        if self.policy is not None and ready.epoch == 1 and ready.step >= 2:
            images = images.clone()
            images[0, 0, 0, 0] = NAN
        return images, labels

    monkeypatch.setattr(DeviceFeed, "to_device", to_device)
    letter, steps = train(bench, tmp_path / "run", lambda model: None)
    assert steps == STEP - 1
    assert "Got a number that is not finite in the picture corner" in letter
    assert "in epoch 2, step 3, batch of 8 pictures (corner" in letter
    assert "[preprocess]" in letter
    named = letter.split("in the picture ")[1].split(",")[0]
    assert named == letter.split("pictures (")[1].split(",")[0], "the first of the batch was spoilt"
    assert saved(tmp_path / "run").state["epochs_done"] == 1


def test_nan_in_a_weight(bench: Bench, tmp_path: Path) -> None:
    def plant(model):
        model.features[2].weight.data[1, 2, 0, 0] = NAN

    letter, steps = train(bench, tmp_path / "run", plant)
    assert steps == STEP - 1
    assert "Got nan in the weight features.2.weight, in epoch 2, step 3" in letter
    assert saved(tmp_path / "run").state["epochs_done"] == 1


def test_inf_in_a_gradient(bench: Bench, tmp_path: Path) -> None:
    """The loss is finite, and the weights must stay so."""

    def plant(model):
        model.head.bias.register_hook(lambda gradient: gradient * float("inf"))

    letter, steps = train(bench, tmp_path / "run", plant)
    assert steps == STEP - 1
    assert "Got inf in the gradient head.bias" in letter or "Got -inf in the gradient head.bias" in letter
    assert "clip_norm = 1" in letter
    assert saved(tmp_path / "run").state["epochs_done"] == 1


def test_nan_in_the_loss(bench: Bench, tmp_path: Path) -> None:
    def plant(model):
        model.head.register_forward_hook(lambda module, inputs, logits: logits * NAN)

    letter, steps = train(bench, tmp_path / "run", plant)
    assert steps == STEP - 1
    assert "Got a loss of nan, in epoch 2, step 3, batch of 8 pictures (corner" in letter
    assert saved(tmp_path / "run").state["epochs_done"] == 1


def test_a_weight_that_no_loss_shows_is_not_saved(bench: Bench, tmp_path: Path) -> None:
    """Planted after the last step of an epoch."""
    make_folder(tmp_path / "run", force=False)
    model = build_model(bench, CONFIG)

    class Late(Callback):
        def on_step(self, step) -> None:
            if step.done == 12:
                model.head.bias.data[0] = float("inf")

    with pytest.raises(TrainingError, match=r"Got inf in the weight head\.bias, which was not saved"):
        Training(
            CONFIG, bench.pictures, model, bench.normalisation, tmp_path / "run", bench.device, callbacks=[Late()]
        ).run()
    assert saved(tmp_path / "run").state["epochs_done"] == 1


def test_a_weight_that_the_average_does_not_show_is_not_saved(bench: Bench, tmp_path: Path) -> None:
    """The running average has tensors of the same names, and here they are finite."""
    make_folder(tmp_path / "run", force=False)
    config = replace(CONFIG, ema=0.9)
    model = build_model(bench, config)

    class Late(Callback):
        def on_step(self, step) -> None:
            if step.done == 12:
                model.head.bias.data[0] = NAN

    training = Training(config, bench.pictures, model, bench.normalisation, tmp_path / "run", bench.device)
    training.callbacks = [Late()]
    with pytest.raises(TrainingError, match=r"Got nan in the weight head\.bias, which was not saved"):
        training.run()
    assert saved(tmp_path / "run").state["epochs_done"] == 1


@pytest.mark.parametrize(("every", "looked_at"), [(4, 10), (50, 12)])
def test_where_a_look_waits_for_the_device_it_comes_every_few_steps_and_before_a_save(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, every: int, looked_at: int
) -> None:
    """As on an accelerator; an epoch has six steps, and the number that is not finite comes in step 9."""
    monkeypatch.setattr(guard, "LOOK_EVERY", every)
    make_folder(tmp_path / "run", force=False)
    model = build_model(bench, CONFIG)
    training = Training(CONFIG, bench.pictures, model, bench.normalisation, tmp_path / "run", bench.device)
    training._guard = Guard(model, bench.pictures.index.paths, training._images_again, torch.device("cuda"))
    taken: list[int] = []
    real = Training._step

    def step(self, at, images, labels, ready):
        taken.append(at + 1)
        return real(self, at, images * (NAN if at + 1 == STEP else 1), labels, ready)

    monkeypatch.setattr(Training, "_step", step)
    with pytest.raises(TrainingError, match=r"Got a loss of nan, in epoch 2, step 3, batch of 8 pictures \(corner"):
        training.run()
    assert taken[-1] == looked_at
    assert saved(tmp_path / "run").state["epochs_done"] == 1


def test_a_training_that_a_nan_stopped_goes_on(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_folder(tmp_path / "whole", force=False)
    train_one(bench, CONFIG, tmp_path / "whole")
    real = DeviceFeed.to_device

    def to_device(self, ready):
        images, labels = real(self, ready)
        return (images * NAN if self.policy is not None and (ready.epoch, ready.step) == (1, 2) else images), labels

    make_folder(tmp_path / "run", force=False)
    with monkeypatch.context() as patch:
        patch.setattr(DeviceFeed, "to_device", to_device)
        with pytest.raises(TrainingError, match="in the picture"):
            train_one(bench, CONFIG, tmp_path / "run")
    train_one(bench, CONFIG, tmp_path / "run", resume=True)
    ours, theirs = (saved(tmp_path / name).tensors["model"] for name in ("run", "whole"))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_large_numbers_that_are_finite_are_no_reason_to_stop() -> None:
    check_finite({"a": torch.full((9,), 3e38), "count": torch.tensor(3), "none": torch.zeros(0)})
    with pytest.raises(TrainingError, match="Got -inf in the weight b"):
        check_finite({"a": torch.zeros(3), "b": torch.tensor([1.0, -torch.inf])})


@pytest.mark.parametrize(
    ("weight", "words"), [(torch.nan, "Got nan in the weight weight, which was not saved"), (1.0, "Got logits that")]
)
def test_logits_that_are_no_numbers_name_the_weight_if_it_is_to_blame(weight: float, words: str) -> None:
    model = nn.Linear(1, 1)
    nn.init.constant_(model.weight, weight)
    with pytest.raises(TrainingError, match=words):
        check_logits(torch.tensor([[0.0, torch.inf]]), model)
    check_logits(torch.tensor([[0.0, 1e30]]), model)


def test_what_the_optimiser_remembers_is_looked_at_too(bench: Bench, tmp_path: Path) -> None:
    """An infinite second moment holds its weight where it is for good, and no loss would ever tell."""
    make_folder(tmp_path / "run", force=False)

    class Late(Callback):
        def on_step(self, step) -> None:
            if step.done == 12:
                next(iter(training._optimizer.state.values()))["exp_avg_sq"].fill_(float("inf"))

    config = replace(CONFIG, optimizer="adamw", lr=1e-3)
    model = build_model(bench, config)
    training = Training(config, bench.pictures, model, bench.normalisation, tmp_path / "run", bench.device)
    training.callbacks = [Late()]
    with pytest.raises(TrainingError, match=r"Got inf in the optimiser's 0\.exp_avg_sq, which was not saved"):
        training.run()
