"""What is drawn, for whom, and what it does to a picture."""

from __future__ import annotations

from functools import reduce

import numpy as np
import pytest
from scipy import stats

import crossfade as cf
from crossfade.arrays.augment import Colour
from crossfade.vision.augment import PRESETS, Augment, Augmentation, augment_from, preset

SIZE = (24, 40)
EVERYTHING = Augment(
    flip=True, flip_vertical=True, rotation=30, shift=(0.1, 0.2), shear=10, zoom=(0.8, 1.2), pad=3,
    resized_crop=(0.5, 1), brightness=(0.5, 1.5), contrast=(0.5, 1.5), saturation=(0, 2), hue=0.1, channel_shift=20,
    policy="rand",
)  # fmt: skip


def draw(augment: Augment, count: int = 2000, *, seed: int = 0, epoch: int = 0, size=SIZE) -> Augmentation:
    return augment.draw(np.arange(count), seed=seed, epoch=epoch, size=size)


def same(a: Augmentation, b: Augmentation) -> bool:
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in ("matrix", "colours", "amounts"))


class TestChance:
    def test_a_draw_belongs_to_the_sample(self):
        whole = draw(EVERYTHING, 50, seed=3, epoch=2)
        order = np.random.default_rng(0).permutation(50)[:7]
        part = EVERYTHING.draw(order, seed=3, epoch=2, size=SIZE)
        rows = Augmentation(whole.matrix[order], whole.fill, whole.value, whole.colours[order], whole.amounts[order])
        assert same(part, rows)

    def test_epochs_and_seeds_draw_anew(self):
        draws = {draw(EVERYTHING, 20, seed=s, epoch=e).matrix.tobytes() for s in range(3) for e in range(3)}
        assert len(draws) == 9

    def test_what_one_option_draws_does_not_depend_on_another(self):
        """Or switching the hue on would turn other pictures round."""
        alone = draw(Augment(rotation=30)).matrix
        for more in ({"hue": 0.1}, {"brightness": (0, 2)}, {"channel_shift": 9}, {"policy": "rand", "magnitude": 0}):
            np.testing.assert_array_equal(draw(Augment(rotation=30, **more)).matrix, alone)
        flips = draw(Augment(flip=True)).matrix[:, 1, 1]
        np.testing.assert_array_equal(np.sign(draw(Augment(flip=True, zoom=(0.5, 2), pad=3)).matrix[:, 1, 1]), flips)
        jitter = {"brightness": (0.5, 1.5), "saturation": (0.5, 1.5)}
        one, both = draw(Augment(brightness=(0.5, 1.5))), draw(Augment(**jitter))
        picked = both.amounts[both.colours == Colour.BRIGHTNESS]
        np.testing.assert_array_equal(np.sort(picked), np.sort(one.amounts[:, 0]))

    def test_flips_and_shifts_are_uniform(self):
        drawn = draw(Augment(flip=True, pad=4), 20_000, size=(32, 32))
        flip = drawn.matrix[:, 1, 1] == -1
        assert stats.binomtest(int(flip.sum()), 20_000, 0.5).pvalue > 1e-3
        down = drawn.matrix[:, 0, 2]
        right = np.where(flip, 31 - drawn.matrix[:, 1, 2], drawn.matrix[:, 1, 2])
        pairs = np.zeros((9, 9))
        np.add.at(pairs, (down.astype(int) + 4, right.astype(int) + 4), 1)
        assert stats.chisquare(pairs.ravel()).pvalue > 1e-3
        assert abs(np.corrcoef(flip, down)[0, 1]) < 0.03

    def test_the_two_flips_are_independent(self):
        matrix = draw(Augment(flip=True, flip_vertical=True), 20_000).matrix
        both = np.histogram2d(matrix[:, 0, 0], matrix[:, 1, 1], 2)[0]
        assert stats.chisquare(both.ravel()).pvalue > 1e-3

    @pytest.mark.parametrize(
        ("options", "measure", "low", "high"),
        [
            ({"rotation": 30}, lambda m: np.degrees(np.arctan2(m[:, 0, 1], m[:, 0, 0])), -30, 30),
            ({"zoom": (0.5, 2)}, lambda m: 1 / m[:, 0, 0], 0.5, 2),
            ({"shift": (0.25, 0)}, lambda m: m[:, 0, 2], -6, 6),
            ({"shift": (0, 0.25)}, lambda m: m[:, 1, 2], -10, 10),
            ({"shear": 20}, lambda m: np.degrees(np.arctan(m[:, 1, 0])), -20, 20),
        ],
    )
    def test_amounts_are_uniform_over_their_range(self, options, measure, low, high):
        values = measure(draw(Augment(**options), 5000).matrix)
        assert stats.kstest(values, stats.uniform(low, high - low).cdf).pvalue > 1e-3

    @pytest.mark.parametrize(
        ("options", "low", "high"),
        [
            ({"brightness": (0.5, 1.5)}, 0.5, 1.5),
            ({"contrast": (0.2, 1)}, 0.2, 1),
            ({"saturation": (0, 2)}, 0, 2),
            ({"hue": 0.1}, -0.1, 0.1),
        ],
    )
    def test_colours_are_uniform_over_their_range(self, options, low, high):
        amounts = draw(Augment(**options), 5000).amounts[:, 0]
        assert stats.kstest(amounts, stats.uniform(low, high - low).cdf).pvalue > 1e-3

    def test_channels_shift_by_whole_levels_both_ways(self):
        assert set(draw(Augment(channel_shift=9), 5000).amounts[:, 0]) == set(range(-9, 10))

    def test_the_place_of_a_resized_crop(self):
        matrix = draw(Augment(resized_crop=(0.2, 0.6)), 5000, size=(64, 64)).matrix
        share = np.stack([matrix[:, 0, 0], matrix[:, 1, 1]], axis=1)
        corner = (matrix[:, :, 2] + 0.5 - share / 2) / (64 * (1 - share))
        assert min(stats.kstest(corner[:, axis], stats.uniform.cdf).pvalue for axis in (0, 1)) > 1e-3
        assert abs(np.corrcoef(corner.T)[0, 1]) < 0.05

    def test_the_area_of_a_resized_crop(self):
        matrix = draw(Augment(resized_crop=(0.2, 0.6)), 5000, size=(64, 64)).matrix
        area, ratio = matrix[:, 0, 0] * matrix[:, 1, 1], matrix[:, 1, 1] / matrix[:, 0, 0]
        assert stats.kstest(area, stats.uniform(0.2, 0.4).cdf).pvalue > 1e-3
        assert ((ratio > 0.749) & (ratio < 1.334)).all()
        corners = matrix @ np.array([[-0.5, -0.5, 1], [63.5, 63.5, 1]]).T
        assert (corners > -0.501).all()
        assert (corners < 63.501).all()

    def test_colour_steps_come_in_every_order(self):
        drawn = draw(Augment(brightness=(0.5, 1.5), contrast=(0.5, 1.5), hue=0.1), 6000)
        orders, counts = np.unique(drawn.colours, axis=0, return_counts=True)
        assert len(orders) == 6
        assert stats.chisquare(counts).pvalue > 1e-3
        hues = drawn.amounts[drawn.colours == Colour.HUE]
        assert (len(hues), bool((abs(hues) <= 0.1).all())) == (6000, True)

    def test_geometry_comes_in_the_documented_order(self):
        """Each option by itself, one after the other, is all of them at once."""
        steps = [
            {"resized_crop": (0.5, 1)}, {"flip": True, "flip_vertical": True}, {"zoom": (0.8, 1.2)}, {"shear": 10},
            {"rotation": 30}, {"shift": (0.1, 0.2)}, {"pad": 3}, {"policy": "rand"},
        ]  # fmt: skip
        alone = [draw(Augment(**step), 200).matrix for step in steps]
        last_row = np.broadcast_to([[[0, 0, 1]]], (200, 1, 3))
        product = reduce(np.matmul, (np.concatenate([matrix, last_row], axis=1) for matrix in alone))
        whole = draw(Augment(**{name: value for step in steps for name, value in step.items()}), 200)
        np.testing.assert_allclose(whole.matrix, product[:, :2], atol=1e-9)

    def test_an_appended_half_stays_apart(self):
        drawn = draw(EVERYTHING, 8).only(np.arange(8) >= 4)
        pixels = np.random.default_rng(0).integers(0, 256, (8, *SIZE, 3), dtype=np.uint8)
        changed = cf.augment_images(pixels, drawn)
        np.testing.assert_array_equal(changed[:4], pixels[:4])
        assert (changed[4:] != pixels[4:]).any(axis=(1, 2, 3)).all()


