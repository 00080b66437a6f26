"""A step of training in a process that keeps the memory it frees, as our commands do, and in one that does not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

from benchmarks.table import Section, beside_peers
from benchmarks.timing import THREADS, interleave

KEPT, GIVEN_BACK = "freed memory kept", "freed memory given back"


@dataclass(frozen=True)
class Size:
    """Network, pictures in a batch and side of a picture; each section measures one."""

    shapes: tuple[tuple[str, int, int], ...] = (
        ("cnn4", 128, 32),
        ("fast", 128, 32),
        ("resnet20", 128, 32),
        ("timm:resnet18", 32, 224),
    )
    rounds: int = 15


def measure(size: Size) -> Iterator[Section]:
    """A section for each network."""
    for name, batch, side in size.shapes:
        with _steps(name, batch, side, True) as kept, _steps(name, batch, side, False) as given_back:
            timings = interleave({KEPT: kept, GIVEN_BACK: given_back}, size.rounds, warmup=3)
            notes = [f"{KEPT}: {kept() >> 20:,} MB at most, {GIVEN_BACK}: {given_back() >> 20:,} MB"]
        title = f"a step of training, {name}, {batch}x{side}x{side}"
        line = beside_peers(title, timings[KEPT], [timings[GIVEN_BACK]], 1, pictures=batch)
        yield Section(title, [line], list(timings.values()), notes)


@contextmanager
def _steps(name: str, batch: int, side: int, keep: bool) -> Iterator[Callable[[], int]]:
    """Inside, what makes another process take one step; how it allocates is settled for its whole life.

    The step gives the most memory the process has held so far, in bytes.
    """
    context = get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(there, name, batch, side, keep), daemon=True)
    process.start()
    there.close()  # so that a process which fails is noticed: EOFError

    def step() -> int:
        here.send(True)
        return here.recv()

    try:
        yield step
    finally:
        with suppress(OSError):
            here.send(False)
        process.join()


def _serve(orders: Connection, name: str, batch: int, side: int, keep: bool) -> None:
    """Take a step whenever told to, in the precision that a training would choose; answer with the most memory held."""
    from resource import RUSAGE_SELF, getrusage

    import torch
    from torch.nn import functional

    from crossfade.memory import keep_freed_memory
    from crossfade.models import build
    from crossfade.training.hardware import choose_precision

    if keep:
        keep_freed_memory()
    torch.set_num_threads(THREADS)
    model = build(name, num_classes=10, size=side).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad])
    precision = choose_precision("auto", torch.device("cpu"))
    images = torch.randn(batch, 3, side, side).to(memory_format=torch.channels_last)
    labels: Any = torch.arange(batch) % 10
    while orders.recv():
        optimizer.zero_grad()
        with torch.autocast("cpu", precision, enabled=precision != torch.float32):
            loss = functional.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        orders.send(getrusage(RUSAGE_SELF).ru_maxrss * 1024)  # Linux counts in KiB
