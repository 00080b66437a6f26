"""Which pictures a run may be judged by."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from crossfade.data.scan import Index
from crossfade.data.split import Split, write_split
from crossfade.errors import DataError
from crossfade.experiments.evaluation.selection import Membership, Selection, select

CLASSES = ("cat", "dog")


def index(contents: list[int], labels: list[int], parts: list[str] | None = None, classes: tuple = CLASSES) -> Index:
    """Pictures by what is in them: equal numbers are equal files."""
    digests = np.zeros((len(contents), 16), np.uint8)
    digests[:, 0] = contents
    return Index(
        root=Path("/pictures"),
        classes=classes,
        paths=tuple(f"{classes[label]}/{n}.png" for n, label in enumerate(labels)),
        labels=np.array(labels),
        parts=tuple(parts or [""] * len(contents)),
        sizes=np.full((len(contents), 2), 8, np.int32),
        digests=digests,
        channels=3,
    )


@pytest.fixture
def member(tmp_path: Path) -> Membership:
    """Contents 0..3 were trained on, 4 and 5 validated; there was no test part."""
    own = index([0, 1, 2, 3, 4, 5], [0, 0, 1, 1, 0, 1])
    numbers = [np.array(part, np.int64) for part in ([0, 1, 2, 3], [4, 5], [])]
    write_split(tmp_path / "split.csv", own, Split(*numbers))
    return Membership.read(tmp_path)


def chosen(found: Selection) -> list[int]:
    return found.numbers.tolist()


def test_the_runs_own_folder_has_the_runs_own_parts(member: Membership) -> None:
    own = index([0, 1, 2, 3, 4, 5], [0, 0, 1, 1, 0, 1])
    found = select(own, CLASSES, member, own=True)
    assert (found.part, chosen(found), found.notes) == ("val", [4, 5], ())
    assert chosen(select(own, CLASSES, member, own=True, part="train", with_trained=True)) == [0, 1, 2, 3]


def test_a_validation_picture_that_was_also_trained_on_is_left_out(tmp_path: Path) -> None:
    own = index([0, 1, 0, 5], [0, 1, 0, 1])
    write_split(tmp_path / "split.csv", own, Split(np.array([0, 1]), np.array([2, 3]), np.zeros(0, np.int64)))
    found = select(own, CLASSES, Membership.read(tmp_path), own=True)
    assert (chosen(found), found.left_out["trained_on"]) == ([3], 1)
    assert found.notes == ("no picture of class 'cat'",)


def test_another_folder_without_parts_is_judged_whole_but_for_what_was_trained_on(member: Membership) -> None:
    found = select(index([9, 2, 4, 8], [0, 1, 0, 1]), CLASSES, member, own=False)
    assert (found.part, chosen(found), found.left_out["trained_on"]) == ("all", [0, 2, 3], 1)
    assert chosen(select(index([9, 2, 4, 8], [0, 1, 0, 1]), CLASSES, member, own=False, part="val")) == [2]


@pytest.mark.parametrize(
    ("parts", "part", "numbers"),
    [
        (["train", "val", "test", "test"], "test", [2, 3]),
        (["train", "val", "val", "val"], "val", [1, 2, 3]),
        (["train", "train", "train", "train"], "all", [0, 1, 2, 3]),
    ],
)
def test_another_folder_has_its_own_parts(member: Membership, parts: list[str], part: str, numbers: list[int]) -> None:
    found = select(index([11, 12, 13, 14], [0, 1, 0, 1], parts), CLASSES, member, own=False)
    assert (found.part, chosen(found)) == (part, numbers)


def test_classes_are_known_by_name_and_others_are_counted(member: Membership) -> None:
    pets = index([11, 12, 13, 14], [0, 1, 2, 2], classes=("bird", "dog", "cat"))
    found = select(pets, CLASSES, member, own=False)
    assert chosen(found) == [1, 2, 3]
    assert found.labels.tolist() == [-1, 1, 0, 0]
    assert found.left_out["unknown_class"] == 1
    assert found.notes == ("the run knows no class 'bird'; 1 pictures left out",)


def test_a_folder_of_other_classes_altogether(member: Membership) -> None:
    with pytest.raises(DataError, match=r"'dogs' \(the run has 'dog'\)"):
        select(index([11, 12], [0, 1], classes=("birds", "dogs")), CLASSES, member, own=False)


def test_nothing_left_says_why(member: Membership) -> None:
    with pytest.raises(DataError, match=r"Got none of part all in /pictures \(2 were trained on\)"):
        select(index([0, 3], [0, 1]), CLASSES, member, own=False)
    with pytest.raises(DataError, match=r"whose parts are train, val"):
        select(index([11, 12], [0, 1], ["train", "val"]), CLASSES, member, own=False, part="test")


def test_a_run_without_its_split(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"split\.csv tells which pictures it was trained on"):
        Membership.read(tmp_path)
