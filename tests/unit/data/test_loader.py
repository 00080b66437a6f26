from __future__ import annotations

import threading
import time
import traceback
from typing import Any

import numpy as np
import pytest

from crossfade.data import Batch, Loader
from crossfade.errors import ConfigError

PIXELS = np.arange(50, dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 4, 3), np.uint8)
LABELS = np.arange(50) % 3
IDS = np.arange(5, 48)


def loader(**options: Any) -> Loader[Any]:
    return Loader(PIXELS, LABELS, options.pop("ids", IDS), **{"batch_size": 8, "seed": 0, **options})


def loader_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("crossfade-loader")]


def test_a_batch_holds_the_pictures_it_says() -> None:
    batches = list(loader().epoch(0))
    for step, batch in enumerate(batches):
        assert isinstance(batch, Batch)
        assert (batch.images == batch.ids[:, None, None, None]).all()
        assert np.array_equal(batch.labels, batch.ids % 3)
        assert (batch.epoch, batch.step) == (0, step)
        assert (batch.images.dtype, batch.labels.dtype, batch.ids.dtype) == (np.uint8, np.int64, np.int64)
    assert sorted(np.concatenate([batch.ids for batch in batches])) == IDS.tolist()
    assert [len(batch.ids) for batch in batches] == [8, 8, 8, 8, 8, 3]
    assert len(loader()) == 6


def test_batches_are_copies() -> None:
    batch = next(loader(shuffle=False).epoch(0))
    batch.images[:] = 255
    batch.ids[:] = 0
    assert PIXELS[48].max() == 48
    assert IDS[0] == 5


def test_drop_last() -> None:
    assert [len(batch.ids) for batch in loader(drop_last=True).epoch(0)] == [8] * 5
    assert len(loader(drop_last=True)) == 5


def test_without_shuffling_the_order_is_that_of_the_ids() -> None:
    ids = [7, 3, 9, 3]
    batches = loader(ids=ids, shuffle=False, batch_size=3).epoch(5)
    assert [batch.ids.tolist() for batch in batches] == [[7, 3, 9], [3]]


def order(epoch: int, **options: Any) -> list[int]:
    return [int(number) for batch in loader(**options).epoch(epoch) for number in batch.ids]


def test_the_order_is_a_function_of_seed_and_epoch() -> None:
    assert order(3) == order(3)
    different = [order(0), order(1), order(2), order(0, seed=1), order(1, seed=1)]
    assert len({tuple(one) for one in different}) == 5


def test_this_very_order_stays() -> None:
    """What a run of today saw must come out of the same seed tomorrow."""
    assert order(1, ids=np.arange(10)) == [5, 6, 7, 4, 0, 2, 3, 1, 9, 8]


def test_balanced_epochs_show_all_classes_equally_often() -> None:
    ids = np.concatenate([np.arange(0, 48, 3), np.arange(1, 13, 3), [2]])  # 16, 4 and 1 pictures
    one, again, other = (order(epoch, ids=ids, balanced=True) for epoch in (0, 0, 1))
    assert len(one) == len(ids)
    assert np.bincount(LABELS[one]).tolist() == [7, 7, 7]
    assert set(one) <= set(ids.tolist())
    assert one == again != other
    assert order(0, ids=ids, balanced=True, threads=3) == one


def test_any_batch_can_be_had_by_its_number() -> None:
    ours = loader()
    in_turn = {epoch: list(ours.epoch(epoch)) for epoch in (0, 1)}
    for epoch, step in [(1, 2), (0, 0), (1, 0), (0, len(ours) - 1)]:
        one, other = ours.batch(epoch, step), in_turn[epoch][step]
        np.testing.assert_array_equal(one.ids, other.ids)
        np.testing.assert_array_equal(one.images, other.images)
        assert (one.epoch, one.step) == (epoch, step)
    for step in (-1, len(ours)):
        with pytest.raises(IndexError, match=f"0 to {len(ours) - 1}. Got {step}"):
            ours.batch(0, step)


def test_an_epoch_can_start_in_the_middle() -> None:
    whole = [batch.ids.tolist() for batch in loader().epoch(2)]
    assert [batch.ids.tolist() for batch in loader().epoch(2, start=4)] == whole[4:]


@pytest.mark.parametrize("threads", [0, 1, 3])
def test_threads_change_nothing(threads: int) -> None:
    def prepare(batch: Batch) -> tuple[int, bytes]:
        time.sleep(0.002 * (batch.step % 3))  # later batches are ready first
        return batch.step, batch.images.tobytes()

    got = list(loader(prepare=prepare, threads=threads).epoch(1))
    assert got == [(batch.step, batch.images.tobytes()) for batch in loader(threads=0).epoch(1)]


def test_threads_work_ahead_but_not_without_bound() -> None:
    made: list[int] = []
    batches = loader(batch_size=1, threads=2, prepare=lambda batch: made.append(batch.step)).epoch(0)
    next(batches)
    deadline = time.monotonic() + 5
    while len(made) < 5 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.05)
    assert sorted(made) == [0, 1, 2, 3, 4]
    batches.close()


@pytest.mark.parametrize("threads", [0, 1, 3])
def test_leaving_early_stops_the_threads(threads: int) -> None:
    for batch in loader(threads=threads, prepare=lambda batch: (time.sleep(0.01), batch)[1]).epoch(0):
        if batch.step == 1:
            break
    del batch
    assert not loader_threads()


def test_no_thread_is_left_after_an_epoch() -> None:
    for _ in loader(threads=3).epoch(0):
        pass
    assert not loader_threads()


@pytest.mark.parametrize("threads", [0, 1, 3])
def test_an_exception_surfaces_with_its_traceback(threads: int) -> None:
    def broken(batch: Batch) -> int:
        if batch.step == 2:
            raise ZeroDivisionError("in step 2")
        return batch.step

    steps = loader(prepare=broken, threads=threads).epoch(0)
    assert [next(steps), next(steps)] == [0, 1]
    with pytest.raises(ZeroDivisionError, match="in step 2") as caught:
        next(steps)
    assert "in broken" in "".join(traceback.format_tb(caught.value.__traceback__))
    assert not loader_threads()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"threads": -1}, "threads must be at least 0"),
        ({"ids": []}, "at least one batch. Got 0 pictures"),
        ({"ids": [1, 2], "drop_last": True}, "at least one batch. Got 2 pictures"),
        ({"ids": [50]}, "ids 50 to 50"),
        ({"ids": [-1]}, "ids -1 to -1"),
        ({"balanced": True, "shuffle": False}, "balanced draws an order"),
    ],
)
def test_arguments_that_make_no_sense(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        loader(**options)
