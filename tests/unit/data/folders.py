"""Small folders of pictures for the tests of data/."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def noise(height: int, width: int, channels: int = 3, seed: int = 0) -> NDArray[np.uint8]:
    """Smooth noise, so that JPEG keeps most of it."""
    rng = np.random.default_rng([seed, height, width, channels])
    coarse = rng.integers(0, 256, (height // 4 + 2, width // 4 + 2, channels), dtype=np.uint8)
    image = Image.fromarray(coarse if channels > 1 else coarse[:, :, 0])
    return np.asarray(image.resize((width, height), Image.Resampling.BICUBIC))


def encode(image: NDArray[Any] | Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    picture = image if isinstance(image, Image.Image) else Image.fromarray(image)
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def write(root: Path, files: Mapping[str, bytes]) -> Path:
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return root


def pictures(counts: Mapping[str, int], *, size: int = 8, kind: str = "PNG", first: int = 0) -> dict[str, bytes]:
    """`counts` pictures for each folder, every one different."""
    return {
        f"{name}/{number:03d}.{kind.lower()}": encode(noise(size, size, seed=first + 1000 * k + number), kind)
        for k, (name, count) in enumerate(counts.items())
        for number in range(count)
    }
