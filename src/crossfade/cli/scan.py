"""crossfade scan: what is in the folder, what is refused and why."""

from __future__ import annotations

import json
from typing import Annotated

from cyclopts import Parameter

from crossfade.cli.options import DataFolder
from crossfade.cli.progress import bar
from crossfade.data.scan import Index
from crossfade.data.scan import scan as scan_folder


def scan(data: DataFolder, /, *, as_json: Annotated[bool, Parameter(name="--json", negative="")] = False) -> None:
    """Say what is in a folder of pictures, and what is refused and why. Reads only; nothing is written.

    Args:
        as_json: print JSON.
    """
    with bar("reading pictures") as tick:
        index = scan_folder(data, progress=tick)
    print(json.dumps(index.as_dict(), indent=1) if as_json else describe(index))


def describe(index: Index) -> str:
    """The index as a short text."""
    found = index.as_dict()
    width = max(len(_printable(name)) for name in found["classes"])
    lines = [f"{found['root']}: {found['images']:,} pictures of {len(found['classes'])} classes"]
    lines += [f"  {_printable(name):{width}}  {count:,}" for name, count in found["classes"].items()]
    for word, items in (("refused", found["refused"]), ("ignored", found["ignored"])):
        if items:
            lines.append(f"{len(items):,} {word}")
    lines += [f"  {_printable(one['path'])}: {one['reason']} ({one['detail']})" for one in found["refused"]]
    if found["duplicates"]:
        lines.append(f"{len(found['duplicates']):,} pictures are there more than once, such as")
        lines += [f"  {' = '.join(map(_printable, group))}" for group in found["duplicates"][:5]]
    return "\n".join(lines)


def _printable(name: str) -> str:
    return name if name.isprintable() else ascii(name)[1:-1]
