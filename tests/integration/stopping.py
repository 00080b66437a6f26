"""Trainings that are killed, told to stop or starved of disk, and then gone on with. A program, run by test_stopping.

Each training is a process forked from this one, which has torch loaded and no thread started. Prints one JSON object.

    python -m tests.integration.stopping MODE COUNT THREADS FOLDER        MODE: kill, cut, term or disk
"""

from __future__ import annotations

import builtins
import io
import json
import os
import random
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from crossfade.arrays.parallel import set_threads
from crossfade.cli import run as crossfade
from crossfade.models import registry
from crossfade.training import checkpoint
from crossfade.training.config import RunConfig
from crossfade.training.dataset import open_pictures
from crossfade.training.record import read_json
from crossfade.training.run import open_bench, train_one
from crossfade.training.signals import Interruption
from tests.integration.folders import write_corners

OPTIONS: dict[str, Any] = {
    "model": "tiny", "epochs": 3, "batch_size": 5, "mix": "mixup", "ema": 0.9, "optimizer": "sgd", "lr": 0.02,
    "clip_norm": 1.0, "precision": "float32", "device": "cpu", "choose": "best", "schedule": "plateau", "plateau": 1,
}  # fmt: skip
FLAGS = [word for key, value in OPTIONS.items() for word in (f"--{key.replace('_', '-')}", str(value))]


class Tiny(nn.Sequential):
    """Everything that has a state of its own: batch norm, dropout, weights."""

    def __init__(self, *, num_classes: int, channels: int = 3, size: int | None = None) -> None:
        super().__init__(
            nn.Conv2d(channels, 8, 3, stride=2), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.3),
            nn.AdaptiveMaxPool2d(2), nn.Flatten(), nn.Linear(32, num_classes),
        )  # fmt: skip


registry._OURS["tiny"] = Tiny


def fork(work: Callable[[], int]) -> int:
    """Run `work` in a child, which leaves with what it returns; the number of the child."""
    sys.stdout.flush()
    if child := os.fork():
        return child
    code = 70
    try:
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), 1)
        code = work()
    except Interruption as stopped:
        code = stopped.exit_code
    except BaseException as error:
        print(repr(error), file=sys.stderr)
    finally:
        os._exit(code)


def ended(child: int) -> int:
    """Its exit code, or minus the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


TAKING_ROOM = ("replace", "rename", "mkdir", "fsync")
GIVING_ROOM = ("rmdir", "unlink")


def counted(act: Callable[[], None], names: tuple[str, ...] = TAKING_ROOM + GIVING_ROOM) -> None:
    """From now on call `act` before each operation of this process that changes something on the disk."""

    def before(real: Callable[..., Any]) -> Callable[..., Any]:
        def operate(*args: Any, **kwargs: Any) -> Any:
            act()
            return real(*args, **kwargs)

        return operate

    class Writer(io.BufferedWriter):
        def write(self, data: Any) -> int:
            act()
            return super().write(data)

    real_open = builtins.open

    def open_(file: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        if not set(mode) & set("wax+") or isinstance(file, int) or str(file) == os.devnull:
            return real_open(file, mode, *args, **kwargs)
        act()
        if "+" in mode:
            return real_open(file, mode, *args, **kwargs)
        writer = Writer(io.FileIO(file, mode.replace("b", "").replace("t", "")))
        encoding = kwargs.get("encoding") or "utf-8"
        return writer if "b" in mode else io.TextIOWrapper(writer, encoding, kwargs.get("errors"), write_through=True)

    builtins.open = io.open = open_
    for name in names:
        setattr(os, name, before(getattr(os, name)))


class Field:
    """A folder of pictures, an uninterrupted training on them, and what the others must end with.

    Args:
        threads: of the loader, in each training that is gone on with.
    """

    def __init__(self, folder: Path, threads: int) -> None:
        self.folder, self.threads = folder, threads
        self.data = write_corners(folder / "data", each=6)
        torch.set_num_threads(1)
        set_threads(1)
        self.config = RunConfig(**OPTIONS)
        self.bench = open_bench(open_pictures(self.data, self.config), self.config)
        self.whole = folder / "whole"
        for run in (folder / "warm", self.whole):
            run.mkdir()
        self.train(folder / "warm", 0)  # so that the children find everything imported and compiled
        began = time.perf_counter()
        assert ended(fork(lambda: self.train(self.whole, 1))) == 0
        self.seconds = time.perf_counter() - began
        self.right = results(self.whole)

    def train(self, run: Path, threads: int) -> int:
        """A training, or the rest of one."""
        config = RunConfig(**{**OPTIONS, "threads": threads})
        train_one(self.bench, config, run, resume=True)
        return 0

    def finish(self, run: Path) -> bool:
        """Go on to the end; whether all is as if it had never been stopped."""
        assert ended(fork(lambda: self.train(run, self.threads))) == 0, run
        same = results(run) == self.right
        if same:
            shutil.rmtree(run)
        return same


def results(run: Path) -> list[Any]:
    """All that a training ends with but the time it took."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    summary = read_json(run / "summary.json")
    for timed in (summary, *lines):
        for clock in ("seconds", "images_per_second"):
            timed.pop(clock, None)
    with np.load(run / "seen.npz") as seen:
        pictures = {name: seen[name].tolist() for name in seen}
    saved = [checkpoint.read(run / "checkpoints" / name) for name in ("last", "best")]
    digests = [{name: digest(group) for name, group in one.tensors.items()} for one in saved]
    return [lines, summary, pictures, digests, *(read_json(run / f"{name}.json") for name in ("lambda", "confusion"))]


