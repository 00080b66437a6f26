"""Figures and pictures as parts of a page."""

from __future__ import annotations

import base64
import io
import re

import matplotlib.image
import numpy as np
import pytest
from matplotlib.figure import Figure

from crossfade.report import figures, inline

RNG = np.random.default_rng(3)


def test_an_inline_figure_takes_its_colours_from_the_page_and_keeps_its_ids_apart():
    scores = [figures.Scores("none", [0.7, 0.8], 0.75, (0.6, 0.9), figures.arm_color(1))]
    one, two = (inline.svg(figures.scores_figure(scores), key, "label") for key in ("one", "two"))
    assert one.startswith('<svg class="figure" viewBox="0 0 360 ')
    assert "var(--arm-1)" in one
    assert "var(--ink)" in one
    assert not re.findall(r"#[0-9a-f]{6}", one)
    assert "font-family" not in one
    assert one.count("fill: var(--page)") == 2  # the open dot of each seed, and no paper behind them
    ids = [set(re.findall(r' id="([^"]+)"', text)) for text in (one, two)]
    assert ids[0]
    assert not ids[0] & ids[1]
    assert set(re.findall(r'(?:url\(#|href="#)([^")]+)', one)) <= ids[0]


def test_text_that_looks_like_a_colour_an_id_or_markup_stays_text():
    name = '#1c2127 id="x" url(#a) <g onload="x">'
    svg = inline.svg(figures.scores_figure([figures.Scores(name, [0.7], 0.7, None)]), "k", name)
    assert '#1c2127 id="x" url(#a) &lt;g onload="x"&gt;</text>' in svg
    assert 'aria-label="#1c2127 id=&quot;x&quot; url(#a) &lt;g onload=&quot;x&quot;&gt;"' in svg


def test_an_empty_figure_is_still_a_figure():
    assert inline.svg(inline.drawn(Figure()), "k", "nothing").endswith("</svg>")


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_small_pictures_are_kept_to_the_pixel(channels):
    images = RNG.integers(0, 256, (2, 8, 6, channels), dtype=np.uint8)
    assert inline.is_crisp(images)
    found = inline.pictures(images, budget=10**6)
    for address, image in zip(found, images, strict=True):
        kind, data = address.split(",")
        assert kind == "data:image/png;base64"
        read = np.rint(255 * matplotlib.image.imread(io.BytesIO(base64.b64decode(data))))
        np.testing.assert_array_equal(read[..., : max(3, channels)], np.broadcast_to(image, (8, 6, max(3, channels))))


def test_large_pictures_are_thinned_out_and_no_more_are_taken_than_the_budget_holds():
    images = RNG.integers(0, 256, (6, 600, 300, 3), dtype=np.uint8)
    assert not inline.is_crisp(images)
    one = inline.pictures(images[:1], budget=10**7)[0]
    assert one.startswith("data:image/jpeg;base64,")
    assert matplotlib.image.imread(io.BytesIO(base64.b64decode(one.split(",")[1])), format="jpeg").shape == (
        200,
        100,
        3,
    )
    few = inline.pictures(images, budget=3 * len(one))
    assert 2 <= len(few) <= 3
    assert sum(map(len, few)) <= 3 * len(one)
