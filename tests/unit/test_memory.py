"""Memory comes back when nobody looks at it any more, and not before."""

from __future__ import annotations

import gc
import os
import platform
import subprocess
import sys
import threading

import numpy as np
import pytest
import torch

import crossfade as cf
from crossfade.memory import ALLOCATION, MOST_KEPT, WORTH_KEEPING, Buffers, keep_freed_memory

# How often the system hands out and clears a page while 64 MB are filled and freed, after they have been once.
COUNT_PAGES = """
import resource, sys
from crossfade.memory import keep_freed_memory

if sys.argv[1:]:
    assert str(keep_freed_memory()) == sys.argv[1]
faults = []
for _ in range(3):
    filled = b"x" * (64 << 20)
    del filled
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
print(faults[-1] - faults[0])
"""


def address(array: np.ndarray) -> int:
    return array.__array_interface__["data"][0]


def test_memory_is_used_again() -> None:
    buffers = Buffers()
    first = buffers.empty((4, 250_000), np.float32)
    place = address(first)
    del first
    gc.collect()
    again = buffers.empty((250_000, 4), np.float32)
    assert address(again) == place
    assert again.shape == (250_000, 4)
    assert again.flags.writeable


def test_two_at_a_time_are_apart() -> None:
    buffers = Buffers()
    one, two = buffers.empty((2_000_000,), np.uint8), buffers.empty((2_000_000,), np.uint8)
    one[:], two[:] = 1, 2
    assert (one == 1).all()


def test_any_view_holds_the_memory() -> None:
    buffers = Buffers()
    for make in (lambda a: a[1:], lambda a: a.T[0], lambda a: a.view(np.int32), torch.from_numpy, memoryview):
        lent = buffers.empty((600, 1000), np.float32)
        lent[:] = 7
        view = make(lent)
        place = address(lent)
        del lent
        gc.collect()
        other = buffers.empty((600, 1000), np.float32)
        assert address(other) != place, make
        del view, other
        gc.collect()


def test_a_tensor_made_of_it_and_what_autograd_keeps_hold_the_memory() -> None:
    buffers = Buffers()
    lent = buffers.empty((900, 900), np.float32)
    lent[:] = 2
    place = address(lent)
    weight = torch.ones(900, 900, requires_grad=True)
    loss = (torch.from_numpy(lent).permute(1, 0) * weight).sum()
    del lent
    gc.collect()
    assert address(buffers.empty((900, 900), np.float32)) != place
    loss.backward()
    assert weight.grad.eq(2).all()


def test_many_threads() -> None:
    buffers, wrong = Buffers(), []

    def work(number: int) -> None:
        for _ in range(60):
            array = buffers.empty((200_000,), np.int64)
            array[:] = number
            if not (array == number).all():
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_small_arrays_are_plain_ones() -> None:
    assert Buffers().empty((3, 3), np.float32).base is None
    assert WORTH_KEEPING > 36


def test_no_more_waits_than_is_allowed() -> None:
    buffers = Buffers()
    for size in (MOST_KEPT // 2, MOST_KEPT // 2 + 1, MOST_KEPT + 1):
        held = buffers.empty((size,), np.uint8)
        del held
        gc.collect()
        assert buffers._waiting <= MOST_KEPT
        assert buffers._waiting == sum(memory.size for free in buffers._free.values() for memory in free)


def test_mixing_in_a_loop_uses_memory_again_and_never_that_of_a_result_in_use() -> None:
    images = np.random.default_rng(0).random((16, 128, 128, 3), dtype=np.float32)
    plan = cf.MixUp(1.0).plan((16, 128, 128), rng=0)
    first = cf.mix_images(images, plan)
    kept, place = first.copy(), address(first)
    second = cf.mix_images(images * 2, plan)
    assert (first == kept).all()
    assert address(second) != place
    del first
    gc.collect()
    assert address(cf.mix_images(images, plan)) == place


def mapped_pages(*arguments: str, **environment: str) -> int:
    """What `COUNT_PAGES` prints in a process that no variable says anything to but `environment`."""
    free = {name: value for name, value in os.environ.items() if name not in ALLOCATION}
    command = [sys.executable, "-c", COUNT_PAGES, *arguments]
    done = subprocess.run(command, env=free | environment, capture_output=True, text=True, check=True)
    return int(done.stdout)


on_glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt is glibc's")


@on_glibc
def test_a_process_of_ours_keeps_what_it_frees() -> None:
    assert 10 * mapped_pages("True") < mapped_pages()


@on_glibc
def test_who_says_how_memory_is_kept_is_heard() -> None:
    assert mapped_pages("False", MALLOC_TRIM_THRESHOLD_="1000000") > 0


def test_other_systems_are_left_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    assert keep_freed_memory() is False
