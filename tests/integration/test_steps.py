"""The steps of the method: check, lr and ablate, with every cause planted."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from crossfade.cli import run as run_command
from crossfade.errors import ConfigError
from crossfade.experiments.ablate import Ablation, ablate, cut
from crossfade.experiments.checking import causes
from crossfade.experiments.checking.check import Check, check, on_itself
from crossfade.experiments.lr import Range, Sweep, draw_schedule, range_test, sweep
from crossfade.models import registry
from crossfade.report import write_report
from crossfade.training.checkpoint import load, tensors_digest
from crossfade.training.config import RunConfig
from crossfade.training.dataset import Pictures, open_pictures
from crossfade.training.record import make_folder
from crossfade.training.run import Bench, build_model, open_bench, train_one
from crossfade.training.signals import Interruption
from tests.integration.folders import write_corners

PLAIN = RunConfig(
    model="cnn4", epochs=12, batch_size=16, lr=3e-3, precision="float32", augment="none", schedule="cosine"
)


def bench_of(data: Path, config: RunConfig = PLAIN, plant: Callable[[Pictures], Pictures] = lambda p: p) -> Bench:
    return open_bench(plant(open_pictures(data, config)), config)


def checked(folder: Path, bench: Bench, config: RunConfig = PLAIN) -> dict:
    make_folder(folder, force=False)
    return check(bench, Check(config), folder)


def shuffled(pictures: Pictures) -> Pictures:
    labels = np.random.default_rng(3).permutation(pictures.index.labels)
    return replace(pictures, index=replace(pictures.index, labels=labels))


def with_pixels(pictures: Pictures, change: Callable[[np.ndarray], np.ndarray]) -> Pictures:
    return replace(pictures, cache=replace(pictures.cache, pixels=change(np.array(pictures.cache.pixels))))


def one_colour(pixels: np.ndarray) -> np.ndarray:
    return np.broadcast_to(np.random.default_rng(0).integers(0, 256, (len(pixels), 1, 1, 1)), pixels.shape).astype("u1")


def repeated(pixels: np.ndarray) -> np.ndarray:
    return pixels[np.arange(len(pixels)) % 7]


def test_a_healthy_network_passes(corners: Path, tmp_path: Path) -> None:
    config = replace(PLAIN, lr=5e-4)
    found = checked(tmp_path / "check", bench_of(corners), config)
    assert found["passed"]
    assert found["causes"] == []
    assert found["train_accuracy"] > 0.95
    assert found["trend"] < 0
    assert len(found["losses"]) == len(found["accuracies"]) == 12
    assert found["sentence"].startswith("passed: ")
    write_report(tmp_path / "check")


@pytest.mark.parametrize(
    ("cause", "options", "plant"),
    [
        (causes.TOO_HIGH, {"lr": 30.0}, None),
        (causes.TOO_HIGH, {"lr": 1e4, "optimizer": "sgd"}, None),  # the loss becomes no number
        (causes.TOO_LOW, {"lr": 1e-7}, None),
        (causes.TOO_LOW, {"lr": 1e-6, "optimizer": "sgd"}, None),
        (causes.SHUFFLED, {}, shuffled),
        (causes.CONSTANT, {}, lambda pictures: with_pixels(pictures, one_colour)),
        (causes.CONSTANT, {}, lambda pictures: with_pixels(pictures, repeated)),
    ],
)
def test_a_planted_cause_is_named_first(
    tmp_path_factory: pytest.TempPathFactory, tmp_path: Path, cause: str, options: dict, plant: Callable | None
) -> None:
    data = tmp_path_factory.mktemp("many") / "corners"
    write_corners(data, each=60)
    config = replace(PLAIN, **options)
    found = checked(tmp_path / "check", bench_of(data, config, plant or (lambda p: p)), config)
    assert [one["cause"] for one in found["causes"]][:1] == [cause]
    assert found["causes"][0]["evidence"] in found["sentence"]
    if cause != causes.SHUFFLED:  # a network may learn shuffled labels by heart
        assert not found["passed"]


class Frozen(nn.Module):
    """A network with so many parameters that learn."""

    def __init__(self, learns: str, **shape: object) -> None:
        super().__init__()
        self.net = registry.build("cnn4", **shape)
        self.learns = learns
        for name, parameter in self.net.named_parameters():
            parameter.requires_grad_(learns == "nothing reached" or name.endswith(learns))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits = self.net(images)
        return (
            logits
            if self.learns != "nothing reached"
            else logits.detach() + 0 * sum(p.sum() for p in self.net.parameters() if p.ndim == 1)
        )


@pytest.mark.parametrize("learns", ["no such parameter", "bias", "nothing reached"])
def test_a_frozen_network_is_named(corners: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, learns: str) -> None:
    monkeypatch.setitem(registry._OURS, "frozen", lambda **shape: Frozen(learns, **shape))
    config = replace(PLAIN, model="frozen")
    found = checked(tmp_path / "check", bench_of(corners, config), config)
    assert not found["passed"]
    assert found["causes"][0]["cause"] == causes.FROZEN
    write_report(tmp_path / "check")


def test_hard_pictures_are_not_called_shuffled(tmp_path: Path) -> None:
    """Faint corners in noise: too hard in so few epochs, but their labels say something."""
    data = write_corners(tmp_path / "data", each=60)
    noise = np.random.default_rng(0)

    def fade(pixels: np.ndarray) -> np.ndarray:
        return np.clip(pixels * 0.15 + noise.integers(0, 200, pixels.shape), 0, 255).astype("u1")

    config = replace(PLAIN, epochs=3, lr=1e-4)
    found = checked(tmp_path / "check", bench_of(data, config, lambda p: with_pixels(p, fade)), config)
    assert not found["passed"]
    assert causes.SHUFFLED not in [one["cause"] for one in found["causes"]]


def test_a_check_leaves_the_test_part_alone(tmp_path: Path) -> None:
    data = write_corners(tmp_path / "data", each=10, parts=("train", "test"))
    bench = bench_of(data)
    fitted = on_itself(bench).pictures.split
    assert (fitted.val == bench.pictures.split.train).all()
    assert not set(fitted.test.tolist()) & set(bench.pictures.split.test.tolist())


def test_checks_that_make_no_sense() -> None:
    with pytest.raises(ConfigError, match="3 epochs or more"):
        Check(replace(PLAIN, epochs=2))
    with pytest.raises(ConfigError, match="bound"):
        Check(PLAIN, 1.0)


def test_rates_side_by_side(corners: Path, tmp_path: Path) -> None:
    config = replace(PLAIN, epochs=3, lr=None, schedule="constant", optimizer="sgd")
    make_folder(tmp_path / "lr", force=False)
    found = sweep(bench_of(corners, config), Sweep(config, [1e5, 0.05, 1e-5]), tmp_path / "lr")
    assert found["suggestion"] == 0.05
    assert found["values"]["100000"]["stopped"]
    assert "blew up at 100000" in found["sentence"]
    assert len(found["values"]["0.05"]["losses"]) == 3 * 3
    assert found["values"]["0.05"]["val"] is not None
    assert "blew up" in write_report(tmp_path / "lr").read_text()


def test_looking_for_a_rate_leaves_the_test_part_alone(tmp_path: Path) -> None:
    config = replace(PLAIN, epochs=1, lr=None)
    bench = bench_of(write_corners(tmp_path / "data", each=10, parts=("train", "test")), config)
    assert bench.pictures.judged == "test"
    make_folder(tmp_path / "lr", force=False)
    sweep(bench, Sweep(config, [0.01]), tmp_path / "lr")
    summary = json.loads((tmp_path / "lr" / "lr-0.01" / "summary.json").read_text())
    assert summary["judged"]["part"] == "val"
    assert "test" not in summary


def test_a_range_test_repeats_and_suggests_a_rate_that_learns(corners: Path, tmp_path: Path) -> None:
    bench = bench_of(corners)
    found = []
    for name in ("one", "other"):
        make_folder(tmp_path / name, force=False)
        found.append(range_test(bench, Range(PLAIN, steps=120), tmp_path / name))
    assert found[0] == found[1]
    assert 1e-5 < found[0]["suggestion"] < 0.05
    learned = checked(tmp_path / "check", bench, replace(PLAIN, lr=found[0]["suggestion"]))
    assert learned["passed"], (found[0]["sentence"], learned["sentence"])
    write_report(tmp_path / "one")


def test_a_range_test_ends_where_the_loss_explodes(corners: Path, tmp_path: Path) -> None:
    config = replace(PLAIN, optimizer="sgd")
    make_folder(tmp_path / "lr", force=False)
    found = range_test(bench_of(corners, config), Range(config, low=1e-3, high=1e6, steps=60), tmp_path / "lr")
    assert found["exploded"]
    assert found["steps"] < 60
    write_report(tmp_path / "lr")


def test_looking_for_a_rate_changes_nothing(corners: Path, tmp_path: Path) -> None:
    bench = bench_of(corners)
    before = tensors_digest(build_model(bench, PLAIN).state_dict())
    state, files = torch.get_rng_state(), sorted(corners.rglob("*"))
    pixels = np.array(bench.pictures.cache.pixels)
    make_folder(tmp_path / "lr", force=False)
    range_test(bench, Range(PLAIN, steps=30), tmp_path / "lr")
    assert torch.equal(state, torch.get_rng_state())
    assert tensors_digest(build_model(bench, PLAIN).state_dict()) == before
    assert sorted(corners.rglob("*")) == files
    assert (pixels == bench.pictures.cache.pixels).all()
    assert [path.name for path in tmp_path.iterdir()] == ["lr"]


def test_the_training_that_follows_is_the_same(corners: Path, tmp_path: Path) -> None:
    bench, config = bench_of(corners), replace(PLAIN, epochs=2, ema=0.5)

    def trained(name: str) -> str:
        make_folder(tmp_path / name, force=False)
        train_one(bench, config, tmp_path / name)
        weights = load(tmp_path / name / "checkpoints" / "last").tensors["model"]
        return tensors_digest(dict(sorted(weights.items())))

    before, drawn = trained("before"), (random.getstate(), np.random.get_state()[1].tolist())
    for name in ("range", "values"):
        make_folder(tmp_path / name, force=False)
    range_test(bench, Range(config, steps=20), tmp_path / "range")
    sweep(bench, Sweep(replace(config, lr=None, epochs=1), [0.1, 0.001]), tmp_path / "values")
    assert trained("after") == before
    assert (random.getstate(), np.random.get_state()[1].tolist()) == drawn


def test_a_schedule_is_drawn_on_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_command(["lr", "--show-schedule", "--schedule", "step", "--epochs", "6", "--every", "2"]) == 0
    assert (
        "over 6 epochs the learning rate begins at 0.001 and is multiplied by 0.5 after every 2 epochs"
        in capsys.readouterr().out
    )
    assert (tmp_path / "runs" / "schedule" / "report.html").is_file()


def test_a_check_that_failed_is_said_to_have_failed_by_resume(
    corners: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    check_it = ["check", str(corners), "--model", "cnn4", "--epochs", "3", "--lr", "1e-9", "--out", "run"]
    assert run_command(check_it) == run_command(["resume", "run"]) == 1
    found = json.loads(Path("run/check.json").read_text())
    Path("run/check.json").write_text(json.dumps(found | {"passed": True}))
    assert run_command(["resume", "run"]) == 0


def test_a_sweep_without_a_good_rate_is_said_to_have_found_none_by_resume(
    corners: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    sweep_it = ["lr", str(corners), "--model", "cnn4", "--optimizer", "sgd", "--values", "1e30", "--epochs", "1"]
    assert run_command([*sweep_it, "--out", "run"]) == run_command(["resume", "run"]) == 1


@pytest.mark.parametrize("schedule", ["constant", "cosine", "step", "onecycle", "plateau"])
def test_every_schedule_is_drawn(tmp_path: Path, schedule: str) -> None:
    found = draw_schedule(replace(PLAIN, schedule=schedule, every=4), tmp_path)
    assert len(found["rates"]) == 12 * found["steps_per_epoch"]
    assert max(found["rates"]) == pytest.approx(3e-3)
    assert "The learning rate" in write_report(tmp_path).read_text()


def test_steps_are_those_that_were_taken(corners: Path, tmp_path: Path) -> None:
    """A last batch of one picture is left out: 33 pictures in batches of 16 are two steps, not three."""
    config = replace(PLAIN, epochs=3, patience=3)
    make_folder(tmp_path / "ablate", force=False)
    found = ablate(bench_of(corners, config), Ablation((11,), ("none",), (0,), config), tmp_path / "ablate")
    assert (found["pictures"], found["steps"]) == ([33], [3 * 2])
    assert any("before the steps told" in note for note in found["notes"])
    config = replace(config, per_class=11, patience=None)
    assert checked(tmp_path / "check", bench_of(corners, config), config)["steps"] == 3 * 2


def test_more_pictures_are_judged_on_the_same_ones(corners: Path, tmp_path: Path) -> None:
    config = replace(PLAIN, epochs=3)
    bench = bench_of(corners, config)
    asked = Ablation((None, 2, 8, 16, 40), ("none", "mixup"), (0, 1), config)
    sizes, notes = cut(bench.pictures, asked.sizes)
    assert [size.name for size in sizes] == ["2", "8", "16"]
    assert any("corner0 has only 16" in note for note in notes)
    assert any("all keeps the same 48 pictures as 16" in note for note in notes)
    for size in sizes:
        assert (size.pictures.split.val == bench.pictures.split.val).all()
    make_folder(tmp_path / "ablate", force=False)
    found = ablate(bench, asked, tmp_path / "ablate")
    assert found["pictures"] == [6, 24, 48]
    assert found["steps"] == [3, 6, 9]
    summaries = [json.loads((tmp_path / "ablate" / name / "summary.json").read_text()) for name in ("2", "8", "16")]
    first = [summary["arms"][arm]["initial_weights"] for summary in summaries for arm in ("none", "mixup")]
    assert all(one == first[0] for one in first)
    assert np.shape(found["arms"]["mixup"]["seeds"]) == (2, 3)
    page = write_report(tmp_path / "ablate").read_text()
    assert "<script" not in page
    assert found["sentences"][0][1:20] in page


@pytest.mark.parametrize("step", ["check", "lr", "ablate"])
def test_a_step_that_was_stopped_ends_as_if_it_had_not_been(
    corners: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], step: str
) -> None:
    monkeypatch.chdir(tmp_path)
    flags = {
        "check": ["--epochs", "4"],
        "lr": ["--values", "0.01,0.001"],
        "ablate": ["--per-class", "3,9", "--seeds", "2"],
    }
    common = [step, str(corners), "--model", "cnn4", "--batch-size", "16", "--precision", "float32", *flags[step]]
    common += ["--epochs", "2"] if step == "ablate" else []
    run_command([*common, "--out", "whole"])
    from crossfade.training import loop

    told, real = [0], loop.Training._end_epoch

    def stopped(self: loop.Training, line: dict) -> None:
        real(self, line)
        told[0] += 1
        if told[0] == 3:
            raise Interruption("stopped")

    with monkeypatch.context() as patch:
        patch.setattr(loop.Training, "_end_epoch", stopped)
        assert run_command([*common, "--out", "part"]) == 130
    run_command(["resume", "part"])
    capsys.readouterr()

    def result(name: str) -> dict:
        found = json.loads(Path(name, f"{step}.json").read_text())
        found.pop("commands", None)
        return found

    whole, part = result("whole"), result("part")
    if step == "lr":  # the smoothed line has a gap where it was stopped
        for found in (whole, part):
            for one in found["values"].values():
                one.pop("losses")
    assert whole == part


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["lr", "DATA", "--values", "abc"], "values: numbers with commas"),
        (["lr", "DATA", "--values", "0.1,-1"], "above 0. Got 0.1, -1"),
        (["lr", "DATA", "--values", "0.1,0.10"], "tried once"),
        (["lr", "DATA", "--values", "0.1", "--range"], "one thing at a time"),
        (["lr", "DATA", "--lr", "0.1"], "looks for a rate"),
        (["lr", "DATA", "--range", "--low", "1", "--high", "0.1"], "below high"),
        (["lr", "DATA", "--range", "--steps", "3"], "20 steps or more"),
        (["lr", "DATA", "--steps", "30"], "belongs to --range"),
        (["lr"], "needs a folder of pictures"),
        (["check", "DATA", "--per-class", "0"], "per_class: must be 1 or more"),
        (["check", "DATA", "--bound", "2"], "bound is a share"),
        (["check", "DATA", "--epochs", "1"], "3 epochs or more"),
        (["check", "DATA", "--mix", "cutmixx"], "cutmix"),
        (["ablate", "DATA", "--per-class", "10,some"], "per_class: whole numbers"),
        (["ablate", "DATA", "--per-class", "0,10"], "per_class: whole numbers"),
        (["ablate", "DATA", "--per-class", "10,10"], "every size is run once"),
    ],
)
def test_nonsense_is_answered_with_a_letter(
    corners: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    arguments: list[str], words: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert run_command([str(corners) if word == "DATA" else word for word in arguments]) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_a_file_describes_the_training_and_not_its_check(
    corners: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("run.toml").write_text('model = "cnn4"\nepochs = 2\nmix = "cutmix"\naugment = "strong"\nlr = 0.003\n')
    assert run_command(["check", str(corners), "-c", "run.toml", "--out", "c"]) == 0
    assert "epochs = 2, mix = 'cutmix', augment = 'strong' of run.toml are set aside" in capsys.readouterr().err
    written = (tmp_path / "c" / "config.toml").read_text()
    assert "epochs = 20" in written
    assert 'mix = "none"' in written
    assert "lr = 0.003" in written
