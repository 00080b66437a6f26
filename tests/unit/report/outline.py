"""A page as a reader of its markup sees it."""

from __future__ import annotations

from html.parser import HTMLParser


class Outline(HTMLParser):
    """The elements of a page with the names of their attributes, its addresses and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, ...]] = []
        self.addresses: list[str] = []
        self.alts: list[str] = []
        self.headings: list[str] = []
        self.text = ""
        self._inside = ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, *(name for name, _ in attrs)))
        self.addresses += [
            value for name, value in attrs if name in ("src", "href", "xlink:href", "action", "srcset", "poster")
        ]
        self.alts += [value for name, value in attrs if name == "alt"]
        self._inside = tag
        self.text += " " if tag in ("td", "th", "span", "dd") else ""
        if tag == "h2":
            self.headings.append("")

    def handle_data(self, data):
        if self._inside not in ("style",):
            self.text += data
        if self._inside == "h2":
            self.headings[-1] += data

    def handle_endtag(self, tag):
        self._inside = ""
