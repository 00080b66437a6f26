"""Reading single files of a record: what is missing or broken is noted, never raised."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

T = TypeVar("T", dict, list)


def text(path: Path, notes: list[str]) -> str:
    """A text file, "" and a note where there is none."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        notes.append(f"{path.name} is missing.")
        return ""


def json_of(path: Path, empty: T, notes: list[str]) -> T:
    """The JSON value of a file if it is of the kind of `empty`, else `empty` and a note."""
    found = text(path, notes)
    if not found:
        return empty
    try:
        value = json.loads(found)
    except ValueError:
        value = None
    if isinstance(value, type(empty)):
        return value
    notes.append(f"{path.name} cannot be read.")
    return empty


def json_lines(path: Path, notes: list[str]) -> Iterator[dict[str, Any]]:
    """The objects of a file that has one a line; a note for each line that cannot be read."""
    for row in text(path, notes).splitlines():
        try:
            value = json.loads(row)
        except ValueError:
            notes.append(f"{path.name} has a line that cannot be read.")
            continue
        if isinstance(value, dict):
            yield value


def arrays(path: Path, names: tuple[str, ...], notes: list[str]) -> list[np.ndarray] | None:
    """The named arrays of an .npz file, or None and a note."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return [file[name] for name in names]
    except FileNotFoundError:
        notes.append(f"{path.name} is missing.")
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        notes.append(f"{path.name} cannot be read.")
    return None


def are_pictures(images: np.ndarray) -> bool:
    """Whether these are (n, H, W, C) uint8 of 1, 3 or 4 channels, n > 0."""
    return images.ndim == 4 and images.dtype == np.uint8 and images.shape[-1] in (1, 3, 4) and images.size > 0
