"""crossfade export: a trained run as one ONNX file, or as a folder for a hub."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from crossfade.cli.options import Calibrated, Checkpoint, check_outside
from crossfade.cli.progress import printable, say
from crossfade.errors import ConfigError


def export(
    run: Annotated[Path, Parameter(help="folder of one training")],
    /,
    *,
    to: Annotated[
        Literal["onnx", "hub"],
        Parameter(help="onnx: one file, uint8 picture in, probabilities out; hub: weights, configuration, model card"),
    ],
    out: Annotated[
        Path | None,
        Parameter(name=["--out", "-o"], help="file or folder to write [default: in RUN/export]"),
    ] = None,
    pictures: Annotated[
        list[Path] | None,
        Parameter(
            negative="",
            consume_multiple=True,
            help="pictures, or folders of pictures, to check the export on; the run's validation pictures if not said",
        ),
    ] = None,
    force: Annotated[bool, Parameter(help="replace what is there", negative="")] = False,
    calibrated: Calibrated = False,
    weights: Checkpoint = None,
) -> None:
    """Write a trained run in a form that others use, once it has given the run's own probabilities on real pictures."""
    from crossfade.cli.pictures import Asked
    from crossfade.training.export import optional
    from crossfade.training.export.hub import export_hub
    from crossfade.training.export.onnx import export_onnx
    from crossfade.training.export.samples import choose
    from crossfade.training.predict import load_run
    from crossfade.training.record import own_root

    if to == "onnx":
        for name in ("onnx", "onnxscript", "onnxruntime"):
            optional(name)
    predictor = load_run(run, name=weights, device="cpu", exact=True, calibrated=calibrated)
    target = out or run / "export" / ("model.onnx" if to == "onnx" else "hub")
    for folder in (own_root(run), *(pictures or ())):
        if folder is not None:
            check_outside(target, folder)
    _check_target(target, to, force)
    samples = choose(predictor, run, None if pictures is None else Asked(pictures))
    if not samples.real:
        say("crossfade: no real pictures are at hand, so the export is checked on noise alone; --pictures names some")
    target.parent.mkdir(parents=True, exist_ok=True)
    if to == "onnx":
        checked = export_onnx(predictor, target, samples, run.resolve().name)
        print(f"onnx: {printable(target)}")
    else:
        checked = export_hub(predictor, target, samples, run)
        print(f"hub: {printable(target)}")
        say(f"Nothing was sent anywhere. To publish: hf upload NAME/MODEL {printable(target)}")
    print(checked)


def _check_target(target: Path, to: str, force: bool) -> None:
    """Nothing is replaced unless it is forced, and then nothing but an earlier export."""
    from crossfade.training.export.hub import check_replaceable

    if not target.exists():
        return
    if target.is_dir() and to == "onnx":
        raise ConfigError(f"export: {target} is a folder, and --to onnx writes a file. Pass --out {target}/model.onnx.")
    if not force and not (target.is_dir() and not any(target.iterdir())):
        raise ConfigError(f"export: {target} exists. Choose another --out, or pass --force.")
    if to == "hub":
        check_replaceable(target)
