"""From values to one self-contained HTML file: templates that escape everything, figures as SVG."""

from __future__ import annotations

import errno
import functools
import itertools
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
from markupsafe import Markup

from crossfade.errors import ConfigError, DataError
from crossfade.report import inline, words
from crossfade.report.inline import Kind
from crossfade.report.sections.plot import Plot

TEMPLATES = Path(__file__).parent / "templates"
PAGE = "report.html"
FIGURES = "figures"


@dataclass(frozen=True)
class Page:
    """The page, and its figures once more for files of their own."""

    html: str
    plots: list[Plot]


class Section(NamedTuple):
    """A part of a page: the template ``sections/<anchor>.html.j2`` under its title."""

    anchor: str
    title: str
    needs: str = ""  # the value without which it is left out


LAST = (Section("settings", "Configuration and versions"), Section("commands", "To repeat it"))


def render(template: str, story: Sequence[Section], values: dict[str, Any]) -> Page:
    """Fill a template with the sections of its story; values whose names end in ``_plots`` are lists of figures."""
    told = [section for section in (*story, *LAST) if not section.needs or values.get(section.needs)]
    html = environment().get_template(template).render(values | {"story": told})
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
    for name in ("capital", "sentence", "sentences", "clauses", "signs", "line", "count", "plural", "percent"):
        found.filters[name] = getattr(words, name)
    return found


def write(page: Page, folder: Path, kinds: Sequence[Kind] = ("svg",)) -> Path:
    """Write `report.html`, whole or not at all, and its figures as files of these kinds, into the folder.

    Raises:
        ConfigError: nothing can be written there.
        DataError: the disk is full.
    """
    unfinished = folder / f".{PAGE}.{os.getpid()}"
    try:
        unfinished.write_text(page.html, encoding="utf-8")
        unfinished.replace(folder / PAGE)
        (folder / FIGURES).mkdir(exist_ok=True)
        for plot, kind in itertools.product(page.plots, kinds):
            (folder / FIGURES / f"{plot.name}.{kind}").write_bytes(plot.file(kind))
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise (DataError if full else ConfigError)(
            f"report: the page is written into the run folder. Got {folder}, {error.strerror}. "
            "Copy the folder to a place that can be written to."
        ) from error
    return folder / PAGE
