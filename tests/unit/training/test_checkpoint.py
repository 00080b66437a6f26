"""A checkpoint comes back to the bit, or with a sentence; and a save that is cut off loses nothing."""

import builtins
import json
import os
import random
import shutil
from typing import get_args, get_type_hints

import pytest
import torch

from crossfade.errors import CheckpointError
from crossfade.models import build, seeded
from crossfade.training import checkpoint
from crossfade.training.checkpoint import (
    flatten_optimizer,
    load,
    read,
    restore_optimizer,
    save,
    settle,
    standing,
    tensors_digest,
)
from crossfade.training.config import RunConfig
from crossfade.training.optimise import build_optimizer
from tests.scale import scaled


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "checkpoints" / "last"


def some_tensors(value=1.0):
    return {"model": {"a": torch.full((2, 3), value), "b": torch.tensor(7)}}


def test_tensors_and_state_come_back_to_the_bit(folder):
    tensors = {
        "half": torch.tensor([1.5, -0.0, torch.inf], dtype=torch.bfloat16),
        "channels_last": torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last),
        "slice": torch.arange(10)[::3],
        "empty": torch.zeros(0, 4),
        "flag": torch.tensor(True),
    }
    state = {"epoch": 3, "loss": 0.1 + 0.2, "names": ["Ärmel", "b"], "best": None, "counts": {2: 1, 10: 4}}
    save(folder, {"model": tensors}, state)
    found = load(folder)
    assert tensors_digest({key: found.tensors["model"][key] for key in tensors}) == tensors_digest(tensors)
    assert found.state == {**state, "counts": {"2": 1, "10": 4}}


def test_tied_tensors_are_written_each_and_load_into_the_tied_model(folder):
    model = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Linear(3, 3))
    model[1].weight = model[0].weight
    save(folder, {"model": model.state_dict()}, {})
    expected = model[0].weight.detach().clone()
    with torch.no_grad():
        model[0].weight.zero_()
    model.load_state_dict(load(folder).tensors["model"])
    assert torch.equal(model[1].weight, expected)


def test_the_weights_file_is_what_build_takes(folder):
    model = build("resnet20", num_classes=3)
    save(folder, {"model": model.state_dict()}, {})
    again = build("resnet20", num_classes=3, weights=folder / "model.safetensors")
    assert tensors_digest(again.state_dict()) == tensors_digest(model.state_dict())


def test_a_save_replaces_the_one_before_the_last_and_leaves_no_other_beside_it(folder):
    save(folder, {**some_tensors(1.0), "ema": {"a": torch.zeros(1)}}, {"epoch": 1})
    save(folder, {**some_tensors(2.0), "ema": {"a": torch.zeros(1)}}, {"epoch": 2})
    save(folder, some_tensors(3.0), {"epoch": 3})
    found = load(folder)
    assert found.state == {"epoch": 3}
    assert set(found.tensors) == {"model"}
    assert float(found.tensors["model"]["a"][0, 0]) == 3.0
    assert {path.name for path in folder.parent.iterdir()} == {"last", "last.previous"}
    assert [one.state["epoch"] for one in standing(folder)] == [3, 2]


@pytest.mark.parametrize("damage", ["flip", "cut", "no weights", "no state", "gone"])
def test_where_the_latest_is_damaged_the_previous_is_used_and_that_is_said(folder, caplog, damage):
    for epoch in (1, 2):
        save(folder, some_tensors(float(epoch)), {"epochs_done": epoch})
    weights, state = folder / "model.safetensors", folder / "state.json"
    if damage in ("flip", "cut"):
        data = weights.read_bytes()
        weights.write_bytes(data[:-5] if damage == "cut" else data[:-1] + bytes([data[-1] ^ 8]))
    elif damage == "gone":
        shutil.rmtree(folder)
    else:
        (weights if damage == "no weights" else state).unlink()
    found = load(folder)
    assert (found.state["epochs_done"], float(found.tensors["model"]["a"][0, 0])) == (1, 1.0)
    assert "last.previous, of epoch 1, is taken in its place" in caplog.text
    assert (damage == "gone") == ("must be whole" not in caplog.text)
    settle(found, folder)
    assert [path.name for path in folder.parent.iterdir()] == ["last"]
    assert read(folder).state == {"epochs_done": 1}


