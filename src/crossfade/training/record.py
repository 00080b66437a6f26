"""The run folder: what a training leaves on disk. `crossfade.report` reads it. Importing this loads no framework."""

from __future__ import annotations

import errno
import io
import json
import logging
import os
import platform
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossfade import __version__
from crossfade.data.split import write_split
from crossfade.disk import held, remove, write_whole
from crossfade.errors import ConfigError, CrossfadeError, TrainingError
from crossfade.mixing.plan import Plan
from crossfade.training.config import write_toml
from crossfade.training.dataset import Parts

SEEN = 16
LEVELS = 3  # from a run up to the experiment it is part of: comparison, size, ablation
BINS = 50
_PACKAGES = ("numpy", "torch", "timm", "numba", "pillow", "simplejpeg", "scipy")
_HEAD = ("command.json", "config.toml", "environment.json")

log = logging.getLogger(__name__)


def check_folder(folder: Path, *, force: bool) -> None:
    """Say before any work why `folder` cannot be made; what stands there is not touched.

    Raises:
        ConfigError: it exists and `force` is not set, it is no run of ours, or it cannot be written.
    """
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            if not force:
                raise ConfigError(
                    f"out: {folder} exists, and runs are never overwritten. Choose another --out, or pass --force."
                )
            if not folder.is_dir() or not _is_ours(folder):
                raise ConfigError(
                    f"out: {folder} is no run of crossfade, so --force does not remove it. Choose another."
                )
        standing = next(place for place in (folder, *folder.absolute().parents) if place.exists())
        with tempfile.TemporaryFile(dir=standing):
            pass
    except OSError as error:
        raise _not_writable(folder, error) from error


def make_folder(folder: Path, *, force: bool) -> None:
    """Make an empty folder to write into, see `check_folder`; with `force` an earlier run there is removed."""
    check_folder(folder, force=force)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        taken = ConfigError(f"out: {folder} is being trained into by another process. Choose another --out.")
        with held(folder, taken):
            # Emptied, not removed: its parent may be closed to us. What tells that it is ours goes last.
            for old in sorted(folder.iterdir(), key=lambda path: path.name in _HEAD):
                remove(old)
    except OSError as error:
        raise _not_writable(folder, error) from error


def _is_ours(folder: Path) -> bool:
    """Whether a command of ours made the folder, however early it was stopped."""
    if all((folder / name).is_file() for name in _HEAD[1:]):
        return True
    try:
        command = read_json(folder / "command.json")
        return bool(command["kind"] == "fit" or command["argv"][0] == "crossfade")
    except (OSError, ValueError, LookupError, TypeError):
        return False


def _not_writable(folder: Path, error: OSError) -> CrossfadeError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return TrainingError(f"out: there is no room for {folder} ({error.strerror}). Free the disk.")
    return ConfigError(f"out: {folder} cannot be written ({error.strerror or error}). Choose another --out.")


def environment(device: str, precision: str) -> dict[str, Any]:
    """What a number depends on beside the configuration."""
    versions = {name: _version(name) for name in _PACKAGES}
    return {
        "crossfade": __version__,
        "python": platform.python_version(),
        **{name: version for name, version in versions.items() if version},
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "device": device,
        "precision": precision,
        **_torch_threads(),
    }


