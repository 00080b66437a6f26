"""Any folder tree: it is read to its end, everything in it is accounted for once, and nothing in it changes."""

from __future__ import annotations

import json
import os
import stat
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from crossfade.data import Index, read_split, scan, split, write_split
from crossfade.data.refusal import REASONS
from crossfade.errors import DataError
from tests.unit.data.folders import encode, noise

GOOD = [encode(noise(8, 8, seed=seed), kind) for seed, kind in enumerate(("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF"))]
LONG = "n" * 251 + ".png"
TEXT = ["=1+1.png", "-rf", "a\nb.jpg", "<b>&amp;.png", "\udcff\udcfe.png", "\x1b[31m.png", "\u202egnp.exe", "'", "..."]
TWINS = ["e\u0301.png", "\u00e9.png", "Cat.png", "cat.png"]
SYSTEM = ["Thumbs.db", "__MACOSX", ".DS_Store", ".ipynb_checkpoints", "desktop.ini", "train", "val"]
LETTERS = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=12)
NAMES = st.one_of(st.sampled_from([*TEXT, *TWINS, *SYSTEM, LONG]), LETTERS).filter(lambda name: name not in (".", ".."))
LINKS = [".", "..", "nowhere", "loop", "../../outside/x.png", "/dev/zero", "/"]
ENTRIES = st.one_of(
    st.sampled_from(GOOD).map(lambda data: ("file", data)),
    st.tuples(st.sampled_from(GOOD), st.integers(0, 200)).map(lambda pair: ("file", pair[0][: pair[1]])),
    st.binary(max_size=40).map(lambda data: ("file", data)),
    st.just(("fifo", b"")),
    st.sampled_from(LINKS).map(lambda to: ("link", to)),
)
FOLDERS = st.recursive(
    st.dictionaries(NAMES, ENTRIES, max_size=4),
    lambda inner: st.dictionaries(NAMES, st.one_of(ENTRIES, inner), max_size=4),
    max_leaves=6,
)
CLASSES = st.tuples(FOLDERS, FOLDERS).map(lambda two: dict(zip("ab", two, strict=True)))
TREES = st.one_of(FOLDERS, st.tuples(FOLDERS, CLASSES).map(lambda both: {**both[0], **both[1]}))


def build(folder: Path, tree: dict[str, Any]) -> None:
    folder.mkdir()
    for name, entry in tree.items():
        path = folder / name
        if isinstance(entry, dict):
            build(path, entry)
        elif entry[0] == "file":
            path.write_bytes(entry[1])
        elif entry[0] == "fifo":
            os.mkfifo(path)
        else:
            path.symlink_to(name if entry[1] == "loop" else entry[1])


def snapshot(root: Path) -> dict[str, tuple[int, int, bytes]]:
    seen = {}
    for folder, folders, files in os.walk(root):
        for name in [*folders, *files]:
            path = os.path.join(folder, name)
            status = os.lstat(path)
            data = Path(path).read_bytes() if stat.S_ISREG(status.st_mode) else b""
            seen[os.path.relpath(path, root)] = status.st_mode, status.st_mtime_ns, data
    return seen


def covered(index: Index, path: str) -> int:
    """How often a path, or a folder it lies in, stands in one of the three lists."""
    named = [*index.paths, *(one.path for one in index.refused), *index.ignored]
    return sum(path == name or path.startswith(f"{name}/") for name in named)


@given(TREES)
def test_any_tree_is_accounted_for(tree: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as place:
        (Path(place) / "outside").mkdir()
        (Path(place) / "outside/x.png").write_bytes(GOOD[0])
        root = Path(place) / "data"
        build(root, tree)
        before = snapshot(root)
        try:
            index = scan(root, allow_empty=True, workers=1)
        except DataError as error:
            message = str(error)
        else:
            message = "scan: done."
            check(index, before, Path(place))
        assert message.startswith("scan: ")
        assert snapshot(root) == before


def check(index: Index, before: dict[str, tuple[int, int, bytes]], place: Path) -> None:
    for path, (mode, _, data) in before.items():
        if not stat.S_ISDIR(mode):
            assert covered(index, path) == 1, path
        if path in index.paths:
            assert data in GOOD or stat.S_ISLNK(mode)
    for path, label in zip(index.paths, index.labels, strict=True):
        assert index.classes[label] in path.split("/")[:-1]
    assert {one.reason for one in index.refused} <= set(REASONS)
    assert json.loads(json.dumps(index.as_dict()))["refused"] == index.as_dict()["refused"]
    try:
        parts = split(index, seed=0)
    except DataError:
        return
    write_split(place / "split.csv", index, parts)
    assert read_split(place / "split.csv", index).train.tolist() == parts.train.tolist()
