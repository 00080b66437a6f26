"""crossfade predict: a trained run on single pictures."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from crossfade.cli.options import Calibrated, Checkpoint, check_outside, is_below
from crossfade.cli.progress import printable, say
from crossfade.errors import ConfigError, DataError

if TYPE_CHECKING:
    from crossfade.training.predict import Prediction

    Found = Iterator[Prediction]

PLOTS = (".png", ".svg")


def predict(
    run: Annotated[Path, Parameter(help="folder of one training, or one that crossfade export --to hub wrote")],
    pictures: Annotated[
        list[Path], Parameter(negative="", help="pictures, folders of pictures, or - for a picture piped in")
    ],
    /,
    *,
    top: Annotated[int, Parameter(help="classes to name for each picture")] = 3,
    csv: Annotated[Path | None, Parameter(help="write all probabilities to this CSV file")] = None,
    plot: Annotated[
        Path | None,
        Parameter(help="draw the picture beside its probabilities: a .png or .svg file, of several a folder"),
    ] = None,
    force: Annotated[bool, Parameter(help="replace files that are there", negative="")] = False,
    as_json: Annotated[bool, Parameter(name="--json", negative="", help="print a JSON list")] = False,
    as_lines: Annotated[bool, Parameter(name="--jsonl", negative="", help="print a line of JSON for each")] = False,
    tta: Annotated[
        str | None,
        Parameter(help="average over flip (the mirror image), N copies augmented as in training, or both: flip,8"),
    ] = None,
    calibrated: Calibrated = False,
    weights: Checkpoint = None,
    batch_size: Annotated[int, Parameter(help="pictures that go through the network at once")] = 64,
    device: Annotated[str, Parameter(help="cpu, cuda, or auto")] = "auto",
) -> int:
    """Name the classes of pictures. Of one that cannot be read it says so, does the others, and leaves with 1."""
    for flag, value in (("--top", top), ("--batch-size", batch_size)):
        if value < 1:
            raise ConfigError(f"predict: {flag} must be 1 or more. Got {value}. Pass {flag} 3, say.")
    if as_json and as_lines:
        raise ConfigError("predict: --json prints one list, --jsonl a line for each. Got both. Pass one of them.")
    if csv is not None:
        _check_file(csv, "--csv", pictures, force)
    if plot is not None:
        _check_plot(plot, pictures, force)

    from crossfade.cli.pictures import Asked
    from crossfade.training.predict import load_run

    predictor = load_run(run, name=weights, device=device, tta=tta, calibrated=calibrated)
    asked, classes, tally = Asked(pictures), predictor.classes, _Tally()
    found = tally.count(predictor.predict(asked, batch=batch_size, read=asked.read))
    if plot is not None:
        from crossfade.cli.plots import Plots

        found = Plots(plot, predictor, asked.read, top, force).draw(found)
    found = _shown(found, "json" if as_json else "jsonl" if as_lines else "text", classes, top)
    if csv is not None:
        _write_csv(csv, classes, found)
    else:
        for _ in found:
            pass
    return tally.close(pictures)


class _Tally:
    """How many there were, and how many of them were refused; refusals are said as they come."""

    def __init__(self) -> None:
        self.total = self.refused = 0

    def count(self, found: Iterable[Prediction]) -> Found:
        for one in found:
            self.total += 1
            if one.refused is not None:
                self.refused += 1
                say(f"crossfade: {printable(one.path)}: {one.refused}")
            yield one

    def close(self, pictures: Sequence[Path]) -> int:
        """The exit code."""
        if self.total == 0:
            raise DataError(f"predict: there is no file in {', '.join(map(str, pictures))}. Pass pictures.")
        if self.refused:
            say(f"crossfade: {self.refused:,} of {self.total:,} pictures could not be read")
        return 1 if self.refused else 0


def _shown(found: Found, form: str, classes: Sequence[str], top: int) -> Found:
    """The same, printed as they pass: text, a line of JSON for each, or one JSON list."""
    start, between = ("[", ",\n") if form == "json" else ("", "\n")
    write: Callable[[str], Any] = sys.stdout.write
    for one in found:
        row = _row(one, classes, top)
        if form != "text":
            write(start + json.dumps(row))
            start = between
        elif one.probabilities is not None:
            write(_line(row) + "\n")
        sys.stdout.flush()
        yield one
    if form == "json":
        write("[]\n" if start == "[" else "]\n")
    elif form == "jsonl" and start:
        write("\n")


def _row(one: Prediction, classes: Sequence[str], top: int) -> dict[str, Any]:
    if one.refusal is not None:
        return {"path": str(one.path), "refused": one.refusal.reason, "detail": one.refusal.detail}
    best = (-one.probabilities).argsort(kind="stable")[:top]  # of equal ones the first, as everywhere
    return {"path": str(one.path), "classes": {classes[k]: round(float(one.probabilities[k]), 6) for k in best}}


def _line(row: dict[str, Any]) -> str:
    return f"{printable(row['path'])}: " + ", ".join(
        f"{printable(name)} {100 * share:.1f}%" for name, share in row["classes"].items()
    )


def _write_csv(path: Path, classes: Sequence[str], found: Found) -> None:
    """A row for each as it comes."""
    from crossfade.data.table import write_table

    rows = (
        [one.path, one.refused or "", *([] if one.probabilities is None else [f"{p:.6f}" for p in one.probabilities])]
        for one in found
    )
    try:
        write_table(path, ["path", "refused", *classes], rows)
    except BrokenPipeError:  # whoever read what we print has left
        raise
    except OSError as error:
        raise ConfigError(f"predict: {path} cannot be written ({error.strerror}). Choose another --csv.") from error
    say(f"csv: {printable(path)}")


def _check_file(path: Path, flag: str, pictures: Sequence[Path], force: bool) -> None:
    """Neither a picture nor a folder of them is ever written to, and no other file unless forced."""
    for given in pictures:
        if os.path.isdir(given):
            check_outside(path, given, flag)
        elif is_below(path, given):
            raise ConfigError(f"{flag[2:]}: {path} is a picture to look at, which is only read. Choose another {flag}.")
    if path.exists() and not path.is_dir() and not force:
        raise ConfigError(f"predict: {path} exists. Choose another {flag}, or pass --force.")
    if path.is_dir() and flag == "--csv":
        raise ConfigError(f"predict: {path} is a folder. Pass a file to {flag}, such as {path / 'found.csv'}.")


def _check_plot(path: Path, pictures: Sequence[Path], force: bool) -> None:
    _check_file(path, "--plot", pictures, force)
    several = len(pictures) > 1 or os.path.isdir(pictures[0])
    if path.suffix.lower() in PLOTS:
        if several:
            raise ConfigError(f"plot: one file holds one picture. Got {path} for several. Pass a folder to --plot.")
    elif path.suffix or (path.exists() and not path.is_dir()):
        png = path.with_suffix(".png")
        raise ConfigError(f"plot: a .png or .svg file, or a folder. Got {path}. Pass --plot {png}, say.")
