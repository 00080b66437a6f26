"""What is read back of a run folder."""

from __future__ import annotations

from pathlib import Path

from crossfade.training.record import append_line, own_root, read_lines, read_record, write_json


def test_a_line_that_was_cut_off_is_none(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    assert read_lines(path) == []
    for epoch in (1, 2):
        append_line(path, {"epoch": epoch})
    path.write_bytes(path.read_bytes()[:-4])
    assert read_lines(path) == [{"epoch": 1}]


def test_the_nearest_record_tells_of_the_pictures(tmp_path: Path) -> None:
    run = tmp_path / "compare" / "none" / "seed-0"
    run.mkdir(parents=True)
    assert own_root(run) is None
    write_json(tmp_path / "command.json", {"kind": "demo", "data": "/far"})
    assert own_root(run) == Path("/far")
    write_json(tmp_path / "compare" / "data.json", {"root": "/near"})
    assert own_root(run) == Path("/near")
    assert read_record(run, "data.json") == {"root": "/near"}
    (run / "data.json").write_text("[1")
    assert read_record(run, "data.json") == {"root": "/near"}, "a damaged one is none"
