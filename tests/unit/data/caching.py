"""What the tests of caches ask of them, and how they damage them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from crossfade.data import Cache, Index
from crossfade.data.decode import decode
from crossfade.data.fit import fit_to, to_channels


def truth(index: Index, cache: Cache) -> np.ndarray:
    """Every picture decoded on its own, in the order of the index."""
    images = [decode((index.root / path).read_bytes()) for path in index.paths]
    return np.stack([to_channels(fit_to(image, cache.size, cache.fit), cache.channels) for image in images])


def entries(home: Path) -> list[str]:
    return sorted(path.name for path in home.iterdir())


def flip(path: Path, at: int, mask: int = 4) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= mask
    path.write_bytes(data)


def edit(path: Path, old: str, new: str) -> None:
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
