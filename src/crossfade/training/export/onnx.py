"""A run as one ONNX graph: uint8 pictures of any size in, probabilities out.

    picture (N, H, W, 1 or 3) uint8 -> fit, view, threshold, morphology, normalise -> network -> softmax
    -> probabilities (N, C) float32

The pictures of one call share their size. The network is torch's export of the run's weights in float32; what comes
before it is written in `steps`.
"""

from __future__ import annotations

import json
import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from crossfade import __version__
from crossfade.data.rows import Pixels
from crossfade.errors import ConfigError, TrainingError
from crossfade.training.export import optional
from crossfade.training.export.samples import Check, Judge, Samples, compare
from crossfade.training.predict import Predictor

INPUT, OUTPUT = "picture", "probabilities"
MAX_BYTES = 2_000_000_000  # of a protocol buffer, in which weights lie inside the file
_IR_VERSION = 10


def export_onnx(predictor: Predictor, path: Path, samples: Samples, run: str) -> Check:
    """Write `path`, once onnxruntime has given the run's probabilities on all `samples`.

    Args:
        predictor: the run, on the CPU.
        path: replaced if it is there.
        samples: to hold the graph against the run on.
        run: its name, for the file's metadata.

    Raises:
        MissingExtra: a package of the extra `export` is not installed.
        TrainingError: the network cannot be exported, or gives other probabilities than the run.
        ConfigError: the file cannot be written.
    """
    onnx, _, runtime = (optional(name) for name in ("onnx", "onnxscript", "onnxruntime"))
    model = build_model(predictor, run)
    scratch = path.with_name(f".{path.name}.new")
    try:
        onnx.save(model, scratch)
        checked = compare(predictor, _judge(runtime, scratch), samples)
        os.replace(scratch, path)
        return checked
    except OSError as error:
        raise ConfigError(
            f"export: {path} cannot be written ({error.strerror or error}). Choose another --out."
        ) from error
    finally:
        with suppress(OSError):
            scratch.unlink()


def build_model(predictor: Predictor, run: str) -> Any:
    """The `onnx.ModelProto` of a run, in memory."""
    from onnx import compose, helper

    weights = sum(tensor.nbytes for tensor in predictor.model.state_dict().values())
    if weights > MAX_BYTES:
        raise ConfigError(
            f"export: an ONNX file holds {MAX_BYTES / 1e9:g} GB at most. Got weights of {weights / 1e9:.1f} GB. "
            "Export with --to hub."
        )
    network = _network(predictor)
    network.ir_version = _IR_VERSION
    network.graph.name = "network"
    model = compose.merge_models(_way(predictor), network, io_map=[("values", "network_values")])
    model.producer_name, model.producer_version = "crossfade", __version__
    model.doc_string = "uint8 pictures of any size in, probabilities out"
    helper.set_model_props(model, metadata(predictor, run))
    return model


def metadata(predictor: Predictor, run: str) -> dict[str, str]:
    """What the file says of itself: `metadata_props`."""
    return {
        "classes": json.dumps(list(predictor.classes)),
        "run": run,
        "model": predictor.state["model"],
        "size": str(predictor.size),
        "channels": str(predictor.channels),
        "preprocess": json.dumps(predictor.state.get("preprocess", {"fit": predictor.feed.preprocess.fit})),
        "temperature": f"{predictor.temperature:g}",
        "crossfade": __version__,
    }


def _way(predictor: Predictor) -> Any:
    """From pictures to what the network sees."""
    from onnx import TensorProto, helper

    from crossfade.training.export.graph import OPSET, Graph, Value
    from crossfade.training.export.steps import picture_to_values

    graph, preprocess, size = Graph(), predictor.feed.preprocess, predictor.size
    picture = Value(graph, INPUT, np.dtype(np.uint8))
    values = picture_to_values(graph, picture, size, predictor.channels, preprocess, predictor.feed.normalisation)
    graph.nodes.append(helper.make_node("Identity", [values.name], ["values"]))
    shape = ["N", preprocess.channels(predictor.channels), size, size]
    way = helper.make_graph(
        graph.nodes,
        "preprocessing",
        [helper.make_tensor_value_info(INPUT, TensorProto.UINT8, ["N", "H", "W", "channels"])],
        [helper.make_tensor_value_info("values", TensorProto.FLOAT, shape)],
    )
    return helper.make_model(way, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=_IR_VERSION)


class _Probabilities(nn.Module):
    def __init__(self, model: nn.Module, temperature: float) -> None:
        super().__init__()
        self.model, self.temperature = model, temperature

    def forward(self, values: Tensor) -> Tensor:
        return (self.model(values) / self.temperature).softmax(1)


def _network(predictor: Predictor) -> Any:
    """Torch's own export of the network: (N, C, size, size) float32 -> (N, classes)."""
    from crossfade.training.export.graph import OPSET

    channels = predictor.feed.preprocess.channels(predictor.channels)
    example = torch.zeros(2, channels, predictor.size, predictor.size)
    try:
        with _quiet():
            program = torch.onnx.export(
                _Probabilities(predictor.model, predictor.temperature).eval(),
                (example,),
                dynamo=True,
                opset_version=OPSET,
                input_names=["network_values"],
                output_names=[OUTPUT],
                dynamic_shapes=({0: torch.export.Dim("N")},),
                verbose=False,
            )
        return program.model_proto
    except Exception as error:  # an exporter of this kind fails in as many ways as there are layers
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise TrainingError(
            f"export: torch must know each layer of the network in ONNX. Got {predictor.state['model']}: "
            f"{first[:200]}. Export with --to hub, or use another model."
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Torch's exporter thinks aloud: on standard output, in warnings and in logs."""
    with warnings.catch_warnings(), redirect_stdout(StringIO()):
        warnings.simplefilter("ignore")
        before = logging.root.manager.disable
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(before)


def _judge(runtime: Any, path: Path) -> Judge:
    """The graph as a function of one picture, by onnxruntime on the CPU."""
    options = runtime.SessionOptions()
    options.log_severity_level = 3  # errors
    session = runtime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def judge(picture: Pixels) -> NDArray[np.float32]:
        return session.run([OUTPUT], {INPUT: picture[None]})[0][0]

    return judge
