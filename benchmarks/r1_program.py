"""``python -m benchmarks.r1_program CALTECH4``: how fast reference system R1 mixes pictures, and our door beside it.

R1 is mixup from image files with Keras; `Original` is its generator written anew from what is known of it, in its own
way, and mended where it would stop on today's Keras: an iterator's `.next()` is gone, and a smaller last batch did not
fit its lambdas. Both take the same `ImageDataGenerator`, with R1's own settings.
"""

from __future__ import annotations

import argparse
import io
import itertools
import os
import tempfile
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import table, timing
from benchmarks.timing import Work

SIDE, ALPHA, VALIDATION = 150, 0.2, 0.3
BAR = 20
OURS, FIRST, ORIGINAL = "crossfade.keras", "crossfade.keras, first pass", "R1's generator"


def main() -> None:
    parser = argparse.ArgumentParser(prog="r1_program", description=__doc__)
    parser.add_argument("data", type=Path, help="holds a folder of pictures for each class")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    about = timing.machine()
    print(table.text([measure(given.data, batch, given.rounds) for batch in (5, 32)]))
    print("\n" + "\n".join([*about, f"keras {timing.installed('keras')}, pictures of {SIDE} x {SIDE}: {given.data}"]))


def measure(root: Path, batch: int, rounds: int = 5, *, side: int = SIDE) -> table.Section:
    """An epoch of R1's training pictures, augmented and mixed; ours with its pictures decoded in an earlier epoch."""
    legacy_generator()  # Keras is loaded before any clock runs
    with tempfile.TemporaryDirectory(prefix="crossfade-bench-") as home:
        homes = map(Path, (f"{home}/first-{number}" for number in itertools.count()))
        works: dict[str, Work] = {FIRST: lambda: epoch(ours(root, next(homes), batch, side))}
        first = timing.interleave(works, 2, warmup=0)[FIRST]
        theirs, mine = original(root, batch, side), ours(root, Path(home, "kept"), batch, side)
        works = {ORIGINAL: lambda: epoch(theirs), OURS: lambda: epoch(mine)}
        timings = timing.interleave(works, rounds)
    title = f"mixup from files, batch {batch}, later passes"
    line = table.beside_peers(title, timings[OURS], [timings[ORIGINAL]], BAR if batch == 32 else 1, pictures=theirs.n)
    opening = f"mixup from files, batch {batch}, first pass"
    opened = table.beside_peers(opening, first, [timings[ORIGINAL]], 1, pictures=theirs.n)
    notes = [f"{theirs.n} pictures a pass; the first one scans, decodes and compiles as well"]
    return table.Section(title, [line, opened], [*timings.values(), first], notes)


def epoch(batches: Any) -> None:
    """Every batch of one epoch, the last and smaller one, too."""
    seen = take(batches, len(batches))
    assert seen == batches.n, f"{seen} pictures of {batches.n}"


def take(batches: Any, count: int) -> int:
    """So many batches; how many pictures they held."""
    return sum(len(images) for images, _ in itertools.islice(iter(batches), count))


def original(root: Path, batch: int, side: int = SIDE, *, subset: str | None = "training") -> Original:
    """R1's generator."""
    return Original(legacy_generator(), root, batch, side, side, ALPHA, subset)


def ours(root: Path, cache: Path, batch: int, side: int = SIDE) -> Any:
    """Our class of that name over the same pictures, with its cache where we say."""
    from crossfade.keras import MixupImageDataGenerator

    os.environ["CROSSFADE_CACHE"] = str(cache)
    return MixupImageDataGenerator(legacy_generator(), root, batch, side, side, alpha=ALPHA, subset="training")


def legacy_generator() -> Any:
    """With R1's settings."""
    os.environ.setdefault("KERAS_BACKEND", "torch")
    from keras.src.legacy.preprocessing.image import ImageDataGenerator

    return ImageDataGenerator(
        rescale=1 / 255, rotation_range=5, width_shift_range=0.05, height_shift_range=0, shear_range=0.05,
        zoom_range=0, brightness_range=(1, 1.3), horizontal_flip=True, fill_mode="nearest", validation_split=VALIDATION,
    )  # fmt: skip


class Original:
    """Two shuffled iterators over one folder, whose batches are mixed with a lambda for each sample."""

    def __init__(
        self,
        generator: Any,
        directory: Path,
        batch_size: int,
        img_height: int,
        img_width: int,
        alpha: float = 0.2,
        subset: str | None = None,
    ) -> None:
        self.batch_size, self.alpha = batch_size, alpha
        options = {"target_size": (img_height, img_width), "batch_size": batch_size, "subset": subset}
        with redirect_stdout(io.StringIO()):  # "Found 405 images ..."
            self.generator1, self.generator2 = (
                generator.flow_from_directory(directory, class_mode="categorical", shuffle=True, **options)
                for _ in range(2)
            )
        self.n = self.generator1.samples

    def __len__(self) -> int:
        """Batches of an epoch, rounded up."""
        return -(-self.n // self.batch_size)

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Mixed batches without end."""
        while True:
            (x1, y1), (x2, y2) = next(self.generator1), next(self.generator2)
            lam = np.random.beta(self.alpha, self.alpha, len(x1))
            x_lam, y_lam = lam.reshape(-1, 1, 1, 1), lam.reshape(-1, 1)
            yield x_lam * x1 + (1 - x_lam) * x2, y_lam * y1 + (1 - y_lam) * y2


if __name__ == "__main__":
    main()