class TestPolicies:
    def test_trivial_takes_one_of_fourteen(self):
        drawn = draw(Augment(policy="trivial"), 28_000)
        named, counts = np.unique(drawn.colours, return_counts=True)
        expected = {int(colour): 2000 for colour in (1, 2, 3, 5, 7, 8, 9, 10)} | {0: 12_000}
        assert dict.fromkeys(named.tolist()) == dict.fromkeys(sorted(expected))
        assert stats.chisquare(counts, [expected[int(name)] for name in named]).pvalue > 1e-3
        moved = (drawn.matrix != np.eye(3)[:2]).any(axis=(1, 2))
        assert not (moved & (drawn.colours[:, 0] > 0)).any()
        assert stats.binomtest(int(moved.sum()), 28_000, 5 / 14 * 30 / 31).pvalue > 1e-3  # level 0 moves nothing

    def test_trivial_goes_far(self):
        drawn = draw(Augment(policy="trivial"), 28_000, size=(64, 64))
        angle = np.degrees(np.arctan2(drawn.matrix[:, 0, 1], drawn.matrix[:, 0, 0]))
        assert abs(angle).max() == pytest.approx(135)
        shifts = drawn.matrix[(drawn.matrix[:, :, :2] == np.eye(2)).all(axis=(1, 2))][:, :, 2]
        assert abs(shifts).max() == 32
        bits = drawn.amounts[drawn.colours == Colour.POSTERIZE]
        assert set(bits) == {2, 3, 4, 5, 6, 7, 8}
        level = drawn.amounts[drawn.colours == Colour.SOLARIZE]
        assert (level.min(), level.max()) == (0, 255)
        factor = drawn.amounts[np.isin(drawn.colours, [1, 2, 3, 5])]
        assert (factor.min(), factor.max()) == pytest.approx((0.01, 1.99))

    def test_rand_takes_n_of_one_magnitude(self):
        drawn = draw(Augment(policy="rand", ops=3, magnitude=15), 4000)
        assert drawn.colours.shape == (4000, 3)
        assert set(drawn.amounts[drawn.colours == Colour.BRIGHTNESS].round(6)) == {0.55, 1.45}
        assert set(drawn.amounts[drawn.colours == Colour.POSTERIZE]) == {6}
        assert set(drawn.amounts[drawn.colours == Colour.SOLARIZE]) == {127.5}

    def test_rand_turns_twice_what_it_turns_once(self):
        """Geometry of several operations becomes one map."""
        matrix = draw(Augment(policy="rand", ops=2, magnitude=30), 20_000, size=(64, 64)).matrix
        angle = np.degrees(np.arctan2(matrix[:, 0, 1], matrix[:, 0, 0]))
        square = np.isclose(np.linalg.det(matrix[:, :, :2]), 1) & np.isclose(abs(angle), 60)
        assert square.any()


