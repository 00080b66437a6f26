"""The oracle itself, against numbers worked by hand, and against nobody leaning on it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import crossfade as cf
from crossfade.mixing import reference
from crossfade.mixing.plan import Plan
from crossfade.vision.augment import Augmentation


def test_a_blend():
    assert reference.blend(10, 20, 0.25) == 12.5
    assert reference.blend(float("nan"), 3, 1) == 3
    assert reference.blend(3, float("inf"), 0) == 3


def test_a_pixel_of_three_layers():
    """10, then half of 20, then a quarter of 100."""
    assert reference.mix_pixel([10, 20, 100], [1, 0.5, 0.25]) == 0.75 * 15 + 25
    assert reference.visible_at([1, 0.5, 0.25]) == [0.375, 0.375, 0.25]


def test_a_box_is_half_open():
    plan = Plan.two_layers((1, 4, 4), np.array([0]), opacity=0.5, box=[[1, 2, 3, 4]])
    seen = [[reference.opacity_at(plan, 0, 1, y, x) for x in range(4)] for y in range(4)]
    assert seen == [[0, 0, 0, 0], [0, 0, 0.5, 0.5], [0, 0, 0.5, 0.5], [0, 0, 0, 0]]


def test_bytes_round_half_to_even():
    plan = Plan.two_layers((2, 1, 1), np.array([1, 0]), opacity=0.5)
    assert reference.mix_images(np.array([[[[1]]], [[[2]]]], np.uint8), plan, "NHWC").ravel().tolist() == [2, 2]


def test_targets_of_a_pair():
    plan = Plan.two_layers((2, 1, 4), np.array([1, 0]), box=[[0, 0, 1, 1], [0, 0, 1, 2]])
    assert reference.mix_targets(np.array([2, 0]), plan, 3).tolist() == [[0.25, 0, 0.75], [0.5, 0, 0.5]]
    assert reference.mix_targets(np.array([0, 0]), plan, 2, 0.5).tolist() == [[0.75, 0.25], [0.75, 0.25]]


def test_warped_rows():
    """0123 read backwards and further on, with what lies beyond by each fill."""
    row = np.arange(4.0).reshape(1, 4, 1)

    def seen(step, shift, fill):
        matrix = np.array([[1, 0, 0], [0, step, shift]])
        return [reference.warped_pixel(row, matrix, fill, 9, 0, x, 0) for x in range(4)]

    assert seen(1, 0, "mirror") == [0, 1, 2, 3]
    assert seen(-1, 3, "mirror") == [3, 2, 1, 0]
    assert seen(1, 2, "constant") == [2, 3, 9, 9]
    assert seen(1, 2, "nearest") == [2, 3, 3, 3]
    assert seen(1, 2, "reflect") == [2, 3, 3, 2]
    assert seen(1, 2, "mirror") == [2, 3, 2, 1]
    assert seen(1, 2, "wrap") == [2, 3, 0, 1]
    assert seen(1, -2, "constant") == [9, 9, 0, 1]
    assert seen(1, -2, "nearest") == [0, 0, 0, 1]
    assert seen(1, -2, "reflect") == [1, 0, 0, 1]
    assert seen(1, -2, "mirror") == [2, 1, 0, 1]
    assert seen(1, -2, "wrap") == [2, 3, 0, 1]
    assert seen(-1, 2, "mirror") == [2, 1, 0, 1]
    assert seen(1, 9, "mirror") == [3, 2, 1, 0]


def test_between_two_pixels():
    """A quarter of the way from 0 to 100, then from there a half of the way down to 200 and 240."""
    square = np.array([[0, 100], [200, 240]], float).reshape(2, 2, 1)
    quarter, lower = np.array([[1, 0, 0], [0, 1, 0.25]]), np.array([[1, 0, 0.5], [0, 1, 0.25]])
    assert reference.warped_pixel(square, quarter, "nearest", 0, 0, 0, 0) == 25
    assert reference.warped_pixel(square, lower, "nearest", 0, 0, 0, 0) == 118
    assert reference.warped_pixel(square, quarter, "constant", 0, 0, 1, 0) == 75


def test_render_normalises():
    pixels = np.array([[[[255, 0]]]], np.uint8)
    augment = Augmentation(np.eye(3)[None, :2])
    got = reference.render(pixels, Plan.identity((1, 1, 1)), (0.5, 0.25), (0.25, 0.5), "NHWC", augment)
    assert got.ravel().tolist() == [2.0, -0.5]


def test_nobody_leans_on_the_oracle():
    package = Path(cf.__file__).parent
    readers = [path for path in package.rglob("*.py") if "mixing.reference" in path.read_text(encoding="utf-8")]
    assert readers == []
