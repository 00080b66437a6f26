"""What can be told of the look of a page without looking: contrast, alternatives to pictures, order, size."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from crossfade.report import write_report
from crossfade.report.render import TEMPLATES
from tests.unit.report.conftest import noise
from tests.unit.report.evaluations import evaluated_comparison, evaluated_training
from tests.unit.report.test_page import page

CSS = (TEMPLATES / "page.css").read_text(encoding="utf-8")


def scheme(dark: bool) -> dict[str, str]:
    """The variables of one colour scheme, the dark one over the light one."""
    light, night = re.findall(r":root \{(.*?)\}", CSS, re.S)[:2]
    return {name: value.strip() for block in ([light, night] if dark else [light])
            for name, value in re.findall(r"--([\w-]+): ([^;]+);", block)}  # fmt: skip


def rgb(value: str) -> np.ndarray:
    if value.startswith("#"):
        return np.array([int(value[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.array([int(part) for part in value.split()]) / 255


def luminance(color: np.ndarray) -> float:
    linear = np.where(color <= 0.03928, color / 12.92, ((color + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def contrast(one: np.ndarray, other: np.ndarray) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_contrast_is_measured_as_the_guidelines_do():
    assert contrast(rgb("#000000"), rgb("#ffffff")) == pytest.approx(21)
    assert contrast(rgb("#767676"), rgb("#ffffff")) == pytest.approx(4.54, abs=0.01)


@pytest.mark.parametrize("dark", [False, True])
def test_all_text_can_be_read_in_both_schemes(dark):
    colors = scheme(dark)
    for name in ("ink", "muted", "alarm", "better", "worse"):
        for paper in ("page", "soft"):
            assert contrast(rgb(colors[name]), rgb(colors[paper])) >= 4.5, (name, paper)
    assert contrast(rgb(colors["focus"]), rgb(colors["page"])) >= 3


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("cell", ["hit", "miss"])
def test_the_numbers_of_a_confusion_matrix_can_be_read_on_every_shade(dark, cell):
    colors = scheme(dark)
    least, range_ = map(float, re.search(rf"var\(--{cell}\) / calc\(([\d.]+) \+ ([\d.]+) \*", CSS).groups())
    for share in np.linspace(0, 1, 21):
        alpha = least + range_ * share
        shade = alpha * rgb(colors[cell]) + (1 - alpha) * rgb(colors["soft"])
        assert contrast(rgb(colors["ink"]), shade) >= 4.5, share


@pytest.mark.parametrize("dark", [False, True])
def test_no_arm_is_lost_on_the_paper(dark):
    colors = scheme(dark)
    low = {f"arm-{i}": c for i in range(8) if (c := contrast(rgb(colors[f"arm-{i}"]), rgb(colors["page"]))) < 2}
    assert not low


class Reader(HTMLParser):
    """What someone who does not see the page is told."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.levels: list[int] = []
        self.unnamed: list[str] = []
        self.tables = self.captions = 0
        self.language = ""
        self.heads_without_scope = 0
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        if re.fullmatch("h[1-6]", tag):
            self.levels.append(int(tag[1]))
        self.language = found.get("lang") or self.language
        is_hidden = found.get("aria-hidden") == "true"
        if tag == "img" and not found.get("alt"):
            self.unnamed.append(str(found))
        if tag == "svg" and not is_hidden and not (found.get("role") == "img" and found.get("aria-label")):
            self.unnamed.append(str(found))
        self.tables += tag == "table"
        self.captions += tag == "caption"
        self.heads_without_scope += tag == "th" and "scope" not in found and "corner" not in (found.get("class") or "")


@pytest.fixture(scope="module", params=["comparison", "training"])
def html(request, tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("look") / "run"
    make = {"comparison": evaluated_comparison, "training": evaluated_training}[request.param]
    return page(make(folder))


def test_a_page_can_be_heard(html):
    reader = Reader(html)
    assert reader.language == "en"
    assert reader.levels[0] == 1
    assert reader.levels.count(1) == 1
    assert all(after - before <= 1 for before, after in zip(reader.levels, reader.levels[1:], strict=False))
    assert not reader.unnamed
    assert reader.tables == reader.captions > 3
    assert reader.heads_without_scope == 0


def test_every_figure_says_its_finding_in_numbers(html):
    labels = re.findall(r'role="img" aria-label="([^"]*)"', html)
    assert len(labels) > 10
    assert not [label for label in labels if not re.search(r"\d", label)]


def test_every_id_is_there_once(html):
    ids = re.findall(r' id="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', html)) <= set(ids)


def test_the_largest_page_there_is_stays_under_three_megabytes(tmp_path):
    """A thousand classes with long names, ten arms, 300 epochs, 64 hardest pictures, all of them noise."""
    classes = [f"a class with quite a long name, number {i}" for i in range(1000)]
    arms = ["none", *(f"mixup:alpha=0.{i}" for i in range(1, 10))]
    images = noise(16, 224, 3, np.random.default_rng(0))
    folder = evaluated_comparison(
        tmp_path / "c",
        arms=arms,
        seeds=1,
        classes=classes,
        epochs=300,
        images=dict.fromkeys(arms, images),
        evaluation={"n": 64, "size": 160},
        refused=[{"path": f"{'deep/' * 30}{i}.png", "reason": "corrupt", "detail": "x" * 200} for i in range(3000)],
        ignored=[f"{'deep/' * 30}{i}.txt" for i in range(3000)],
    )
    for path in folder.glob("*/*/metrics.jsonl"):
        rows = [json.loads(row) for row in path.read_text().splitlines()]
        for row in rows:
            row["val"] |= {"auc": 0.9 + row["epoch"] / 7000, "f1": 0.5, "ece": 0.1, "log_loss": 1.0}
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    size = write_report(folder).stat().st_size
    assert 1_000_000 < size < 3_000_000
