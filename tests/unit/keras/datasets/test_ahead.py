"""Batches that are made ahead: the right ones, so many at a time, and whose errors surface."""

from __future__ import annotations

import os
import threading
import time
from typing import Any

import numpy as np
import pytest

from crossfade.errors import TrainingError
from crossfade.keras import ArrayDataset
from crossfade.keras.datasets.ahead import Ahead
from tests.unit.keras.watching import assert_same

PICTURES = np.random.default_rng(0).integers(0, 256, (40, 6, 6, 3), dtype=np.uint8)


class Noting:
    """A source that notes what it is asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, int]] = []
        self.lock = threading.Lock()

    def __len__(self) -> int:
        return 20

    def make(self, epoch: int, step: int) -> Any:
        with self.lock:
            self.asked.append((epoch, step))
        return epoch, step


@pytest.mark.parametrize(("workers", "most", "ahead"), [(1, 10, 2), (3, 10, 6), (3, 2, 2)])
def test_so_many_wait_and_no_more(workers: int, most: int, ahead: int) -> None:
    source = Noting()
    maker = Ahead(source, workers, False, most)  # type: ignore[arg-type]
    assert maker.take(0, 0) == (0, 0)
    deadline = time.monotonic() + 10
    while len(source.asked) < 1 + ahead and time.monotonic() < deadline:
        time.sleep(0.01)
    assert sorted(source.asked) == [(0, step) for step in range(1 + ahead)]
    assert maker.take(1, 5) == (1, 5)
    assert sorted(maker._waiting) == [(1, step) for step in range(6, 6 + ahead)]
    assert maker.take(1, 19) == (1, 19)
    assert not maker._waiting


@pytest.mark.parametrize("processes", [False, True])
def test_an_error_in_a_worker_surfaces(processes: bool) -> None:
    calls: list[int] = []

    def torn(images: Any) -> Any:
        calls.append(1)
        if len(calls) > 2:
            raise OSError("the disk is gone")
        return images / 255

    dataset = ArrayDataset(PICTURES, np.zeros(40), 4, preprocess=torn, workers=1, use_multiprocessing=processes)
    with pytest.raises(OSError, match="the disk is gone"):
        list(dataset)


def test_a_process_that_dies_is_told_of_and_replaced() -> None:
    home = os.getpid()

    def deadly(images: Any) -> Any:
        if os.getpid() != home and lethal:
            os._exit(9)
        return images / 255

    lethal = [True]
    dataset = ArrayDataset(PICTURES, np.zeros(40), 4, preprocess=deadly, workers=2, use_multiprocessing=True)
    with pytest.raises(TrainingError, match="use_multiprocessing: a process that makes batches died"):
        list(dataset)
    lethal.clear()
    assert_same(list(dataset), [dataset[step] for step in range(10)])
