from __future__ import annotations

import csv
import dataclasses
import os
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from crossfade.data import Index, Split, first_per_class, read_split, scan, split, write_split
from crossfade.errors import ConfigError, DataError
from tests.unit.data.folders import encode, pictures, write


def index_of(counts: dict[str, int], parts: tuple[str, ...] = ()) -> Index:
    """An index that was never on disk: `counts` pictures of each class."""
    paths = tuple(f"{name}/{number}.png" for name, count in counts.items() for number in range(count))
    labels = np.repeat(np.arange(len(counts)), list(counts.values())).astype(np.int64)
    digests = np.zeros((len(paths), 16), np.uint8)
    digests[:, :4] = np.arange(len(paths), dtype=np.uint32)[:, None].view(np.uint8)
    sizes = np.full((len(paths), 2), 8, np.int32)
    return Index(Path("/x"), tuple(counts), paths, labels, parts or ("",) * len(paths), sizes, digests, 3)


def names(index: Index, numbers: np.ndarray) -> set[str]:
    return {index.paths[number] for number in numbers}


def covers(index: Index, done: Split) -> bool:
    together = np.concatenate([done.train, done.val, done.test])
    return sorted(together.tolist()) == list(range(len(index)))


@pytest.mark.parametrize(("val", "test"), [(0.2, 0.0), (0.2, 0.1), (0.0, 0.5), (0.001, 0.001), (0.6, 0.39)])
def test_every_class_gives_its_rounded_share(val: float, test: float) -> None:
    counts = {"a": 10, "b": 103, "c": 4}
    index = index_of(counts)
    done = split(index, seed=3, val=val, test=test)
    assert covers(index, done)
    for label, count in enumerate(counts.values()):
        got = [int((index.labels[done.part(part)] == label).sum()) for part in ("train", "val", "test")]
        assert got[0] >= 1
        if got[0] > 1:
            assert got[1] == (max(1, int(count * val + 0.5)) if val else 0)
            assert got[2] == (max(1, int(count * test + 0.5)) if test else 0)
    for part in (done.train, done.val, done.test):
        assert part.dtype == np.int64
        assert (np.diff(part) > 0).all()


def test_shares_never_eat_the_training_pictures() -> None:
    index = index_of({"a": 3, "b": 3})
    done = split(index, seed=0, val=0.5, test=0.49)
    assert [len(done.train), len(done.val), len(done.test)] == [2, 2, 2]


def test_the_same_seed_the_same_split_another_seed_another() -> None:
    index = index_of({"a": 50, "b": 50})
    one, again, other = (split(index, seed=seed) for seed in (0, 0, 1))
    assert np.array_equal(one.val, again.val)
    assert not np.array_equal(one.val, other.val)


def test_this_very_split_stays() -> None:
    """What a run of today recorded must come out of the same seed tomorrow."""
    assert split(index_of({"a": 10, "b": 10}), seed=7, val=0.3).val.tolist() == [6, 8, 9, 11, 13, 15]


def test_the_split_follows_the_names_not_the_order() -> None:
    index = index_of({"a": 20, "b": 30})
    turned = np.arange(len(index))[::-1]
    other = dataclasses.replace(
        index, paths=tuple(index.paths[i] for i in turned), labels=index.labels[turned], digests=index.digests[turned]
    )
    one, two = split(index, seed=0, test=0.2), split(other, seed=0, test=0.2)
    for part in ("train", "val", "test"):
        assert names(index, one.part(part)) == names(other, two.part(part))


def test_one_more_picture_moves_few_others() -> None:
    before, after = index_of({"a": 100, "b": 100}), index_of({"a": 101, "b": 100})
    one, two = (names(index, split(index, seed=0).val) for index in (before, after))
    assert len(one ^ two) <= 2


def test_a_class_with_fewer_pictures_than_parts_is_named() -> None:
    index = index_of({"many": 9, "few": 2})
    split(index, seed=0, val=0.2)
    with pytest.raises(DataError, match=r"each of the 3 parts\. Got 2 of class 'few'"):
        split(index, seed=0, val=0.2, test=0.2)


