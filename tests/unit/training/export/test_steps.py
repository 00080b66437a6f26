"""The ONNX twins of fit, view, threshold, morphology and normalise give the same numbers, to the last bit."""

from __future__ import annotations

from itertools import product

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from crossfade.arrays.dispatch import render
from crossfade.data.fit import to_row
from crossfade.mixing.plan import Plan
from crossfade.training.export.graph import OPSET, Graph, Value
from crossfade.training.export.steps import picture_to_values
from crossfade.vision.normalise import Normalisation, shift_and_scale
from crossfade.vision.preprocess import Preprocess
from tests.scale import scaled

SIZE = 24
NORMALISATION = Normalisation([0.4, 0.5, 0.3], [0.2, 0.3, 0.25])


def session(preprocess: Preprocess, channels: int, size: int = SIZE) -> onnxruntime.InferenceSession:
    graph = Graph()
    picture = Value(graph, "picture", np.dtype(np.uint8))
    out = picture_to_values(graph, picture, size, channels, preprocess, normalisation(preprocess, channels))
    made = helper.make_graph(
        graph.nodes,
        "steps",
        [helper.make_tensor_value_info("picture", TensorProto.UINT8, ["N", "H", "W", "C"])],
        [helper.make_tensor_value_info(out.name, TensorProto.FLOAT, ["N", "C", size, size])],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def normalisation(preprocess: Preprocess, channels: int) -> Normalisation:
    seen = preprocess.channels(channels)
    return Normalisation(NORMALISATION.mean[:seen], NORMALISATION.std[:seen])


def shown(picture: NDArray[np.uint8], preprocess: Preprocess, channels: int, size: int = SIZE) -> NDArray[np.float32]:
    """(C, size, size) by the library."""
    pixels = preprocess.pictures(to_row(picture, size, channels, preprocess.fit)[None])
    each, how = preprocess.measure_each(pixels), normalisation(preprocess, channels)
    if each is not None:
        return shift_and_scale(pixels.astype(np.float32), *each)[0].transpose(2, 0, 1)
    return render(pixels, Plan.identity(pixels.shape[:3]), mean=how.mean, std=how.std)[0].transpose(2, 0, 1)


def pictures(smallest: int = 1) -> list[NDArray[np.uint8]]:
    rng = np.random.default_rng(1)
    sides = [(24, 24), (1, 1), (33, 90), (200, 133), (517, 89), (4, 4), (24, 50), (1, 3000), (301, 25)]
    made = [
        rng.integers(0, 256, (max(h, smallest), max(w, smallest), c), np.uint8)
        for (h, w), c in zip(sides, (3, 3, 1, 3, 3, 1, 3, 3, 1), strict=True)
    ]
    dark = (rng.random((60, 41, 3)) ** 4 * 40).astype(np.uint8)
    return [*made, dark, np.full((50, 60, 3), 77, np.uint8)]


def check(preprocess: Preprocess, channels: int) -> None:
    graph = session(preprocess, channels)
    for picture in pictures(SIZE if preprocess.fit == "drop" else 1):
        (got,) = graph.run(None, {"picture": picture[None]})
        np.testing.assert_array_max_ulp(got[0], shown(picture, preprocess, channels), maxulp=4)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("fit", ["stretch", "crop", "pad", "drop"])
def test_fit_of_pictures_of_any_size(fit: str, channels: int) -> None:
    check(Preprocess(fit=fit), channels)


@pytest.mark.parametrize("view", ["red", "green", "blue", "grey"])
def test_views(view: str) -> None:
    check(Preprocess(view=view), 3)


@pytest.mark.parametrize("at", [0, 99.5, 125, 255, "otsu"])
def test_thresholds(at: float | str) -> None:
    check(Preprocess(threshold=at), 3)
    check(Preprocess(threshold=at), 1)


@pytest.mark.parametrize("operation", ["erosion", "dilation", "opening", "closing"])
def test_morphology(operation: str) -> None:
    for element, radius in product(("disk", "square", "cross"), (1, 4)):
        check(Preprocess(morphology=operation, element=element, radius=radius), 3)
    check(Preprocess(view="red", threshold=125, morphology=operation), 3)


@pytest.mark.parametrize("how", ["standard", "divide", "minmax", "percentile"])
def test_each_picture_normalised_by_itself(how: str) -> None:
    check(Preprocess(normalise=how, normalise_by="picture"), 3)
    check(Preprocess(normalise=how, normalise_by="picture", view="blue"), 3)


@pytest.mark.slow
@pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
def test_resizing_from_random_sizes(fit: str) -> None:
    rng, preprocess = np.random.default_rng(2), Preprocess(fit=fit)
    graph = session(preprocess, 3)
    for _ in range(scaled(20, 2000)):
        picture = rng.integers(0, 256, (*rng.integers(4, 260, 2), 3), np.uint8)
        (got,) = graph.run(None, {"picture": picture[None]})
        np.testing.assert_array_max_ulp(got[0], shown(picture, preprocess, 3), maxulp=2)


def test_a_batch_is_its_pictures_one_by_one() -> None:
    preprocess = Preprocess(threshold="otsu", normalise="percentile", normalise_by="picture")
    graph, batch = session(preprocess, 3), np.stack([pictures()[3], pictures()[3][::-1], pictures()[3] // 2])
    (got,) = graph.run(None, {"picture": batch})
    for picture, values in zip(batch, got, strict=True):
        np.testing.assert_array_max_ulp(values, shown(picture, preprocess, 3), maxulp=4)


@pytest.mark.parametrize("shape", [(1, 10, 40), (16, 12, 12), (4, 12, 24), (144, 2, 2)])
def test_drop_takes_no_picture_that_is_too_small(shape: tuple[int, ...]) -> None:
    """Nor several that together have the pixels of one that is large enough."""
    with pytest.raises(Exception, match="Reshape"):
        session(Preprocess(fit="drop"), 3).run(None, {"picture": np.zeros((*shape, 3), np.uint8)})
