"""Damaged files by the thousand: nothing crashes, nothing hangs, and what loads is what Pillow alone loads."""

from __future__ import annotations

import io
import warnings
from collections import Counter

import numpy as np
import pytest
from PIL import Image, ImageOps

from crossfade.data import RefusedPicture, decode
from crossfade.data.decode import read_header
from crossfade.data.refusal import REASONS
from tests.scale import scaled
from tests.unit.data.folders import encode, noise

KINDS = {
    "JPEG": {"quality": 80},
    "PROGRESSIVE": {"quality": 80, "progressive": True},
    "PNG": {},
    "WEBP": {"quality": 80},
    "GIF": {},
    "TIFF": {"compression": "tiff_lzw"},
    "BMP": {},
}


def files(kind: str) -> list[bytes]:
    format_ = "JPEG" if kind == "PROGRESSIVE" else kind
    sizes = ((16, 16), (40, 56), (97, 33))
    colour = [encode(noise(*size, seed=7), format_, **KINDS[kind]) for size in sizes]
    return [*colour, encode(noise(40, 40, 1)[:, :], format_, **KINDS[kind])]


def by_pillow(data: bytes) -> np.ndarray | None:
    """What Pillow makes of a file on its own, in our shape; None where it refuses."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with Image.open(io.BytesIO(data)) as image:
                image.load()
                grey = image.mode in ("1", "L", "LA")
                upright = ImageOps.exif_transpose(image).convert("RGBA")
        except Exception:
            return None
    white = Image.new("RGBA", upright.size, "white")
    white.alpha_composite(upright)
    return np.asarray(white.convert("L" if grey else "RGB")).reshape(*white.size[::-1], 1 if grey else 3)


def outcome(data: bytes) -> str:
    """The reason for a refusal, or "loaded", where the pixels must be Pillow's."""
    try:
        image = decode(data)
    except RefusedPicture as refusal:
        return refusal.reason
    expected = by_pillow(data)
    assert expected is not None, "loaded what Pillow alone refuses"
    assert np.array_equal(image, expected)
    assert read_header(data) == image.shape
    return "loaded"


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_flipped_bits(kind: str) -> None:
    rng = np.random.default_rng([1, *map(ord, kind)])
    whole = files(kind)
    seen: Counter[str] = Counter()
    for _ in range(scaled(200, 2_000)):
        data = bytearray(whole[rng.integers(len(whole))])
        data[rng.integers(len(data))] ^= 1 << int(rng.integers(8))
        seen[outcome(bytes(data))] += 1
    assert set(seen) <= {*REASONS, "loaded"}
    if kind == "PNG":
        assert not seen["loaded"], "every byte of a PNG is under a checksum or a fixed mark"


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_truncations(kind: str) -> None:
    rng = np.random.default_rng([2, *map(ord, kind)])
    whole = files(kind)
    seen: Counter[str] = Counter()
    for _ in range(scaled(200, 2_000)):
        data = whole[rng.integers(len(whole))]
        seen[outcome(data[: rng.integers(len(data))])] += 1
    assert set(seen) <= {*REASONS, "loaded"}
    assert seen["loaded"] <= 0.01 * seen.total()


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_cut_and_spliced(kind: str) -> None:
    rng = np.random.default_rng([3, *map(ord, kind)])
    whole = files(kind)
    for _ in range(scaled(100, 2_000)):
        data = bytearray(whole[rng.integers(len(whole))])
        start, length = int(rng.integers(len(data))), int(rng.integers(1, 64))
        match rng.integers(4):
            case 0:
                del data[start : start + length]
            case 1:
                data[start : start + length] = rng.bytes(length)
            case 2:
                data[start:start] = rng.bytes(length)
            case _:
                other = whole[rng.integers(len(whole))]
                data[start:] = other[rng.integers(len(other)) :]
        outcome(bytes(data))


def test_any_bytes_behind_any_start() -> None:
    rng = np.random.default_rng(4)
    starts = [data[:keep] for kind in KINDS for data in files(kind)[:1] for keep in (4, 12, 26, 60)]
    for start in starts:
        for length in (0, 3, 50, 3000):
            outcome(start + rng.bytes(length))