@pytest.mark.parametrize(("val", "test"), [(-0.1, 0), (1.0, 0), (0.5, 0.5), (float("nan"), 0), (0, 1.5)])
def test_shares_that_make_no_sense(val: float, test: float) -> None:
    with pytest.raises(ConfigError, match="shares are from 0"):
        split(index_of({"a": 5, "b": 5}), seed=0, val=val, test=test)


def ready_made(*parts: str) -> Index:
    """Ten pictures of each of two classes in every part."""
    index = index_of({"a": 10 * len(parts), "b": 10 * len(parts)})
    return dataclasses.replace(index, parts=tuple(part for _ in "ab" for part in parts for _ in range(10)))


def test_ready_made_parts_are_kept() -> None:
    index = ready_made("train", "val", "test")
    done = split(index, seed=0, val=0.5, test=0.3)
    for part in ("train", "val", "test"):
        assert {index.parts[number] for number in done.part(part)} == {part}
        assert len(done.part(part)) == 20


def test_train_and_val_leave_no_test() -> None:
    assert len(split(ready_made("train", "val"), seed=0, test=0.3).test) == 0


def test_beside_a_test_folder_val_is_taken_from_train() -> None:
    index = ready_made("train", "test")
    done = split(index, seed=0, val=0.2)
    assert covers(index, done)
    assert {index.parts[number] for number in done.test} == {"test"}
    assert {index.parts[number] for number in np.concatenate([done.train, done.val])} == {"train"}
    assert np.bincount(index.labels[done.val]).tolist() == [2, 2]


def test_train_alone_is_divided_like_a_plain_folder() -> None:
    done = split(ready_made("train"), seed=0, val=0.2, test=0.1)
    assert [len(done.train), len(done.val), len(done.test)] == [14, 4, 2]


def test_first_per_class() -> None:
    index = index_of({"a": 10, "b": 3, "c": 10})
    done = split(index, seed=0, val=0.4)
    few = first_per_class(done, index.labels, 4)
    for label, count in enumerate((4, 2, 4)):
        own = done.train[index.labels[done.train] == label]
        assert few.train[index.labels[few.train] == label].tolist() == own[:count].tolist()
    assert (np.diff(few.train) > 0).all()
    assert few.val is done.val
    with pytest.raises(ConfigError, match="at least 1"):
        first_per_class(done, index.labels, 0)


# ---------------------------------------------------------------------------------------------- what stays together


def alike(index: Index, *sets: tuple[int, ...]) -> Index:
    """The index with the same bytes in each set of pictures."""
    digests = index.digests.copy()
    for one in sets:
        digests[list(one)] = digests[one[0]]
    return dataclasses.replace(index, digests=digests)


def parts_of(index: Index, done: Split) -> list[str]:
    parts = [""] * len(index)
    for part in ("train", "val", "test"):
        for number in done.part(part):
            parts[number] = part
    return parts


@pytest.mark.parametrize("seed", range(5))
def test_copies_stay_in_one_part(seed: int) -> None:
    sets = [tuple(range(first, first + 3)) for first in range(0, 60, 5)] + [(70, 71)]
    index = alike(index_of({"a": 50, "b": 50}), *sets, (3, 98))
    done = split(index, seed=seed, val=0.2, test=0.2)
    parts = parts_of(index, done)
    assert covers(index, done)
    for one in [*sets, (3, 98)]:
        assert len({parts[picture] for picture in one}) == 1
    for part, count in (("train", 60), ("val", 20), ("test", 20)):
        assert parts.count(part) == count


def test_near_identical_pictures_stay_in_one_part(tmp_path: Path) -> None:
    files = pictures({"a": 30, "b": 30}, size=32)
    for number in range(0, 30, 3):
        small = Image.open(BytesIO(files[f"a/{number:03d}.png"])).resize((16, 16))
        files[f"a/{number:03d}-small.png"] = encode(small)
    index = scan(write(tmp_path, files))
    assert len(index.near_duplicates) == 10
    for seed in range(3):
        part = dict(zip(index.paths, parts_of(index, split(index, seed=seed, val=0.5)), strict=True))
        assert all(part[f"a/{n:03d}.png"] == part[f"a/{n:03d}-small.png"] for n in range(0, 30, 3))
        assert list(part.values()).count("val") == 35


