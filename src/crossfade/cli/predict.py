"""crossfade predict: a trained run on single pictures."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from crossfade.cli.options import check_outside, is_below
from crossfade.cli.progress import printable, say
from crossfade.errors import ConfigError, DataError

Pictures = Annotated[list[Path], Parameter(negative="", help="pictures, or folders of pictures")]


def predict(
    run: Annotated[Path, Parameter(help="folder of one training")],
    pictures: Pictures,
    /,
    *,
    top: Annotated[int, Parameter(help="classes to name for each picture")] = 3,
    csv: Annotated[Path | None, Parameter(help="write all probabilities to this CSV file")] = None,
    force: Annotated[bool, Parameter(help="replace a CSV file that is there", negative="")] = False,
    as_json: Annotated[bool, Parameter(name="--json", negative="", help="print JSON")] = False,
    weights: Annotated[
        Literal["best", "last"] | None,
        Parameter(name="--checkpoint", help="best (on validation) or last; the one that was judged if not said"),
    ] = None,
) -> int:
    """Name the classes of pictures. Of one that cannot be read it says so, does the others, and leaves with 1."""
    if top < 1:
        raise ConfigError(f"predict: --top must be 1 or more. Got {top}. Pass --top 3, say.")

    from crossfade.training.predict import Prediction, load_run

    if csv is not None:
        _check_csv(csv, pictures, force)
    predictor = load_run(run, name=weights)
    files, odd = _expand(pictures)
    found = list(predictor.predict(files)) + [Prediction(path, refused=why) for path, why in odd]
    if not found:
        raise DataError(f"predict: there is no file in {', '.join(map(str, pictures))}. Pass pictures.")
    refused = [one for one in found if one.probabilities is None]
    for one in refused:
        say(f"crossfade: {printable(one.path)}: {one.refused}")
    if csv is not None:
        _write_csv(csv, predictor.classes, found)
    rows = [_row(one, predictor.classes, top) for one in found if one.probabilities is not None]
    if as_json:
        print(json.dumps(rows, indent=1))
    elif rows:
        print("\n".join(map(_line, rows)))
    if refused:
        say(f"crossfade: {len(refused)} of {len(found)} pictures could not be read")
    return 1 if refused else 0


def _check_csv(csv: Path, pictures: Sequence[Path], force: bool) -> None:
    """Neither a picture nor a folder of them is ever written to, and no other file unless forced."""
    for path in pictures:
        if os.path.isdir(path):
            check_outside(csv, path, "--csv")
        elif is_below(csv, path):
            raise ConfigError(f"csv: {csv} is a picture to look at, which is only read. Choose another --csv.")
    if csv.exists() and not force:
        raise ConfigError(f"predict: {csv} exists. Choose another --csv, or pass --force.")


def _expand(given: Sequence[Path]) -> tuple[list[Path], list[tuple[Path, str]]]:
    """The files asked for, and what cannot be one; of a folder, all that `scan` would read below it."""
    from crossfade.data.listing import walk
    from crossfade.data.refusal import RefusedPicture

    files: list[Path] = []
    odd: list[tuple[Path, str]] = []
    for path in given:
        if not os.path.isdir(path):  # unlike Path.is_dir, no error for a name that is too long
            files.append(path)
            continue
        found, refused, ignored = walk(path.resolve())
        files += [path / name for name in found]
        odd += [(path / one.path, str(RefusedPicture(one.reason, one.detail))) for one in refused]
        if ignored:
            say(f"crossfade: {len(ignored):,} files in {printable(path)} ignored, such as {printable(ignored[0])}")
    return files, odd


def _row(one: Any, classes: Sequence[str], top: int) -> dict[str, Any]:
    best = one.probabilities.argsort()[::-1][:top]
    return {"path": str(one.path), "classes": {classes[k]: round(float(one.probabilities[k]), 6) for k in best}}


def _line(row: dict[str, Any]) -> str:
    return f"{printable(row['path'])}: " + ", ".join(
        f"{printable(name)} {100 * share:.1f} %" for name, share in row["classes"].items()
    )


def _write_csv(path: Path, classes: Sequence[str], found: Sequence[Any]) -> None:
    from crossfade.data.table import write_table

    rows = [
        [one.path, one.refused or "", *([] if one.probabilities is None else [f"{p:.6f}" for p in one.probabilities])]
        for one in found
    ]
    try:
        write_table(path, ["path", "refused", *classes], rows)
    except OSError as error:
        raise ConfigError(f"predict: {path} cannot be written ({error.strerror}). Choose another --csv.") from error
    print(f"csv: {path}", file=sys.stderr)
