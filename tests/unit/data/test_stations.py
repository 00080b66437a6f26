from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from crossfade.data import prepare, stations
from tests.unit.data.folders import pictures, write
from tests.unit.data.scanning import snapshot


def test_a_rate_is_pictures_by_seconds() -> None:
    def work() -> int:
        time.sleep(0.01)
        return 5

    before: list[int] = []
    rate = stations.repeat("sleep", work, 0.1, "how", before=lambda: before.append(1), least=0.0)
    assert len(rate.rounds) == len(before) >= stations.LEAST_ROUNDS
    assert 50 < rate.median <= 500
    assert rate.as_dict()["n"] == len(rate.rounds)
    assert rate.as_dict()["spread"] == [min(rate.rounds), max(rate.rounds)]


def test_short_work_is_repeated_within_a_round() -> None:
    calls: list[int] = []
    rate = stations.repeat("short", lambda: calls.append(1) or 1, 0.0, warmup=0, least=0.005)
    assert len(rate.rounds) == stations.LEAST_ROUNDS
    assert len(calls) > 100


@pytest.mark.parametrize("bound", [None, 0])
def test_every_station_gives_a_rate_and_leaves_nothing(tmp_path: Path, bound: int | None) -> None:
    root = write(tmp_path / "data", pictures({"a": 9, "b": 9}, size=12, kind="JPEG"))
    index, cache = prepare(root, cache_dir=tmp_path / "home", bound=bound)
    before, kept = snapshot(root), sorted((tmp_path / "home").iterdir())
    alone = stations.decode_alone(index, cache, 0.01)
    for rate in (
        stations.disk(index, 0.01),
        alone,
        stations.decode_together(index, cache, alone, 0.01),
        stations.rows(cache.pixels, np.arange(18), 64, 0.01),
    ):
        assert rate.median > 0
        assert len(rate.rounds) >= stations.LEAST_ROUNDS
    assert snapshot(root) == before
    assert sorted((tmp_path / "home").iterdir()) == kept
