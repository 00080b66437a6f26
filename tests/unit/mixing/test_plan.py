"""The plan: its rules, its shares, its words."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import crossfade as cf
from crossfade.mixing.plan import Plan, full_boxes
from tests.unit.mixing.plans import FULL, ONES, legal


def changed(name: str, at: tuple, value: float) -> dict:
    array = np.array(legal()[name])
    array[at] = value
    return legal(**{name: array})


BROKEN = {
    "source of floats": (legal(source=[[0.0, 1, 1], [1, 0, 1]]), "source must be int64 with 2 axes"),
    "source of text": (legal(source=[["a", "b", "c"]] * 2), "source must be int64"),
    "source with one axis": (legal(source=[0, 1]), "source must be int64 with 2 axes"),
    "ragged source": (legal(source=[[0], [1, 0]]), "source must be an array"),
    "source beyond int64": (legal(source=np.array([[0, 2**64 - 1, 1], [1, 0, 1]], np.uint64)), "source within int64"),
    "no samples": (legal(source=np.zeros((0, 3), int)), "at least one sample"),
    "no layers": (legal(source=np.zeros((2, 0), int)), "at least one sample and one layer"),
    "opacity of another shape": (legal(opacity=np.ones((2, 2))), r"opacity of shape \(2, 3\)"),
    "opacity of bools": (legal(opacity=np.ones((2, 3), bool)), "opacity must be float32"),
    "opacity complex": (legal(opacity=np.ones((2, 3), complex)), "opacity must be float32"),
    "opacity above 1": (changed("opacity", (0, 1), 1.001), "opacities in 0..1"),
    "opacity below 0": (changed("opacity", (0, 1), -0.001), "opacities in 0..1"),
    "opacity nan": (changed("opacity", (0, 1), np.nan), "opacities in 0..1"),
    "translucent ground": (changed("opacity", (1, 0), 0.5), "1 in layer 0"),
    "box of another shape": (legal(box=np.zeros((2, 3, 3), int)), r"box of shape \(2, 3, 4\)"),
    "box of floats": (legal(box=np.array(legal()["box"], float)), "box must be int32"),
    "box beyond int32": (legal(box=np.where(np.arange(4) == 0, 2**32, legal()["box"])), "box within int32"),
    "ground not the whole picture": (changed("box", (1, 0, 2), 3), "layer 0 to fill the picture"),
    "ground not from the corner": (changed("box", (slice(None), 0, 1), 1), "layer 0 to fill the picture"),
    "picture without rows": (legal(box=np.zeros((2, 3, 4), int)), "layer 0 to fill the picture"),
    "box above the picture": (changed("box", (0, 1, 0), -1), "boxes inside the 4 x 6 picture"),
    "box left of the picture": (changed("box", (0, 1, 1), -1), "boxes inside the 4 x 6 picture"),
    "box below the picture": (changed("box", (0, 2, 2), 5), "boxes inside the 4 x 6 picture"),
    "box right of the picture": (changed("box", (0, 2, 3), 7), "boxes inside the 4 x 6 picture"),
    "box upside down": (changed("box", (0, 1, 0), 3), "boxes inside the 4 x 6 picture"),
    "box left to right": (changed("box", (0, 1, 1), 4), "boxes inside the 4 x 6 picture"),
    "source beyond the batch": (changed("source", (0, 1), 2), r"sources in -1..1"),
    "source below -1": (changed("source", (0, 1), -2), r"sources in -1..1"),
    "ground of another sample": (changed("source", (0, 0), 1), "layer 0 to be the sample itself"),
    "unknown fit": (legal(fit="stretch"), 'fit "crop" or "resize"'),
    "mask of another shape": (legal(mask=ONES[:, :, :5]), r"a mask of shape \(2, 4, 6\)"),
    "mask above 1": (legal(mask=ONES * 1.5), "mask values in 0..1"),
    "mask nan": (legal(mask=ONES * np.nan), "mask values in 0..1"),
    "mask below 0": (legal(mask=-ONES), "mask values in 0..1"),
    "weight of another shape": (legal(weight=np.ones((2, 2)) / 2), r"weight of shape \(2, 3\)"),
    "weights below 0": (legal(weight=[[1.5, -0.5, 0]] * 2), "label weights >= 0"),
    "weights that sum to less": (legal(weight=[[0.5, 0.4, 0]] * 2), "rows sum to 1"),
    "weights nan": (legal(weight=[[np.nan, 1, 0]] * 2), "label weights"),
    "a fill that has a label": (changed("source", (0, 2), -1), "weight 0 where a layer is a constant"),
}


@pytest.mark.parametrize(("fields", "rule"), BROKEN.values(), ids=BROKEN)
def test_a_broken_rule_is_named(fields, rule):
    with pytest.raises(cf.PlanError, match=rule) as caught:
        Plan(**fields)
    assert str(caught.value).startswith("Plan: ")
    assert "Got" in str(caught.value)


def test_a_mask_needs_a_layer_to_act_on():
    with pytest.raises(cf.PlanError, match="mask"):
        Plan([[0]], [[1]], [[FULL]], mask=ONES[:1])


def test_the_legal_plan_is_legal():
    plan = Plan(**legal())
    assert (plan.shape, plan.layers, len(plan)) == ((2, 4, 6), 3, 2)


def test_dtypes_are_those_of_the_design():
    plan = Plan(**legal(mask=ONES.astype(np.float64)))
    assert [plan.source.dtype, plan.opacity.dtype, plan.box.dtype, plan.mask.dtype, plan.weight.dtype] == [
        np.int64, np.float32, np.int32, np.float32, np.float64,
    ]  # fmt: skip


def test_arrays_are_read_only_copies():
    given = legal(mask=ONES.copy(), weight=np.array([[1.0, 0, 0]] * 2))
    plan = Plan(**given)
    for name in ("source", "opacity", "box", "mask", "weight"):
        kept = getattr(plan, name).copy()
        with pytest.raises(ValueError, match="read-only"):
            getattr(plan, name)[...] = 0
        given[name][...] = 0
        np.testing.assert_array_equal(getattr(plan, name), kept)
    with pytest.raises(AttributeError):
        plan.fit = "resize"


def test_arrays_lie_in_c_order_however_they_came():
    """Another order would make the kernels compile once more."""
    given = {name: np.asfortranarray(value) for name, value in legal(mask=ONES).items() if name != "fit"}
    plan = Plan(**given)
    for name in given:
        assert getattr(plan, name).flags.c_contiguous, name


def test_visible_counts_overlapping_layers():
    """Worked by hand: the half transparent box below, half of it under an opaque one."""
    box = [[FULL, [0, 0, 4, 3], [0, 2, 4, 6]]]
    plan = Plan([[0, 0, 0]], [[1, 0.5, 1]], box)
    assert plan.visible().tolist() == [[4 / 24, 4 / 24, 16 / 24]]
    assert plan.weight.tolist() == plan.visible().tolist()
    assert plan.lam.tolist() == [4 / 24]


def test_visible_through_a_mask():
    mask = np.zeros((1, 4, 6), np.float32)
    mask[0, 0] = 0.5
    plan = Plan([[0, 0]], [[1, 0.5]], [[FULL, [0, 0, 4, 3]]], mask=mask)
    assert plan.visible().tolist() == [[1 - 3 * 0.25 / 24, 3 * 0.25 / 24]]


def test_the_mask_acts_on_layer_one_only():
    plan = Plan([[0, 0, 0]], [[1, 1, 1]], [[FULL, [0, 0, 0, 0], [0, 0, 4, 3]]], mask=ONES[:1] * 0)
    assert plan.visible().tolist() == [[0.5, 0, 0.5]]


def test_opaque_boxes_are_counted_in_whole_pixels():
    """1/3 + 2/3 of 7 x 13 pixels has no room for rounding."""
    for size in range(1, 14):
        plan = Plan.two_layers((1, 7, 13), np.array([0]), box=[[0, 0, 7, size]])
        assert plan.weight.tolist() == [[(91 - 7 * size) / 91, 7 * size / 91]]


def test_dominant_layer_and_ties():
    box = [[FULL, FULL, [0, 0, 2, 6]]]
    plan = Plan([[0, 0, 0]], [[1, 0.5, 0.6]], box)
    assert np.unique(plan.dominant()[:, :2]).tolist() == [2]
    assert np.unique(plan.dominant()[:, 2:]).tolist() == [0]


def test_identity():
    plan = Plan.identity((3, 4, 6))
    assert plan.layers == 1
    assert plan.weight.tolist() == [[1], [1], [1]]
    assert plan.describe().count("unmixed") == 3


def test_two_layers():
    plan = Plan.two_layers((2, 4, 6), np.array([1, 0]), opacity=np.array([0.25, 1]), box=[FULL, [0, 0, 2, 6]])
    assert plan.source.tolist() == [[0, 1], [1, 0]]
    assert plan.weight.tolist() == [[0.75, 0.25], [0.5, 0.5]]


@pytest.mark.parametrize(
    ("what", "given"),
    [
        ("partner", {"partner": [1]}),
        ("partner", {"partner": 1}),
        ("box", {"box": FULL}),
        ("box", {"box": [FULL]}),
        ("opacity", {"opacity": np.full((1, 2), 0.5)}),
        ("opacity", {"opacity": [0.5, 0.5, 0.5]}),
    ],
)
def test_two_layers_take_one_of_each_for_a_sample(what, given):
    with pytest.raises(cf.PlanError, match=rf"needs an? {what} for each sample, \(2,.* Got "):
        Plan.two_layers((2, 4, 6), **{"partner": [1, 0], **given})


def test_full_boxes():
    assert full_boxes((2, 4, 6)).tolist() == [FULL, FULL]


def test_describe_says_what_is_seen():
    plan = Plan(
        [[0, 1], [1, -1], [2, 0], [3, 2], [4, 4]],
        [[1, 1], [1, 1], [1, 0.25], [1, 0], [1, 0.5]],
        [[FULL, [0, 0, 2, 3]], [FULL, FULL], [FULL, FULL], [FULL, FULL], [FULL, [0, 0, 0, 6]]],
        weight=[[0.75, 0.25], [1, 0], [0.75, 0.25], [1, 0], [1, 0]],
    )
    assert plan.describe().splitlines() == [
        "Plan: 5 samples of 4 x 6 pixels, 2 layers",
        "    0  0.750 itself + 0.250 sample 1 in rows 0..2, columns 0..3",
        "    1  1.000 itself + 0.000 a constant fill over the whole picture",
        "    2  0.750 itself + 0.250 sample 0 at opacity 0.250 over the whole picture",
        "    3  unmixed",
        "    4  unmixed",
    ]
    assert plan.describe(samples=1).splitlines()[-1] == "  ...  and 4 more"
    masked = Plan([[0, 0, 0]], [[1, 1, 1]], [[FULL, FULL, FULL]], mask=ONES[:1])
    assert masked.describe().count("under the mask") == 1


def test_repr_is_short():
    assert repr(Plan.identity((3, 4, 6))) == "Plan(3 samples of 4 x 6, 1 layers, mean lambda 1.000)"


def test_equality_looks_at_every_field():
    plan = Plan(**legal(mask=ONES))
    assert plan == Plan(**legal(mask=ONES))
    others = [
        Plan(**changed("source", (0, 1), 0) | {"mask": ONES}), Plan(**changed("opacity", (0, 1), 0) | {"mask": ONES}),
        Plan(**changed("box", (0, 1, 0), 1) | {"mask": ONES}), Plan(**legal(mask=ONES * 0.5)), Plan(**legal()),
        Plan(**legal(mask=ONES, fit="resize")), Plan(**legal(mask=ONES, weight=[[1, 0, 0]] * 2)),
    ]  # fmt: skip
    assert all(plan != other for other in others)
    assert plan != "a plan"
    with pytest.raises(TypeError, match="unhashable"):
        hash(plan)


def test_padding_changes_nothing_that_is_seen():
    plan = Plan(**legal(mask=ONES * 0.5))
    padded = plan.padded(5)
    assert padded.layers == 5
    assert (padded.weight == np.hstack([plan.weight, np.zeros((2, 2))])).all()
    assert (padded.visible() == padded.weight).all()
    assert (padded.dominant() == plan.dominant()).all()
    assert padded.describe().splitlines()[1:] == plan.describe().splitlines()[1:]
    assert plan.padded(3) == plan
    with pytest.raises(cf.PlanError, match=r"Plan: needs padded\(2\) of at most 2 layers. Got 3"):
        plan.padded(2)


def test_arrays_of_others_are_taken_unseen_and_checked_on_the_way_back():
    plan = Plan(**legal(mask=ONES, fit="resize"))
    lists = Plan.of_arrays(plan.source.tolist(), plan.opacity, plan.box, plan.weight, ONES, size=(4, 6), fit="resize")
    assert (lists.is_checked, plan.is_checked) == (False, True)
    assert lists.checked() == plan == lists
    assert plan.checked() is plan
    assert pickle.loads(pickle.dumps(lists)).is_checked
    wild = Plan.of_arrays(plan.source + 1, plan.opacity, plan.box, plan.weight, size=(4, 6))
    assert wild.shape == (2, 4, 6)
    with pytest.raises(cf.PlanError, match="layer 0 to be the sample itself"):
        wild.checked()


def test_weights_that_were_rounded_to_float32_sum_to_one_again():
    plan = cf.Plan.two_layers((64, 2, 2), np.roll(np.arange(64), 1), opacity=np.linspace(0, 1, 64))
    rounded = Plan.of_arrays(plan.source, plan.opacity, plan.box, plan.weight.astype(np.float32), size=(2, 2)).checked()
    np.testing.assert_allclose(rounded.weight, plan.weight, atol=1e-7)


def test_shares_that_differ_in_the_seventh_digit_are_even():
    """0.2 is no number of binary digits: in float32 two of them may be a little apart."""
    full = [[FULL, FULL]]
    assert Plan([[0, 0]], [[1, 0.5 + 2**-24]], full).dominant().max() == 0
    assert Plan([[0, 0]], [[1, 0.5 + 2**-20]], full).dominant().min() == 1


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda plan: pickle.loads(pickle.dumps(plan))])
def test_copies_are_plans_too(again):
    plan = Plan(**legal(mask=ONES))
    copied = again(plan)
    assert copied == plan
    assert not copied.weight.flags.writeable
