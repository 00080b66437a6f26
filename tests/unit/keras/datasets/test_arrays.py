"""`ArrayDataset`: pictures and labels as they come, mixed exactly; and what it refuses."""

from __future__ import annotations

import multiprocessing
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import crossfade as cf
from crossfade.errors import ArrayError, ConfigError, LabelError
from crossfade.keras import ArrayDataset
from tests.unit.keras.watching import assert_same

PICTURES = np.random.default_rng(0).integers(0, 256, (11, 6, 8, 3), dtype=np.uint8)
LABELS = np.arange(11) % 3
LAST = {"data_format": "channels_last"}


def test_bytes_are_divided_and_mixed() -> None:
    mixed = ArrayDataset(PICTURES, LABELS, 4, mix="mixup:alpha=1.0", seed=1, **LAST)
    plain = ArrayDataset(PICTURES, LABELS, 4, seed=1, **LAST)
    assert (len(mixed), mixed.n, mixed.num_classes, mixed.image_shape) == (3, 11, 3, (6, 8, 3))
    ids = mixed._source.ready(0, 2).ids
    np.testing.assert_allclose(plain[2][0], PICTURES[ids] / 255, atol=1e-6)
    np.testing.assert_allclose(mixed[2][0], cf.mix_images(plain[2][0], mixed.plan(2), layout="NHWC"), atol=1e-6)
    np.testing.assert_array_equal(mixed[2][1], cf.mix_targets(LABELS[ids], mixed.plan(2), num_classes=3))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_floats_keep_their_values(dtype: str) -> None:
    x = (np.random.default_rng(1).normal(size=PICTURES.shape) * 7).astype(dtype)
    plain = ArrayDataset(x, LABELS, 4, shuffle=False, **LAST)
    np.testing.assert_array_equal(plain[1][0], x[4:8].astype(np.float32))
    mixed = ArrayDataset(x, LABELS, 4, shuffle=False, mix=cf.CutMix(1.0), **LAST)
    np.testing.assert_array_equal(mixed[1][0], cf.mix_images(plain[1][0], mixed.plan(1), layout="NHWC"))
    paired = ArrayDataset(x, LABELS, 4, mix=cf.MixUp(1.0), partners="stream", **LAST)
    assert paired[2][0].shape == (3, 6, 8, 3)
    assert paired.preview(5)[0].dtype == np.uint8


def test_a_preview_of_one_grey_is_black(recwarn: pytest.WarningsRecorder) -> None:
    preview = ArrayDataset(np.full_like(PICTURES, -3, np.float32), LABELS, shuffle=False, **LAST).preview(3)[0]
    assert (preview == 0).all()
    assert not recwarn


@pytest.mark.parametrize("scale", [1, 255])
def test_a_preview_of_floats_has_their_lights_and_darks(scale: int) -> None:
    x = PICTURES.astype(np.float32) / 255 * scale
    preview = ArrayDataset(x, LABELS, shuffle=False, **LAST).preview(3)[0]
    np.testing.assert_array_equal(preview, PICTURES[:3])


LABELS_ALIKE: dict[str, Any] = {
    "int64": LABELS,
    "uint8 column, as Keras' cifar10": LABELS.astype(np.uint8)[:, None],
    "float": LABELS.astype(np.float32),
    "one-hot": np.eye(3)[LABELS],
    "one-hot ints": np.eye(3, dtype=int)[LABELS],
    "list": LABELS.tolist(),
}


@pytest.mark.parametrize("y", LABELS_ALIKE.values(), ids=LABELS_ALIKE.keys())
@pytest.mark.parametrize("class_mode", ["categorical", "sparse"])
def test_labels_may_be_said_in_many_ways(y: Any, class_mode: Any) -> None:
    dataset = ArrayDataset(PICTURES, y, 4, class_mode=class_mode, shuffle=False)
    truth = LABELS[4:8] if class_mode == "sparse" else np.eye(3)[LABELS[4:8]]
    np.testing.assert_array_equal(dataset[1][1], truth)
    if class_mode == "categorical":
        assert_same(
            [ArrayDataset(PICTURES, y, 4, mix="cutmix")[1]], [ArrayDataset(PICTURES, LABELS, 4, mix="cutmix")[1]]
        )


def test_several_classes_of_one_picture_are_mixed() -> None:
    y = np.random.default_rng(2).integers(0, 2, (11, 5)).astype(np.float32)
    dataset = ArrayDataset(PICTURES, y, 4, mix="mixup:alpha=1.0", shuffle=False)
    np.testing.assert_allclose(dataset[0][1], cf.mix_targets(y[:4], dataset.plan(0)), atol=1e-6)
    np.testing.assert_array_equal(dataset.classes, y)


