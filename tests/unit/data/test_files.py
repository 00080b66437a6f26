from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from crossfade.data import RefusedPicture, load_picture, scan
from crossfade.data.files import HEAD_BYTES, read_below, read_file
from crossfade.data.listing import list_folder
from crossfade.data.refusal import MAX_BYTES
from tests.unit.data.folders import encode, noise, pictures, write


def reason(path: Path) -> str:
    with pytest.raises(RefusedPicture) as caught:
        read_file(path)
    return caught.value.reason


def reason_below(root: Path, name: str) -> str:
    with pytest.raises(RefusedPicture) as caught:
        read_below(f"{root}/", name)
    folder = os.open(root, os.O_RDONLY)
    try:
        with pytest.raises(RefusedPicture) as again:
            read_below(f"{root}/", name, folder)
    finally:
        os.close(folder)
    assert str(again.value) == str(caught.value)
    return caught.value.reason


@pytest.mark.parametrize("size", [0, 1, HEAD_BYTES - 1, HEAD_BYTES, HEAD_BYTES + 1, 40 * HEAD_BYTES])
def test_files_of_every_size_come_whole(tmp_path: Path, size: int) -> None:
    data = (b"\xff\xd8\xff" + os.urandom(size))[:size]
    (tmp_path / "x").write_bytes(data)
    assert read_file(tmp_path / "x") == data
    assert read_below(f"{tmp_path}/", "x") == data


@pytest.mark.timeout(5)
def test_what_is_no_regular_file_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        for path in (tmp_path / "pipe", tmp_path / "socket", tmp_path, Path("/dev/zero"), Path("/dev/null")):
            assert reason(path) == "not_a_regular_file"
    with pytest.raises(RefusedPicture, match="not_a_regular_file"):
        load_picture(tmp_path / "pipe", size=8)


@pytest.mark.timeout(5)
def test_a_pipe_that_somebody_writes_into_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    writer = os.open(tmp_path / "pipe", os.O_WRONLY)
    os.write(writer, encode(noise(8, 8)))
    try:
        assert reason(tmp_path / "pipe") == "not_a_regular_file"
    finally:
        os.close(writer)
        os.close(reader)


def test_links_are_followed_inside_the_root_only(tmp_path: Path) -> None:
    root, data = tmp_path / "root", encode(noise(8, 8))
    write(root, {"a/x.png": data})
    write(tmp_path / "root-twin", {"x.png": data})
    (root / "inside.png").symlink_to("a/x.png")
    (root / "outside.png").symlink_to("../root-twin/x.png")
    (root / "round.png").symlink_to("round.png")
    (root / "gone.png").symlink_to("nowhere.png")
    os.mkfifo(root / "pipe")
    (root / "to-pipe.png").symlink_to("pipe")
    assert read_below(f"{root}/", "inside.png") == data
    assert reason_below(root, "outside.png") == "outside_root"
    assert reason_below(root, "round.png") == "unreadable"
    assert reason_below(root, "gone.png") == "unreadable"
    assert reason_below(root, "to-pipe.png") == "not_a_regular_file"
    assert read_file(root / "outside.png") == data, "whoever names a link means what it leads to"


def test_a_file_that_became_a_link_to_elsewhere_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write(tmp_path / "data", pictures({"a": 2, "b": 2}))
    secret = write(tmp_path / "elsewhere", {"secret.png": encode(noise(8, 8, seed=99))})
    genuine = list_folder

    def list_then_swap(*args: object) -> object:
        listing = genuine(*args)
        (root / "a/000.png").unlink()
        (root / "a/000.png").symlink_to(secret / "secret.png")
        (root / "b/000.png").unlink()
        os.mkfifo(root / "b/000.png")
        return listing

    monkeypatch.setitem(scan.__globals__, "list_folder", list_then_swap)
    index = scan(root, workers=1)
    assert [(one.path, one.reason) for one in index.refused] == [
        ("a/000.png", "outside_root"),
        ("b/000.png", "not_a_regular_file"),
    ]


def test_a_huge_file_is_refused_by_its_first_bytes_or_its_size(tmp_path: Path) -> None:
    for name, start, expected in (
        ("film.jpg", b"\0\0\0\x18ftypmp42", "not_an_image"),
        ("x.jpg", b"\xff\xd8\xff", "unreadable"),
    ):
        with open(tmp_path / name, "wb") as file:
            file.write(start)
            file.truncate(3 * MAX_BYTES)
        assert reason(tmp_path / name) == expected


def test_a_file_that_grows_while_it_is_read_ends_somewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "log.jpg"
    path.write_bytes(b"\xff\xd8\xff" + bytes(2 * HEAD_BYTES))
    monkeypatch.setattr("crossfade.data.files.MAX_BYTES", 8 * HEAD_BYTES)
    genuine = os.pread

    def pread(handle: int, count: int, at: int) -> bytes:
        with open(path, "ab") as file:
            file.write(bytes(HEAD_BYTES))
        return genuine(handle, HEAD_BYTES, at)

    monkeypatch.setattr("crossfade.data.files._pread", pread)
    assert reason(path) == "unreadable"


def test_no_handle_is_left_open(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "text").write_bytes(b"x" * 2 * HEAD_BYTES)
    before = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0
    for _ in range(20):
        reason(tmp_path / "pipe")
        reason(tmp_path / "text")
    if before:
        assert len(os.listdir("/proc/self/fd")) == before
