"""crossfade scan: what is in the folder, what is refused and why."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from crossfade.cli.options import DataFolder, check_outside
from crossfade.cli.progress import bar, printable, say
from crossfade.data.listing import Refusal
from crossfade.data.refusal import MAX_PIXELS, REASONS
from crossfade.data.scan import Index
from crossfade.data.scan import scan as scan_folder
from crossfade.data.table import write_table
from crossfade.errors import ConfigError

FEW = 3


def scan(
    data: DataFolder,
    /,
    *,
    as_json: Annotated[bool, Parameter(name="--json", negative="", help="print JSON")] = False,
    quarantine: Annotated[
        Path | None, Parameter(help="write the refused files to this CSV file: path, reason, detail")
    ] = None,
    max_pixels: Annotated[int, Parameter(help="refuse larger pictures before they are decoded")] = MAX_PIXELS,
    force: Annotated[bool, Parameter(help="replace a list that is there", negative="")] = False,
) -> None:
    """Say what is in a folder of pictures, and what is refused and why. The folder is only read."""
    if max_pixels < 1:
        raise ConfigError(f"scan: --max-pixels must be 1 or more. Got {max_pixels}.")
    if quarantine is not None:
        check_outside(quarantine, data, "--quarantine")
        if quarantine.exists() and not force:
            raise ConfigError(f"scan: {quarantine} exists. Choose another --quarantine, or pass --force.")
    with bar("reading pictures") as tick:
        index = scan_folder(data, max_pixels=max_pixels, allow_empty=True, progress=tick)
    print(json.dumps(index.as_dict(), indent=1) if as_json else describe(index))
    if quarantine is not None:
        _write_quarantine(quarantine, index.refused)
    index.check_trainable()


def _write_quarantine(path: Path, refused: Sequence[Refusal]) -> None:
    try:
        write_table(path, ("path", "reason", "detail"), ((one.path, one.reason, one.detail) for one in refused))
    except OSError as error:
        raise ConfigError(f"scan: {path} cannot be written ({error.strerror}). Choose another --quarantine.") from error
    say(f"quarantine: {path}")


def describe(index: Index) -> str:
    """The index as a short text."""
    counts = index.counts
    width = max(len(printable(name)) for name in counts)
    lines = [f"{printable(index.root)}: {len(index):,} pictures of {len(counts)} classes"]
    lines += [f"  {printable(name):{width}}  {count:,}" for name, count in counts.items()]
    lines += _refused(index.refused)
    if index.ignored:
        lines.append(f"{len(index.ignored):,} ignored: {_few(index.ignored)}")
    if index.duplicates:
        lines.append(f"{len(index.duplicates):,} pictures are there more than once, such as")
        lines += [f"  {' = '.join(map(printable, group))}" for group in index.duplicates[:FEW]]
    return "\n".join(lines)


def _refused(refused: Sequence[Refusal]) -> Iterator[str]:
    """Grouped by reason, the first few of each, and where all are to be had."""
    if not refused:
        return
    yield f"{len(refused):,} refused"
    by_reason = sorted(refused, key=lambda one: REASONS.index(one.reason))
    for reason, group in groupby(by_reason, lambda one: one.reason):
        files = list(group)
        yield f"  {len(files):,} {reason}"
        yield from (f"    {printable(one.path)}: {printable(one.detail)}" for one in files[:FEW])
        if len(files) > FEW:
            yield f"    and {len(files) - FEW:,} more"
    if len(refused) > FEW:
        yield "  all of them: --quarantine LIST.csv, or --json"


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - FEW:,} more" if len(names) > FEW else ""
    return ", ".join(map(printable, names[:FEW])) + more
