"""Figures hold the data they were given, and leave matplotlib as they found it."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure

from crossfade.report import figures, grids, style

RNG = np.random.default_rng(3)
IMAGES = RNG.integers(0, 256, (5, 8, 8, 3), dtype=np.uint8)
WEIGHTS = np.array([[0.7, 0.3], [1.0, 0.0], [0.5, 0.5], [0.9, 0.1], [0.6, 0.4]])
NAMES = [["rose", "daisy"]] * 5
CURVES = [figures.Curve("none", np.array([[0.1, 0.2, 0.4], [0.3, 0.4, np.nan]]), "#0072b2")]
SCORES = [
    figures.Scores("none", [0.74, 0.75], 0.745, (0.73, 0.76)),
    figures.Scores("mixup", [0.77], 0.77, None),
]

DRAW: dict[str, Callable[[], Figure]] = {
    "scores": lambda: figures.scores_figure(SCORES),
    "differences": lambda: figures.differences_figure(SCORES, baseline="none"),
    "curves": lambda: figures.curves_figure(CURVES, title="Validation accuracy", percent=True, legend=True),
    "lambda": lambda: figures.lambda_figure(np.linspace(0, 1, 51), np.arange(50), title="mixup", unmixed=1, total=9),
    "grid": lambda: grids.mixed_grid(IMAGES, ["a"] * 5, title="five"),
    "preview": lambda: grids.preview_figure(IMAGES, WEIGHTS, NAMES, WEIGHTS[:, 0], "mixup"),
}


def texts(figure: Figure) -> list[str]:
    own = [text.get_text() for text in figure.texts]
    return (
        own
        + [text.get_text() for ax in figure.axes for text in [*ax.texts, ax.title, ax.xaxis.label]]
        + [ax.get_title(loc="left") for ax in figure.axes]
    )


def written(figure: Figure, kind: str) -> bytes:
    file = io.BytesIO()
    style.save(figure, file, format=kind)
    return file.getvalue()


@pytest.mark.parametrize("name", DRAW)
def test_the_same_data_give_the_same_bytes_and_no_setting_leaks(name):
    before = dict(matplotlib.rcParams)
    first, second = (written(DRAW[name](), "svg") for _ in range(2))
    assert first == second
    assert b"<text" in first
    assert written(DRAW[name](), "png").startswith(b"\x89PNG")
    assert dict(matplotlib.rcParams) == before


def test_the_settings_of_a_user_do_not_change_a_figure():
    plain = written(DRAW["curves"](), "svg")
    with matplotlib.rc_context({"font.size": 30, "axes.grid": False, "text.usetex": True, "lines.linewidth": 9}):
        assert written(DRAW["curves"](), "svg") == plain


def test_save_goes_by_the_ending(tmp_path):
    for ending, start in (("png", b"\x89PNG"), ("svg", b"<?xml"), ("SVG", b"<?xml")):
        style.save(DRAW["scores"](), tmp_path / f"f.{ending}")
        assert (tmp_path / f"f.{ending}").read_bytes().startswith(start)
    with pytest.raises(ValueError, match="jpx"):
        style.save(DRAW["scores"](), tmp_path / "f.jpx")


def test_a_curve_is_the_mean_of_the_seeds_that_got_so_far_in_a_band_of_their_range():
    ax = DRAW["curves"]().axes[0]
    np.testing.assert_allclose(ax.lines[0].get_xdata(), [1, 2, 3])
    np.testing.assert_allclose(ax.lines[0].get_ydata(), [20, 30, 40])
    corners = ax.collections[0].get_paths()[0].vertices
    np.testing.assert_allclose([corners[corners[:, 0] == e, 1].min() for e in (1, 2, 3)], [10, 20, 40])
    np.testing.assert_allclose([corners[corners[:, 0] == e, 1].max() for e in (1, 2, 3)], [30, 40, 40])


def test_a_curve_of_one_epoch_is_a_dot_and_one_of_none_is_left_out():
    curves = [figures.Curve("a", np.array([[0.5]])), figures.Curve("b", np.empty((2, 0)))]
    lines = figures.curves_figure(curves, title="t").axes[0].lines
    assert [(line.get_label(), line.get_marker()) for line in lines] == [("a", "o")]


def test_scores_show_every_seed_the_mean_and_the_interval_in_percent():
    ax = DRAW["scores"]().axes[0]
    data = [sorted(float(x) for x in line.get_xdata()) for line in ax.lines]
    for expected in ([74, 75], [74.5], [73, 76], [77]):
        assert any(np.allclose(found, expected) for found in data if len(found) == len(expected))
    assert len(data) == 5  # interval, seeds and mean of the first; seeds and mean of the second, which has no interval
    assert {"none", "mixup", "74.5%", "77.0%"} <= set(texts(ax.figure))


def test_differences_always_show_zero():
    figure = figures.differences_figure([figures.Scores("mixup", [0.05], 0.05, (0.04, 0.06))], baseline="none")
    low, high = figure.axes[0].get_xlim()
    assert low < 0 < 6 <= high
    assert "+5.0" in texts(figure)


def test_the_histogram_of_lambda_holds_the_counts_and_the_share_mixed():
    figure = figures.lambda_figure(np.linspace(0, 1, 6), np.array([1, 2, 3, 4, 0]), title="m", unmixed=30, total=40)
    stairs = figure.axes[0].patches[0].get_data()
    np.testing.assert_array_equal(stairs.values, [1, 2, 3, 4, 0])
    np.testing.assert_allclose(stairs.edges, [0, 0.2, 0.4, 0.6, 0.8, 1])
    assert "25% of 40 samples mixed" in texts(figure)


def test_a_preview_shows_each_picture_over_its_label_weights():
    figure = DRAW["preview"]()
    pictures = [ax.images[0].get_array() for ax in figure.axes if ax.images]
    np.testing.assert_array_equal(np.stack(pictures), IMAGES)
    assert "0.70 rose\n0.30 daisy" in texts(figure)
    assert "80% of 5 samples mixed" in texts(figure)
    assert sum(figure.axes[-1].patches[0].get_data().values) == 4


@pytest.mark.parametrize("shape", [(1, 4, 9, 1), (16, 8, 8, 4), (7, 200, 100, 3)])
def test_grids_take_any_pictures(shape):
    images = np.zeros(shape, np.uint8)
    figure = grids.mixed_grid(images, ["a / b / c / d / e"] * len(images))
    assert written(figure, "png").startswith(b"\x89PNG")
    assert "a\nb\nand 3 more" in texts(figure)
    boxes = [ax.get_position() for ax in figure.axes]
    assert all(0 <= b.x0 < b.x1 <= 1 and 0 <= b.y0 < b.y1 <= 1 for b in boxes)


def test_names_are_never_mathematics_nor_markup_and_any_script_is_drawn_without_a_warning():
    name = "$\\frac{1$ <b>&amp; 薔薇 👩"
    figure = grids.preview_figure(IMAGES[:1], WEIGHTS[:1], [[name, "b"]], WEIGHTS[:1, 0], name)
    svg = written(figure, "svg").decode()
    assert "$\\frac{1$ &lt;b&gt;&amp;amp; 薔薇" in svg
    assert written(figure, "png").startswith(b"\x89PNG")


def test_the_report_needs_neither_torch_nor_pyplot():
    code = "import sys, crossfade.report; print({'torch', 'matplotlib.pyplot'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
