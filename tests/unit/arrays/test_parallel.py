"""Threads: shares, results that do not depend on them, forks."""

from __future__ import annotations

import multiprocessing
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import crossfade as cf
from crossfade.arrays import parallel
from crossfade.vision.augment import Augment
from tests.strategies import pictures

SHAPE = (7, 16, 12)


@pytest.fixture(autouse=True)
def every_batch_is_worth_it(monkeypatch):
    monkeypatch.setattr(parallel, "_BYTES_WORTH_A_THREAD", 1)


@pytest.mark.parametrize("count", [1, 2, 3, 5, 16])
def test_shares_cover_the_batch_once(threads, count):
    threads(count)
    for samples in (1, 2, 7, 64):
        lock, seen = threading.Lock(), []

        def work(start, stop, lock=lock, seen=seen):
            with lock:
                seen.extend(range(start, stop))

        parallel.share(work, samples, 1 << 30)
        assert sorted(seen) == list(range(samples))


def test_small_batches_stay_in_the_callers_thread(threads, monkeypatch):
    monkeypatch.setattr(parallel, "_BYTES_WORTH_A_THREAD", 1000)
    threads(4)
    for size, shares in ((500, 1), (1999, 1), (2000, 2), (3000, 3), (9000, 4)):
        seen = []
        parallel.share(lambda start, stop, seen=seen: seen.append((threading.current_thread(), stop - start)), 12, size)
        assert [samples for _, samples in seen] == [12 // shares] * shares
        assert (threading.current_thread(), 12 // shares) in seen


def results() -> list[bytes]:
    plan = cf.OneOf([cf.MixUp(1.0), cf.CutMix()], per="sample").plan(SHAPE, rng=0)
    images = pictures(SHAPE, 3, np.uint8, 0)
    augment = Augment(flip=True, pad=2).draw(np.arange(7), seed=0, epoch=0, size=SHAPE[1:])
    made = [cf.mix_images(images, plan), cf.mix_images(images.astype(np.float32), plan)]
    return [array.tobytes() for array in (*made, cf.render(images, plan, mean=0.5, std=0.2, augment=augment))]


def test_results_do_not_depend_on_threads(threads):
    threads(1)
    want = results()
    for count in (2, 3, 5, 16, None):
        threads(count)
        assert results() == want


def test_several_callers_at_once(threads):
    threads(3)
    want = results()
    with ThreadPoolExecutor(4) as pool:
        assert all(got == want for got in pool.map(lambda _: results(), range(12)))


def test_an_error_in_a_thread_reaches_the_caller(threads):
    threads(2)

    def work(start, stop):
        if start > 0:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        parallel.share(work, 4, 1 << 30)


def test_how_many(threads):
    threads(0)
    assert parallel.get_threads() == 1
    threads(3)
    assert parallel.get_threads() == 3
    threads(None)
    assert 1 <= parallel.get_threads() <= 16


def _in_a_worker(pipe):
    pipe.send((parallel.get_threads(), results()))
    parallel.set_threads(3)
    pipe.send((parallel.get_threads(), results()))


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_worker_that_inherits_a_pool(threads):
    """The parent's threads do not exist in the child: waiting for them would hang."""
    if not hasattr(os, "fork"):
        pytest.skip("no fork here")
    threads(3)
    want = results()
    threads(None)
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    child = context.Process(target=_in_a_worker, args=(theirs,))
    child.start()
    try:
        for count in (1, 3):
            assert ours.poll(30)
            assert ours.recv() == (count, want)
        child.join(30)
        assert child.exitcode == 0
    finally:
        child.kill()
        child.join()
