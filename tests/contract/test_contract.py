"""Every backend keeps every rule; backends that are wrong on purpose are caught."""

from __future__ import annotations

import pytest

from tests.contract import rules
from tests.contract.backends import BACKENDS
from tests.contract.broken import CAUGHT_BY


@pytest.mark.parametrize("rule", rules.RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize(
    "backend",
    [pytest.param(each, marks=[pytest.mark.slow] if each.compiles else [], id=each.name) for each in BACKENDS],
)
def test_backend_keeps_the_rule(backend, rule):
    with backend.active():
        rule(backend)


@pytest.mark.parametrize(
    ("broken", "rule"),
    [(broken, rule) for broken, names in CAUGHT_BY.items() for rule in names],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_broken_backend_is_caught(broken, rule):
    with pytest.raises(AssertionError):
        getattr(rules, rule)(broken())