@pytest.mark.parametrize("name", ["last", "last.previous", "last.new"])
@pytest.mark.parametrize("kind", ["link", "dangling", "file"])
def test_what_stands_in_the_way_gives_way_and_what_a_link_leads_to_stays(folder, tmp_path, name, kind):
    """A full disk is often answered by moving a checkpoint away and leaving a link."""
    for epoch in (1, 2):
        save(folder, some_tensors(float(epoch)), {"epoch": epoch})
    place, elsewhere = folder.with_name(name), tmp_path / "elsewhere"
    if place.exists() and kind == "link":
        shutil.move(place, elsewhere)
    elif kind == "link":
        elsewhere.mkdir()
        (elsewhere / "precious").touch()
    else:
        shutil.rmtree(place, ignore_errors=True)
    before = {path: path.read_bytes() for path in elsewhere.rglob("*")}
    place.touch() if kind == "file" else place.symlink_to(elsewhere)
    settle(load(folder), folder)
    for epoch in (3, 4, 5):
        save(folder, some_tensors(float(epoch)), {"epoch": epoch})
        assert load(folder).state == {"epoch": epoch}
    assert [one.state["epoch"] for one in standing(folder)] == [5, 4]
    assert {path: path.read_bytes() for path in elsewhere.rglob("*")} == before


def test_where_both_are_damaged_nothing_is_loaded(folder):
    for epoch in (1, 2):
        save(folder, some_tensors(float(epoch)), {"epochs_done": epoch})
    for name in ("last", "last.previous"):
        (folder.with_name(name) / "model.safetensors").write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"last: model\.safetensors is not the file that was written"):
        load(folder)


OPERATIONS = 16  # on the disk, in a save of two files: enough of them that the last `cut` is never reached


@pytest.mark.parametrize("cut", range(OPERATIONS))
def test_wherever_a_save_is_cut_off_a_whole_checkpoint_stands_and_the_next_save_works(folder, monkeypatch, cut):
    """Every operation on the disk fails in turn, as if the machine had stopped before it."""
    for epoch in (1, 2):
        save(folder, some_tensors(float(epoch)), {"epoch": epoch})
    done = 0

    def mortal(real):
        def operate(*args, **kwargs):
            nonlocal done
            if done >= cut:
                raise KeyboardInterrupt
            done += 1
            return real(*args, **kwargs)

        return operate

    with monkeypatch.context() as patch:
        for place, name in ((os, "open"), (os, "fsync"), (os, "replace"), (os, "mkdir"), (os, "rmdir"),
                            (os, "unlink"), (builtins, "open")):  # fmt: skip
            patch.setattr(place, name, mortal(getattr(place, name)))
        try:
            save(folder, some_tensors(3.0), {"epoch": 3})
            assert cut == OPERATIONS - 1, "every operation was cut, and the last save of all went through"
        except KeyboardInterrupt:
            pass
    found = load(folder)
    assert float(found.tensors["model"]["a"][0, 0]) == found.state["epoch"] >= 2
    save(folder, some_tensors(4.0), {"epoch": 4})
    assert load(folder).state == {"epoch": 4}


def test_a_full_disk_is_a_sentence_and_the_old_one_stays(folder, monkeypatch):
    save(folder, some_tensors(1.0), {"epoch": 1})

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "write_whole", full)
        with pytest.raises(CheckpointError, match="No space left"):
            save(folder, some_tensors(2.0), {"epoch": 2})
    assert load(folder).state == {"epoch": 1}


def test_a_state_that_is_no_json_is_refused(folder):
    with pytest.raises(CheckpointError, match="its state JSON"):
        save(folder, some_tensors(), {"when": object()})


@pytest.mark.parametrize("name", ["model.safetensors", "state.json"])
def test_any_flipped_bit_is_noticed(folder, name):
    save(folder, some_tensors(), {"epoch": 123})
    path = folder / name
    whole = path.read_bytes()
    for place in range(len(whole)):
        for bit in (0x01, 0x10):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ bit]) + whole[place + 1 :])
            try:
                found = load(folder)
            except CheckpointError:
                continue
            # Only a blank that JSON does not read may differ.
            assert name == "state.json"
            assert found.state == {"epoch": 123}


FLIPS = scaled(200, 2000)