def test_binary_targets() -> None:
    y = (np.arange(11) % 2)[:, None].astype(np.float32)
    dataset = ArrayDataset(PICTURES, y, 4, class_mode="binary", mix="mixup:alpha=1.0", shuffle=False)
    assert dataset[2][1].shape == (3, 1)
    np.testing.assert_allclose(dataset[2][1], cf.mix_targets(np.eye(2)[y[8:, 0].astype(int)], dataset.plan(2))[:, 1:])
    only_ones = ArrayDataset(PICTURES, np.ones(11), class_mode="binary")
    np.testing.assert_array_equal(only_ones[0][1], np.ones((11, 1)))


def test_classes_may_have_names_and_be_absent() -> None:
    dataset = ArrayDataset(PICTURES, LABELS, class_names=["a", "b", "c", "d"])
    assert dataset.class_indices == {"a": 0, "b": 1, "c": 2, "d": 3}
    assert dataset[0][1].shape == (11, 4)
    assert ArrayDataset(PICTURES, LABELS, num_classes=7)[0][1].shape == (11, 7)
    assert ArrayDataset(PICTURES, LABELS).class_names == ["0", "1", "2"]


def test_channels_first_is_how_the_pictures_come() -> None:
    first = ArrayDataset(PICTURES.transpose(0, 3, 1, 2), LABELS, 4, mix="cutmix", data_format="channels_first")
    last = ArrayDataset(PICTURES, LABELS, 4, mix="cutmix", **LAST)
    np.testing.assert_array_equal(first[0][0].transpose(0, 2, 3, 1), last[0][0])


def test_the_arrays_are_left_as_they_were() -> None:
    x, y = PICTURES.copy(), LABELS.copy()
    dataset = ArrayDataset(x, y, 4, mix="mixup", augment="strong", preprocess={"threshold": 99})
    list(dataset)
    np.testing.assert_array_equal(x, PICTURES)
    np.testing.assert_array_equal(y, LABELS)


@pytest.mark.parametrize("processes", [False, True])
def test_workers_change_nothing(processes: bool) -> None:
    def dataset(workers: int) -> ArrayDataset:
        return ArrayDataset(PICTURES, LABELS, 4, mix="mixup", workers=workers, use_multiprocessing=processes)

    assert_same(list(dataset(2)), [dataset(0)[step] for step in range(3)])


STARTED_ANEW = """
import multiprocessing
import sys
import numpy as np
from crossfade.keras import ArrayDataset

if __name__ == "__main__":
    multiprocessing.set_start_method(sys.argv[1])
    x = np.random.default_rng(0).integers(0, 256, (60, 16, 16, 3), dtype=np.uint8)
    options = dict(batch_size=8, mix="mixup", augment="light", partners="stream")
    ours = list(ArrayDataset(x, np.arange(60) % 3, **options, workers=2, use_multiprocessing=True))
    for one, other in zip(ours, ArrayDataset(x, np.arange(60) % 3, **options), strict=True):
        np.testing.assert_array_equal(one[0], other[0])
        np.testing.assert_array_equal(one[1], other[1])
    print(len(ours))
"""


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_processes_that_start_anew_show_the_same(method: str, tmp_path: Path) -> None:
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"{method} is not known here")
    (tmp_path / "program.py").write_text(STARTED_ANEW)
    program = [sys.executable, str(tmp_path / "program.py"), method]
    done = subprocess.run(program, capture_output=True, text=True, timeout=200)
    assert done.stdout == "8\n", done.stderr


def test_to_such_a_process_goes_the_name_of_a_file(tmp_path: Path) -> None:
    source = ArrayDataset(PICTURES / 255, LABELS, 4, mix="mixup")._source
    sent = pickle.dumps(source.in_file(tmp_path / "pictures.npy"))
    assert source.is_in_memory
    assert len(sent) < 3_000 < PICTURES.nbytes * 8
    assert_same([pickle.loads(sent).make(1, 2)], [source.make(1, 2)])


def test_it_can_be_pickled() -> None:
    dataset = ArrayDataset(PICTURES, LABELS, 4, mix="mixup", workers=2)
    assert_same(list(pickle.loads(pickle.dumps(dataset))), list(dataset))


