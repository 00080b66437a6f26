"""The files of a folder of pictures, before any is opened: which belong to which class and part, and which are refused.

Only regular files are listed, and links to regular files inside the folder. Dot-files and what systems and tools
leave behind (`IGNORED`) are passed over, and named.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from crossfade.errors import DataError

IGNORED = frozenset({"__macosx", "thumbs.db", "desktop.ini", ".ipynb_checkpoints"})
_PARTS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}


@dataclass(frozen=True)
class Refusal:
    """A file that is not used: its path below the root, one of `refusal.REASONS`, and what came."""

    path: str
    reason: str
    detail: str


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


def list_folder(root: str | os.PathLike[str], expect: Callable[[int], None] = lambda files: None) -> Listing:
    """Find the class folders of `root` and the files in them, without opening any.

    `expect` is told after each class how many files there are so far.
    """
    given = Path(root)
    try:
        folder = given.resolve(strict=True)
        entries = _entries(folder)
    except FileNotFoundError:
        raise DataError(f"scan: the folder must exist. Got {show(given)}. Check the path.") from None
    except NotADirectoryError:
        raise DataError(
            f"scan: DATA must be a folder with a folder for each class. Got the file {show(given)}. "
            "Pass the folder above its class folder."
        ) from None
    except (OSError, RuntimeError) as error:
        raise DataError(
            f"scan: the path must lead to a folder. Got {error} for {show(given)}. Check the path."
        ) from None
    return _list_root(Listing(folder, expect), entries)


def _list_root(listing: Listing, entries: list[os.DirEntry[str]]) -> Listing:
    folders, files = _folders_among(listing, entries, "")
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


def _folders_among(
    listing: Listing, entries: list[os.DirEntry[str]], prefix: str
) -> tuple[list[os.DirEntry[str]], list[str]]:
    """The folders and files where only folders count; all else is noted as ignored or refused."""
    folders, files = [], []
    for entry in entries:
        path = prefix + entry.name
        if _is_ignored(entry.name):
            listing.ignored.append(path)
        elif entry.is_symlink() and _leads_to_folder(entry):
            listing.refused.append(_linked_folder(listing.root, entry, path))
        elif entry.is_dir(follow_symlinks=False):
            folders.append(entry)
        else:
            files.append(path)
    listing.ignored += files
    return folders, files


def _ready_made(root: Path, folders: list[os.DirEntry[str]]) -> dict[str, str]:
    """Part -> folder name, if there is train/ with class folders inside, beside val/ or test/ or alone."""
    parts: dict[str, str] = {}
    for folder in folders:
        part = _PARTS.get(folder.name.lower())
        if part is None:
            continue
        if part in parts:
            raise DataError(
                f"scan: one folder for each part. Got {parts[part]!r} and {folder.name!r} in {show(root)}. "
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
            f"Got none in {show(root / parts['train'])}. Make one folder per class inside it."
        )
    return {part: parts[part] for part in ("train", "val", "test") if part in parts} if with_classes else {}


def _list_parts(listing: Listing, parts: dict[str, str]) -> None:
    found: dict[str, list[str]] = {}
    for part, folder in parts.items():
        folders, _ = _folders_among(listing, _entries(listing.root / folder), f"{folder}/")
        found[part] = [entry.name for entry in folders]
    listing.classes = _sorted_classes(listing.root / parts["train"], found["train"], [])
    for part, names in found.items():
        if unknown := sorted(set(names) - set(listing.classes)):
            raise DataError(
                f"scan: the classes of {parts[part]}/ must be among those of {parts['train']}/. "
                f"Got {', '.join(map(repr, unknown[:5]))} in {show(listing.root / parts[part])} only. "
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
            f"scan: DATA needs a folder of pictures for each class. Got {what}: {show(root)}. "
            "Make one folder per class inside it and move the pictures there."
        )
    if len(names) == 1:
        raise DataError(
            f"scan: a classifier needs at least two classes. Got only {names[0]!r} in {show(root)}. "
            "Add a folder for another class, or pass the folder above."
        )
    return tuple(sorted(names, key=natural_key))


def natural_key(name: str) -> tuple[list[tuple[int, int, str]], str]:
    """Sorts "2" before "10", and "img2" before "img10"; upper and lower case stand together."""
    pieces = re.split(r"(\d+)", name.casefold())
    return [(0, int(p), "") if p.isdecimal() else (1, 0, p) for p in pieces if p], name


def _list_class(listing: Listing, folder: str, label: int, part: str) -> None:
    paths, refused, ignored = walk(listing.root, folder)
    listing.refused += refused
    listing.ignored += ignored
    listing.paths += paths
    listing.labels += [label] * len(paths)
    listing.parts += [part] * len(paths)
    listing.expect(len(listing.paths))


def walk(root: Path, folder: str = "") -> tuple[list[str], list[Refusal], list[str]]:
    """The files in a folder and in all folders below it, sorted; what is refused by its kind; what is ignored.

    Args:
        root: resolved; links that lead out of it are refused.
        folder: relative to `root`, with "/" between folders; "" is `root` itself.

    Returns:
        paths relative to `root`, refusals, and paths passed over.
    """
    paths: list[str] = []
    refused: list[Refusal] = []
    ignored: list[str] = []
    waiting = [folder]
    while waiting:
        where = waiting.pop()
        prefix = f"{where}/" if where else ""
        try:
            entries = os.scandir(os.path.join(root, where))
        except OSError as error:
            refused.append(Refusal(where or ".", "unreadable", error.strerror or str(error)))
            continue
        with entries:
            for entry in entries:
                name = entry.name
                path = prefix + name
                if name[0] == "." or name.lower() in IGNORED:
                    ignored.append(path)
                elif entry.is_file(follow_symlinks=False):
                    paths.append(path)
                elif entry.is_dir(follow_symlinks=False):
                    waiting.append(path)
                elif refusal := _odd_entry(root, entry, path):
                    refused.append(refusal)
                else:
                    paths.append(path)
    paths.sort()
    return paths, refused, ignored


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
    return name[0] == "." or name.lower() in IGNORED


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        raise
    except OSError as error:
        raise DataError(
            f"scan: the folder must be readable. Got {error.strerror} for {show(folder)}. "
            "Change its rights, or move it away."
        ) from None


def show(path: Path | str) -> str:
    """A path as a reader can copy it; bytes that are no text are escaped."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
