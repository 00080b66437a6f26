"""Weights from a file: all, or all but a head, or nothing."""

import pickle
import re

import pytest
import torch
from safetensors.torch import save_file

from crossfade.errors import CheckpointError
from crossfade.models import build, load_weights, seeded


def written(path, name="resnet20", change=None, **arguments):
    with seeded(1):
        tensors = build(name, **arguments).state_dict()
    save_file({**tensors, **(change or {})}, path)
    return tensors


@pytest.mark.parametrize("name", ["cnn4", "fast", "resnet20", "timm:resnet18"])
def test_every_tensor_is_filled(tmp_path, name):
    tensors = written(tmp_path / "w.safetensors", name, num_classes=4)
    model = build(name, num_classes=4, weights=tmp_path / "w.safetensors")
    assert all(torch.equal(model.state_dict()[key], value) for key, value in tensors.items())


@pytest.mark.parametrize(
    ("name", "head"), [("resnet20", "head"), ("timm:resnet18", "fc"), ("timm:convnext_atto", "head.fc")]
)
def test_a_head_for_other_classes_starts_fresh_and_that_is_said(tmp_path, caplog, name, head):
    tensors = written(tmp_path / "w.safetensors", name, num_classes=4)
    with seeded(2):
        model = build(name, num_classes=6)
        before = {key: value.clone() for key, value in model.state_dict().items()}
    left = load_weights(model, tmp_path / "w.safetensors")
    assert left == [f"{head}.weight", f"{head}.bias"]
    assert "another number of classes" in caplog.text
    for key, value in model.state_dict().items():
        assert torch.equal(value, before[key] if key in left else tensors[key])


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"extra": torch.zeros(1)}, "unexpected: extra"),
        ({"conv.weight": torch.zeros(16, 1, 3, 3)}, "of another shape: conv.weight (16, 1, 3, 3) for (16, 3, 3, 3)"),
        ({"head.weight": torch.zeros(10, 32)}, "of another shape: head.weight (10, 32) for (10, 64)"),
        ({"head.bias": torch.zeros(10).to(torch.int8)}, "of another kind: head.bias torch.int8 for torch.float32"),
        ({"head.bias": torch.zeros(10).to(torch.complex64)}, "of another kind: head.bias torch.complex64 for"),
    ],
)
def test_other_tensors_are_named_and_nothing_is_loaded(tmp_path, change, complaint):
    written(tmp_path / "w.safetensors", change=change, num_classes=10)
    model = build("resnet20", num_classes=10)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(CheckpointError, match=re.escape(complaint)):
        load_weights(model, tmp_path / "w.safetensors")
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_missing_tensors_are_named_a_few_and_counted(tmp_path):
    written(tmp_path / "w.safetensors", num_classes=10)
    with pytest.raises(CheckpointError, match=r"missing: blocks\.5\..* and \d+ more"):
        build("resnet32", num_classes=10, weights=tmp_path / "w.safetensors")


@pytest.mark.parametrize("suffix", [".pt", ".PTH", ".bin"])
def test_a_pickle_is_refused_and_never_run(tmp_path, suffix):
    ran = tmp_path / "ran"

    class Trap:
        def __reduce__(self):
            return (ran.write_text, ("x",))

    path = tmp_path / f"w{suffix}"
    path.write_bytes(pickle.dumps(Trap()))
    with pytest.raises(CheckpointError, match="safetensors only"):
        build("cnn4", num_classes=2, weights=path)
    assert not ran.exists()


def test_a_pickle_under_a_false_name_is_a_damaged_file(tmp_path):
    path = tmp_path / "w.safetensors"
    torch.save({"head.weight": torch.zeros(2)}, path)
    with pytest.raises(CheckpointError, match="whole safetensors file"):
        build("cnn4", num_classes=2, weights=path)


def test_an_absent_file_is_said(tmp_path):
    with pytest.raises(CheckpointError, match="which is none"):
        build("cnn4", num_classes=2, weights=tmp_path / "none.safetensors")
