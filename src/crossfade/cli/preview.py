"""crossfade preview: figures of the pictures as a training will see them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, get_args

from cyclopts import Parameter

from crossfade.cli.options import DataFolder, PreprocessFlags, check_outside, read_config
from crossfade.errors import ConfigError

KINDS = (".png", ".svg")
FigureName = Literal["mix", "lambda", "classes", "channels", "morphology", "normalise", "augment", "all"]
NAMES = tuple(name for name in get_args(FigureName) if name != "all")


def preview(
    data: DataFolder,
    /,
    *,
    mix: Annotated[str, Parameter(help="how to mix, such as cutmix:alpha=1.0")] = "mixup",
    alpha: Annotated[float | None, Parameter(help="of the Beta distribution")] = None,
    out: Annotated[Path, Parameter(name=["--out", "-o"], help="a .png or .svg file, or a folder for both")] = Path(
        "preview"
    ),
    figure: Annotated[FigureName | None, Parameter(help="which one: mix for a file, all for a folder")] = None,
    seed: Annotated[int, Parameter(help="of order and mixing")] = 0,
    force: Annotated[bool, Parameter(help="replace files that are there", negative="")] = False,
    flags: PreprocessFlags = None,
) -> None:
    """Draw the classes, the steps of preprocessing, and mixed pictures with their label weights."""
    from crossfade.cli.work import open_pictures_with_bar
    from crossfade.mixing.registry import policy_from_spec
    from crossfade.report.preview import Preview

    files = _files(out, figure)
    check_outside(out, data)
    for path in (path for paths in files.values() for path in paths):
        if path.exists() and not force:
            raise ConfigError(f"preview: {path} exists. Choose another -o, or pass --force.")
    policy = policy_from_spec(mix, {"alpha": alpha})
    settings, _ = read_config(None, flags)
    drawer = Preview(open_pictures_with_bar(data, settings), settings.preprocess, policy, mix, seed)
    for name, paths in files.items():
        _write(drawer.draw(name), paths)
    print(f"preview: {out}")


def _files(out: Path, figure: FigureName | None) -> dict[str, list[Path]]:
    """The figures to draw, and the files to write each into."""
    if out.suffix.lower() in KINDS:
        if figure == "all":
            raise ConfigError(f"preview: all figures need a folder. Got {out}. Pass -o preview, say.")
        return {figure or "mix": [out]}
    if out.suffix and not out.is_dir():
        raise ConfigError(f"preview: -o takes a .png or .svg file, or a folder. Got {out}.")
    names = NAMES if figure in (None, "all") else (figure,)
    return {name: [out / f"{name}{kind}" for kind in KINDS] for name in names}


def _write(figure: object, paths: list[Path]) -> None:
    from crossfade.report import save

    for path in paths:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            save(figure, path)
        except OSError as error:
            raise ConfigError(f"preview: {path} cannot be written ({error.strerror}). Choose another -o.") from error
