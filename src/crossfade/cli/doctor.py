"""crossfade doctor: which station on a picture's way is the slowest, in figures."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from crossfade.cli.options import ConfigFile, DataFolder, TrainFlags, read_config
from crossfade.errors import ConfigError

if TYPE_CHECKING:
    from crossfade.training.doctor import Diagnosis


def doctor(
    data: DataFolder,
    /,
    *,
    config: ConfigFile = None,
    seconds: Annotated[float, Parameter(help="how long each station is measured")] = 1.0,
    as_json: Annotated[bool, Parameter(name="--json", negative="", help="print JSON")] = False,
    flags: TrainFlags = None,
) -> None:
    """Measure disk, decoding, augmentation and model, and say which of them holds a training back."""
    if not 0 < seconds <= 600:
        raise ConfigError(f"doctor: seconds must be above 0, and 600 at most. Got {seconds}. Pass --seconds 1, say.")
    settings, _ = read_config(config, flags)

    from crossfade.cli.work import open_pictures_with_bar
    from crossfade.models.registry import check_name
    from crossfade.training.doctor import examine
    from crossfade.training.run import open_bench

    check_name(settings.model)
    settings.policy()
    bench = open_bench(open_pictures_with_bar(data, settings), settings)
    found = examine(bench, settings, data, seconds=seconds)
    print(json.dumps(found.as_dict(), indent=1) if as_json else describe(found))


def describe(found: Diagnosis) -> str:
    """The table of rates, and what it means."""
    lines = [f"{'station':14} {'pictures/s':>11}   {'lowest .. highest':>23}   n  how"]
    for rate in found.rates:
        spread = f"{min(rate.rounds):,.0f} .. {max(rate.rounds):,.0f}"
        lines.append(f"{rate.station:14} {rate.median:11,.0f}   {spread:>23} {len(rate.rounds):3}  {rate.note}")
    return "\n".join([*lines, "", *found.words])
