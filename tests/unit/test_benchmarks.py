"""Every benchmark runs at a tiny size, and its table says what it must. The speeds themselves are not tested."""

from __future__ import annotations

import os

import numpy as np
import pytest
import torch
from benchmarks import (
    folder_speed,
    keras_speed,
    mixing_speed,
    peers,
    pictures,
    startup,
    step_speed,
    table,
    timing,
    training_cost,
)
from benchmarks.table import Line, Section
from benchmarks.timing import Timing


@pytest.fixture(autouse=True)
def only_timm(monkeypatch):
    """As where nothing but the workbench is installed."""
    real = timing.installed
    for module in (peers, folder_speed):
        monkeypatch.setattr(module, "installed", lambda name: real(name) if name == "timm" else None)


def rounds_of(section: Section) -> set[int]:
    return {len(candidate.seconds) for candidate in section.candidates}


def test_mixing_measures_ours_timm_and_a_copy():
    sections = mixing_speed.measure(mixing_speed.Size(batch=4, side=16, classes=5, rounds=2))
    assert [len(section.lines) for section in sections] == [3, 3, 2, 2]
    for section in sections:
        assert rounds_of(section) == {2}
        assert all("timm" in line.best_peer or "copying" in line.best_peer for line in section.lines)
    names = {candidate.name for candidate in sections[0].candidates}
    assert {"timm Mixup, after normalising", "timm FastCollateMixup, then normalise", mixing_speed.COPY} <= names


def test_mixing_in_keras_is_measured_on_a_backend_of_its_own_process():
    size = keras_speed.Size(shapes=((4, 16, 16, 3),), dtypes=("uint8",), classes=5, pictures=8, rounds=2)
    (section,) = keras_speed.measure(size, backends=("jax",))
    assert [line.work for line in section.lines] == [
        f"Keras on jax, uint8 4x16x16x3 -> {method}, {place}"
        for method in ("mixup", "cutmix")
        for place in ("tf.data", "layer")
    ]
    assert [line.best_peer.split("(")[1] for line in section.lines] == ["keras.layers.MixUp)"] * 2 + [
        "keras.layers.CutMix)"
    ] * 2
    assert rounds_of(section) == {2}
    assert {line.bar for line in section.lines} == {">= 3x"}


def test_mixing_in_keras_is_skipped_without_it(monkeypatch):
    monkeypatch.setattr(keras_speed, "installed", lambda name: None)
    (section,) = keras_speed.measure(keras_speed.Size())
    assert section.notes == ["keras, tensorflow: not installed, so this was skipped"]


def test_folder_and_small_pictures(tmp_path):
    pictures.write_jpegs(tmp_path / "photos", 12, classes=2, sizes=((30, 20), (20, 30)))
    sections = folder_speed.measure(tmp_path / "photos", folder_speed.Size(batch=4, side=16, rounds=2, epochs=2))
    sections.append(folder_speed.small_pictures(tmp_path / "photos", rounds=2))
    assert [rounds_of(section) for section in sections] == [{2}] * 6
    bars = [">= 20x", ">= 20x", ">= 10x", ">= 3x", ">= 3x", ">= 8x"]
    assert [section.lines[0].bar for section in sections] == bars
    for section in sections[:5]:
        assert section.lines[0].met == "not judged"
        assert "torchvision is not installed and was skipped" in section.notes[0]
    assert "Pillow" in sections[5].lines[0].best_peer
    assert sections[5].lines[1].bar == ">= 6x"


def test_what_recording_costs(tmp_path):
    pictures.write_jpegs(tmp_path / "photos", 40, classes=2, sizes=((30, 20),))
    size = training_cost.Size(epochs=1, rows=1000, rounds=2)
    recording, auc = training_cost.measure(tmp_path / "photos", size)
    assert recording.lines[0].bar == "<= 2 %"
    parts = {note.split(":")[0]: float(note.split()[1]) for note in recording.notes[:4]}
    assert set(parts) == {"recorder", "metrics", "page", "checkpoints"}
    assert all(seconds > 0 for seconds in parts.values())
    assert (auc.lines[0].work, auc.lines[0].bar, rounds_of(auc)) == ("AUC of 1,000 rows", "<= 1 s", {2})


