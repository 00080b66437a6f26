from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from crossfade.data._reading import Job, Reader
from crossfade.data.sketch import MOST_COLUMNS, MOST_LINES, SKETCH_BYTES, Sketcher, is_regular, sketch, sketch_rows
from tests.unit.data.folders import noise


def slow_sketch(image: np.ndarray) -> np.ndarray:
    """Every pixel divided into 8 x 8, so that every cell is whole."""
    wide = image.astype(np.int64).repeat(8, axis=0).repeat(8, axis=1)
    if wide.shape[2] == 1:
        wide = wide.repeat(3, axis=2)
    height, width = image.shape[:2]
    red, green, blue = np.moveaxis(wide, 2, 0)

    def means(values: np.ndarray, cells: int) -> np.ndarray:
        boxes = values.reshape(cells, 8 * height // cells, cells, 8 * width // cells)
        return boxes.mean(axis=(1, 3))

    colour = np.concatenate([means(red, 4), means(blue, 4)], axis=1)
    grey = means(red + 2 * green + blue, 8) / 4
    return np.floor(np.concatenate([grey.ravel(), colour.ravel()]) + 0.5).astype(np.uint8)


SHAPES = [(8, 8, 3), (32, 32, 3), (8, 5, 1), (40, 23, 3), (MOST_LINES, MOST_COLUMNS - 3, 3), (MOST_LINES, 90, 1)]


@pytest.mark.parametrize("shape", SHAPES)
def test_a_sketch_is_the_mean_over_exact_shares(shape: tuple[int, int, int]) -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, *shape), dtype=np.uint8)
    assert np.array_equal(sketch(images), [slow_sketch(image) for image in images])


def test_white_does_not_overflow() -> None:
    images = np.full((1, MOST_LINES, MOST_COLUMNS, 3), 255, np.uint8)
    assert (sketch(images) == 255).all()


def sketches(*images: np.ndarray) -> np.ndarray:
    sketcher = Sketcher()
    for row, image in enumerate(images):
        sketcher.add(row, image)
    return sketcher.finish(len(images))


def test_of_a_large_picture_evenly_spread_pixels_are_looked_at() -> None:
    image = np.zeros((1000, 1400, 3), np.uint8)
    image[500:, :700] = 200
    grey = sketches(image)[0, :64].reshape(8, 8)
    assert (grey[4:, :4] == 200).all()
    assert grey.sum() == 16 * 200


@pytest.mark.parametrize("height", [4, 5, 28, 45, 127, 130, 333])
def test_any_number_of_lines_gives_nearly_the_exact_means(height: int) -> None:
    rows = np.linspace(0, 255, height).astype(np.uint8)
    image = np.repeat(np.repeat(rows[:, None, None], 9, axis=1), 3, axis=2)
    got = sketches(image).astype(int)
    assert np.abs(got - slow_sketch(image)).max() <= 2


def test_shapes_in_any_order_come_back_in_their_rows() -> None:
    images = [noise(16, 16, seed=1), noise(20, 12, seed=2), noise(16, 16, seed=3), noise(300, 600, seed=4)]
    sketcher = Sketcher()
    for row, image in zip((0, 2, 3, 4), images, strict=True):
        sketcher.add(row, image)
    together = sketcher.finish(5)
    assert not together[1].any()
    assert np.array_equal(together[[0, 2, 3, 4]], np.concatenate([sketches(image) for image in images]))
    assert not sketcher.finish(5).any()


@pytest.mark.parametrize("chosen", [list(range(70)), [0, 1, 5, 69], []])
def test_rows_are_sketched_as_if_they_were_added(chosen: list[int]) -> None:
    rows = np.random.default_rng(0).integers(0, 256, (70, 32, 32, 3), dtype=np.uint8)
    found = np.zeros((70, SKETCH_BYTES), np.uint8)
    sketch_rows(rows, chosen, found)
    assert np.array_equal(found[chosen], sketches(*rows)[chosen])
    assert not np.delete(found, chosen, axis=0).any()


def test_which_shapes_need_no_adding() -> None:
    assert is_regular((32, 32, 3))
    assert is_regular((8, 5, 1))
    assert not any(map(is_regular, [(0, 0, 0), (33, 32, 3), (136, 8, 1), (128, 128, 3)]))


def test_a_reader_sketches_each_picture_once_whatever_came_before(tmp_path: Path) -> None:
    """Shapes change from file to file and from chunk to chunk, with rows to write and without."""
    images = [noise(*shape, seed=n) for n, shape in enumerate([(8, 8), (8, 8), (16, 8), (9, 9), (16, 8), (8, 8)])]
    names = [f"{n}.png" for n in range(len(images))]
    for name, image in zip(names, images, strict=True):
        Image.fromarray(image).save(tmp_path / name)
    (tmp_path / "rows").write_bytes(b"")
    for output in (None, str(tmp_path / "rows")):
        reader = Reader(Job("decode", f"{tmp_path}/", 10**6, output, 0, 8))
        found = b"".join(reader.chunk(n, names[n : n + 2]).sketches for n in (0, 2, 4))
        reader.close()
        assert np.array_equal(np.frombuffer(found, np.uint8).reshape(6, -1), sketches(*images))
