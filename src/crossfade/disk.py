"""Files that are whole or not there, and folders that one process holds at a time."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that, wherever this is cut off, the old content or the new stands, and never a part.

    Raises:
        OSError: it cannot be written; what stood there still does.
    """
    with open_whole(path) as file:
        file.write(data)


@contextmanager
def open_whole(path: Path) -> Iterator[BinaryIO]:
    """A file to be written piece by piece; it becomes `path` at the end, as in `write_whole`, if nothing was raised."""
    new = path.with_name(f".{path.name}.new")
    try:
        with open(new, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, path)
    except BaseException:
        with suppress(OSError):
            new.unlink(missing_ok=True)
        raise


def remove(path: Path) -> None:
    """Remove a file, a folder with all in it, or a link, but not what it leads to; nothing where nothing is."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def take_place(new: Path, folder: Path) -> None:
    """Put the folder `new` where another may stand, which steps aside first and goes last: one of the two is whole.

    Raises:
        OSError: what stood there still does.
    """
    aside = folder.with_name(f".{folder.name}.old")
    remove(aside)
    if folder.exists():
        os.replace(folder, aside)
    try:
        os.replace(new, folder)
    except OSError:
        if aside.exists():
            os.replace(aside, folder)
        raise
    with suppress(OSError):
        remove(aside)


def to_disk(path: Path) -> None:
    """Force a file to the disk, or a folder where the system has folders to open (Windows has not)."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except PermissionError:
        if path.is_dir():
            return
        raise
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def lock(folder: Path) -> int | None:
    """Lock a folder for this process, until it closes the handle or ends; None where locks are not to be had.

    Raises:
        BlockingIOError: another process holds it.
    """
    if fcntl is None:
        return None
    handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise
    except OSError:  # a file system without locks
        os.close(handle)
        return None
    return handle


@contextmanager
def held(folder: Path, otherwise: Exception) -> Iterator[None]:
    """Inside, the folder is locked, see `lock`; raises `otherwise` where another process holds it."""
    try:
        handle = lock(folder)
    except BlockingIOError:
        raise otherwise from None
    try:
        yield
    finally:
        if handle is not None:
            os.close(handle)
