from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import numpy as np
import pytest

from crossfade.data import scan
from crossfade.data._crew import Crew
from crossfade.data._reading import Job
from crossfade.data.listing import natural_key
from crossfade.data.refusal import REASONS
from crossfade.errors import DataError
from tests.unit.data.folders import encode, noise, pictures, write
from tests.unit.data.scanning import snapshot
from tests.unit.data.test_decode import png_with_header


def test_a_plain_folder(tmp_path: Path) -> None:
    index = scan(write(tmp_path, pictures({"rose": 3, "daisy": 2, "daisy/close/up": 1})))
    assert index.classes == ("daisy", "rose")
    assert index.paths == (
        "daisy/000.png",
        "daisy/001.png",
        "daisy/close/up/000.png",
        "rose/000.png",
        "rose/001.png",
        "rose/002.png",
    )
    assert index.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert index.sizes.tolist() == [[8, 8]] * 6
    assert index.counts == {"daisy": 3, "rose": 3}
    assert set(index.parts) == {""}
    assert index.channels == 3
    assert index.labels.dtype == np.int64
    assert index.sizes.dtype == np.int32


def test_digest_is_blake2b_of_the_bytes(tmp_path: Path) -> None:
    from hashlib import blake2b

    files = pictures({"a": 1, "b": 1})
    index = scan(write(tmp_path, files))
    assert index.digest(1) == blake2b(files["b/000.png"], digest_size=16).hexdigest()


def test_classes_stand_in_natural_order(tmp_path: Path) -> None:
    names = ["10", "2", "1", "b10", "B9", "a"]
    index = scan(write(tmp_path, pictures(dict.fromkeys(names, 1))))
    assert index.classes == ("1", "2", "10", "a", "B9", "b10")
    assert sorted(["x2y10", "x2y9", "x10", "x"], key=natural_key) == ["x", "x2y9", "x2y10", "x10"]


def test_channels_is_1_only_if_every_picture_is_grey(tmp_path: Path) -> None:
    grey = {f"{name}/{i}.png": encode(noise(8, 8, 1, seed=i)) for i in range(2) for name in "ab"}
    assert scan(write(tmp_path, grey)).channels == 1
    assert scan(write(tmp_path, {"b/colour.png": encode(noise(8, 8))})).channels == 3


def test_sizes_are_upright(tmp_path: Path) -> None:
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = 6
    files = {"a/0.jpg": encode(noise(16, 24), "JPEG", exif=exif), "b/0.jpg": encode(noise(16, 24), "JPEG")}
    assert scan(write(tmp_path, files)).sizes.tolist() == [[24, 16], [16, 24]]


