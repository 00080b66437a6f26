"""Mixing one batch: from bytes to what the model sees, and from floats to floats."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import crossfade as cf
from benchmarks import peers
from benchmarks.table import Section, beside_copy, beside_peers
from benchmarks.timing import THREADS, Timing, Work, interleave

REUSED, FRESH = "crossfade, out= reused", "crossfade, fresh memory"
COPY = "copying the same bytes"
POLICIES = {"mixup": cf.MixUp(1.0), "cutmix": cf.CutMix(1.0)}
TRIES, LOOK = 20, 8


@dataclass(frozen=True)
class Size:
    """How much of it is measured."""

    batch: int = 128
    side: int = 224
    classes: int = 1000
    rounds: int = 9


def measure(size: Size) -> list[Section]:
    """Rows 1 and 2, MixUp and CutMix each."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (size.batch, size.side, size.side, 3), dtype=np.uint8)
    labels = rng.integers(0, size.classes, size.batch)
    return [section(method, pixels, labels, size) for section in (_bytes, _floats) for method in ("mixup", "cutmix")]


def _bytes(method: peers.Method, pixels: NDArray[np.uint8], labels: NDArray[np.int64], size: Size) -> Section:
    what = f"uint8 {_shape(pixels)} -> {method}, normalised float32"
    policy, rng = POLICIES[method], np.random.default_rng(1)

    def ours(out: NDArray[np.float32] | None) -> Any:
        plan = policy.plan(pixels.shape[:3], rng=rng)
        images = cf.render(pixels, plan, mean=peers.MEAN, std=peers.STD, out=out)
        return images, cf.mix_targets(labels, plan, num_classes=size.classes)

    own = {REUSED: partial(ours, np.zeros(pixels.shape, np.float32)), FRESH: partial(ours, None)}
    others = peers.byte_works(method, torch.from_numpy(pixels), torch.from_numpy(labels), size.classes)
    unmixed = (pixels.transpose(0, 3, 1, 2) / np.float32(255) - _column(peers.MEAN)) / _column(peers.STD)
    _check_all(own | others, unmixed)
    timings = interleave({**own, **others, COPY: _copy(pixels)}, size.rounds)
    section = _judge(what, timings, list(others), bar=10)
    section.lines.append(beside_copy(f"{what}, share of copy speed", timings[REUSED], timings[COPY], 0.5))
    return section


def _floats(method: peers.Method, pixels: NDArray[np.uint8], labels: NDArray[np.int64], size: Size) -> Section:
    images, classes = torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous() / 255, torch.from_numpy(labels)
    what = f"float32 {_shape(images)} -> {method}"
    policy, rng = POLICIES[method], np.random.default_rng(1)

    def ours(out: Tensor | None) -> Any:
        plan = policy.plan((len(images), *images.shape[2:]), rng=rng)
        mixed = cf.mix_images(images, plan, layout="NCHW", out=out)
        return mixed, cf.mix_targets(classes, plan, num_classes=size.classes)

    own = {REUSED: partial(ours, torch.zeros_like(images)), FRESH: partial(ours, None)}
    others = peers.float_works(method, images, classes, size.classes)
    _check_all(own | others, images.numpy())
    timings = interleave({**own, **others}, size.rounds)
    return _judge(what, timings, list(others), bar=3)


def _judge(what: str, timings: dict[str, Timing], others: list[str], *, bar: float) -> Section:
    rivals = [timings[name] for name in others]
    lines = [
        beside_peers(f"{what}, {how}", timings[name], rivals, bar)
        for name, how in ((REUSED, "out= reused"), (FRESH, "fresh memory"))
    ]
    return Section(what, lines, list(timings.values()))


def _copy(pixels: NDArray[np.uint8]) -> Work:
    """Copy every byte that must be read and every byte that must be written, by as many threads as mix."""
    arrays = [(pixels, np.zeros_like(pixels)), (np.ones(pixels.shape, np.float32), np.zeros(pixels.shape, np.float32))]
    parts = [
        (target[part], source[part])
        for source, target in arrays
        for part in np.array_split(np.arange(len(pixels)), THREADS)
        for part in [slice(part[0], part[-1] + 1)]
    ]
    pool = ThreadPoolExecutor(THREADS)
    return lambda: list(pool.map(lambda pair: np.copyto(*pair), parts))


def _check_all(works: dict[str, Work], unmixed: NDArray[Any]) -> None:
    for name, work in works.items():
        _check(name, work, unmixed)


def _check(name: str, work: Work, unmixed: NDArray[Any]) -> None:
    """Whether a candidate really makes mixed, normalised pictures of the unmixed ones (B, 3, H, W).

    A pasted box may happen to be empty, so it has several tries to change something.
    """
    low, high = unmixed.min() - 1e-3, unmixed.max() + 1e-3
    for _ in range(TRIES):
        images, _targets = work()  # type: ignore[misc]
        images = torch.as_tensor(images)
        if tuple(images.shape) != unmixed.shape:
            images = images.permute(0, 3, 1, 2)
        if tuple(images.shape) != unmixed.shape or images.dtype != torch.float32:
            raise AssertionError(f"{name}: must give float32 {unmixed.shape}. Got {images.dtype} {images.shape}.")
        if not (float(images.min()) >= low and float(images.max()) <= high):
            raise AssertionError(f"{name}: must stay within {low:.2f}..{high:.2f}, the range of its input.")
        if float((images[:LOOK] - torch.from_numpy(unmixed[:LOOK])).abs().max()) > 1e-2:
            return
    raise AssertionError(f"{name}: must change the pictures. Got them unmixed, {TRIES} times.")


def _column(values: tuple[float, ...]) -> NDArray[np.float32]:
    return np.array(values, np.float32)[:, None, None]


def _shape(array: Any) -> str:
    return "x".join(str(n) for n in array.shape)
