from __future__ import annotations

import os
import pickle
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from crossfade.data import Loader, prepare
from crossfade.data.rows import OnDisk, memory
from tests.unit.data.folders import pictures, write


def test_a_cache_larger_than_half_of_the_memory_asks_for_rows_in_advance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write(tmp_path / "data", pictures({"a": 5, "b": 6}, size=16))
    index, small = prepare(root, cache_dir=tmp_path / "home")
    monkeypatch.setattr("crossfade.data.cache.memory", lambda: 2 * 11 * 768 - 1)
    large = prepare(root, cache_dir=tmp_path / "home")[1].pixels
    assert isinstance(large, OnDisk)
    assert not isinstance(small.pixels, OnDisk)
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "posix_fadvise", lambda handle, start, length, what: asked.append((start, length)))
    batches = []
    for pixels in (small.pixels, large):
        loader = Loader(pixels, index.labels, np.arange(11), batch_size=4, seed=1, threads=0)
        batches.append([batch.images.copy() for batch in loader.epoch(2)])
    assert all(np.array_equal(one, other) for one, other in zip(*batches, strict=True))
    assert sorted(asked) == [(128 + 768 * row, 768) for row in range(11)]
    assert np.array_equal(large[[3, 1]], small.pixels[[3, 1]])
    sent = pickle.dumps(large)  # to another process: the name of the file, no pixel
    assert len(sent) < 500
    assert np.array_equal(pickle.loads(sent)[:], small.pixels)
    assert (large.shape, large.nbytes, len(large)) == ((11, 16, 16, 3), 11 * 768, 11)


def test_the_memory_of_this_machine() -> None:
    assert memory() > 1 << 28


def cost(number: int, path: Path) -> tuple[float, float]:
    """(seconds, bytes) a picture of an epoch's order and its first batches, of an index with `number` pictures."""
    with open(path, "wb") as file:
        file.truncate(number * 768)  # sparse: takes no room
    pixels = np.memmap(path, np.uint8, "r", 0, (number, 16, 16, 3))
    labels, ids = np.arange(number) % 10, np.arange(number)
    tracemalloc.start()
    loader = Loader(pixels, labels, ids, batch_size=100, seed=0, threads=0)
    batches = loader.epoch(0)
    next(batches)
    held = tracemalloc.get_traced_memory()[0] / number
    tracemalloc.stop()
    best = 1.0
    for _ in range(5):  # the same epoch, so that its pages are there from the second time on
        began = time.perf_counter()
        loader.order(0)
        ordered = time.perf_counter() - began
        batches = loader.epoch(0)
        next(batches)  # has the order made
        began = time.perf_counter()
        taken = sum(len(batch.ids) for batch, _ in zip(batches, range(9), strict=False))
        best = min(best, ordered / number + (time.perf_counter() - began) / taken)
    return best, held


def test_a_picture_costs_the_same_among_a_thousand_and_among_a_million(tmp_path: Path) -> None:
    few, many = cost(1_000, tmp_path / "few"), cost(1_000_000, tmp_path / "many")
    assert many[0] < 5 * few[0] + 1e-6, f"{few[0]:.2e} and {many[0]:.2e} s a picture"
    assert many[1] < few[1] + 8
