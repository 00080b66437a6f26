"""The bytes of a regular file, or a refusal. Nothing else is ever read, and nothing is waited for.

What a name stands for is asked of the opened file, not of the name: between listing a folder and reading it, a
file may have become a pipe, a device, or a link to somewhere else.
"""

from __future__ import annotations

import errno
import os
import stat

from crossfade.data.formats import format_of
from crossfade.data.refusal import MAX_BYTES, RefusedPicture

HEAD_BYTES = 1 << 16
_FLAGS = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_FLAGS |= getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)  # opening a pipe does not wait for its writer
_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)


def read_file(path: str | os.PathLike[str]) -> bytes:
    """The bytes of a file that somebody asked for by name; a link is followed wherever it leads.

    Raises:
        RefusedPicture: missing, unreadable, not a regular file, larger than `MAX_BYTES`, or by its first bytes no
            picture at all, which is found before the rest is read.
    """
    try:
        return _read(os.open(path, _FLAGS))
    except OSError as error:
        raise _unreadable(error) from None


def read_below(root: str, name: str, folder: int | None = None) -> bytes:
    """The bytes of a file found in the folder `root`; a link is followed only to a file below `root`.

    Args:
        root: ends with a separator.
        name: relative to `root`.
        folder: a handle of `root`, which spares the system walking down to it.

    Raises:
        RefusedPicture: as `read_file`; or the name is now a link that leads out of `root`.
    """
    try:
        try:
            handle = os.open(name if folder is not None else root + name, _FLAGS | _NO_FOLLOW, dir_fd=folder)
        except OSError as error:
            if error.errno not in (errno.ELOOP, errno.EMLINK):  # the two words for "a link, not followed"
                raise
            handle = os.open(_target(root, name), _FLAGS | _NO_FOLLOW)
        return _read(handle)
    except OSError as error:
        raise _unreadable(error) from None


def _target(root: str, name: str) -> str:
    target = os.path.realpath(root + name, strict=True)
    if not target.startswith(os.path.join(os.path.realpath(root), "")):
        raise RefusedPicture("outside_root", "a link to a file outside the folder")
    return target


def _read(handle: int) -> bytes:
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            what = "a folder" if stat.S_ISDIR(status.st_mode) else "a pipe, socket or device"
            raise RefusedPicture("not_a_regular_file", what)
        head = os.read(handle, HEAD_BYTES)
        return head if len(head) < HEAD_BYTES else _whole(handle, head, status.st_size)
    finally:
        os.close(handle)


def _whole(handle: int, head: bytes, size: int) -> bytes:
    """All of a large file, once its first bytes promise a picture."""
    format_of(head)
    parts, left = [head], MAX_BYTES - len(head)
    while size <= MAX_BYTES and left >= 0 and (part := os.read(handle, min(16 * HEAD_BYTES, left + 1))):
        parts.append(part)
        left -= len(part)
    if size > MAX_BYTES or left < 0:
        raise RefusedPicture("unreadable", f"a file of {max(size, MAX_BYTES - left):,} bytes, more than {MAX_BYTES:,}")
    return b"".join(parts)


def _unreadable(error: OSError) -> RefusedPicture:
    if error.errno == errno.ENXIO:  # what opening a socket, or a device without a driver, answers
        return RefusedPicture("not_a_regular_file", "a pipe, socket or device")
    if error.errno == errno.ELOOP:
        return RefusedPicture("unreadable", "links that go round in circles")
    return RefusedPicture("unreadable", error.strerror or str(error))
