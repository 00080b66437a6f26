"""Which station is named, for rates that are made up."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from crossfade.data import Decoded
from crossfade.data.rows import OnDisk
from crossfade.data.stations import Rate
from crossfade.training.config import RunConfig
from crossfade.training.doctor import Diagnosis, diagnose

QUICK = {"disk": 9000, "decode, alone": 5000, "decode": 8000, "rows": 90000, "augment": 7000, "model": 6000}


def found(pixels: Any = None, config: RunConfig | None = None, opening: float = 0.5, **rates: float) -> Diagnosis:
    speed = {**QUICK, **rates}
    together = {"together": rates.get("together", 0.9 * min(speed["augment"], speed["model"]))}
    pixels = np.zeros((100, 8, 8, 3), np.uint8) if pixels is None else pixels
    pictures: Any = SimpleNamespace(
        index=range(100), split=SimpleNamespace(train=range(80)), cache=SimpleNamespace(pixels=pixels, mended=0)
    )
    all_rates = tuple(Rate(name, (0.9 * speed, speed, 2 * speed)) for name, speed in {**speed, **together}.items())
    return diagnose(all_rates, opening, config or RunConfig(), pictures)


def test_a_slow_model() -> None:
    one = found(model=1000, together=920)
    assert (one.training, one.first) == ("model", "model")
    assert "bound by the model: it alone takes 92% of a step (1,000 pictures/s; with all else 920)" in one.words[0]
    assert "loader threads change little" in one.words[0]


def test_slow_augmentation() -> None:
    one = found(augment=500, config=RunConfig(threads=2))
    assert (one.training, one.first) == ("augment", "augment")
    assert "500 pictures/s come out of the loader, and the model alone could take 6,000. --threads 3" in one.words[0]


def unmade(kind: type) -> Any:
    pixels = kind.__new__(kind)
    pixels.shape = (100, 8, 8, 3)
    if kind is OnDisk:
        pixels.nbytes = 10**9
    return pixels


@pytest.mark.parametrize(
    ("kind", "station", "words"), [(Decoded, "decode", "--cache-gb"), (OnDisk, "disk", "larger than half")]
)
def test_slow_rows(kind: type, station: str, words: str) -> None:
    one = found(unmade(kind), rows=600, augment=500)
    assert one.training == station
    assert words in one.words[0]
    assert found(unmade(kind), rows=1100, augment=500).training == "augment"


@pytest.mark.parametrize("station", ["disk", "decode"])
def test_a_slow_first_epoch(station: str) -> None:
    one = found(**{station: 50})
    assert (one.training, one.first) == ("model", station)
    assert f"{station} is the slowest: reading and decoding takes about 2.0 s" in one.words[1]


def test_slow_opening() -> None:
    assert "--trust mtime" in found(opening=3.0).words[-1]
    assert "--trust" not in found(opening=3.0, config=RunConfig(trust="size")).words[-1]
    assert "--trust" not in found(opening=1.0).words[-1]


def test_as_json() -> None:
    table = found().as_dict()
    assert table["stations"]["disk"] == {"pictures_per_second": 9000, "spread": [8100, 18000], "n": 3, "note": ""}
    assert table["bottleneck"] == {"training": "model", "first_epoch": "model"}