def messy(root: Path) -> Path:
    good = encode(noise(40, 40), "JPEG")
    damaged = bytearray(encode(np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)))
    damaged[len(damaged) // 2] ^= 0xFF
    write(
        root,
        {
            **pictures({"cat": 3, "dog": 3}),
            "cat/corrupt.png": bytes(damaged),
            "cat/cut.jpg": good[: len(good) // 2],
            "cat/empty.jpg": b"",
            "cat/notes.txt": b"remember the milk",
            "cat/drawing.svg": b"<svg></svg>",
            "cat/depth.tif": encode(np.zeros((8, 8), np.float32), "TIFF"),
            "cat/bomb.png": png_with_header(50_000, 50_000),
            "cat/dot.gif": encode(np.zeros((1, 1), np.uint8), "GIF"),
            "cat/.hidden.jpg": good,
            "dog/Thumbs.db": b"x",
            "dog/desktop.ini": b"x",
            "__MACOSX/cat/000.png": good,
            ".ipynb_checkpoints/x.png": good,
            "dog/.ipynb_checkpoints/x.png": good,
            "README.txt": b"x",
            "dog/copy of 000.png": (root / "dog/000.png").read_bytes() if (root / "dog/000.png").exists() else b"",
        },
    )
    (root / "dog/copy of 000.png").write_bytes((root / "dog/000.png").read_bytes())
    os.mkfifo(root / "dog/pipe.jpg")
    (root / "dog/gone.jpg").symlink_to("nowhere.jpg")
    (root / "dog/round.jpg").symlink_to("round.jpg")
    (root / "dog/inside.png").symlink_to("../cat/000.png")
    (root / "dog/up").symlink_to("..")
    outside = write(root.parent / f"{root.name}-outside", {"x.png": good})
    (root / "dog/outside.png").symlink_to(outside / "x.png")
    (root / "bird").symlink_to(outside)
    return root


def test_a_messy_folder_tells_every_refusal_and_its_reason(tmp_path: Path) -> None:
    root = messy(tmp_path / "data")
    before = snapshot(root)
    index = scan(root)
    assert {refusal.path: refusal.reason for refusal in index.refused} == {
        "cat/corrupt.png": "corrupt",
        "cat/cut.jpg": "truncated",
        "cat/empty.jpg": "empty_file",
        "cat/notes.txt": "not_an_image",
        "cat/drawing.svg": "unsupported_format",
        "cat/depth.tif": "unsupported_variant",
        "cat/bomb.png": "too_many_pixels",
        "cat/dot.gif": "too_small",
        "dog/pipe.jpg": "not_a_regular_file",
        "dog/gone.jpg": "unreadable",
        "dog/round.jpg": "unreadable",
        "dog/outside.png": "outside_root",
        "dog/up": "not_a_regular_file",
        "bird": "outside_root",
    }
    assert {refusal.reason for refusal in index.refused} == set(REASONS)
    assert all(refusal.detail for refusal in index.refused)
    assert index.ignored == (
        ".ipynb_checkpoints",
        "README.txt",
        "__MACOSX",
        "cat/.hidden.jpg",
        "dog/.ipynb_checkpoints",
        "dog/Thumbs.db",
        "dog/desktop.ini",
    )
    assert index.counts == {"cat": 3, "dog": 5}
    assert index.duplicates == [["cat/000.png", "dog/inside.png"], ["dog/000.png", "dog/copy of 000.png"]]
    assert snapshot(root) == before, "the folder of pictures must stay as it was"


def test_as_dict_is_the_json_of_the_command(tmp_path: Path) -> None:
    index = scan(messy(tmp_path / "data"))
    summary = json.loads(json.dumps(index.as_dict()))
    assert list(summary)[:7] == ["root", "images", "classes", "refused", "ignored", "duplicates", "sizes"]
    assert summary["images"] == 8
    assert summary["classes"] == {"cat": 3, "dog": 5}
    assert set(summary["refused"][0]) == {"path", "reason", "detail"}
    assert summary["sizes"]["width"] == {"min": 8, "median": 8.0, "max": 8}
    assert "parts" not in summary
    assert index.to_json() == index.as_dict()


def test_a_socket_is_not_opened(tmp_path: Path) -> None:
    write(tmp_path, pictures({"a": 1, "b": 1}))
    here = os.getcwd()
    os.chdir(tmp_path / "a")  # the name of a socket may have 107 bytes only
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind("s.jpg")
            assert scan(tmp_path).refused[0].reason == "not_a_regular_file"
    finally:
        os.chdir(here)


def test_a_pipe_that_took_the_place_of_a_file_does_not_stop_us(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    job = Job("decode", f"{tmp_path}/", 10**8)
    found = Crew(1).read(job, ["pipe.jpg", "missing.jpg", "."])
    assert [reason for _, reason, _ in found.refused] == ["not_a_regular_file", "unreadable", "not_a_regular_file"]
    assert not found.shapes.any()


def test_odd_names(tmp_path: Path) -> None:
    names = ["Ünïcödé 猫", "a b", "semi;colon", 'quo"te', "new\nline", "100%", "-rf", "$(x)"]
    files = {f"{name}/{name}.png": encode(noise(8, 8, seed=i)) for i, name in enumerate(names)}
    index = scan(write(tmp_path, files))
    assert set(index.classes) == set(names)
    assert not index.refused
    assert set(index.paths) == set(files)


def test_names_that_are_no_text(tmp_path: Path) -> None:
    write(tmp_path, pictures({"a": 2, "b": 2}))
    os.rename(os.fsencode(tmp_path / "b/000.png"), os.fsencode(tmp_path / "b") + b"/\xff\xfe.png")
    index = scan(tmp_path)
    assert not index.refused
    assert os.fsencode(index.paths[-1]) == b"b/\xff\xfe.png"
    json.dumps(index.as_dict())


def test_the_root_may_be_a_link(tmp_path: Path) -> None:
    write(tmp_path / "real", pictures({"a": 1, "b": 1}))
    (tmp_path / "link").symlink_to("real")
    assert len(scan(tmp_path / "link")) == 2


# --------------------------------------------------------------------------------------- ready-made parts


def test_ready_made_parts(tmp_path: Path) -> None:
    counts = {"train/a": 3, "train/b": 3, "valid/a": 2, "valid/b": 1, "test/a": 1}
    index = scan(write(tmp_path, {**pictures(counts), "README.md": b"", "train/list.csv": b""}))
    assert index.classes == ("a", "b")
    assert index.parts == ("train",) * 6 + ("val",) * 3 + ("test",)
    assert index.labels.tolist() == [0, 0, 0, 1, 1, 1, 0, 0, 1, 0]
    assert index.as_dict()["parts"] == {
        "train": {"a": 3, "b": 3},
        "val": {"a": 2, "b": 1},
        "test": {"a": 1, "b": 0},
    }
    assert index.ignored == ("README.md", "train/list.csv")


def test_train_among_other_classes_is_a_class(tmp_path: Path) -> None:
    index = scan(write(tmp_path, pictures({"train": 1, "bus": 1, "plane": 1})))
    assert index.classes == ("bus", "plane", "train")
    assert not index.has_parts


def test_train_alone(tmp_path: Path) -> None:
    index = scan(write(tmp_path, pictures({"train/a": 1, "train/b": 1})))
    assert index.parts == ("train", "train")


# ----------------------------------------------------------------------------------------------- bad folders


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({}, r"a folder of pictures for each class\. Got an empty folder.*Make one folder per class"),
        ({"0.png": b"x", "1.png": b"x"}, r"Got 2 files directly in it.*Make one folder per class"),
        ({"a/0.png": b"x"}, r"at least two classes\. Got only 'a'"),
        ({"a/0.png": b"x", "b/0.png": b""}, r"Got 1 not_an_image, 1 empty_file; the first is 'a/0.png'"),
        ({**pictures({"a": 1}), "b/0.png": b"x"}, r"Got only refused files \(1 not_an_image.*for class 'b'"),
        ({**pictures({"a": 1}), "b/.keep": b""}, r"Got an empty folder for class 'b'"),
        ({**pictures({"train/a": 1, "val/a": 1})}, r"at least two classes"),
        ({**pictures({"train/a": 1, "train/b": 1, "val/c": 1})}, r"of val/ must be among those of train/\. Got 'c'"),
        ({**pictures({"train/a": 1, "val/a": 1, "val/b": 1}), "train/b/x": b"x"}, r"for class 'b'"),
        ({**pictures({"train/a": 1, "train/b": 1, "val/a": 1, "valid/a": 1})}, r"Got 'val' and 'valid'"),
        ({**pictures({"train": 3, "test": 3})}, r"train/ needs a folder of pictures for each class"),
    ],
)
def test_folders_that_cannot_be_trained_on(tmp_path: Path, files: dict[str, bytes], words: str) -> None:
    with pytest.raises(DataError, match=words) as caught:
        scan(write(tmp_path, files))
    message = str(caught.value)
    assert message.startswith("scan: ")
    assert str(tmp_path) in message
    assert message.endswith(".")


def test_no_such_folder_and_no_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"must exist\. Got .*missing\. Check the path"):
        scan(tmp_path / "missing")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DataError, match=r"must be a folder with a folder for each class\. Got the file"):
        scan(tmp_path / "file")
