"""The one way we write and read CSV files: any file name comes back as it was, and no cell is a formula.

A spreadsheet runs a cell that begins with = + - @, a tab or the end of a line. Such a cell gets an apostrophe in
front, and so does one that begins with an apostrophe, so that reading takes away exactly what writing added. Bytes
of a name that are no UTF-8 stay the bytes they were (Python's surrogateescape).
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Iterator, Sequence
from numbers import Real
from pathlib import Path
from typing import Any

from crossfade.disk import open_whole

_RISKY = ("=", "+", "-", "@", "\t", "\r", "\n", "'")


def write_table(path: str | os.PathLike[str], header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a CSV file (UTF-8), whole or not at all, each row as it comes.

    Args:
        path: replaced if it is there.
        header: names of the columns.
        rows: one cell per column; numbers are written as they are, all else as text that no spreadsheet runs.

    Raises:
        OSError: it cannot be written.
    """
    with open_whole(Path(path)) as file:
        text = io.TextIOWrapper(file, "utf-8", "surrogateescape", newline="")
        writer = csv.writer(text)
        writer.writerow([_quoted(name) for name in header])
        writer.writerows([_quoted(cell) for cell in row] for row in rows)
        text.detach()  # flushed, and the file left open


def read_table(path: str | os.PathLike[str], columns: Sequence[str]) -> Iterator[dict[str, str]]:
    """Read the rows of a CSV file that `write_table` wrote, as they were before.

    Raises:
        OSError: it cannot be read.
        KeyError: one of `columns` is missing.
        csv.Error, UnicodeError: it is no CSV file.
    """
    with open(path, newline="", encoding="utf-8", errors="surrogateescape") as file:
        table = csv.reader(file)
        header = [_unquoted(name) for name in next(table, [])]
        if not set(columns) <= set(header):
            raise KeyError(", ".join(columns))
        for row in filter(None, table):
            yield dict(zip(header, map(_unquoted, row), strict=False))


def _quoted(cell: Any) -> Any:
    if isinstance(cell, Real):  # NumPy's numbers, too
        return cell
    text = str(cell)
    return "'" + text if text.startswith(_RISKY) else text


def _unquoted(cell: str) -> str:
    return cell[1:] if cell.startswith("'") else cell