@pytest.mark.slow
def test_no_flipped_bit_of_a_training_is_loaded_silently(folder, caplog):
    """Anywhere in a checkpoint of a network, its optimiser and its state: the previous one, and a warning."""
    with seeded(0):
        model = build("cnn4", num_classes=3, channels=1, size=8)
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.zeros(2, 1, 8, 8)).sum().backward()
    optimizer.step()
    tensors, rest = flatten_optimizer(optimizer)
    for epoch in (1, 2):
        state = {"epochs_done": epoch, "optimizer": rest, "history": [{"val": {"loss": 0.1 / epoch}}] * 9}
        save(folder, {"model": model.state_dict(), "optimizer": tensors}, state)
    draw, paths = random.Random(0), sorted(folder.iterdir())
    taken = 0
    for flip in range(FLIPS):
        path = paths[flip % len(paths)]
        with path.open("r+b") as file:
            at = draw.randrange(path.stat().st_size)
            file.seek(at)
            byte = file.read(1)[0]
            file.seek(at)
            file.write(bytes([byte ^ 1 << draw.randrange(8)]))
            file.flush()
            caplog.clear()
            found = load(folder)
            if found.state["epochs_done"] == 1:
                taken += 1
                assert "must be whole" in caplog.text
            else:  # a blank between two words of JSON, which nobody reads
                assert (path.name, bytes([byte])) == ("state.json", b" ") or bytes([byte]) == b"\n"
                assert found.state == json.loads(json.dumps(state))
            file.seek(at)
            file.write(bytes([byte]))
    assert taken > 0.9 * FLIPS
    assert load(folder).state["epochs_done"] == 2


@pytest.mark.parametrize("name", ["model.safetensors", "state.json"])
def test_a_missing_file_is_named(folder, name):
    save(folder, some_tensors(), {})
    (folder / name).unlink()
    with pytest.raises(CheckpointError, match=f"{name} is missing"):
        load(folder)


@pytest.mark.parametrize("text", ["", "{", "[1]", "{}", "[" * 100_000])
def test_a_state_that_was_cut_or_is_another_file_is_damage(folder, text):
    save(folder, some_tensors(), {})
    (folder / "state.json").write_text(text)
    with pytest.raises(CheckpointError, match="is damaged"):
        load(folder)


def test_an_absent_checkpoint_is_said(folder):
    with pytest.raises(CheckpointError, match=r"state\.json is missing"):
        load(folder)


def test_another_format_asks_for_its_version(folder):
    save(folder, some_tensors(), {})
    letter = json.loads((folder / "state.json").read_text())
    (folder / "state.json").write_text(json.dumps({**letter, "format": 2}))
    with pytest.raises(CheckpointError, match=r"format 1\. Got .*format 2\. Use the version"):
        load(folder)


def test_the_digest_sees_names_order_types_shapes_and_bytes_and_no_memory_format():
    x = torch.arange(24, dtype=torch.float32).view(1, 2, 3, 4)
    base = tensors_digest({"a": x, "b": x})
    assert base == tensors_digest({"a": x.clone().to(memory_format=torch.channels_last), "b": x})
    others = [
        {"a": x, "c": x},
        {"b": x, "a": x},
        {"a": x.int(), "b": x},
        {"a": x.view(2, 12), "b": x},
        {"a": -x, "b": x},
        {"a": x},
    ]
    assert len({base, *map(tensors_digest, others)}) == len(others) + 1


@pytest.mark.parametrize("kind", get_args(get_type_hints(RunConfig)["optimizer"]))
def test_an_optimiser_resumes_to_the_bit(folder, kind):
    def made():
        with seeded(0):
            model = build("cnn4", num_classes=3, channels=1, size=8).to(memory_format=torch.channels_last)
        return model, build_optimizer(model, RunConfig(optimizer=kind))

    def step(model, optimizer, number):
        images = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(number))
        optimizer.zero_grad()
        model(images).square().mean().backward()
        optimizer.step()

    straight = made()
    for number in range(3):
        step(*straight, number)
    tensors, rest = flatten_optimizer(straight[1])
    save(folder, {"model": straight[0].state_dict(), "optimizer": tensors}, {"optimizer": rest})

    found, resumed = load(folder), made()
    resumed[0].load_state_dict(found.tensors["model"])
    restore_optimizer(resumed[1], found.tensors["optimizer"], found.state["optimizer"])
    lies = [
        [value.stride() == parameter.stride() for value in entries.values() if getattr(value, "ndim", 0)]
        for parameter, entries in resumed[1].state.items()
    ]
    assert all(map(all, lies)), "its state lies in memory as the parameters do, or steps would take longer"
    step(*straight, 3)
    step(*resumed, 3)
    assert tensors_digest(resumed[0].state_dict()) == tensors_digest(straight[0].state_dict())


def test_the_state_of_another_optimiser_is_refused():
    model = build("cnn4", num_classes=2, channels=1, size=8)
    tensors, rest = flatten_optimizer(torch.optim.Adam(model.parameters()))
    with pytest.raises(CheckpointError, match="must be the one that was saved"):
        restore_optimizer(torch.optim.Adam(list(model.parameters())[:2]), tensors, rest)
