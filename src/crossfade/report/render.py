"""From values to one self-contained HTML file: templates that escape everything, figures as SVG."""

from __future__ import annotations

import errno
import functools
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from crossfade.errors import ConfigError, DataError
from crossfade.report import inline, words
from crossfade.report.sections.plot import Plot

TEMPLATES = Path(__file__).parent / "templates"
PAGE = "report.html"
FIGURES = "figures"


@dataclass(frozen=True)
class Page:
    """The page, and its figures once more for files of their own."""

    html: str
    plots: list[Plot]


def render(template: str, values: dict[str, Any]) -> Page:
    """Fill a template; every value whose name ends in ``_plots`` is a list of the page's figures."""
    html = environment().get_template(template).render(values)
    return Page(html, [plot for name, plots in values.items() if name.endswith("_plots") for plot in plots])


@functools.cache
def environment() -> jinja2.Environment:
    """Where templates are read, with the filters that they use."""
    found = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: value if isinstance(value, Markup) or not isinstance(value, str) else words.clean(value),
    )
    found.filters.update(svg=lambda plot: inline.svg(plot.drawn, plot.name, plot.label))
    found.filters.update(sentences=words.sentences, clauses=words.clauses, signs=words.signs, line=words.line)
    found.filters.update(count=words.count, plural=words.plural, percent=words.percent)
    return found


def write(page: Page, folder: Path) -> Path:
    """Write `report.html`, whole or not at all, and its figures as SVG files, into the folder.

    Raises:
        ConfigError: nothing can be written there.
        DataError: the disk is full.
    """
    unfinished = folder / f".{PAGE}.{os.getpid()}"
    try:
        unfinished.write_text(page.html, encoding="utf-8")
        unfinished.replace(folder / PAGE)
        (folder / FIGURES).mkdir(exist_ok=True)
        for plot in page.plots:
            (folder / FIGURES / f"{plot.name}.svg").write_bytes(plot.file())
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise (DataError if full else ConfigError)(
            f"report: the page is written into the run folder. Got {folder}, {error.strerror}. "
            "Copy the folder to a place that can be written to."
        ) from error
    return folder / PAGE
