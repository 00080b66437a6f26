"""The pictures a command line names: files, folders of them, and `-` for one that comes through a pipe."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from crossfade.cli.progress import printable, say
from crossfade.data.files import read_file, read_stream
from crossfade.data.listing import walk
from crossfade.data.refusal import RefusedPicture
from crossfade.errors import ConfigError

PIPE = Path("-")


class Asked:
    """Iterating gives the path of each picture, `read` its bytes, or the reason why not.

    Of a folder come all files that `crossfade scan` would read below it, and those it would refuse by their kind.

    Args:
        given: as they stand on the command line.

    Raises:
        ConfigError: `-` is there, and nothing is piped.
    """

    def __init__(self, given: Sequence[Path]) -> None:
        self._given = given
        self._odd: dict[Path, RefusedPicture] = {}
        self._piped: bytes | RefusedPicture = b""
        if PIPE in given:
            self._piped = _read_pipe()

    def __iter__(self) -> Iterator[Path]:
        for path in self._given:
            if path == PIPE or not os.path.isdir(path):  # unlike Path.is_dir, no error for a name that is too long
                yield path
            else:
                yield from self._below(path)

    def _below(self, folder: Path) -> Iterator[Path]:
        found, refused, ignored = walk(folder.resolve())
        yield from (folder / name for name in found)
        for one in refused:
            path = folder / one.path
            self._odd[path] = RefusedPicture(one.reason, one.detail)
            yield path
        if ignored:
            say(f"crossfade: {len(ignored):,} files in {printable(folder)} ignored, such as {printable(ignored[0])}")

    def read(self, path: Path) -> bytes:
        """The bytes of one of the pictures.

        Raises:
            RefusedPicture: with the reason.
        """
        found = self._piped if path == PIPE else self._odd.pop(path, None) or read_file(path)
        if isinstance(found, RefusedPicture):
            raise found
        return found


def _read_pipe() -> bytes | RefusedPicture:
    if sys.stdin is None or sys.stdin.isatty():
        raise ConfigError(
            "pictures: - reads a picture that is piped in. Got a terminal. "
            "Write crossfade predict RUN - < picture.jpg, or name files."
        )
    try:
        return read_stream(sys.stdin.buffer)
    except RefusedPicture as refusal:
        return refusal
