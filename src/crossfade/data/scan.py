"""A folder of pictures -> an `Index`: which pictures, of which classes, and what is refused and why.

The folder is ``DATA/<class>/<picture>`` (deeper folders below a class are read too), or
``DATA/train/<class>/...`` beside ``DATA/val`` (or ``valid``) and ``DATA/test``; every class of these must be
in train/, but may be missing in the others. Nothing is ever written there, and only regular files are opened.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossfade.data._crew import Crew, Progress, lead
from crossfade.data._reading import Findings, Job
from crossfade.data.listing import Listing, Refusal, list_folder, show
from crossfade.data.refusal import MAX_PIXELS
from crossfade.data.sketch import SKETCH_BYTES
from crossfade.data.twins import Twins, conflicts, find_twins, leaks
from crossfade.errors import DataError


@dataclass(frozen=True)
class Index:
    """The pictures of a folder, by class and then by path; N of them.

    Attributes:
        root: the folder, absolute.
        classes: names in natural order ("2" before "10"); a label is an index into them.
        paths: N paths below the root, with "/" between folders.
        labels: (N,) int64.
        parts: N times "" for a plain folder, or "train" / "val" / "test" as the folders say.
        sizes: (N, 2) int32 height, width in pixels, upright.
        digests: (N, 16) uint8, BLAKE2b of each file's bytes.
        channels: 1 if every picture is grey, else 3.
        refused: files that are not used, with the reason.
        ignored: paths passed over without a look (dot-files, Thumbs.db, files outside class folders).
        sketches: (N, 96) uint8, by which near-identical pictures are found; (0, 96) where they are not known.
    """

    root: Path
    classes: tuple[str, ...]
    paths: tuple[str, ...]
    labels: NDArray[np.int64]
    parts: tuple[str, ...]
    sizes: NDArray[np.int32]
    digests: NDArray[np.uint8]
    channels: int
    refused: tuple[Refusal, ...] = ()
    ignored: tuple[str, ...] = ()
    sketches: NDArray[np.uint8] = field(default_factory=lambda: np.zeros((0, SKETCH_BYTES), np.uint8))

    def __len__(self) -> int:
        return len(self.paths)

    def digest(self, picture: int) -> str:
        """The content hash of a picture as 32 hexadecimal digits."""
        return bytes(self.digests[picture]).hex()

    @property
    def counts(self) -> dict[str, int]:
        """Pictures per class, in the order of `classes`."""
        counts = np.bincount(self.labels, minlength=len(self.classes))
        return {name: int(count) for name, count in zip(self.classes, counts, strict=True)}

    @property
    def has_parts(self) -> bool:
        """Whether the folder came with train/ and perhaps val/ and test/."""
        return bool(self.parts) and self.parts[0] != ""

    @cached_property
    def twins(self) -> Twins:
        """Which pictures are identical or near-identical; looked for once."""
        return find_twins(self.paths, self.digests, self.sketches, self.sizes)

    @property
    def duplicates(self) -> list[list[str]]:
        """Groups of paths whose files hold the same bytes."""
        return self._named(self.twins.copies)

    @property
    def near_duplicates(self) -> list[list[str]]:
        """Groups of paths that are near-identical, or identical, by a chain of pairs; without those of `duplicates`."""
        copies = {tuple(pictures) for pictures in self.twins.copies}
        return self._named(pictures for pictures in self.twins.together if tuple(pictures) not in copies)

    @property
    def imbalance(self) -> float:
        """Pictures of the largest class for each of the smallest; infinite where a class has none."""
        counts = list(self.counts.values())
        return max(counts) / min(counts) if min(counts) else float("inf")

    def _named(self, sets: Iterable[NDArray[np.int64]]) -> list[list[str]]:
        return sorted(sorted(self.paths[picture] for picture in pictures.tolist()) for pictures in sets)

    def as_dict(self, groups: NDArray[np.int64] | None = None) -> dict[str, Any]:
        """The summary that ``crossfade scan --json`` prints.

        Args:
            groups: (N,) equal numbers for pictures of one patient, say; those in several parts are leaks, too.
        """
        summary: dict[str, Any] = {
            "root": str(self.root),
            "images": len(self),
            "classes": self.counts,
            "refused": [vars(refusal) for refusal in self.refused],
            "ignored": list(self.ignored),
            "duplicates": self.duplicates,
            "sizes": self._size_summary(),
            "channels": self.channels,
            "near_duplicates": self.near_duplicates,
            "conflicts": conflicts(self.paths, self.labels, self.classes, self.twins),
            "leaks": leaks(self.paths, self.parts, self.twins, groups),
        }
        if self.has_parts:
            summary["parts"] = self._part_counts()
        return summary

    to_json = as_dict

    def _size_summary(self) -> dict[str, Any]:
        if not len(self):
            return {}
        heights, widths = self.sizes[:, 0], self.sizes[:, 1]
        both, counts = np.unique(self.sizes, axis=0, return_counts=True)
        return {
            "height": _spread(heights),
            "width": _spread(widths),
            "distinct": len(both),
            "most_common": [int(side) for side in both[counts.argmax()]],
        }

    def _part_counts(self) -> dict[str, dict[str, int]]:
        seen = Counter(zip(self.parts, self.labels.tolist(), strict=True))
        return {
            part: {name: seen[part, label] for label, name in enumerate(self.classes)}
            for part in ("train", "val", "test")
            if part in self.parts
        }

    def check_trainable(self) -> None:
        """Say whether every class has a picture to train on.

        Raises:
            DataError: one has none; the message says what was found in its place.
        """
        if not len(self):
            raise DataError(
                f"scan: no file in {show(self.root)} is a picture. Got {_tell_refused(self.refused)}. "
                "Pass a folder with a folder of JPEG, PNG, WebP, TIFF, GIF or BMP pictures for each class."
            )
        taught = self.labels[np.array(self.parts) == "train"] if self.has_parts else self.labels
        for name, count in zip(self.classes, np.bincount(taught, minlength=len(self.classes)), strict=True):
            if count == 0:
                own = tuple(refusal for refusal in self.refused if name in refusal.path.split("/")[:-1])
                what = f"only refused files ({_tell_refused(own)})" if own else "an empty folder"
                raise DataError(
                    f"scan: every class needs a picture to train on. "
                    f"Got {what} for class {name!r} in {show(self.root)}. "
                    "Add pictures of that class or remove its folder."
                )


def scan(
    root: str | os.PathLike[str],
    *,
    max_pixels: int = MAX_PIXELS,
    allow_empty: bool = False,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Index:
    """Read a folder of pictures once: decode and hash every file, refuse what is no picture.

    Args:
        root: ``DATA/<class>/<picture>``, or ``DATA/train/<class>/...`` beside ``val`` and ``test``.
        max_pixels: larger pictures are refused before they are decoded.
        allow_empty: return an index also where a class, or all of them, came out without a picture.
        workers: processes; None takes all processors this process may use.
        progress: called as ``progress(done, total)`` now and then.

    Raises:
        DataError: the folder cannot be trained on at all; the message says why and what to do.
    """

    def work(crew: Crew, tell: Progress) -> Index:
        listing = list_folder(root, crew.expect)
        job = Job("decode", listing.prefix, max_pixels)
        return join(listing, crew.read(job, listing.paths, tell), allow_empty=allow_empty)

    return lead(work, workers, progress)


def join(listing: Listing, found: Findings, *, allow_empty: bool = False) -> Index:
    """What a folder holds, of the files listed and what reading them found; errors as `scan`."""
    good = np.ones(len(listing.paths), bool)
    good[[row for row, _, _ in found.refused]] = False
    read = [Refusal(listing.paths[row], reason, text) for row, reason, text in found.refused]
    kept = np.flatnonzero(good)
    whole = len(kept) == len(listing.paths)
    index = Index(
        root=listing.root,
        classes=listing.classes,
        paths=tuple(listing.paths) if whole else tuple(listing.paths[i] for i in kept),
        labels=np.array(listing.labels, np.int64)[kept],
        parts=tuple(listing.parts) if whole else tuple(listing.parts[i] for i in kept),
        sizes=found.shapes[kept, :2],
        digests=found.digests[kept],
        channels=1 if (found.shapes[kept, 2] == 1).all() else 3,
        refused=tuple(sorted(listing.refused + read, key=lambda refusal: refusal.path)),
        ignored=tuple(sorted(listing.ignored)),
        sketches=found.sketches[kept],
    )
    if not allow_empty:
        index.check_trainable()
    return index


def _tell_refused(refused: tuple[Refusal, ...]) -> str:
    if not refused:
        return "no files"
    reasons = Counter(refusal.reason for refusal in refused)
    listed = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())
    return f"{listed}; the first is {refused[0].path!r}: {refused[0].detail}"


def _spread(values: NDArray[np.int32]) -> dict[str, float]:
    return {"min": int(values.min()), "median": float(np.median(values)), "max": int(values.max())}
