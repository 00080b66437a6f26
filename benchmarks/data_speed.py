"""Scan and cache a folder of small JPEGs, beside reading them once with Pillow in one thread.

    python benchmarks/data_speed.py FOLDER [--repeats 5]

The peer does the least that reading can mean: open, decode, convert to RGB, hand over an array. Ours finds the
files, hashes and decodes every one, sums and writes the pixels and publishes them.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from PIL import Image

from crossfade.data import Index, Loader, prepare, scan, split


def read_with_pillow(paths: list[str]) -> None:
    for path in paths:
        with Image.open(path) as image:
            np.asarray(image.convert("RGB"))


def seconds(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def speed_rows(root: Path, repeats: int = 5) -> list[dict[str, Any]]:
    """Medians of `repeats` rounds; in each round every contestant runs once, so that all meet the same machine."""
    index = scan(root)
    paths = [str(index.root / path) for path in index.paths]
    times: dict[str, list[float]] = {}
    for _ in range(repeats):
        home = Path(tempfile.mkdtemp(prefix="crossfade-bench-"))
        try:
            contestants: dict[str, Callable[[], Any]] = {
                "Pillow, one thread: read once": lambda: read_with_pillow(paths),
                "crossfade: scan + cache": lambda: prepare(root, cache_dir=home),  # noqa: B023
                "crossfade: the same again (hash only)": lambda: prepare(root, cache_dir=home),  # noqa: B023
                "crossfade: scan alone": lambda: scan(root),
            }
            for name, work in contestants.items():
                times.setdefault(name, []).append(seconds(work))
        finally:
            shutil.rmtree(home)
    peer = times["Pillow, one thread: read once"]
    return [
        {
            "work": name,
            "pictures": len(paths),
            "seconds": median(own),
            "spread": (min(own), max(own)),
            "pictures_per_second": len(paths) / median(own),
            "times_faster": median(slow / fast for slow, fast in zip(peer, own, strict=True)),
        }
        for name, own in times.items()
    ]


def memory_row(root: Path) -> dict[str, Any]:
    """Bytes per picture that index, split and loader keep while training (the pixels stay in the file)."""
    home = Path(tempfile.mkdtemp(prefix="crossfade-bench-"))
    try:
        prepare(root, cache_dir=home)
        tracemalloc.start()
        index, cache = prepare(root, cache_dir=home, workers=1)
        parts = split(index, seed=0)
        loader: Loader[Any] = Loader(cache.pixels, index.labels, parts.train, batch_size=128, seed=0)
        batches = loader.epoch(0)
        next(batches)
        used = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        return {"work": "memory while training", "pictures": len(index), "bytes_per_picture": used / len(index)}
    finally:
        shutil.rmtree(home)


def epoch_row(index: Index, pixels: np.ndarray) -> dict[str, Any]:
    """Pictures a second that the loader hands over, with nothing done to them."""
    loader: Loader[Any] = Loader(pixels, index.labels, np.arange(len(index)), batch_size=128, seed=0)
    times = [seconds(lambda e=epoch: [None for _ in loader.epoch(e)]) for epoch in range(3)]
    return {"work": "loader, an epoch", "pictures": len(index), "seconds": median(times)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    print(f"{processors} processors; medians of {options.repeats} rounds (fastest to slowest)\n")
    for row in speed_rows(options.folder, options.repeats):
        fastest, slowest = row["spread"]
        print(
            f"{row['work']:40} {row['seconds']:7.3f} s ({fastest:.3f} to {slowest:.3f})"
            f" {row['pictures_per_second']:9.0f} pictures/s {row['times_faster']:6.1f} x"
        )
    memory = memory_row(options.folder)
    print(f"{memory['work']:40} {memory['bytes_per_picture']:7.0f} bytes per picture ({memory['pictures']} pictures)")


if __name__ == "__main__":
    main()
