"""crossfade demo: the main job on pictures that come with a dependency."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

ARMS = ("none", "mixup:alpha=0.4", "cutmix")


def demo(
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o"], help="where pictures and run go")] = Path("demo"),
    seeds: Annotated[str, Parameter(help="how many seeds, or which")] = "3",
    epochs: Annotated[int, Parameter(help="of each training")] = 60,
) -> None:
    """Compare none, mixup and cutmix on 1,797 handwritten digits, ten training pictures of each."""
    from crossfade.cli.options import free_folder, seeds_of
    from crossfade.cli.progress import say
    from crossfade.cli.work import open_bench_into, run_comparison
    from crossfade.experiments.comparison import Comparison
    from crossfade.experiments.demo import write_digits
    from crossfade.training.config import RunConfig

    pictures = write_digits(out / "digits")
    say(f"{pictures}: scikit-learn's handwritten digits, 8 x 8 pixels; 10 training pictures of each are used")
    config = RunConfig(
        model="cnn4", epochs=epochs, batch_size=25, lr=2e-3, flip=False, pad=0, val=0.5, per_class=10, size=8
    )
    folder = free_folder(out / "run")
    comparison = Comparison(ARMS, seeds_of(seeds), config)
    command = ["crossfade", "demo"]
    bench = open_bench_into(pictures, config, folder, "compare", command, force=False)
    run_comparison(bench, comparison, folder, command)