def digest(group: dict[str, torch.Tensor]) -> str:
    return checkpoint.tensors_digest(dict(sorted(group.items())))  # safetensors gives them back in any order


def kill(field: Field, count: int) -> dict[str, Any]:
    """kill -9 at a random time, up to three times in the same training."""
    draw, found = random.Random(field.threads), Counter[str]()
    for number in range(count):
        run = field.folder / f"kill-{number}"
        run.mkdir()
        for _ in range(draw.randint(1, 3)):
            threads = draw.choice((0, 1, 4))  # here: a child would draw from the state that our next draw comes from
            child = fork(lambda run=run, threads=threads: field.train(run, threads))
            time.sleep(draw.uniform(0, field.seconds))
            os.kill(child, signal.SIGKILL)
            found["caught in the act"] += ended(child) == -signal.SIGKILL
        found["identical"] += field.finish(run)
    return found


def term(field: Field, count: int) -> dict[str, Any]:
    """SIGTERM at a random time of the whole command: it leaves with 143, saved, and goes on at that very step."""
    draw, found = random.Random(field.threads), Counter[str]()
    typed_train(field, field.folder / "typed")  # warm
    for number in range(count):
        run = field.folder / f"term-{number}"
        child = fork(lambda run=run: typed_train(field, run))
        time.sleep(draw.uniform(0.05, 1.2 * field.seconds))
        os.kill(child, signal.SIGTERM)
        code = ended(child)
        found[str(code)] += 1
        found["before the training"] += not (run / "config.toml").exists()
        if (run / "checkpoints" / "last").exists():
            steps = checkpoint.load(run / "checkpoints" / "last").state["steps_into_next"]
            found["in the middle of an epoch"] += steps > 0
        run.mkdir(exist_ok=True)
        found["identical"] += field.finish(run)
    return found


def cut(field: Field, count: int) -> dict[str, Any]:
    """kill -9 before the n-th operation on the disk; `count` of all n, evenly spread."""
    whole = field.folder / "counted"
    whole.mkdir()
    found = Counter[str](operations=operations_of(lambda: field.train(whole, field.threads), field.folder / "tally"))
    for number in np.unique(np.linspace(0, found["operations"] - 1, count).astype(int)).tolist():
        run = field.folder / f"cut-{number}"
        run.mkdir()
        child = fork(lambda run=run, number=number: dying(field, run, number))
        found["killed"] += ended(child) == -signal.SIGKILL
        found["identical"] += field.finish(run)
    return found


def dying(field: Field, run: Path, number: int) -> int:
    left = number

    def act() -> None:
        nonlocal left
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1

    counted(act)
    return field.train(run, field.threads)


def operations_of(work: Callable[[], int], tally: Path, names: tuple[str, ...] = TAKING_ROOM + GIVING_ROOM) -> int:
    """How many operations on the disk `work` needs, told in the file `tally`."""

    def tallied() -> int:
        done = 0

        def act() -> None:
            nonlocal done
            done += 1

        real = os.open
        counted(act, names)
        code = work()
        os.write(real(tally, os.O_WRONLY | os.O_CREAT), str(done).encode())
        return code

    assert ended(fork(tallied)) == 0
    return int(tally.read_text())


def disk(field: Field, count: int) -> dict[str, Any]:
    """The disk is full from the n-th operation of the command on, then has room again; `count` of all n."""
    found = Counter[str]()
    typed_train(field, field.folder / "typed")  # warm
    whole = operations_of(lambda: typed_train(field, field.folder / "counted"), field.folder / "tally", TAKING_ROOM)
    for n in np.unique(np.linspace(0, whole - 1, count).astype(int)).tolist():
        run, words = field.folder / f"full-{n}", field.folder / f"words-{n}"
        code = ended(fork(lambda run=run, words=words, n=n: starved(field, run, words, n)))
        said = words.read_text().splitlines()
        letter = [line for line in said if line.startswith("crossfade: ")]
        clean = len(letter) == 1 and "No space left" in letter[0] and not any("Traceback" in line for line in said)
        found["stopped"] += 1
        found["one sentence, exit 1" if clean and code == 1 else f"{code}: {' '.join(said[-2:])}"] += 1
        if (run / "config.toml").exists():
            found["resumed"] += 1
            found["identical"] += field.finish(run)
    found["operations"] = whole
    return found


def starved(field: Field, run: Path, words: Path, n: int) -> int:
    os.dup2(os.open(words, os.O_WRONLY | os.O_CREAT), 2)
    left = n

    def act() -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise OSError(28, "No space left on device")

    counted(act, TAKING_ROOM)  # on a full disk files can still be removed
    return typed_train(field, run)


def typed_train(field: Field, run: Path) -> int:
    return crossfade(["train", str(field.data), *FLAGS, "--threads", "0", "--out", str(run)])


def main() -> dict[str, Any]:
    mode, count, threads, folder = sys.argv[1:]
    field = Field(Path(folder), int(threads))
    began = time.perf_counter()
    found = {"kill": kill, "cut": cut, "term": term, "disk": disk}[mode](field, int(count))
    return {**found, "seconds": time.perf_counter() - began, "whole": field.seconds}


if __name__ == "__main__":
    with redirect_stdout(sys.stderr):
        found = main()
    print(json.dumps(found))
