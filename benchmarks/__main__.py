"""``python -m benchmarks [DATA]``: how fast crossfade is beside its peers, in one table.

DATA is a folder that holds cifar10/, caltech4/ and flowers2/; without it, JPEGs of the same sizes are made up. Run it
on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import torch

from benchmarks import (
    folder_speed,
    keras_speed,
    mixing_speed,
    peers,
    startup,
    step_speed,
    table,
    timing,
    training_cost,
)
from benchmarks.pictures import Folders, folders
from crossfade.arrays import parallel


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", nargs="?", type=Path, help="holds cifar10/, caltech4/ and flowers2/")
    data = parser.parse_args().data
    about = timing.machine()
    torch.set_num_threads(timing.THREADS)
    parallel.set_threads(timing.THREADS)
    with timing.byte_code_kept(), folders(data) as found:
        sections = list(measure(found))
    print(table.text(sections))
    print("\n" + "\n".join([*about, found.origin, "peers: " + "; ".join(peers.described())]))


def measure(found: Folders) -> Iterator[table.Section]:
    """All benchmarks, one after the other, with a word on standard error before each."""
    _tell("mixing a batch")
    yield from mixing_speed.measure(mixing_speed.Size())
    _tell("mixing a batch in Keras")
    yield from keras_speed.measure(keras_speed.Size())
    _tell("from a folder to batches")
    yield from folder_speed.measure(found.photos, folder_speed.Size())
    yield folder_speed.small_epochs(found.small, folder_speed.Size(batch=128, side=32, rounds=2, epochs=1))
    _tell("scan and cache")
    yield folder_speed.small_pictures(found.small, rounds=3)
    _tell("a step of training")
    yield from step_speed.measure(step_speed.Size())
    _tell("recording a training")
    yield from training_cost.measure(found.flowers, training_cost.Size())
    _tell("start-up")
    yield startup.measure()


def _tell(what: str) -> None:
    print(f"measuring: {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
