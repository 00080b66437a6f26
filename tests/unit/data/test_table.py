from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossfade.data.table import read_table, write_table

FORMULAS = ["=1+1", "+1", "-rf", "@SUM(A1)", "\tx", "\rx", "\n=1", "'quoted", "''"]
ODD = ["a,b", 'a"b', "new\nline", "<b>", "\udcff\udcfe", "", "e\u0301", "\u00e9", " =1"]
NASTY = FORMULAS + ODD
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


def test_no_cell_is_a_formula_and_every_cell_comes_back(tmp_path: Path) -> None:
    write_table(tmp_path / "t.csv", ("path", "=class"), [(name, 1.5) for name in NASTY])
    rows = list(read_table(tmp_path / "t.csv", ("path", "=class")))
    assert [row["path"] for row in rows] == NASTY
    assert {row["=class"] for row in rows} == {"1.5"}
    with open(tmp_path / "t.csv", newline="", encoding="utf-8", errors="surrogateescape") as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))]
    assert b"\xff\xfe" in (tmp_path / "t.csv").read_bytes()


def test_numbers_stay_numbers(tmp_path: Path) -> None:
    for row in ((-1, -0.5), (np.int64(-1), np.float32(-0.5))):
        write_table(tmp_path / "t.csv", ("x", "y"), [row])
        assert (tmp_path / "t.csv").read_text().splitlines()[1] == "-1,-0.5"


@given(
    st.lists(
        st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), min_size=2, max_size=2)
    )
)
def test_any_text_comes_back(tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]]) -> None:
    path = tmp_path_factory.mktemp("table") / "t.csv"
    write_table(path, ("a", "b"), rows)
    assert [list(row.values()) for row in read_table(path, ("a",))] == rows


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    write_table(tmp_path / "t.csv", ("a",), [])
    with pytest.raises(KeyError, match="part"):
        list(read_table(tmp_path / "t.csv", ("a", "part")))
    os.truncate(tmp_path / "t.csv", 0)
    with pytest.raises(KeyError, match="part"):
        list(read_table(tmp_path / "t.csv", ("part",)))


def test_rows_are_written_as_they_come_and_the_file_is_there_at_the_end(tmp_path: Path) -> None:
    path, seen = tmp_path / "t.csv", []

    def rows():
        for number in range(10_000):
            seen.append((path.exists(), sum(file.stat().st_size for file in tmp_path.iterdir())))
            yield (number,)

    write_table(path, ("x",), rows())
    assert not any(there for there, _ in seen)
    assert seen[-1][1] > 30_000, "not kept until the end"
    assert len(path.read_text().splitlines()) == 10_001


def test_a_table_that_is_broken_off_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("old")

    def rows():
        yield (1,)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_table(tmp_path / "t.csv", ("x",), rows())
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("t.csv", "old")]
