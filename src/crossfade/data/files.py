"""The bytes of a regular file, or a refusal. Nothing else is ever read, and nothing is waited for.

What a name stands for is asked of the opened file, not of the name: between listing a folder and reading it, a
file may have become a pipe, a device, or a link to somewhere else.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from typing import BinaryIO

from crossfade.data.formats import format_of
from crossfade.data.refusal import MAX_BYTES, RefusedPicture

HEAD_BYTES = 1 << 16
_FLAGS = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_FLAGS |= getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)  # opening a pipe does not wait for its writer
_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)


def _seek_and_read(handle: int, count: int, at: int) -> bytes:
    os.lseek(handle, at, os.SEEK_SET)
    return os.read(handle, count)


Note = Callable[[os.stat_result], object]
_pread = getattr(os, "pread", _seek_and_read)


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


def read_stream(stream: BinaryIO) -> bytes:
    """The bytes of a picture that comes through a pipe, to its end.

    Raises:
        RefusedPicture: more than `MAX_BYTES`, or by its first bytes no picture at all, which is found before the rest
            is read.
    """
    head = stream.read(HEAD_BYTES)
    format_of(head)
    data = head + stream.read(MAX_BYTES + 1 - len(head))
    if len(data) > MAX_BYTES:
        raise RefusedPicture("unreadable", f"more than {MAX_BYTES:,} bytes through a pipe")
    return data


def read_below(root: str, name: str, folder: int | None = None, note: Note | None = None) -> bytes:
    """The bytes of a file found in the folder `root`; a link is followed only to a file below `root`.

    Args:
        root: ends with a separator.
        name: relative to `root`.
        folder: a handle of `root`, which spares the system walking down to it.
        note: told the status of the opened file before its bytes are read.

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
        return _read(handle, note)
    except OSError as error:
        raise _unreadable(error) from None


def _target(root: str, name: str) -> str:
    target = os.path.realpath(root + name, strict=True)
    if not target.startswith(os.path.join(os.path.realpath(root), "")):
        raise RefusedPicture("outside_root", "a link to a file outside the folder")
    return target


def _read(handle: int, note: Note | None = None) -> bytes:
    try:
        if note is not None:
            note(os.fstat(handle))
        # Reading at a place answers an error for pipes, sockets and folders, at no cost for files; a device that
        # allows it is told by what it is.
        head = _pread(handle, HEAD_BYTES, 0)
        if 0 < len(head) < HEAD_BYTES:
            return head
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise RefusedPicture("not_a_regular_file", "a pipe, socket or device")
        return head and _whole(handle, head, status.st_size)
    finally:
        os.close(handle)


def _whole(handle: int, head: bytes, size: int) -> bytes:
    """All of a large file, once its first bytes promise a picture."""
    format_of(head)
    parts, at = [head], len(head)
    while size <= MAX_BYTES and (part := _pread(handle, 16 * HEAD_BYTES, at)):
        parts.append(part)
        at += len(part)
        size = max(size, at)
    if size > MAX_BYTES:
        raise RefusedPicture("unreadable", f"a file of {size:,} bytes, more than {MAX_BYTES:,}")
    return b"".join(parts)


_ODD = {
    errno.ESPIPE: ("not_a_regular_file", "a pipe, socket or device"),
    errno.ENXIO: ("not_a_regular_file", "a pipe, socket or device"),
    errno.EISDIR: ("not_a_regular_file", "a folder"),
    errno.ELOOP: ("unreadable", "links that go round in circles"),
}


def _unreadable(error: OSError) -> RefusedPicture:
    return RefusedPicture(*_ODD.get(error.errno or 0, ("unreadable", error.strerror or str(error))))
