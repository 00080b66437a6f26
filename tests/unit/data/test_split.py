from __future__ import annotations

import csv
import dataclasses
import os
from pathlib import Path

import numpy as np
import pytest

from crossfade.data import Index, Split, first_per_class, read_split, scan, split, write_split
from crossfade.errors import ConfigError, DataError
from tests.unit.data.folders import pictures, write


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
