"""The folders that are measured: real pictures where they are given, else made-up JPEGs of the same sizes."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

REAL = ("cifar10", "caltech4", "flowers2")


@dataclass(frozen=True)
class Folders:
    """One folder of many small pictures, two of some hundred photographs, and where they are from."""

    small: Path
    photos: Path
    flowers: Path
    origin: str


@contextmanager
def folders(data: Path | None, *, small: int = 10_000, photos: int = 576) -> Iterator[Folders]:
    """Those below `data` with the names of `REAL`; made up for the time of the measurement where `data` is None."""
    if data is not None:
        real = [data / name for name in REAL]
        for folder in real:
            if not folder.is_dir():
                raise SystemExit(f"benchmarks: DATA must hold {', '.join(REAL)}. Got no folder {folder}.")
        yield Folders(*real, origin=f"real pictures: {', '.join(map(str, real))}")
        return
    with tempfile.TemporaryDirectory(prefix="crossfade-bench-") as home:
        origin = f"made-up JPEGs: {small} small ones, twice {photos} photos"
        made = Folders(Path(home, "small"), Path(home, "photos"), Path(home, "flowers"), origin)
        write_jpegs(made.small, small, classes=10, sizes=((32, 32),))
        write_jpegs(made.photos, photos, classes=4, sizes=((300, 200), (300, 225), (200, 300)))
        write_jpegs(made.flowers, photos, classes=2, sizes=((320, 240), (240, 320)))
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
