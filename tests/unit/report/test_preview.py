"""What reaches the sheets of a preview: which pictures, under which names, after which steps."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from crossfade.arrays.dispatch import mix_images
from crossfade.mixing.registry import policy_from_spec
from crossfade.report import preview, sheets
from crossfade.report.preview import Preview
from crossfade.vision.normalise import as_pictures, as_shown, normalise
from crossfade.vision.preprocess import Preprocess

RNG = np.random.default_rng(0)
PIXELS = (RNG.integers(0, 256, (30, 8, 8, 3)) // RNG.integers(1, 5, (30, 1, 1, 1))).astype(np.uint8)
LABELS = np.arange(30) % 3


class Index(SimpleNamespace):
    def __len__(self) -> int:
        return len(self.labels)


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[Any, ...]]:
    """What the sheets are called with."""
    calls: dict[str, tuple[Any, ...]] = {}
    monkeypatch.setattr(preview, "preview_figure", lambda *given, title: calls.update(mix=given))
    monkeypatch.setattr(sheets, "class_sheet", lambda *given, title: calls.update(classes=given))
    return calls


def previewed(preprocess: Preprocess) -> Preview:
    pictures: Any = SimpleNamespace(
        index=Index(labels=LABELS, counts={"ape": 10, "bee": 10, "cat": 10}),
        cache=SimpleNamespace(pixels=PIXELS, size=8),
        split=SimpleNamespace(train=np.arange(0, 30, 2)),
        classes=("ape", "bee", "cat"),
    )
    return Preview(pictures, preprocess, policy_from_spec("mixup:alpha=1.0"), "mixup", seed=2)


@pytest.mark.parametrize("how", ["standard", "percentile"])
def test_pictures_normalised_by_themselves_are_normalised_before_they_are_mixed(how: Any, shown: Any) -> None:
    one = previewed(Preprocess(normalise=how, normalise_by="picture"))
    one.draw("mix")
    mixed, images = shown["mix"][0], one.batch.images
    plan = one.policy.plan(images.shape[:3], rng=one._rng(), labels=one.batch.labels)
    expected = as_pictures(mix_images(normalise(images, how), plan, layout="NHWC"), as_shown(how, 3))
    np.testing.assert_array_equal(mixed, expected)
    previewed(Preprocess()).draw("mix")
    np.testing.assert_array_equal(shown["mix"][0], mix_images(images, plan, layout="NHWC"))


def test_mixed_pictures_have_the_names_of_their_sources(shown: Any) -> None:
    one = previewed(Preprocess())
    one.draw("mix")
    _, weights, names, _ = shown["mix"]
    own = [one.pictures.classes[label] for label in one.batch.labels]
    assert set(one.batch.ids) <= set(one.pictures.split.train)
    assert [row[0] for row in names] == own
    assert sorted(row[1] for row in names) == sorted(own)  # partners are a permutation
    assert weights.shape == (12, 2)


def test_pictures_of_a_class_are_spread_over_its_files(shown: Any) -> None:
    previewed(Preprocess()).draw("classes")
    for label, row in enumerate(shown["classes"][0]):
        np.testing.assert_array_equal(row.pictures, PIXELS[label::3][[0, 2, 4, 6, 9]])
