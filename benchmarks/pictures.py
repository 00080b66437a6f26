"""The folders that are measured: real pictures where they are given, else made-up JPEGs of the same sizes."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image


@dataclass(frozen=True)
class Folders:
    """One folder of many small pictures, one of a few hundred photographs, and where they are from."""

    small: Path
    photos: Path
    origin: str


@contextmanager
def folders(data: Path | None, *, small: int = 10_000, photos: int = 576) -> Iterator[Folders]:
    """`cifar10/` and `caltech4/` below `data`; made up for the time of the measurement where `data` is None."""
    if data is not None:
        found = Folders(data / "cifar10", data / "caltech4", f"real pictures: {data / 'cifar10'}, {data / 'caltech4'}")
        for folder in (found.small, found.photos):
            if not folder.is_dir():
                raise SystemExit(f"benchmarks: DATA must hold cifar10/ and caltech4/. Got no folder {folder}.")
        yield found
        return
    with tempfile.TemporaryDirectory(prefix="crossfade-bench-") as home:
        made = Folders(Path(home, "small"), Path(home, "photos"), f"made-up JPEGs: {small} small ones, {photos} photos")
        write_jpegs(made.small, small, classes=10, sizes=((32, 32),))
        write_jpegs(made.photos, photos, classes=4, sizes=((300, 200), (300, 225), (200, 300)))
        yield made


def write_jpegs(root: Path, count: int, *, classes: int, sizes: tuple[tuple[int, int], ...]) -> None:
    """Write `count` JPEGs of soft shapes with some grain, which cost about what photographs cost to decode."""
    rng = np.random.default_rng(0)
    for name in range(classes):
        (root / f"class{name}").mkdir(parents=True)
    for number in range(count):
        width, height = sizes[number % len(sizes)]
        shapes = Image.fromarray(rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)).resize((width, height), 3)
        grain = rng.integers(-12, 13, (height, width, 1), dtype=np.int16)
        pixels = np.clip(np.asarray(shapes, np.int16) + grain, 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(root / f"class{number % classes}" / f"{number:05d}.jpg", quality=85)
