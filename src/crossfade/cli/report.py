"""crossfade report: the page of a run, written again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter


def report(
    run: Annotated[Path, Parameter(help="folder that train, compare, check, lr, ablate or tune made")],
    /,
    *,
    png: Annotated[bool, Parameter(negative="", help="write its figures as PNG files, too, beside the SVG")] = False,
) -> None:
    """Write the page of a run again, from what its folder holds: a training, a comparison, a step of the method."""
    from crossfade.report import write_report

    print(f"page: {write_report(run, png=png)}")
