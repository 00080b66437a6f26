"""Methods by name, as the command line writes them."""

from __future__ import annotations

import json

import pytest

import crossfade as cf
from crossfade.mixing.registry import METHODS, policy_from_dict, policy_from_spec, policy_to_dict

GOOD = {
    "none": cf.NoMix(),
    "mixup": cf.MixUp(),
    " cutmix ": cf.CutMix(),
    "mixup:": cf.MixUp(),
    "mixup:alpha=0.4": cf.MixUp(0.4),
    "mixup: alpha = 0.4 , per = batch": cf.MixUp(0.4, per="batch"),
    "mixup:alpha=1e-3,": cf.MixUp(0.001),
    "cutmix:inside=true": cf.CutMix(inside=True),
    "cutmix:inside=False,partner=flip": cf.CutMix(partner="flip"),
    "cutmix:p=0.5": cf.Sometimes(cf.CutMix(), 0.5),
    "mixup:until=0.8,alpha=1,p=0.5": cf.Until(cf.Sometimes(cf.MixUp(1.0), 0.5), 0.8),
    "none:p=0.5": cf.Sometimes(cf.NoMix(), 0.5),
}


@pytest.mark.parametrize(("spec", "policy"), GOOD.items())
def test_what_a_text_means(spec, policy):
    assert policy_from_spec(spec) == policy


BAD = {
    "mixip": "no method is called 'mixip'. Did you mean mixup.*There are none, mixup, cutmix",
    "cutmx": "Did you mean cutmix",
    "": "no method is called ''. There are",
    "xyz": "no method is called 'xyz'. There are none, mixup, cutmix",
    "mixup:alhpa=1": "no option is called 'alhpa'. Did you mean alpha",
    "mixup:inside=true": "no option is called 'inside'",
    "none:alpha=1": "no option is called 'alpha'. There are p, until",
    "mixup:alpha": "options are written name=value, after a colon. Got 'alpha'",
    "mixup:alpha=": "name=value",
    "mixup:=1": "no option is called ''",
    "mixup:alpha=0": "alpha must be a finite number above 0, at most 1e9. Got 0.0",
    "mixup:alpha=-1": "above 0, at most 1e9. Got -1.0",
    "mixup:alpha=nan": "above 0, at most 1e9. Got nan",
    "mixup:alpha=inf": "above 0, at most 1e9. Got inf",
    "mixup:alpha=much": "above 0, at most 1e9. Got 'much'",
    "mixup:alpha=true": "above 0, at most 1e9. Got True",
    "mixup:alpha=1,alpha=2": "twice",
    "mixup:p=2": "p must be a number from 0 to 1",
    "mixup:until=-1": "fraction must be a number from 0 to 1",
    "mixup:per=pixel": "per must be one of sample, batch",
    "mixup:partner=me": "partner: must be one of permute",
    "cutmix:inside=no": "inside",
    "cutmix:inside=1": "inside",
}


@pytest.mark.parametrize(("spec", "sentence"), BAD.items())
def test_what_is_refused_and_how(spec, sentence):
    with pytest.raises(cf.ConfigError, match=sentence) as caught:
        policy_from_spec(spec)
    assert str(caught.value).startswith("mix")
    assert not spec or spec.partition(":")[0] in str(caught.value)


def test_defaults_hold_where_the_text_and_the_method_leave_room():
    defaults = {"alpha": 0.7, "inside": True}
    assert policy_from_spec("mixup", defaults) == cf.MixUp(0.7)
    assert policy_from_spec("mixup:alpha=0.1", defaults) == cf.MixUp(0.1)
    assert policy_from_spec("cutmix", defaults) == cf.CutMix(0.7, inside=True)
    assert policy_from_spec("none", defaults) == cf.NoMix()
    assert defaults == {"alpha": 0.7, "inside": True}


def test_bad_defaults_are_named_too():
    with pytest.raises(cf.ConfigError, match=r"above 0, at most 1e9. Got 0"):
        policy_from_spec("mixup", {"alpha": 0})


@pytest.mark.parametrize("name", METHODS)
def test_every_method_draws(name):
    plan = policy_from_spec(name).plan((3, 7, 13), rng=0)
    assert plan.shape == (3, 7, 13)
    assert METHODS[name].__doc__


COMPOSED = cf.Until(cf.OneOf([cf.MixUp(0.4), cf.Sometimes(cf.CutMix(inside=True), 0.25)], weights=[1, 3]), 0.8)


@pytest.mark.parametrize("policy", [cf.NoMix(), cf.MixUp(0.4, partner="flip", per="batch"), COMPOSED], ids=str)
def test_a_policy_comes_back_from_json(policy):
    assert policy_from_dict(json.loads(json.dumps(policy_to_dict(policy)))) == policy


def test_a_policy_is_written_by_its_name_and_options():
    record = policy_to_dict(cf.Sometimes(cf.MixUp(0.4), 0.5))
    inner = {"method": "mixup", "alpha": 0.4, "partner": "derange", "per": "sample"}
    assert record == {"method": "sometimes", "policy": inner, "p": 0.5, "per": "sample"}


@pytest.mark.parametrize(
    ("record", "letter"),
    [
        ({"method": "mixupp"}, "no method is called 'mixupp'. Did you mean mixup"),
        ({}, "no method is called 'None'"),
        ({"method": "mixup", "beta": 1}, "mix 'mixup': .*unexpected keyword argument 'beta'"),
        ({"method": "mixup", "alpha": -1}, "mix 'mixup': MixUp: alpha must be"),
    ],
)
def test_records_that_are_no_policy(record, letter):
    with pytest.raises(cf.ConfigError, match=letter):
        policy_from_dict(record)


def test_what_a_name_stands_for_must_be_a_policy():
    with pytest.raises(cf.ConfigError, match="'dict' must name a policy"):
        policy_from_dict({"method": "dict"}, {"dict": dict}.get)
