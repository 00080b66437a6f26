"""Sheets hold the pictures and numbers they were given, and are written as PNG and SVG."""

from __future__ import annotations

import io
from collections.abc import Callable
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from crossfade.report import sheets, style
from crossfade.report.sheets import ClassRow, Normalised

RNG = np.random.default_rng(0)
PICTURES = RNG.integers(0, 256, (5, 8, 8, 3), dtype=np.uint8)
ODD = "$\\frac{1$ <b>&amp; 薔薇\n\udcff"


def rows(classes: int) -> list[ClassRow]:
    return [ClassRow(f"class {number}", 10 * (number + 1), PICTURES[:4]) for number in range(classes)]


def normalised(channels: int = 3) -> list[list[Normalised]]:
    values = PICTURES[0, :, :, :channels] / 255
    return [[Normalised("divide", "x / 255", values), Normalised("twice", "2 x / 255", 2 * values)]]


DRAW: dict[str, Callable[[], Figure]] = {
    "classes": lambda: sheets.class_sheet(rows(3), title="30 pictures"),
    "channels": lambda: sheets.channel_sheet([list(PICTURES[:3])] * 2, ["picture", "red", "grey"], title="Channels"),
    "titled": lambda: sheets.titled_sheet([("original", PICTURES[0]), (ODD, PICTURES[1, :, :, :1])], title=ODD),
    "normalised": lambda: sheets.normalisation_sheet(normalised(), title="Normalised"),
    "lambda": lambda: sheets.lambda_sheet(RNG.beta(0.2, 0.2, 500), alpha=0.2, title="lambda of mixup"),
}


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.texts]


def shown(figure: Figure) -> list[np.ndarray]:
    return [np.asarray(ax.images[0].get_array()) for ax in figure.axes if ax.images]


def written(figure: Figure, kind: str) -> bytes:
    file = io.BytesIO()
    style.save(figure, file, format=kind)
    return file.getvalue()


@pytest.mark.parametrize("name", DRAW)
def test_png_and_svg_are_whole_and_nothing_lies_outside_the_figure(name: str) -> None:
    figure = DRAW[name]()
    Image.open(io.BytesIO(written(figure, "png"))).load()
    assert ElementTree.fromstring(written(figure, "svg")).tag.endswith("svg")
    boxes = [ax.get_position() for ax in figure.axes]
    assert all(-1e-9 <= b.x0 < b.x1 <= 1 + 1e-9 and -1e-9 <= b.y0 < b.y1 <= 1 + 1e-9 for b in boxes)


@pytest.mark.parametrize("name", DRAW)
def test_type_can_be_read_in_a_column_of_90_mm(name: str) -> None:
    figure = DRAW[name]()
    assert figure.get_size_inches()[0] == sheets.WIDTH
    sizes = [text.get_fontsize() for text in figure.texts]
    sizes += [label.get_fontsize() for ax in figure.axes for label in ax.get_xticklabels()]
    assert min(sizes) * (90 / 25.4) / sheets.WIDTH >= 6.3


def test_classes_stand_beside_their_counts() -> None:
    figure = DRAW["classes"]()
    assert {"class 0", "10", "class 2", "30"} <= set(texts(figure))
    np.testing.assert_array_equal(np.stack(shown(figure)), np.concatenate([PICTURES[:4]] * 3))
    lengths = [np.ptp(bar.get_xdata()) for bar in figure.artists]
    np.testing.assert_allclose(np.array(lengths) / lengths[-1], [1 / 3, 2 / 3, 1])


def test_many_classes_are_counted_not_drawn() -> None:
    figure = sheets.class_sheet(rows(14), title="many")
    assert "and 2 more classes" in texts(figure)
    assert len(shown(figure)) == 4 * sheets.MOST_CLASSES
    assert "and 1 more class" in texts(sheets.class_sheet(rows(13), title="many"))


def test_channels_stand_under_their_names() -> None:
    figure = DRAW["channels"]()
    assert texts(figure) == ["Channels", "picture", "red", "grey"]
    assert len(shown(figure)) == 6


def test_names_are_drawn_as_they_are() -> None:
    figure = DRAW["titled"]()
    assert texts(figure)[1] == "original"
    assert "$\\frac{1$" in texts(figure)[2]
    np.testing.assert_array_equal(shown(figure)[1], PICTURES[1, :, :, :1].repeat(3, axis=2))


def test_a_normalised_picture_is_shown_from_0_to_1_over_all_its_values() -> None:
    figure = DRAW["normalised"]()
    np.testing.assert_array_equal(shown(figure)[0], PICTURES[0])
    np.testing.assert_array_equal(shown(figure)[1], np.minimum(2 * PICTURES[0].astype(int), 255))
    bars = [ax for ax in figure.axes if not ax.images]
    assert [[sum(patch.get_data().values) for patch in ax.patches] for ax in bars] == [[64] * 3] * 2
    grey = sheets.normalisation_sheet(normalised(1), title="grey")
    assert [len(ax.patches) for ax in grey.axes if not ax.images] == [1, 1]


def test_lambdas_are_counted_beside_what_beta_expects() -> None:
    lambdas = np.r_[RNG.beta(0.5, 0.5, 300), np.ones(100)]
    figure = sheets.lambda_sheet(lambdas, alpha=0.5, title="m")
    assert "75% of 400 samples mixed; line: Beta(0.5, 0.5)" in texts(figure)
    counted, expected = (patch.get_data() for patch in figure.axes[0].patches)
    assert sum(counted.values) == 300
    assert sum(expected.values) == pytest.approx(300)
    # Beta(1/2, 1/2) is the arcsine distribution
    np.testing.assert_allclose(expected.values, 300 * np.diff(2 / np.pi * np.arcsin(np.sqrt(expected.edges))))
    assert len(sheets.lambda_sheet(lambdas, alpha=None, title="m").axes[0].patches) == 1
