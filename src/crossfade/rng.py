"""Where chance comes from.

The rules:

1. Every stream of chance is named by a path below a seed: ``derive_rng(seed, Stream.PLAN, epoch, step, rank)``.
2. A path is never added to the seed: ``seed + index`` makes (0, 5) and (1, 4) the same stream.
3. What belongs to one sample is a function of the sample's id, not of where in a batch, or in which
   worker, it turns up: `sample_uniforms`.
4. Nothing here touches a global generator.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crossfade.errors import ConfigError


class Stream(IntEnum):
    """The first step of every path. Values are part of what makes a run repeatable: never renumber."""

    ORDER = 1
    AUGMENT = 2
    PLAN = 3
    SPLIT = 4
    WEIGHTS = 5
    BOOTSTRAP = 6
    DEMO = 7
    COLLATE = 8
    ROBUSTNESS = 9
    TUNE = 10
    LAYER = 11
    PARTNERS = 12


def seed_sequence(seed: int, *path: int) -> np.random.SeedSequence:
    """The seed sequence of the stream `path` below `seed`.

    The path is NumPy's spawn key, which pads the seed first: ``[1]`` and ``[1, 0]`` differ.
    """
    for value, bits in ((seed, 64), *((step, 32) for step in path)):
        if not isinstance(value, int | np.integer) or isinstance(value, bool) or not 0 <= value < 2**bits:
            raise ConfigError(
                "derive_rng: a seed is a whole number in 0..2**64-1, a step of a path one in 0..2**32-1. "
                f"Got {value!r}. Pass a whole number such as 0."
            )
    return np.random.SeedSequence(int(seed), spawn_key=tuple(int(step) for step in path))


def derive_rng(seed: int, *path: int) -> np.random.Generator:
    """A generator of its own for the stream `path` below `seed`.

    Args:
        seed: the run's seed, >= 0.
        *path: whole numbers >= 0, a `Stream` first.

    Example:
        >>> int(derive_rng(0, Stream.PLAN, 3, 17).integers(1000)) == int(
        ...     derive_rng(0, Stream.PLAN, 3, 17).integers(1000))
        True
    """
    return np.random.default_rng(seed_sequence(seed, *path))


def as_generator(rng: np.random.Generator | int) -> np.random.Generator:
    """`rng` itself, or a fresh generator for an int seed. There is no default: chance enters by name."""
    if isinstance(rng, np.random.Generator):
        return rng
    if isinstance(rng, int | np.integer) and not isinstance(rng, bool):
        return derive_rng(int(rng))
    raise ConfigError(
        f"rng: must be a numpy.random.Generator or an int seed. Got {type(rng).__name__}. "
        "Pass rng=numpy.random.default_rng(0), say."
    )


def sample_uniforms(ids: ArrayLike, n: int, seed: int, *path: int) -> NDArray[np.float64]:
    """`n` uniform numbers for each sample, a function of (seed, path, id) and nothing else.

    A counter-based generator: the stream's 64-bit key, the id and the column are mixed by two rounds of the
    SplitMix64 finaliser, for all samples at once; a generator per sample would cost more than the sample.

    Args:
        ids: (B,) ids of samples, >= 0.
        n: numbers per sample.

    Returns:
        (B, n) float64 in [0, 1), 53 random bits each.

    Source:
        Steele, Lea, Flood 2014, Fast splittable pseudorandom number generators (finaliser "mix64variant13").
    """
    key = seed_sequence(seed, *path).generate_state(2, np.uint64)
    numbers = np.asarray(ids)
    if numbers.dtype.kind not in "iu" or (numbers.dtype.kind == "i" and (numbers < 0).any()):
        raise ConfigError(f"sample_uniforms: ids are whole numbers from 0 on. Got {numbers.dtype} {numbers[:3]}.")
    rows = numbers.astype(np.uint64).reshape(-1, 1)
    columns = np.arange(n, dtype=np.uint64).reshape(1, -1)
    golden = np.uint64(0x9E3779B97F4A7C15)
    bits = _mix64(_mix64(rows * golden + key[0]) ^ (columns * golden + key[1]))
    return (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _mix64(z: NDArray[np.uint64]) -> NDArray[np.uint64]:
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
