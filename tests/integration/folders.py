"""Small folders of pictures that a network can learn in seconds: bright or dark in one of the corners."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

SIZE = 12


def write_corners(root: Path, classes: int = 3, each: int = 20, *, parts: tuple[str, ...] = ("",)) -> Path:
    """Write ``root/[part/]<class>/<n>.png``: noise, with class k's corner bright."""
    rng = np.random.default_rng(0)
    for part in parts:
        for label in range(classes):
            folder = root / part / f"corner{label}"
            folder.mkdir(parents=True)
            for number in range(each):
                picture = rng.integers(0, 120, (SIZE, SIZE, 3), dtype=np.uint8)
                top, left = divmod(label, 2)
                picture[top * 6 : top * 6 + 6, left * 6 : left * 6 + 6] += 110
                Image.fromarray(picture).save(folder / f"{number:03d}.png")
    return root