class TestTables:
    @pytest.mark.parametrize("name", PRESETS)
    def test_presets_survive_a_table(self, name):
        assert augment_from(PRESETS[name].as_dict()) == preset(name)

    def test_what_the_reference_systems_ask_for(self):
        """REFERENCE-SYSTEMS: R1's generator; R4's list."""
        r1, r4 = PRESETS["r1"], PRESETS["r4"]
        assert (r1.rotation, r1.shift, r1.shear, r1.brightness) == (5, (0, 0.05), 0.05, (1, 1.3))
        assert (r1.flip, r1.flip_vertical, r1.fill, r1.zoom) == (True, False, "nearest", (1, 1))
        assert r4.flip
        assert r4.flip_vertical
        assert r4.zoom == (0.5, 2)
        assert r4.append
        assert min(r4.rotation, r4.shear, *r4.shift) > 0

    def test_light_is_a_sixteenth(self):
        offsets = draw(Augment(pad=1 / 16), size=(28, 64)).matrix[:, :, 2]
        assert (abs(offsets[:, 0]).max(), abs(offsets[:, 1]).max()) == (1, 4)

    def test_nothing_to_do(self):
        assert draw(Augment(append=True, fill="wrap", magnitude=3)) is None
        assert draw(PRESETS["none"]) is None

    def test_typing_errors_are_answered(self):
        with pytest.raises(cf.ConfigError, match=r"no option is called 'rotatoin'\. Did you mean rotation"):
            augment_from({"rotatoin": 5})
        with pytest.raises(cf.ConfigError, match=r"no preset is called 'ligth'\. Did you mean light"):
            preset("ligth")

    @pytest.mark.parametrize(
        "options",
        [
            {"pad": -1}, {"pad": 1.5}, {"pad": float("nan")}, {"pad": "2"}, {"pad": True}, {"flip": 1}, {"flip": "no"},
            {"fill": "edge"}, {"rotation": -1}, {"rotation": float("inf")}, {"shift": 0.1}, {"shift": (0.1,)},
            {"zoom": (0, 1)}, {"zoom": (2, 1)}, {"shear": 90}, {"resized_crop": (0, 1)}, {"brightness": (-1, 1)},
            {"hue": 0.6}, {"channel_shift": 300}, {"policy": "auto"}, {"ops": 0}, {"magnitude": 31}, {"value": 256},
            {"append": 1}, {"contrast": ("a", 1)},
        ],
    )  # fmt: skip
    def test_what_is_refused(self, options):
        (name,) = options
        with pytest.raises(cf.ConfigError, match=f"^augment: {name} must be .* Got "):
            Augment(**options)
