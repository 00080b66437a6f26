"""Figures and pictures as parts of a page: SVG in the colours and fonts of the page, pictures as data."""

from __future__ import annotations

import base64
import io
import re
from typing import Any, Literal
from xml.etree import ElementTree

import numpy as np
from markupsafe import Markup
from matplotlib import image as mpl_image
from matplotlib.figure import Figure

from crossfade.report import style
from crossfade.report.words import clean

_COLORS = {
    style.INK: "--ink",
    style.MUTED: "--muted",
    style.RULE: "--rule",
    style.GRID: "--grid",
    "#ffffff": "--page",
} | {color: f"--arm-{i}" for i, color in enumerate(style.PALETTE)}
BACKGROUND = "patch_1"  # as matplotlib names the white paper of a figure
_CRISP_BELOW = 96  # pixels a side: smaller pictures are shown with hard pixels and kept lossless


Kind = Literal["svg", "png"]


def drawn(figure: Figure, kind: Kind = "svg") -> bytes:
    """A figure as an SVG or a PNG file."""
    file = io.BytesIO()
    style.save(figure, file, format=kind)
    return file.getvalue()


def svg(figure: Figure | bytes, key: str, label: str) -> Markup:
    """A figure, or one `drawn`, as an `<svg>` element: its colours are the page's variables, its ids begin with `key`.

    Only attributes are rewritten, on the parsed tree, so that no text in a figure can become markup.
    """
    file = figure if isinstance(figure, bytes) else drawn(figure)
    root = ElementTree.fromstring(file)
    used = set(re.findall(r'(?:url\(#|href="#)([\w-]+)', file.decode()))
    for parent in list(root.iter()):
        for child in [c for c in parent if c.tag.endswith(("}style", "}metadata")) or c.get("id") == BACKGROUND]:
            parent.remove(child)
    for element in root.iter():
        _homely(element, key, used)
    box = root.get("viewBox", "")
    root.attrib = {"class": "figure", "viewBox": box, "role": "img", "aria-label": clean(label)}
    return Markup(ElementTree.tostring(root, encoding="unicode"))


def _homely(element: ElementTree.Element, key: str, used: set[str]) -> None:
    element.tag = element.tag.rpartition("}")[2]
    old, element.attrib = element.attrib, {}
    for name, value in old.items():
        name = name.rpartition("}")[2]
        if name == "d":
            value = re.sub(r"\d+\.\d{3,}", lambda m: f"{float(m[0]):.2f}", value)
        elif name == "style":
            value = _themed(value)
        elif name == "href" and value.startswith("#"):
            value = f"#{key}-{value[1:]}"
        elif name == "clip-path":
            value = value.replace("url(#", f"url(#{key}-")
        elif name == "id":
            if value not in used:
                continue
            value = f"{key}-{value}"
        elif name == "transform" and value.startswith("rotate(-0"):
            continue
        element.set(name, value)


def _themed(style: str) -> str:
    style = re.sub(r"font-family: [^;]*;? ?", "", style)
    return re.sub(r"#[0-9a-f]{6}", lambda m: f"var({_COLORS[m[0]]})" if m[0] in _COLORS else m[0], style)


def is_crisp(images: np.ndarray) -> bool:
    """Whether pictures (n, H, W, C) are so small that a page should show their pixels with hard edges."""
    return max(images.shape[1:3]) < _CRISP_BELOW


def pictures(images: np.ndarray, *, budget: int, side: int = 256) -> list[str]:
    """Pictures as `data:` addresses, as many from the first on as fit into `budget` characters.

    Args:
        images: (n, H, W, C) uint8; small ones become PNG, photographs JPEG.
        budget: characters, all pictures together.
        side: pixels; of a larger picture only every second, third, ... pixel is kept.
    """
    step = -(-max(images.shape[1:3]) // side)
    found: list[str] = []
    for image in images[:, ::step, ::step]:
        address = _address(image.repeat(3, axis=-1) if image.shape[-1] == 1 else image)
        budget -= len(address)
        if budget < 0:
            break
        found.append(address)
    return found


def _address(image: np.ndarray) -> str:
    kind = "png" if max(image.shape[:2]) < _CRISP_BELOW or image.shape[-1] == 4 else "jpeg"
    options = {"optimize": True} if kind == "png" else {"quality": 90, "subsampling": 0}
    file = io.BytesIO()
    nothing: Any = {"Software": None} if kind == "png" else None
    mpl_image.imsave(file, np.ascontiguousarray(image), format=kind, metadata=nothing, pil_kwargs=options)
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode()}"
