"""Memory comes back when nobody looks at it any more, and not before."""

from __future__ import annotations

import gc
import threading

import numpy as np
import torch

from crossfade.data.buffers import Buffers


def address(array: np.ndarray) -> int:
    return array.__array_interface__["data"][0]


def test_memory_is_used_again() -> None:
    buffers = Buffers()
    first = buffers.empty((4, 5), np.float32)
    place = address(first)
    del first
    gc.collect()
    again = buffers.empty((5, 4), np.float32)
    assert address(again) == place
    assert again.shape == (5, 4)
    assert again.flags.writeable


def test_two_at_a_time_are_apart() -> None:
    buffers = Buffers()
    one, two = buffers.empty((8,), np.uint8), buffers.empty((8,), np.uint8)
    one[:], two[:] = 1, 2
    assert one.tolist() == [1] * 8


def test_any_view_holds_the_memory() -> None:
    buffers = Buffers()
    for make in (lambda a: a[1:], lambda a: a.T[0], lambda a: a.view(np.int32), torch.from_numpy, memoryview):
        lent = buffers.empty((6, 4), np.float32)
        lent[:] = 7
        view = make(lent)
        place = address(lent)
        del lent
        gc.collect()
        other = buffers.empty((6, 4), np.float32)
        assert address(other) != place, make
        del view, other
        gc.collect()


def test_a_tensor_made_of_it_and_what_autograd_keeps_hold_the_memory() -> None:
    buffers = Buffers()
    lent = buffers.empty((3, 3), np.float32)
    lent[:] = 2
    place = address(lent)
    weight = torch.ones(3, 3, requires_grad=True)
    loss = (torch.from_numpy(lent).permute(1, 0) * weight).sum()
    del lent
    gc.collect()
    assert address(buffers.empty((3, 3), np.float32)) != place
    loss.backward()
    assert weight.grad.eq(2).all()


def test_many_threads() -> None:
    buffers, wrong = Buffers(), []

    def work(number: int) -> None:
        for _ in range(300):
            array = buffers.empty((64,), np.int64)
            array[:] = number
            if not (array == number).all():
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