def grouped(patients: int = 20, each: int = 6) -> Index:
    index = index_of({"a": patients * each // 2, "b": patients * each // 2})
    paths = tuple(f"{'ab'[k % 2]}/p{k // each:02d}_{k}.png" for k in range(patients * each))
    return dataclasses.replace(index, paths=paths, labels=np.arange(len(paths)) % 2)


def test_a_patients_pictures_stay_in_one_part() -> None:
    index = grouped()
    done = split(index, seed=0, val=0.2, group=r"/(p\d+)_")
    patients = [{index.paths[number][2:5] for number in done.part(part)} for part in ("train", "val")]
    assert not patients[0] & patients[1]
    assert len(patients[1]) == 4
    assert np.bincount(index.labels[done.val]).tolist() == [12, 12]
    assert done.notes == (r"group /(p\d+)_: 20 groups",)
    assert done.groups is not None
    assert len(np.unique(done.groups)) == 20
    assert split(index, seed=0, val=0.2).groups is None


def test_paths_that_do_not_match_a_group_are_counted() -> None:
    index = grouped()
    done = split(index, seed=0, group="(p0[0-4])")
    assert "5 groups; 90 paths do not match and stand alone, such as 'a/p05_30.png'" in done.notes[0]
    with pytest.raises(ConfigError, match=r"group: must match paths such as 'a/p00_0.png'. Got 'patient'"):
        split(index, seed=0, group="patient")
    with pytest.raises(ConfigError, match=r"group: must be a regular expression. Got '\('"):
        split(index, seed=0, group="(")


def test_a_class_whose_pictures_all_belong_together_is_said() -> None:
    index = alike(index_of({"a": 10, "b": 6}), tuple(range(10, 16)))
    done = split(index, seed=0)
    assert np.bincount(index.labels[done.val], minlength=2).tolist() == [2, 0]
    assert done.notes == ("val has no picture of class 'b': all of them belong together",)
    with pytest.raises(DataError, match=r"val needs a picture\. Got none"):
        split(alike(index, tuple(range(10))), seed=0)


def test_groups_do_not_depend_on_the_order_of_the_pictures() -> None:
    index = alike(grouped(), (0, 7), (20, 90, 100))
    turned = np.random.default_rng(0).permutation(len(index))
    other = dataclasses.replace(
        index, paths=tuple(index.paths[i] for i in turned), labels=index.labels[turned], digests=index.digests[turned]
    )
    for options in ({}, {"group": r"/(p\d+)_"}, {"folds": 3, "fold": 1}):
        one, two = (split(each, seed=0, **options) for each in (index, other))
        assert names(index, one.val) == names(other, two.val)


# --------------------------------------------------------------------------------------------------------- folds


@pytest.mark.parametrize("folds", [2, 3, 5])
def test_every_picture_is_once_in_val(folds: int) -> None:
    index = alike(index_of({"a": 23, "b": 40, "c": 8}), (0, 1, 2), (25, 30))
    each = [split(index, seed=4, folds=folds, fold=fold) for fold in range(folds)]
    assert sorted(np.concatenate([one.val for one in each]).tolist()) == list(range(len(index)))
    sizes = [len(one.val) for one in each]
    assert max(sizes) - min(sizes) <= 1
    for one in each:
        assert covers(index, one)
        parts = parts_of(index, one)
        assert parts[0] == parts[1] == parts[2]
        counts = np.bincount(index.labels[one.val], minlength=3)
        assert (np.abs(counts - np.array([23, 40, 8]) / folds) < 1).all()


def test_folds_keep_a_ready_made_test() -> None:
    index = ready_made("train", "test")
    done = split(index, seed=0, folds=5, fold=4)
    assert len(done.test) == 20
    assert len(done.val) == 4
    assert covers(index, done)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"folds": 1, "fold": 0}, "folds is 2 or more"),
        ({"folds": 5}, "folds is 2 or more"),
        ({"fold": 1}, "folds is 2 or more"),
        ({"folds": 5, "fold": 5}, "folds is 2 or more"),
        ({"folds": 5, "fold": -1}, "folds is 2 or more"),
        ({"folds": 5, "fold": 0, "test": 0.2}, r"into train and val. Got test=0.2"),
        ({"by": "chance"}, 'by is "content" or "name". Got \'chance\''),
        ({"by": "name", "group": "(a)"}, "nothing but the names"),
        ({"by": "name", "folds": 5, "fold": 0}, "nothing but the names"),
    ],
)
def test_options_that_exclude_each_other(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        split(index_of({"a": 10, "b": 10}), seed=0, **options)


def test_folds_beside_a_val_folder_are_refused() -> None:
    with pytest.raises(ConfigError, match="a folder with a val part"):
        split(ready_made("train", "val"), seed=0, folds=5, fold=0)


def test_more_folds_than_pictures_are_refused() -> None:
    with pytest.raises(DataError, match=r"each of the 5 folds\. Got 4 of class 'b'"):
        split(index_of({"a": 10, "b": 4}), seed=0, folds=5, fold=0)


# ------------------------------------------------------------------------------------------------------- by name


def test_by_name_the_first_of_each_class_train() -> None:
    """The first 80 % of each class, in natural order: 10 after 9."""
    index = index_of({"a": 10, "b": 21})
    done = split(index, seed=0, by="name")
    assert [index.paths[number] for number in done.val] == [f"a/{n}.png" for n in (8, 9)] + [
        f"b/{n}.png" for n in (17, 18, 19, 20)
    ]
    assert covers(index, done)
    assert np.array_equal(done.val, split(index, seed=1, by="name").val)


def test_by_name_test_comes_last_and_nothing_is_moved() -> None:
    index = alike(index_of({"a": 10, "b": 10}), (0, 9))
    done = split(index, seed=0, by="name", val=0.2, test=0.1)
    assert [index.paths[number] for number in done.test] == ["a/9.png", "b/9.png"]
    assert [index.paths[number] for number in done.val] == ["a/7.png", "a/8.png", "b/7.png", "b/8.png"]


# ------------------------------------------------------------------------------------------------- split.csv


def odd_folder(root: Path) -> Index:
    write(root, pictures({"a, b": 4, 'quo"te': 4, "new\nline": 4, "Ünï": 4}))
    os.rename(os.fsencode(root / "Ünï/000.png"), os.fsencode(root / "Ünï") + b"/\xff.png")
    return scan(root)


def test_split_csv_round_trip_with_odd_names(tmp_path: Path) -> None:
    index = odd_folder(tmp_path / "data")
    done = split(index, seed=0, val=0.25, test=0.25)
    write_split(tmp_path / "split.csv", index, done)
    back = read_split(tmp_path / "split.csv", index)
    for part in ("train", "val", "test"):
        assert np.array_equal(back.part(part), done.part(part))
    with open(tmp_path / "split.csv", newline="", errors="surrogateescape") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["path", "class", "part", "hash"]
    assert [row["path"] for row in rows] == list(index.paths)
    assert rows[0]["hash"] == index.digest(0)
    assert {row["class"] for row in rows} == set(index.classes)


def test_split_csv_of_other_pictures_is_refused(tmp_path: Path) -> None:
    root = write(tmp_path / "data", pictures({"a": 3, "b": 3}))
    index = scan(root)
    write_split(tmp_path / "split.csv", index, split(index, seed=0))
    (root / "a/001.png").write_bytes((root / "b/001.png").read_bytes())
    with pytest.raises(DataError, match=r"'a/001.png', which has other content"):
        read_split(tmp_path / "split.csv", scan(root))
    (root / "a/001.png").unlink()
    with pytest.raises(DataError, match=r"'a/001.png', which is not there"):
        read_split(tmp_path / "split.csv", scan(root))
    for text in ("nonsense", "path,class,part,hash\n" + f"{index.paths[0]},a,nowhere,{index.digest(0)}\n"):
        (tmp_path / "split.csv").write_text(text)
        with pytest.raises(DataError, match="columns path, class, part, hash"):
            read_split(tmp_path / "split.csv", index)
    with pytest.raises(DataError, match="FileNotFoundError"):
        read_split(tmp_path / "missing.csv", index)