def test_time_within_timed_time_is_counted_once():
    watch = training_cost.Stopwatch()
    inner = watch.timed(lambda: 7, "inner")
    assert watch.timed(lambda: inner() + 1, "outer")() == 8
    assert set(watch.seconds) == {"outer"}
    assert inner() == 7
    assert set(watch.seconds) == {"outer", "inner"}


def test_a_step_of_training():
    (section,) = step_speed.measure(step_speed.Size(shapes=(("cnn4", 4, 8),), rounds=2))
    assert section.lines[0].work == "a step of training, cnn4, 4x8x8"
    assert section.lines[0].best_peer.endswith("(freed memory given back)")
    assert rounds_of(section) == {2}


def test_startup():
    section = startup.measure(rounds=2)
    assert rounds_of(section) == {2}
    assert section.lines[0].bar == "<= 0.3 s"


def test_absent_peers_are_named():
    absent = [text for text in peers.described() if "skipped" in text]
    assert [text.split()[0] for text in absent] == ["torchvision", "kornia", "keras"]


def test_table_judges_by_the_fastest_peer():
    ours, slow, fast = (Timing(name, times) for name, times in [("we", (1, 2, 9)), ("slow", (50,)), ("fast", (6, 8))])
    line = table.beside_peers("work", ours, [slow, fast], 3)
    assert (line.best_peer, line.ratio, line.met) == ("7.00 s (fast)", "3.5x", "yes")
    assert table.beside_peers("work", ours, [slow, fast], 4).met == "NO"
    assert table.beside_peers("work", ours, [], 4).met == "not judged"
    assert table.beside_copy("work", ours, fast, 4).met == "NO"
    assert table.at_most("work", 0.31, 0.3, "s").met == "NO"


def test_text_has_columns_then_candidates():
    shown = table.text([Section("title", [Line(*"abcdef")], [Timing("we", (1.0, 2.0, 4.0))], ["a note"])])
    lines = shown.splitlines()
    assert lines[0].split() == ["work", "ours", "best", "peer", "ratio", "bar", "met"]
    assert lines[2].split() == list("abcdef")
    assert lines[5].split() == ["we", "2.00", "s", "1.00", "s", "..", "4.00", "s,", "n=3"]
    assert lines[6].strip() == "a note"


def test_every_candidate_runs_once_a_round():
    calls: list[str] = []
    timings = timing.interleave({name: lambda name=name: calls.append(name) for name in "abc"}, 4, warmup=1)
    assert [sorted(calls[i : i + 3]) for i in range(0, 15, 3)] == [list("abc")] * 5
    assert {len(t.seconds) for t in timings.values()} == {4}
    assert Timing("x", (2.0, 4.0)).per(2).median == 1.5


def test_started_processes_keep_their_byte_code(monkeypatch):
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.delenv("PYTHONPYCACHEPREFIX", raising=False)
    with timing.byte_code_kept():
        assert "PYTHONDONTWRITEBYTECODE" not in os.environ
        assert os.path.isdir(os.environ["PYTHONPYCACHEPREFIX"])
    assert os.environ["PYTHONDONTWRITEBYTECODE"] == "1"
    assert "PYTHONPYCACHEPREFIX" not in os.environ


def test_a_wrong_candidate_is_noticed():
    unmixed = np.zeros((2, 3, 4, 4), np.float32)
    unmixed[0] = 1
    outputs = {"nan": unmixed * np.float32("nan")}
    outputs |= {
        "unmixed": unmixed,
        "range": unmixed + 1,
        "shape": unmixed[:1],
        "dtype": unmixed[::-1].astype(np.float64),
    }
    for wrong in outputs.values():
        with pytest.raises(AssertionError, match="must"):
            mixing_speed._check("wrong", lambda wrong=wrong: (torch.from_numpy(wrong.copy()), None), unmixed)
    mixing_speed._check("right", lambda: (unmixed[::-1].copy(), None), unmixed)
