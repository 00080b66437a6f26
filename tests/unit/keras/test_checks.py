"""Which policies the door takes."""

from __future__ import annotations

import pytest

import crossfade as cf
from crossfade.keras.checks import check_policy


class Salient(cf.Policy):
    needs_model = True

    def _draw(self, shape, rng, labels, images):
        raise AssertionError("is never asked")


def test_a_policy_is_given_back_and_a_text_is_read():
    policy = cf.OneOf([cf.MixUp(), cf.CutMix()])
    assert check_policy("Mix", policy) is policy
    assert check_policy("Mix", "cutmix:alpha=0.5") == cf.CutMix(0.5)


@pytest.mark.parametrize(
    "policy", [Salient(), cf.Until(cf.OneOf([cf.MixUp(), cf.Sometimes(Salient(), 0.5)]), 0.5)], ids=["alone", "within"]
)
def test_a_policy_that_needs_a_model_is_refused_with_the_reason(policy):
    with pytest.raises(cf.ConfigError, match="ImageFolder: Salient needs a model to draw its plans, and here batches"):
        check_policy("ImageFolder", policy)


@pytest.mark.parametrize("wrong", [None, 0.2, cf.MixUp])
def test_anything_else_is_refused(wrong):
    with pytest.raises(cf.ConfigError, match="Mix: needs a policy, such as"):
        check_policy("Mix", wrong)


def test_a_text_that_names_nothing_is_refused():
    with pytest.raises(cf.ConfigError, match="no method is called 'cutmux'"):
        check_policy("Mix", "cutmux")
