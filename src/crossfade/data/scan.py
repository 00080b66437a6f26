"""A folder of pictures -> an `Index`: which pictures, of which classes, and what is refused and why.

The folder is ``DATA/<class>/<picture>`` (deeper folders below a class are read too), or
``DATA/train/<class>/...`` beside ``DATA/val`` (or ``valid``) and ``DATA/test``; every class of these must be
in train/, but may be missing in the others. Nothing is ever written there, and only regular files are opened.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossfade.data._reading import Crew, Findings, Job, Progress
from crossfade.data.refusal import MAX_PIXELS
from crossfade.errors import DataError

_IGNORED = frozenset({"__macosx", "thumbs.db", "desktop.ini", ".ipynb_checkpoints"})
_PARTS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}


@dataclass(frozen=True)
class Refusal:
    """A file that is not used: its path below the root, one of `decode.REASONS`, and what came."""

    path: str
    reason: str
    detail: str


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

    @property
    def duplicates(self) -> list[list[str]]:
        """Groups of paths whose files hold the same bytes."""
        keys = np.ascontiguousarray(self.digests).view(np.dtype((np.void, self.digests.shape[1])))[:, 0]
        _, inverse, counts = np.unique(keys, return_inverse=True, return_counts=True)
        groups: dict[int, list[str]] = {}
        for picture in np.flatnonzero(counts[inverse] > 1).tolist():
            groups.setdefault(int(inverse[picture]), []).append(self.paths[picture])
        return sorted(groups.values())

    def as_dict(self) -> dict[str, Any]:
        """The summary that ``crossfade scan --json`` prints."""
        summary: dict[str, Any] = {
            "root": str(self.root),
            "images": len(self),
            "classes": self.counts,
            "refused": [vars(refusal) for refusal in self.refused],
            "ignored": list(self.ignored),
            "duplicates": self.duplicates,
            "sizes": self._size_summary(),
            "channels": self.channels,
        }
        if self.has_parts:
            summary["parts"] = self._part_counts()
        return summary

    to_json = as_dict

    def _size_summary(self) -> dict[str, Any]:
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


def _spread(values: NDArray[np.int32]) -> dict[str, float]:
    return {"min": int(values.min()), "median": float(np.median(values)), "max": int(values.max())}


def scan(
    root: str | os.PathLike[str],
    *,
    max_pixels: int = MAX_PIXELS,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Index:
    """Read a folder of pictures once: decode and hash every file, refuse what is no picture.

    Args:
        root: ``DATA/<class>/<picture>``, or ``DATA/train/<class>/...`` beside ``val`` and ``test``.
        max_pixels: larger pictures are refused before they are decoded.
        workers: processes; None takes all processors this process may use.
        progress: called as ``progress(done, total)`` now and then.

    Raises:
        DataError: the folder cannot be trained on at all; the message says why and what to do.
    """
    with Crew(workers) as crew:
        listing = list_folder(root, crew.expect)
        job = Job("decode", listing.prefix, max_pixels)
        return listing.index(crew.read(job, listing.paths, progress))


# ------------------------------------------------------------------------------------------------ listing


@dataclass
class Listing:
    """The files of a folder before any is opened: `paths`, `labels` and `parts` go together."""

    root: Path
    expect: Callable[[int], None] = lambda files: None
    classes: tuple[str, ...] = ()
    paths: list[str] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)

    @property
    def prefix(self) -> str:
        """What stands before a path to open it."""
        return os.path.join(str(self.root), "")

    def index(self, found: Findings) -> Index:
        """Join the listing with what reading the files found."""
        good = np.ones(len(self.paths), bool)
        good[[row for row, _, _ in found.refused]] = False
        read = [Refusal(self.paths[row], reason, text) for row, reason, text in found.refused]
        refused = sorted(self.refused + read, key=lambda refusal: refusal.path)
        kept = np.flatnonzero(good)
        whole = len(kept) == len(self.paths)
        labels = np.array(self.labels, np.int64)[kept]
        self._check(labels, np.array(self.parts, "U5")[kept], refused)
        return Index(
            root=self.root,
            classes=self.classes,
            paths=tuple(self.paths) if whole else tuple(self.paths[i] for i in kept),
            labels=labels,
            parts=tuple(self.parts) if whole else tuple(self.parts[i] for i in kept),
            sizes=found.shapes[kept, :2],
            digests=found.digests[kept],
            channels=1 if (found.shapes[kept, 2] == 1).all() else 3,
            refused=tuple(refused),
            ignored=tuple(sorted(self.ignored)),
        )

    def _check(self, labels: NDArray[np.int64], parts: NDArray[np.str_], refused: list[Refusal]) -> None:
        if not len(labels):
            raise DataError(
                f"scan: no file in {_show(self.root)} is a picture. Got {_tell_refused(refused)}. "
                "Pass a folder with a folder of JPEG, PNG, WebP, TIFF, GIF or BMP pictures for each class."
            )
        taught = labels[parts == "train"] if self.parts[0] else labels
        counts = np.bincount(taught, minlength=len(self.classes))
        for name, count in zip(self.classes, counts, strict=True):
            if count == 0:
                own = [refusal for refusal in refused if name in refusal.path.split("/")[:-1]]
                what = f"only refused files ({_tell_refused(own)})" if own else "an empty folder"
                raise DataError(
                    f"scan: every class needs a picture to train on. "
                    f"Got {what} for class {name!r} in {_show(self.root)}. "
                    "Add pictures of that class or remove its folder."
                )


def list_folder(root: str | os.PathLike[str], expect: Callable[[int], None] = lambda files: None) -> Listing:
    """Find the class folders of `root` and the files in them, without opening any.

    `expect` is told after each class how many files there are so far.
    """
    given = Path(root)
    try:
        folder = given.resolve(strict=True)
        entries = _entries(folder)
    except FileNotFoundError:
        raise DataError(f"scan: the folder must exist. Got {_show(given)}. Check the path.") from None
    except NotADirectoryError:
        raise DataError(
            f"scan: DATA must be a folder with a folder for each class. Got the file {_show(given)}. "
            "Pass the folder above its class folder."
        ) from None
    except OSError as error:
        raise DataError(f"scan: the folder must be readable. Got {error.strerror} for {_show(given)}.") from None
    return _list_root(Listing(folder, expect), entries)


def _list_root(listing: Listing, entries: list[os.DirEntry[str]]) -> Listing:
    folders, files = [], []
    for entry in entries:
        if _is_ignored(entry.name):
            listing.ignored.append(entry.name)
        elif entry.is_symlink() and _leads_to_folder(entry):
            listing.refused.append(_linked_folder(listing.root, entry, entry.name))
        elif entry.is_dir(follow_symlinks=False):
            folders.append(entry)
        else:
            files.append(entry.name)
    listing.ignored += files
    parts = _ready_made(listing.root, folders)
    if parts:
        _list_parts(listing, parts)
        listing.ignored += [folder.name for folder in folders if folder.name not in parts.values()]
    else:
        names = _sorted_classes(listing.root, [folder.name for folder in folders], files)
        listing.classes = names
        for label, name in enumerate(names):
            _list_class(listing, name, label, "")
    return listing


def _ready_made(root: Path, folders: list[os.DirEntry[str]]) -> dict[str, str]:
    """Part -> folder name, if there is train/ with class folders inside, beside val/ or test/ or alone."""
    parts: dict[str, str] = {}
    for folder in folders:
        part = _PARTS.get(folder.name.lower())
        if part is None:
            continue
        if part in parts:
            raise DataError(
                f"scan: one folder for each part. Got {parts[part]!r} and {folder.name!r} in {_show(root)}. "
                "Keep one of them."
            )
        parts[part] = folder.name
    if "train" not in parts or (len(parts) == 1 and len(folders) > 1):
        return {}
    with_classes = any(
        entry.is_dir(follow_symlinks=False) and not _is_ignored(entry.name) for entry in _entries(root / parts["train"])
    )
    if not with_classes and len(parts) > 1:
        raise DataError(
            f"scan: {parts['train']}/ needs a folder of pictures for each class. "
            f"Got none in {_show(root / parts['train'])}. Make one folder per class inside it."
        )
    return {part: parts[part] for part in ("train", "val", "test") if part in parts} if with_classes else {}


def _list_parts(listing: Listing, parts: dict[str, str]) -> None:
    found: dict[str, list[str]] = {}
    for part, folder in parts.items():
        names, files = [], []
        for entry in _entries(listing.root / folder):
            relative = f"{folder}/{entry.name}"
            if _is_ignored(entry.name):
                listing.ignored.append(relative)
            elif entry.is_symlink() and _leads_to_folder(entry):
                listing.refused.append(_linked_folder(listing.root, entry, relative))
            elif entry.is_dir(follow_symlinks=False):
                names.append(entry.name)
            else:
                files.append(relative)
        listing.ignored += files
        found[part] = names
    listing.classes = _sorted_classes(listing.root / parts["train"], found["train"], [])
    for part, names in found.items():
        if unknown := sorted(set(names) - set(listing.classes)):
            raise DataError(
                f"scan: the classes of {parts[part]}/ must be among those of {parts['train']}/. "
                f"Got {', '.join(map(repr, unknown[:5]))} in {_show(listing.root / parts[part])} only. "
                "Add the class to the training pictures or remove it."
            )
    for part, folder in parts.items():
        for label, name in enumerate(listing.classes):
            if name in found[part]:
                _list_class(listing, f"{folder}/{name}", label, part)


def _sorted_classes(root: Path, names: list[str], files: list[str]) -> tuple[str, ...]:
    if not names:
        what = f"{len(files)} files directly in it" if files else "an empty folder"
        raise DataError(
            f"scan: DATA needs a folder of pictures for each class. Got {what}: {_show(root)}. "
            "Make one folder per class inside it and move the pictures there."
        )
    if len(names) == 1:
        raise DataError(
            f"scan: a classifier needs at least two classes. Got only {names[0]!r} in {_show(root)}. "
            "Add a folder for another class, or pass the folder above."
        )
    return tuple(sorted(names, key=natural_key))


def natural_key(name: str) -> tuple[list[tuple[int, int, str]], str]:
    """Sorts "2" before "10", and "img2" before "img10"; upper and lower case stand together."""
    pieces = re.split(r"(\d+)", name.casefold())
    return [(0, int(p), "") if p.isdecimal() else (1, 0, p) for p in pieces if p], name


def _list_class(listing: Listing, folder: str, label: int, part: str) -> None:
    paths: list[str] = []
    waiting = [folder]
    while waiting:
        where = waiting.pop()
        try:
            entries = os.scandir(os.path.join(listing.root, where))
        except OSError as error:
            listing.refused.append(Refusal(where, "unreadable", error.strerror or str(error)))
            continue
        with entries:
            for entry in entries:
                name = entry.name
                path = f"{where}/{name}"
                if name[0] == "." or name.lower() in _IGNORED:
                    listing.ignored.append(path)
                elif entry.is_file(follow_symlinks=False):
                    paths.append(path)
                elif entry.is_dir(follow_symlinks=False):
                    waiting.append(path)
                elif refusal := _odd_entry(listing.root, entry, path):
                    listing.refused.append(refusal)
                else:
                    paths.append(path)
    paths.sort()
    listing.paths += paths
    listing.labels += [label] * len(paths)
    listing.parts += [part] * len(paths)
    listing.expect(len(listing.paths))


def _odd_entry(root: Path, entry: os.DirEntry[str], path: str) -> Refusal | None:
    """Why a link or a special file is refused; None for a link to a regular file inside the root."""
    if not entry.is_symlink():
        return Refusal(path, "not_a_regular_file", "a pipe, socket or device")
    if _leads_to_folder(entry):
        return _linked_folder(root, entry, path)
    try:
        target = Path(entry.path).resolve(strict=True)
    except (OSError, RuntimeError):
        return Refusal(path, "unreadable", "a link to nothing")
    if not target.is_relative_to(root):
        return Refusal(path, "outside_root", "a link to a file outside the folder")
    if not target.is_file():
        return Refusal(path, "not_a_regular_file", "a link to a pipe, socket or device")
    return None


def _leads_to_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # links that go round in circles
        return False


def _linked_folder(root: Path, entry: os.DirEntry[str], path: str) -> Refusal:
    if not Path(entry.path).resolve().is_relative_to(root):
        return Refusal(path, "outside_root", "a link to a folder outside the folder")
    return Refusal(path, "not_a_regular_file", "a link to a folder; its pictures count where they lie")


def _is_ignored(name: str) -> bool:
    return name[0] == "." or name.lower() in _IGNORED


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return sorted(entries, key=lambda entry: entry.name)


def _tell_refused(refused: list[Refusal]) -> str:
    if not refused:
        return "no files"
    reasons = Counter(refusal.reason for refusal in refused)
    listed = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())
    return f"{listed}; the first is {refused[0].path!r}: {refused[0].detail}"


def _show(path: Path | str) -> str:
    """A path as a reader can copy it; bytes that are no text are escaped."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