def test_others_are_normalised_by_what_was_measured_in_training() -> None:
    train = ArrayDataset(PICTURES, LABELS, preprocess={"normalise": "standard"}, **LAST)
    other = ArrayDataset(
        PICTURES[:3], LABELS[:3], preprocess={"normalise": "standard"}, normalisation=train.normalisation, **LAST
    )
    found = (PICTURES / 255).reshape(-1, 3)
    np.testing.assert_allclose(train.normalisation.mean, found.mean(axis=0))
    wanted = (PICTURES[:3] / 255 - found.mean(axis=0)) / found.std(axis=0)
    np.testing.assert_allclose(sorted(other[0][0].ravel()), sorted(wanted.ravel()), atol=1e-4)


BAD_X: list[tuple[Any, str]] = [
    (PICTURES[0], "four axes"),
    (PICTURES[..., 0], r"four axes, none of them 0. Got \(11, 6, 8\). Pass x\[..., None\]"),
    (PICTURES[:0], "none of them 0"),
    (PICTURES.astype(np.int64), r"uint8 or floating. Got int64. Pass x.astype\('uint8'\)"),
    (PICTURES.astype(bool), "uint8 or floating. Got bool"),
]


@pytest.mark.parametrize(("x", "words"), BAD_X)
def test_pictures_that_are_none(x: Any, words: str) -> None:
    with pytest.raises(ArrayError, match=words):
        ArrayDataset(x, LABELS[: len(x)], **LAST)


def test_pictures_that_are_no_numbers() -> None:
    x = PICTURES.astype(np.float32)
    x[7, 2, 3, 1] = np.nan
    with pytest.raises(ArrayError, match="Got nan or inf in picture 7"):
        ArrayDataset(x, LABELS)


BAD_Y: list[tuple[Any, dict[str, Any], str]] = [
    (LABELS[:10], {}, r"one for each of 11 pictures. Got int64 \(10,\)"),
    (LABELS + 0.5, {}, "class numbers are whole, from 0. Got float64"),
    (LABELS - 1, {}, "class numbers are whole, from 0. Got int64, -1 to 1"),
    (LABELS, {"num_classes": 2}, "from 0 to 1. Got int64, 0 to 2"),
    (LABELS, {"class_names": ["a", "b"]}, "from 0 to 1"),
    (np.full(11, np.nan), {}, "class numbers are whole"),
    (np.array(["a"] * 11), {}, "must be .* class numbers"),
    (np.zeros((11, 3, 1)), {}, "must be .* class numbers"),
    (np.eye(3)[LABELS], {"num_classes": 4}, r"Got \(11, 3\).* for 4 classes"),
    (-np.eye(3)[LABELS], {}, "a weight from 0 for each class"),
    (np.full((11, 3), 1 / 3), {"class_mode": "sparse"}, "needs one class for each picture"),
    (np.ones((11, 2)), {"class_mode": "binary"}, "weights of two classes that are 1 together"),
    ([[1], [1, 2]], {}, "must be .* class numbers"),
]


@pytest.mark.parametrize(("y", "options", "words"), BAD_Y)
def test_labels_that_do_not_fit(y: Any, options: dict[str, Any], words: str) -> None:
    with pytest.raises(LabelError, match=words):
        ArrayDataset(PICTURES, y, **options)


@pytest.mark.parametrize("options", [{"augment": "light"}, {"preprocess": {"threshold": 3}}])
def test_floats_are_neither_augmented_nor_preprocessed(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"need levels of 255\. Got float64"):
        ArrayDataset(PICTURES / 255, LABELS, **options)


def test_options_that_exclude_each_other() -> None:
    with pytest.raises(ConfigError, match='class_mode="sparse" has room for one'):
        ArrayDataset(PICTURES, LABELS, class_mode="sparse", mix="mixup")
    with pytest.raises(ConfigError, match="Got 3 classes"):
        ArrayDataset(PICTURES, LABELS, class_mode="binary")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"num_classes": "3"}, "num_classes must be a whole number from 1, or None. Got '3'"),
        ({"num_classes": 0}, "num_classes must be"),
        ({"num_classes": 5, "class_names": ["a", "b", "c"]}, "one for each class.* with num_classes=5"),
        ({"class_names": ["a", "a", "c"]}, "no two alike"),
        ({"normalisation": "imagenet"}, "Got 'imagenet'. Pass the .normalisation"),
        ({"shuffle": "no"}, "shuffle is true or false. Got 'no'"),
    ],
)
def test_options_that_make_no_sense(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        ArrayDataset(PICTURES, LABELS, **options)


def test_a_batch_has_a_whole_number() -> None:
    dataset = ArrayDataset(PICTURES, LABELS)
    for index in (0.5, "0"):
        with pytest.raises(TypeError):
            dataset[index]  # type: ignore[index]
    with pytest.raises(ConfigError, match="preview: n must be a whole number"):
        dataset.preview(0)