def _torch_threads() -> dict[str, int]:
    """Where torch takes part at all: a training by another framework does not load it for this."""
    torch = sys.modules.get("torch")
    return {} if torch is None else {"torch_threads": torch.get_num_threads()}


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Inside, no other process trains into the folder.

    Raises:
        TrainingError: another one does already.
    """
    taken = TrainingError(
        f"training: one process trains into a folder at a time. Got {folder}, which another one holds. "
        "Wait for it, or stop it first."
    )
    with held(folder, taken):
        yield


def has_begun(folder: Path) -> bool:
    """Whether a training wrote its head into the folder, whose last file is its configuration."""
    return (folder / "config.toml").is_file()


def finished(folder: Path) -> dict[str, Any] | None:
    """The summary of a training that is finished, else None."""
    try:
        summary: dict[str, Any] = read_json(folder / "summary.json")
    except FileNotFoundError:
        return None
    except ValueError:
        log.warning("%s is damaged and is written anew.", folder / "summary.json")
        return None
    return summary


def write_head(
    folder: Path,
    pictures: Parts | None,
    config: Mapping[str, Any],
    where: Mapping[str, Any],
    classes: Sequence[str] | None = None,
) -> None:
    """Write what is known before the first epoch: machine, classes, split, and last the configuration.

    Args:
        pictures: None where they are of no folder.
        classes: names in the order of the labels, where that is not theirs.
    """
    (folder / "figures").mkdir(exist_ok=True)
    write_json(folder / "environment.json", where)
    names = pictures.classes if classes is None and pictures is not None else classes
    write_json(folder / "classes.json", list(names or ()))
    if pictures is not None:
        write_split(folder / "split.csv", pictures.index, pictures.split)
    write_toml(folder / "config.toml", config)  # where it stands, the others do


def write_command(folder: Path, kind: str, data: Path, argv: Sequence[str], trackers: Sequence[str] = ()) -> None:
    """Write `command.json`, the first file of a run: what was asked for, so that it can be gone on with.

    Args:
        folder: of the run, made by `make_folder`.
        kind: the command that trains, such as "train" or "compare".
        data: the folder of pictures.
        argv: the command as it was typed, "crossfade" first.
        trackers: who is told of it, and is told again when it is gone on with.
    """
    told = {"trackers": list(trackers)} if trackers else {}
    command = {"kind": kind, "data": str(data.absolute()), "argv": list(argv), **told}
    write_json(folder / "command.json", command)


def write_json(path: Path, value: Any) -> None:
    """Write JSON, whole or not at all; numbers that JSON has no words for (nan) are null."""
    write_whole(path, (json.dumps(plain(value), indent=1, ensure_ascii=True) + "\n").encode())


def append_line(path: Path, record: Mapping[str, Any]) -> None:
    """Append one line of JSON."""
    with path.open("ab") as file:
        file.write(_line(record))


def write_lines(path: Path, records: Iterable[Mapping[str, Any]]) -> None:
    """Write what `append_line` would have written, in place of what is there."""
    write_whole(path, b"".join(map(_line, records)))


def _line(record: Mapping[str, Any]) -> bytes:
    return (json.dumps(plain(record)) + "\n").encode()


def write_seen(folder: Path, pictures: NDArray[np.uint8], labels: NDArray[np.int64], plan: Plan) -> None:
    """Keep the first samples of a batch as the model saw them, with their label weights: `seen.npz`."""
    n = min(SEEN, len(pictures))
    source = plan.source[:n]
    label_of_layer = np.where(source >= 0, labels[source], -1)
    _write_seen(folder, pictures[:n], plan.weight[:n], label_of_layer, plan.lam[:n] < 1)


def write_seen_targets(folder: Path, pictures: NDArray[np.uint8], targets: NDArray[np.float32]) -> None:
    """The same, where all that is known of the mixing is its targets: (n, C), the weight of each class."""
    weights = targets[:SEEN]
    layers = max(1, int((weights > 0).sum(1).max()))
    classes = np.argsort(-weights, axis=1, kind="stable")[:, :layers]
    sorted_weights = np.take_along_axis(weights, classes, axis=1)
    _write_seen(folder, pictures[:SEEN], sorted_weights.astype(np.float64), classes, weights.max(1) < 1)


def _write_seen(folder: Path, images: Any, weights: Any, label_of_layer: Any, mixed: Any) -> None:
    file = io.BytesIO()
    np.savez_compressed(file, images=images, weights=weights, label_of_layer=label_of_layer, mixed=mixed)
    write_whole(folder / "seen.npz", file.getvalue())


class LambdaHistogram:
    """Counts the lambdas of a whole training: `lambda.json`."""

    def __init__(self) -> None:
        self._edges = np.linspace(0, 1, BINS + 1)
        self._counts = np.zeros(BINS, np.int64)
        self._unmixed = self._total = 0

    def add(self, lam: NDArray[np.float64]) -> None:
        """Take in the (B,) lambdas of one batch; samples that were not mixed are counted apart."""
        mixed = lam[lam < 1]
        self._counts += np.histogram(mixed, self._edges)[0]
        self._unmixed += len(lam) - len(mixed)
        self._total += len(lam)

    def as_dict(self) -> dict[str, Any]:
        """As it is stored."""
        counts = {"edges": self._edges.tolist(), "counts": self._counts.tolist()}
        return {**counts, "unmixed": self._unmixed, "total": self._total}

    @classmethod
    def restored(cls, stored: Mapping[str, Any]) -> LambdaHistogram:
        """The way back from `as_dict`."""
        histogram = cls()
        histogram._counts = np.array(stored["counts"], np.int64)
        histogram._unmixed, histogram._total = stored["unmixed"], stored["total"]
        return histogram


def read_json(path: Path) -> Any:
    """The value in a JSON file of ours."""
    return json.loads(path.read_text(encoding="utf-8"))


def read_lines(path: Path) -> list[dict[str, Any]]:
    """What `append_line` wrote, oldest first; nothing where nothing was, and a last line that was cut off is none."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


def places(run: Path) -> tuple[Path, ...]:
    """Where the record of a run may stand: in its folder, or in that of the experiment it is part of."""
    return run, *run.resolve().parents[:LEVELS]


def read_record(run: Path, name: str) -> dict[str, Any]:
    """A table of a run, or of the experiment it is part of; empty where there is none."""
    return next(filter(None, (json_table(place / name) for place in places(run))), {})


def own_root(run: Path) -> Path | None:
    """The folder of pictures that a run was trained from, as the record nearest to it says."""
    for place in places(run):
        for name, key in (("command.json", "data"), ("data.json", "root")):
            if isinstance(found := json_table(place / name).get(key), str):
                return Path(found)
    return None


def json_table(path: Path) -> dict[str, Any]:
    """The table in a JSON file of ours; empty where there is none, or a damaged one."""
    try:
        found = read_json(path)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def plain(value: Any) -> Any:
    """A value as it comes back from a JSON file of ours."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or "unknown"
