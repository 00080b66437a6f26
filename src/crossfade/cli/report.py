"""crossfade report: the page of a run, written again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter


def report(run: Annotated[Path, Parameter(help="folder of a training or of a comparison")], /) -> None:
    """Write the page of a training or a comparison again, from what its folder holds."""
    from crossfade.report import write_report

    print(f"page: {write_report(run)}")
