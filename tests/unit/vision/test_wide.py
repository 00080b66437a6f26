"""How far each operation of TrivialAugment and RandAugment goes at each level: as far as torchvision's."""

from __future__ import annotations

import numpy as np
import pytest

from crossfade.arrays.augment import Colour
from crossfade.vision import wide

SIZE = (200, 300)
# At the highest level: TrivialAugment's wide set, then RandAugment's.
HIGHEST = {
    "shear_x": (0.99, 0.3), "shear_y": (0.99, 0.3), "translate_x": (32, 135), "translate_y": (32, 90),
    "rotate": (135, 30), "brightness": (1.99, 1.9), "saturation": (1.99, 1.9), "contrast": (1.99, 1.9),
    "sharpness": (1.99, 1.9), "posterize": (2, 4), "solarize": (0, 0),
}  # fmt: skip
IDLE = {"brightness": 1, "saturation": 1, "contrast": 1, "sharpness": 1, "posterize": 8, "solarize": 255}
UNSIGNED = ("posterize", "solarize")


def amount(policy, name: str, level: int, *, positive: bool = True) -> float:
    """Of one operation, read off the map or the colour step that was drawn."""
    number = wide.OPERATIONS.index(name)
    uniforms = np.array(
        [[[(number + 0.5) / len(wide.OPERATIONS), (level + 0.5) / wide.LEVELS, 0.9 if positive else 0]]]
    )
    drawn = wide.draw(policy, uniforms, level, SIZE)
    assert drawn.colours[0, 0] == Colour.__members__.get(name.upper(), Colour.NONE)
    centre = drawn.matrix[0] @ [(SIZE[0] - 1) / 2, (SIZE[1] - 1) / 2, 1]
    maps = {
        "shear_x": drawn.matrix[0, 1, 0],
        "shear_y": drawn.matrix[0, 0, 1],
        "translate_x": centre[1] - (SIZE[1] - 1) / 2,
        "translate_y": centre[0] - (SIZE[0] - 1) / 2,
        "rotate": np.degrees(np.arctan2(drawn.matrix[0, 0, 1], drawn.matrix[0, 0, 0])),
    }
    return float(maps.get(name, drawn.amounts[0, 0]))


@pytest.mark.parametrize("policy", ["trivial", "rand"])
@pytest.mark.parametrize("name", HIGHEST)
def test_levels_go_from_nothing_to_the_highest(policy, name):
    idle, highest = IDLE.get(name, 0), HIGHEST[name][policy == "rand"]
    assert amount(policy, name, 0) == pytest.approx(idle)
    assert amount(policy, name, 30) == pytest.approx(highest)
    other_way = highest if name in UNSIGNED else 2 * idle - highest
    assert amount(policy, name, 30, positive=False) == pytest.approx(other_way)


@pytest.mark.parametrize("name", ["identity", "autocontrast", "equalize"])
def test_operations_without_a_level_move_nothing(name):
    for policy in ("trivial", "rand"):
        assert amount(policy, name, 30) == 0


def test_levels_between():
    assert amount("rand", "rotate", 9) == pytest.approx(9)
    assert amount("rand", "translate_x", 10) == 45  # of 45.3; whole pixels, towards 0
    assert [amount("trivial", "posterize", level) for level in (2, 3, 27, 28)] == [8, 7, 3, 2]
