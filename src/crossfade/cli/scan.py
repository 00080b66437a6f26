"""crossfade scan: what is in the folder, what is refused and why."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from crossfade.cli.options import DataFolder, check_outside
from crossfade.cli.progress import bar, printable, say
from crossfade.data.listing import Refusal
from crossfade.data.refusal import MAX_PIXELS, REASONS
from crossfade.data.scan import Index
from crossfade.data.scan import scan as scan_folder
from crossfade.data.split import named_groups
from crossfade.data.table import write_table
from crossfade.data.twins import conflicts, leaks, tell
from crossfade.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FEW = 3
BAR = 30
UNEQUAL = 2.0


def scan(
    data: DataFolder,
    /,
    *,
    as_json: Annotated[bool, Parameter(name="--json", negative="", help="print JSON")] = False,
    quarantine: Annotated[
        Path | None, Parameter(help="write the refused files to this CSV file: path, reason, detail")
    ] = None,
    group: Annotated[
        str | None, Parameter(help="regular expression; say where pictures whose paths it finds the same text in leak")
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
    groups, notes = (None, ()) if group is None or not len(index) else named_groups(index, group)
    print(json.dumps(index.as_dict(groups), indent=1) if as_json else describe(index, groups))
    for note in notes:
        say(note)
    if quarantine is not None:
        _write_quarantine(quarantine, index.refused)
    index.check_trainable()


def _write_quarantine(path: Path, refused: Sequence[Refusal]) -> None:
    try:
        write_table(path, ("path", "reason", "detail"), ((one.path, one.reason, one.detail) for one in refused))
    except OSError as error:
        raise ConfigError(f"scan: {path} cannot be written ({error.strerror}). Choose another --quarantine.") from error
    say(f"quarantine: {path}")


def describe(index: Index, groups: NDArray[np.int64] | None = None) -> str:
    """The index as a short text."""
    lines = [f"{printable(index.root)}: {len(index):,} pictures of {len(index.classes)} classes"]
    lines += _classes(index)
    lines += _refused(index.refused)
    if index.ignored:
        lines.append(f"{len(index.ignored):,} ignored: {_few(index.ignored)}")
    if index.duplicates:
        lines.append(f"{len(index.duplicates):,} pictures are there more than once, such as")
        lines += _alike(index.duplicates)
    if index.near_duplicates:
        lines.append(f"{len(index.near_duplicates):,} groups of pictures are near-identical, such as")
        lines += _alike(index.near_duplicates)
    if found := conflicts(index.paths, index.labels, index.classes, index.twins):
        lines.append(f"warning: pictures are under two classes ({tell(found)}), such as")
        lines += _alike([one["paths"] for one in found])
    if found := leaks(index.paths, index.parts, index.twins, groups):
        lines.append(f"warning: pictures leak from part to part ({tell(found)}), such as")
        lines += _alike([one["paths"] for one in found])
    return "\n".join(lines)


def _classes(index: Index) -> Iterator[str]:
    """Pictures of each class, with a bar where the classes differ."""
    counts = index.counts
    width, largest = max(len(printable(name)) for name in counts), max(counts.values())
    digits = len(f"{largest:,}")
    unequal = min(counts.values()) < largest
    for name, count in counts.items():
        mark = "  " + "#" * max(1, round(BAR * count / largest)) if unequal and count else ""
        yield f"  {printable(name):{width}}  {count:{digits},}{mark}"
    if index.imbalance > UNEQUAL:
        ratio = f"{index.imbalance:.1f} times" if math.isfinite(index.imbalance) else "infinitely"
        yield f"the largest class is {ratio} as large as the smallest; train --balance loss (or sampling) helps"


def _alike(sets: Sequence[Sequence[str]]) -> Iterator[str]:
    for paths in sets[:FEW]:
        more = f" and {len(paths) - FEW:,} more" if len(paths) > FEW else ""
        yield f"  {' = '.join(map(printable, paths[:FEW]))}{more}"


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
