"""crossfade check: can the network learn a few pictures by heart?"""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from crossfade.cli.options import (
    CHECK_OWN,
    CheckFlags,
    ConfigFile,
    DataFolder,
    Force,
    Out,
    check_outside,
    free_name,
    read_config_for,
)

OWN = {**CHECK_OWN, "flip": None, "pad": None, "patience": None, "choose": None}


def check(
    data: DataFolder,
    /,
    *,
    bound: Annotated[float, Parameter(help="training accuracy to exceed")] = 0.95,
    config: ConfigFile = None,
    out: Out = None,
    force: Force = False,
    flags: CheckFlags = None,
) -> int:
    """Train on 100 pictures a class for 20 epochs, neither mixed nor augmented: it must be able to fit them.

    Leaves with 0 if it does, else with 1 and the likely causes. The options of the check itself
    (--per-class, --epochs, --batch-size, --schedule, --mix, --augment) are taken from the command line only: a file
    describes the training to come.
    """
    settings = read_config_for("check", config, flags, OWN)

    from crossfade.cli.steps import open_step, run_check
    from crossfade.experiments.checking.check import Check

    asked = Check(settings, bound)
    folder = check_outside(out or free_name(data, "check"), data)
    return run_check(open_step("check", data, settings, folder, force=force), asked, folder)
