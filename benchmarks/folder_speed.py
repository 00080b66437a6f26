"""From a folder of JPEGs to mixed, normalised batches: the data path alone, without a model."""

from __future__ import annotations

import itertools
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

import crossfade as cf
from benchmarks import peers, r1_program
from benchmarks.data_speed import memory_row, read_with_pillow
from benchmarks.table import Section, at_most, beside_peers
from benchmarks.timing import THREADS, Timing, Work, installed, interleave
from crossfade.data import Loader, prepare, scan
from crossfade.training.device_feed import DeviceFeed
from crossfade.vision.augment import Augment
from crossfade.vision.normalise import Normalisation

OURS, THEIRS, R1 = "crossfade", "torchvision", "R1's generator, 150 pixels, batches of 5"
SCAN = "crossfade, scan alone"
HOW = f"torchvision: ImageFolder, DataLoader({THREADS} workers), v2 transforms, v2.MixUp of each batch"
MISSING = "torchvision is not installed and was skipped. Run: pip install 'crossfade[bench]'"


@dataclass(frozen=True)
class Size:
    """How much of it is measured; `epochs` of ours make one measurement, since one alone is short."""

    batch: int = 64
    side: int = 224
    rounds: int = 5
    epochs: int = 4


@dataclass(frozen=True)
class Kind:
    """What is done to each picture of a later epoch, in our words and in torchvision's, and the bar."""

    words: str
    ours: Augment
    theirs: Callable[[Size], list[Any]]
    bar: float
    beside_r1: bool = False


def measure(root: Path, size: Size) -> list[Section]:
    """Rows 3 and 4: later epochs, and the first one."""
    with tempfile.TemporaryDirectory(prefix="crossfade-bench-") as home:
        sections = [_later_epochs(root, Path(home), size, kind) for kind in (FLIPS, SHIFTS, AFFINE)]
        return [*sections, *(_first_epoch(root, Path(home), size, kind) for kind in (FLIPS, AFFINE))]


def small_epochs(root: Path, size: Size) -> Section:
    """Augmented, mixed pictures of 32 pixels a side."""
    with tempfile.TemporaryDirectory(prefix="crossfade-bench-") as home:
        return _later_epochs(root, Path(home), size, replace(AFFINE, beside_r1=False))


def _flips(size: Size) -> list[Any]:
    from torchvision.transforms import v2

    return [v2.RandomHorizontalFlip()]


