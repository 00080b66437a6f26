"""crossfade ablate: does more data help, or more mixing?"""

from __future__ import annotations

import sys
from typing import Annotated, Any

from cyclopts import Parameter

from crossfade.cli.compare import DEFAULT_ARMS, DEFAULT_SEEDS, Arms, Seeds
from crossfade.cli.options import (
    AblateFlags,
    ConfigFile,
    DataFolder,
    Force,
    Out,
    arms_of,
    check_outside,
    free_name,
    read_config,
    seeds_of,
)
from crossfade.errors import ConfigError

PER_CLASS = "10,30,100,all"


def ablate(
    data: DataFolder,
    /,
    *,
    per_class: Annotated[str | None, Parameter(help=f"training pictures of each class [{PER_CLASS}]")] = None,
    arm: Arms = None,
    seeds: Seeds = None,
    config: ConfigFile = None,
    out: Out = None,
    force: Force = False,
    flags: AblateFlags = None,
) -> None:
    """Compare arms on fewer and on more training pictures, all judged on the same ones: does either help?"""
    settings, extra = read_config(config, flags, also=("arm", "seeds", "mix", "seed", "per_class"))
    for key, instead in (("mix", "arm"), ("seed", "seeds")):
        if key in extra:
            raise ConfigError(f"ablate: takes {instead}, not {key}. Got {key} = {extra[key]!r} in {config}.")

    from crossfade.cli.steps import open_step, run_ablation
    from crossfade.experiments.ablate import Ablation

    asked = Ablation(
        sizes_of(per_class or extra.get("per_class", PER_CLASS)),
        arm or arms_of(extra.get("arm", DEFAULT_ARMS)),
        seeds_of(seeds or extra.get("seeds", DEFAULT_SEEDS)),
        settings,
    )
    folder = check_outside(out or free_name(data, "ablate"), data)
    bench = open_step("ablate", data, settings, folder, force=force)
    run_ablation(bench, asked, folder, ["crossfade", *sys.argv[1:]])


def sizes_of(value: Any) -> list[int | None]:
    """``10,30,all`` as [10, 30, None]; a TOML list of the same will do."""
    parts = value.removesuffix(",").split(",") if isinstance(value, str) else value
    parts = [str(part).strip() for part in (parts if isinstance(parts, list) else [parts])]
    if not parts or not all(part == "all" or (part.isascii() and part.isdecimal() and int(part)) for part in parts):
        raise ConfigError(f"per_class: whole numbers from 1 on, or all, such as 10,30,all. Got {value!r}.")
    return [None if part == "all" else int(part) for part in parts]
