"""A plan's way to text and to disk and back, and what is refused there."""

from __future__ import annotations

import base64
import io
import json
import pickle
import zipfile

import numpy as np
import pytest

import crossfade as cf
from crossfade.mixing.plan import Plan
from tests.unit.mixing.plans import ONES, legal


def awkward() -> Plan:
    """Numbers that no short decimal holds, and those at the ends of their types."""
    weight = np.array([[1 / 3, 2 / 3 - 5e-324, 5e-324], [0.1, 0.2, 0.7]])
    opacity = [[1, np.float32(1e-45), 0.1], [1, np.nextafter(np.float32(1), np.float32(0)), 1 / 3]]
    return Plan(**legal(opacity=opacity, weight=weight, mask=np.random.default_rng(0).random((2, 4, 6)), fit="resize"))


@pytest.mark.parametrize(
    "plan", [Plan(**legal()), awkward(), Plan.identity((1, 1, 1))], ids=["plain", "awkward", "one"]
)
def test_json_and_npz_are_exact_to_the_bit(plan, tmp_path):
    plan.save(tmp_path / "plan.npz")
    for back in (
        Plan.from_json(plan.to_json()),
        Plan.load(tmp_path / "plan.npz"),
        Plan.load(str(tmp_path / "plan.npz")),
    ):
        assert back == plan
        for name in ("source", "opacity", "box", "weight"):
            assert getattr(back, name).tobytes() == getattr(plan, name).tobytes()
    assert json.loads(plan.to_json())["format"] == 1


def test_save_writes_the_name_it_was_given(tmp_path):
    Plan.identity((1, 2, 2)).save(tmp_path / "plan")
    assert [path.name for path in tmp_path.iterdir()] == ["plan"]


def record(**changes) -> str:
    return json.dumps(json.loads(Plan(**legal(mask=ONES)).to_json()) | changes)


HOSTILE_JSON = {
    "nothing": "",
    "no object": "[]",
    "a number": "1",
    "null": "null",
    "half": record()[:80],
    "deep": "[" * 100_000,
    "another format": record(format=2),
    "no format": '{"fit": "crop"}',
    "a missing field": '{"format": 1, "fit": "crop"}',
    "text for numbers": record(source="abc"),
    "null for numbers": record(weight=None),
    "ragged": record(box=[[1], [1, 2]]),
    "huge": record(source=[[0, 10**30, 1], [1, 0, 1]]),
    "infinity": record(opacity=[[1, float("inf"), 1]] * 2),
    "nan": record(weight=[[float("nan"), 1, 0]] * 2),
    "short mask": record(mask="AAAA"),
    "mask of text": record(mask="é!"),
    "mask of numbers": record(mask=7),
    "negative size": record(box=[[[0, 0, -4, -6]] * 3] * 2),
    "no boxes": record(box=[]),
    "fit of numbers": record(fit=3),
    "fit of lists": record(fit=["crop"]),
    "objects": record(source=[[{}, {}, {}]] * 2),
    "mask out of range": record(mask=base64.b64encode((ONES * 2).tobytes()).decode()),
}


@pytest.mark.parametrize("text", HOSTILE_JSON.values(), ids=HOSTILE_JSON)
def test_json_that_is_no_plan_is_refused(text):
    with pytest.raises(cf.PlanError):
        Plan.from_json(text)


@pytest.mark.parametrize("text", [None, 5, b"\xff\xfe\x00"])
def test_what_is_not_even_text_is_refused(text):
    with pytest.raises(cf.PlanError):
        Plan.from_json(text)


class Trap:
    """Would announce itself if it were ever unpickled."""

    sprung = False

    def __reduce__(self):
        return setattr, (Trap, "sprung", True)


def npz(**changes) -> bytes:
    file, plan = io.BytesIO(), Plan(**legal())
    arrays = {"source": plan.source, "opacity": plan.opacity, "box": plan.box, "weight": plan.weight}
    np.savez(file, **({"format": 1, "fit": "crop"} | arrays | changes))
    return file.getvalue()


def zipped(name: str, content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, content)
    return file.getvalue()


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


HOSTILE_FILES = {
    "empty": b"",
    "text": b"a plan",
    "an npy": npy(np.zeros(3)),
    "a pickle": pickle.dumps({"source": 1}),
    "a pickled trap": pickle.dumps(Trap()),
    "a trap as source": npz(source=np.array([[Trap()] * 3] * 2, object)),
    "a trap beside": npz(extra=np.array(Trap(), object)),
    "an unknown field": npz(extra=1),
    "another format": npz(format=2),
    "formats": npz(format=[1, 1]),
    "format of text": npz(format="one"),
    "no arrays": zipped("readme.txt", b"hello"),
    "no npy inside": zipped("source.npy", b"hello"),
    "floats for sources": npz(source=np.zeros((2, 3))),
    "weights of a wrong sum": npz(weight=np.ones((2, 3))),
    "fit": npz(fit="stretch"),
    "a header that asks for a million gigabytes": zipped(
        "source.npy", npy(np.zeros(1)).replace(b"(1,)", b"(%d,)" % (10**16 - 1))
    ),
}


@pytest.mark.parametrize("content", HOSTILE_FILES.values(), ids=HOSTILE_FILES)
def test_files_that_are_no_plan_are_refused(content, tmp_path):
    (tmp_path / "plan.npz").write_bytes(content)
    with pytest.raises(cf.PlanError):
        Plan.load(tmp_path / "plan.npz")
    assert not Trap.sprung


def test_every_truncated_file_is_refused(tmp_path):
    whole = npz()
    for length in range(0, len(whole) - 1, 37):
        (tmp_path / "plan.npz").write_bytes(whole[:length])
        with pytest.raises(cf.PlanError):
            Plan.load(tmp_path / "plan.npz")


def test_a_damaged_file_is_refused_or_says_the_same(tmp_path):
    whole, plan = npz(), Plan(**legal())
    for at in range(0, len(whole), 23):
        (tmp_path / "plan.npz").write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
        try:
            assert Plan.load(tmp_path / "plan.npz") == plan
        except cf.PlanError:
            continue


def test_a_missing_file_is_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        Plan.load(tmp_path / "plan.npz")
    with pytest.raises(cf.PlanError):
        Plan.load(tmp_path)
