"""A run as a plain folder that can be put on a hub: weights, configuration, model card, and no code.

    model.safetensors    the weights
    config.json          what builds the network and prepares a picture for it, in the table "crossfade"; for a model of
                         timm, also what timm's own loading reads
    README.md            the model card

`crossfade predict FOLDER PICTURE` reads it back, and so does `crossfade.training.predict.load_run`.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from crossfade import __version__
from crossfade.data.rows import Pixels
from crossfade.disk import take_place
from crossfade.errors import ConfigError
from crossfade.models.weights import file_digest
from crossfade.training.export.card import write_card
from crossfade.training.export.samples import Check, Samples, compare
from crossfade.training.predict import HUB_FILES, Predictor, load_run

KEPT = ("model", "classes", "size", "channels", "max_pixels", "preprocess", "mean", "std", "temperature")
_CROP_MODES = {"stretch": "squash", "crop": "center", "drop": "center", "pad": "border"}  # in timm's words
_OF_TIMM = ("pool_size", "first_conv", "classifier", "fixed_input_size")


def export_hub(predictor: Predictor, folder: Path, samples: Samples, run: Path) -> Check:
    """Write `folder`, once what is in it has given the run's probabilities on all `samples`.

    Args:
        predictor: the run, on the CPU.
        folder: replaced if it is there, see `check_replaceable`.
        samples: to hold it against the run on.
        run: the run folder, from which the card is written.

    Raises:
        ConfigError: the folder cannot be written.
        TrainingError: what was written gives other probabilities.
    """
    scratch = folder.with_name(f".{folder.name}.new")
    try:
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        _write_weights(predictor, scratch / "model.safetensors")
        config = hub_config(predictor, file_digest(scratch / "model.safetensors"))
        (scratch / "config.json").write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")
        again = load_run(scratch, device="cpu")

        def judge(picture: Pixels) -> Any:
            return again.probabilities(again.row(picture)[None])[0]

        checked = compare(predictor, judge, samples)
        (scratch / "README.md").write_text(write_card(predictor, run, folder.name), encoding="utf-8")
        take_place(scratch, folder)
        return checked
    except OSError as error:
        raise ConfigError(
            f"export: {folder} cannot be written ({error.strerror or error}). Choose another --out."
        ) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def check_replaceable(folder: Path) -> None:
    """Raise ConfigError unless `folder` holds nothing but what an export wrote."""
    if not folder.is_dir():
        raise ConfigError(f"export: {folder} is a file, and --to hub writes a folder. Choose another --out.")
    found = {path.name for path in folder.iterdir()}
    if found and (not found >= set(HUB_FILES) or found - {*HUB_FILES, "README.md"}):
        raise ConfigError(
            f"export: {folder} holds other things than an export, so --force does not replace it. Choose another --out."
        )


def hub_config(predictor: Predictor, digest: str) -> dict[str, Any]:
    """The table of `config.json`."""
    state = predictor.state
    ours = {key: state[key] for key in KEPT if key in state}
    ours |= {"preprocess": state.get("preprocess", {"fit": state.get("fit", "stretch")})}
    ours |= {"augment": None if predictor.augment is None else predictor.augment.as_dict()}
    ours |= {"version": __version__, "sha256": digest}
    theirs = _timm_config(predictor) if hasattr(predictor.model, "pretrained_cfg") else {}
    return {"architecture": state["model"].removeprefix("timm:"), "num_classes": len(ours["classes"]), **theirs} | {
        "crossfade": ours
    }


def _timm_config(predictor: Predictor) -> dict[str, Any]:
    """What `timm.create_model("local-dir:FOLDER", pretrained=True)` reads; its resizing is near ours, not the same."""
    preprocess, normalisation, published = (
        predictor.feed.preprocess, predictor.feed.normalisation, predictor.model.pretrained_cfg
    )  # fmt: skip
    channels, size = preprocess.channels(predictor.channels), predictor.size
    prepared = {
        "num_classes": len(predictor.classes),
        "input_size": [channels, size, size],
        "mean": normalisation.mean,
        "std": normalisation.std,
        "interpolation": "bilinear",
        "crop_pct": 1.0,
        "crop_mode": _CROP_MODES[preprocess.fit],
        "custom_load": False,
    }
    kept = {key: published[key] for key in _OF_TIMM if published.get(key) is not None}
    arguments = {} if channels == 3 else {"in_chans": channels}
    if published.get("fixed_input_size"):
        arguments["img_size"] = size
    return {
        "architecture": published.get("architecture") or predictor.state["model"].removeprefix("timm:"),
        "num_features": predictor.model.num_features,
        "label_names": list(predictor.classes),
        **({"model_args": arguments} if arguments else {}),
        "pretrained_cfg": {**kept, **prepared},
    }


def _write_weights(predictor: Predictor, path: Path) -> None:
    """Each tensor by itself: safetensors takes neither shared memory nor channels-last."""
    tensors = {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in predictor.model.state_dict().items()
    }
    save_file(tensors, path, metadata={"format": "pt"})