def _shifts(size: Size) -> list[Any]:
    from torchvision.transforms import v2

    return [v2.RandomCrop(size.side, padding=size.side // 14, padding_mode="reflect"), *_flips(size)]


def _affine(size: Size) -> list[Any]:
    from torchvision.transforms import v2

    warp = v2.RandomAffine(10, translate=(0.1, 0.1), interpolation=v2.InterpolationMode.BILINEAR)
    return [*_flips(size), warp, v2.ColorJitter(brightness=(0.8, 1.2))]


FLIPS = Kind("flips", Augment(flip=True), _flips, 20)
SHIFTS = Kind("flips and shifts", Augment(flip=True, pad=1 / 14), _shifts, 20)
AFFINE = Kind(
    "flips, rotation, shifts, brightness",
    Augment(flip=True, rotation=10, shift=(0.1, 0.1), brightness=(0.8, 1.2), fill="constant"),
    _affine,
    10,
    beside_r1=True,
)


def small_pictures(root: Path, rounds: int) -> Section:
    """Scan and cache many small JPEGs, beside the least that reading can mean: Pillow opens and decodes each once."""
    index = scan(root)  # brings the files into the page cache, too
    paths, numbers = [str(index.root / path) for path in index.paths], itertools.count()
    with tempfile.TemporaryDirectory(prefix="crossfade-bench-") as home:
        works: dict[str, Work] = {
            OURS: lambda: prepare(root, cache_dir=Path(home, str(next(numbers)))),
            SCAN: lambda: scan(root),
            "Pillow, one thread": lambda: read_with_pillow(paths),
        }
        timings = interleave(works, rounds, warmup=0)
    pictures = len(paths)
    title = f"scan + cache of {pictures:,} small JPEGs"
    line = beside_peers(title, timings[OURS], [timings["Pillow, one thread"]], 8, pictures=pictures)
    alone = beside_peers(
        f"scan of {pictures:,} small JPEGs", timings[SCAN], [timings["Pillow, one thread"]], 6, pictures=pictures
    )
    memory = at_most("memory of each picture while training", memory_row(root)["bytes_per_picture"], 300, "bytes")
    return Section(title, [line, alone, memory], list(timings.values()))


def _later_epochs(root: Path, home: Path, size: Size, kind: Kind) -> Section:
    title = f"JPEGs -> mixed {size.side} batches, second epoch on, {kind.words}"
    index, cache = prepare(root, size=size.side, channels=3, cache_dir=home / "kept", workers=THREADS)
    loader, feed = _our_loader(index.labels, cache.pixels, size, kind)
    epoch = itertools.count(1)
    pictures = len(loader) * size.batch
    works: dict[str, Work] = {OURS: lambda: [_our_epoch(loader, feed, next(epoch), size) for _ in range(size.epochs)]}
    with _their_loader(root, size, kind, persistent=True) as theirs:
        if theirs is not None:
            works[THEIRS] = lambda: _their_epoch(theirs, size)
        if kind.beside_r1 and installed("keras"):
            theirs_of_r1 = r1_program.original(root, 5, subset=None)
            works[R1] = lambda: r1_program.take(theirs_of_r1, pictures // 5)
        timings = interleave(works, size.rounds)
    timings[OURS] = timings[OURS].per(size.epochs)
    section = _judge(title, timings, pictures, bar=kind.bar)
    if R1 in timings:
        section.lines.append(beside_peers(f"{title}, beside R1", timings[OURS], [timings[R1]], 30, pictures=pictures))
    return section


def _first_epoch(root: Path, home: Path, size: Size, kind: Kind) -> Section:
    """With everything that goes before it: finding the files, starting processes, building the cache."""
    numbers = itertools.count()

    def ours() -> None:
        index, cache = prepare(
            root, size=size.side, channels=3, cache_dir=home / f"{kind.words}-{next(numbers)}", workers=THREADS
        )
        loader, feed = _our_loader(index.labels, cache.pixels, size, kind)
        _our_epoch(loader, feed, 0, size)

    def theirs() -> None:
        with _their_loader(root, size, kind, persistent=False) as loader:
            _their_epoch(loader, size)

    works: dict[str, Work] = {OURS: ours}
    if installed("torchvision"):
        works[THEIRS] = theirs
    timings = interleave(works, size.rounds)
    pictures = len(list(root.glob("*/*"))) // size.batch * size.batch
    return _judge(f"JPEGs -> mixed {size.side} batches, first epoch, {kind.words}", timings, pictures, bar=3)


def _judge(title: str, timings: dict[str, Timing], pictures: int, *, bar: float) -> Section:
    rivals = [timings[THEIRS]] if THEIRS in timings else []
    line = beside_peers(title, timings[OURS], rivals, bar, pictures=pictures)
    return Section(title, [line], list(timings.values()), [HOW if rivals else MISSING])


# ------------------------------------------------------------------------------------------------------- ours


def _our_loader(labels: Any, pixels: Any, size: Size, kind: Kind) -> tuple[Loader[Any], DeviceFeed]:
    feed = DeviceFeed(
        normalisation=Normalisation(list(peers.MEAN), list(peers.STD)),
        device=torch.device("cpu"),
        policy=cf.MixUp(1.0),
        augment=kind.ours,
    )
    ids = np.arange(len(labels))
    loader = Loader(
        pixels, labels, ids, batch_size=size.batch, seed=0, drop_last=True, gather=feed.gather, prepare=feed.prepare
    )
    return loader, feed


def _our_epoch(loader: Loader[Any], feed: DeviceFeed, epoch: int, size: Size) -> None:
    classes = int(loader.labels.max()) + 1
    for ready in loader.epoch(epoch):
        images, labels = feed.to_device(ready)
        _check(OURS, images, cf.mix_targets(labels, ready.plan, num_classes=classes), size)


# ------------------------------------------------------------------------------------------------ torchvision


@contextmanager
def _their_loader(root: Path, size: Size, kind: Kind, *, persistent: bool) -> Iterator[Any]:
    """The loader, or None where torchvision is not installed. Its workers end with the block."""
    if not installed("torchvision"):
        yield None
        return
    from torchvision.datasets import ImageFolder

    dataset = ImageFolder(root, transform=_their_transform(size, kind))
    loader = torch.utils.data.DataLoader(
        dataset,
        batch_size=size.batch,
        shuffle=True,
        drop_last=True,
        num_workers=THREADS,
        persistent_workers=persistent,
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*multi-threaded.*fork", category=DeprecationWarning)
        yield loader
    del loader


def _their_transform(size: Size, kind: Kind) -> Callable[[Any], Any]:
    from torchvision.transforms import v2

    return v2.Compose(
        [
            v2.ToImage(),
            v2.Resize((size.side, size.side), antialias=True),
            *kind.theirs(size),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(peers.MEAN, peers.STD),
        ]
    )


def _their_epoch(loader: Any, size: Size) -> None:
    from torchvision.transforms import v2

    mix = v2.MixUp(alpha=1.0, num_classes=len(loader.dataset.classes))
    for images, labels in loader:
        _check(THEIRS, *mix(images, labels), size)


def _check(name: str, images: Any, targets: Any, size: Size) -> None:
    """Shapes and types of a batch, and one picture's numbers; looking at all of them would be measured, too."""
    wanted = (size.batch, 3, size.side, size.side)
    right = tuple(images.shape) == wanted and images.dtype == torch.float32 and len(targets) == size.batch
    first = images[0].numpy()  # looked at by NumPy, which leaves no thread of PyTorch's behind that waits at full speed
    if not right or not np.isfinite(first).all() or first.std() < 1e-3:
        raise AssertionError(f"{name}: must give float32 {wanted}, finite. Got {images.dtype} {tuple(images.shape)}.")
