"""crossfade preview: the mixed pictures the model will see."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from crossfade.cli.options import DataFolder, check_outside
from crossfade.errors import ConfigError

PICTURES = 12
LAMBDAS = 2000


def preview(
    data: DataFolder,
    /,
    *,
    mix: Annotated[str, Parameter(help="how to mix, such as cutmix:alpha=1.0")] = "mixup",
    alpha: Annotated[float | None, Parameter(help="of the Beta distribution")] = None,
    out: Annotated[Path, Parameter(name=["--out", "-o"], help="a .png or .svg file")] = Path("preview.png"),
    size: Annotated[int | None, Parameter(help="side of the pictures in pixels")] = None,
    seed: Annotated[int, Parameter(help="of order and mixing")] = 0,
    force: Annotated[bool, Parameter(help="replace a file that is there", negative="")] = False,
) -> None:
    """Draw mixed pictures with their label weights, and the histogram of lambda."""
    from crossfade.cli.work import open_pictures_with_bar
    from crossfade.mixing.registry import policy_from_spec
    from crossfade.training.config import RunConfig

    if out.suffix.lower() not in (".png", ".svg"):
        raise ConfigError(f"preview: -o takes a .png or .svg file. Got {out}.")
    if out.exists() and not force:
        raise ConfigError(f"preview: {out} exists. Choose another -o, or pass --force.")
    check_outside(out, data)
    policy = policy_from_spec(mix, {"alpha": alpha})
    pictures = open_pictures_with_bar(data, RunConfig(size=size))
    _draw(pictures, policy, mix, seed, out)
    print(f"preview: {out}")


def _draw(pictures: Any, policy: Any, mix: str, seed: int, out: Path) -> None:
    import numpy as np

    from crossfade.arrays.dispatch import mix_images
    from crossfade.data.loader import Loader
    from crossfade.report import preview_figure, save
    from crossfade.rng import Stream, derive_rng

    cache, index, train = pictures.cache, pictures.index, pictures.split.train
    loader = Loader(cache.pixels, index.labels, train, batch_size=min(PICTURES, len(train)), seed=seed, threads=0)
    batch = next(iter(loader.epoch(0)))
    rng = derive_rng(seed, Stream.PLAN, 0, 0, 0)
    plan = policy.plan(batch.images.shape[:3], rng=rng, labels=batch.labels)
    names = [
        ["" if source < 0 else index.classes[batch.labels[source]] for source in row] for row in plan.source.tolist()
    ]
    draws = policy.plan((LAMBDAS, *batch.images.shape[1:3]), rng=rng, labels=np.arange(LAMBDAS)).lam
    mixed = mix_images(batch.images, plan, layout="NHWC")
    try:
        save(preview_figure(mixed, plan.weight, names, draws, title=mix), out)
    except OSError as error:
        raise ConfigError(f"preview: {out} cannot be written ({error.strerror}). Choose another -o.") from error
