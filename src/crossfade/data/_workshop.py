"""The folder of all caches: temporary folders that are locked while their process lives, and the clearing away."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from crossfade.disk import lock as lock_folder
from crossfade.errors import CacheError

_BUILDING = ".building-"
_STALE_SECONDS = 7 * 24 * 3600


def default_cache_dir() -> Path:
    """$CROSSFADE_CACHE, else $XDG_CACHE_HOME/crossfade, else ~/.cache/crossfade."""
    if given := os.environ.get("CROSSFADE_CACHE"):
        return Path(given)
    if given := os.environ.get("XDG_CACHE_HOME"):
        return Path(given) / "crossfade"
    return Path.home() / ".cache" / "crossfade"


def cache_home(cache_dir: str | os.PathLike[str] | None, pictures: Path) -> Path:
    """The folder of caches, made if it is not there.

    Args:
        cache_dir: None takes `default_cache_dir`.
        pictures: the folder of pictures, resolved.

    Raises:
        CacheError: it lies in the folder of pictures, or cannot be made.
    """
    home = default_cache_dir() if cache_dir is None else Path(cache_dir)
    if Path(os.path.realpath(home)).is_relative_to(pictures):
        raise CacheError(
            f"cache: the folder of pictures is only read. Got {home}, which lies in {pictures}. "
            "Pass another cache_dir, or set CROSSFADE_CACHE."
        )
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _no_cache_dir(home, error) from error
    return home.resolve()


def _no_cache_dir(home: Path, error: OSError) -> CacheError:
    return CacheError(
        f"cache: its folder must be writable. Got {error.strerror or error} for {home}. "
        "Pass another cache_dir, or set CROSSFADE_CACHE."
    )


@contextmanager
def workshop(home: Path) -> Iterator[Path]:
    """A temporary folder beside the caches, locked as long as we live; those of the dead are cleared away."""
    try:
        _clear_abandoned(home)
        folder, lock = _locked_folder(home)
    except OSError as error:
        raise _no_cache_dir(home, error) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def _locked_folder(home: Path) -> tuple[Path, int | None]:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_BUILDING, dir=home))
        try:
            lock = lock_folder(folder)
        except OSError:  # cleared away by another process before it was locked
            if folder.exists():
                raise
            continue
        if folder.exists():
            return folder, lock
        if lock is not None:
            os.close(lock)


def _clear_abandoned(home: Path) -> None:
    for folder in home.glob(_BUILDING + "*"):
        with suppress(OSError):
            lock = lock_folder(folder)
            if lock is not None or time.time() - folder.stat().st_mtime > _STALE_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)
            if lock is not None:
                os.close(lock)


def discard(folder: Path) -> None:
    """Take a damaged cache away: first its name, at once, then its files."""
    with suppress(OSError):
        gone = Path(tempfile.mkdtemp(prefix=_BUILDING, dir=folder.parent))
        os.rename(folder, gone / "damaged")
        shutil.rmtree(gone, ignore_errors=True)
