"""A picture beside its bars: what they say, and that no picture or name breaks them."""

from __future__ import annotations

import io

import numpy as np
import pytest

from crossfade.report.prediction import prediction_figure
from crossfade.report.style import save

PICTURE = np.full((40, 60, 3), 200, np.uint8)
SEEN = np.full((16, 16, 1), 90, np.uint8)


def words(top: int, probabilities: list[float], classes: list[str] | None = None) -> list[str]:
    names = classes or [f"class {k}" for k in range(len(probabilities))]
    figure = prediction_figure(PICTURE, SEEN, names, np.array(probabilities), top=top, title="a.png")
    return [text.get_text() for ax in figure.axes for text in ax.texts]


def test_the_most_probable_come_first_and_the_rest_is_counted() -> None:
    assert words(2, [0.1, 0.6, 0.05, 0.25]) == ["class 1", "60.0%", "class 3", "25.0%", "2 other classes", "15.0%"]
    assert words(9, [0.1, 0.9]) == ["class 1", "90.0%", "class 0", "10.0%"]


def test_what_is_nearly_sure_is_not_called_sure() -> None:
    assert words(2, [0.99999, 0.00001])[1::2] == ["> 99.9%", "< 0.1%"]
    assert words(2, [1.0, 0.0])[1::2] == ["100.0%", "0.0%"]


@pytest.mark.parametrize("shape", [(4, 900, 3), (900, 4, 1), (8, 8, 3)])
def test_pictures_of_any_shape_and_names_of_any_kind(shape: tuple[int, ...]) -> None:
    names = ["$x^2", "\x1b[31m\nred", "long " * 40]
    figure = prediction_figure(
        np.zeros(shape, np.uint8), SEEN, names, np.array([0.5, 0.3, 0.2]), top=3, title="\ud800<b>" * 30
    )
    target = io.BytesIO()
    save(figure, target, format="svg")
    assert b"&lt;b&gt;" in target.getvalue()
