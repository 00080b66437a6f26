"""The figures of `crossfade predict --plot`: a file for each picture, drawn as they come."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np

from crossfade.cli.progress import printable, say
from crossfade.data.decode import decode
from crossfade.data.resize import resize
from crossfade.data.rows import Pixels
from crossfade.errors import ConfigError
from crossfade.report.prediction import prediction_figure
from crossfade.report.style import save
from crossfade.report.words import plural
from crossfade.training.predict import Prediction, Predictor

SIDE = 640  # pixels, which is what a figure shows of a larger picture


class Plots:
    """Draws what passes.

    Args:
        target: a .png or .svg file, or a folder.
        predictor: whose predictions they are.
        read: gives the bytes of a picture again.
        top: how many bars.
        force: replace files that are there.
    """

    def __init__(
        self, target: Path, predictor: Predictor, read: Callable[[Path], bytes], top: int, force: bool
    ) -> None:
        self._target, self._predictor, self._read, self._top, self._force = target, predictor, read, top, force
        self._one = target.suffix != ""
        self._drawn = 0

    def draw(self, found: Iterable[Prediction]) -> Iterator[Prediction]:
        """The same predictions, each drawn before it goes on."""
        for one in found:
            if one.probabilities is not None:
                self._draw(one)
            yield one
        if self._drawn:
            say(f"plot: {printable(self._target)}" + ("" if self._one else f" ({plural(self._drawn, 'figure')})"))

    def _draw(self, one: Prediction) -> None:
        assert one.probabilities is not None
        picture = decode(self._read(one.path), max_pixels=self._predictor.max_pixels)
        row = self._predictor.row(picture)
        seen = self._predictor.feed.preprocess.pictures(row[None])[0]
        title = "picture from a pipe" if str(one.path) == "-" else one.path.name
        figure = prediction_figure(
            _small(picture), seen, self._predictor.classes, one.probabilities, top=self._top, title=title
        )
        self._drawn += 1
        path = self._target if self._one else self._free(one.path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            save(figure, path)
        except OSError as error:
            raise ConfigError(f"plot: {path} cannot be written ({error.strerror}). Choose another --plot.") from error

    def _free(self, path: Path) -> Path:
        """Numbered in the order of the pictures, since files of several folders may share a name."""
        file = self._target / f"{self._drawn:04d}-{_tame(path.stem)}.png"
        if file.exists() and not self._force:
            raise ConfigError(f"plot: {file} exists. Choose another --plot, or pass --force.")
        return file


def _tame(stem: str) -> str:
    """A name that any file system takes."""
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in stem)[:80]


def _small(picture: Pixels) -> Pixels:
    height, width = picture.shape[:2]
    factor = SIDE / max(height, width)
    if factor >= 1:
        return picture
    return np.ascontiguousarray(resize(picture, max(1, round(height * factor)), max(1, round(width * factor))))
