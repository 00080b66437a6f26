"""R2 as a Keras program: does CutMix help a ResNet-20 on CIFAR-10?

    python examples/r2_cutmix_cifar10.py CIFAR10    # a folder with train/<class>/ and test/<class>/
    python examples/r2_cutmix_cifar10.py            # keras.datasets.cifar10, downloaded once

Two trainings begin with the same weights, one on mixed pictures and one on plain ones, and both are judged by the test
pictures. It needs `pip install 'crossfade[keras]'` and TensorFlow, JAX or PyTorch, whichever KERAS_BACKEND names.
On two CPU cores an epoch takes minutes; `--depth 8 --epochs 1 --steps 100` is a short walk through everything.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

import keras
from keras import layers
from matplotlib.figure import Figure

from crossfade import CutMix
from crossfade.keras import ArrayDataset, ImageFolder
from crossfade.keras.datasets.base import MixedDataset
from crossfade.report.grids import mixed_grid
from crossfade.report.lines import Line, lines_figure, of_epochs
from crossfade.report.style import DASHES, PALETTE, save
from crossfade.report.words import caption

ALPHA = 0.25  # lambda ~ Beta(0.25, 0.25): mostly near 0 or 1
SIDE = 32
CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
COLORS = {"cutmix": PALETTE[1], "none": PALETTE[0]}
R2_SAYS = {"log": {"cutmix": 0.7108, "none": 0.1000}, "words": {"cutmix": 0.7734, "none": 0.6690}}


def main() -> None:
    given = arguments()
    given.out.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(given.seed)

    # Each picture of one stream meets its neighbour in a second, shuffled by itself: partners="stream".
    mixed, test = pictures(given)
    show_nine(mixed, given.out / "preview.png")

    # The first weights are drawn once, saved, and loaded for both trainings: what differs in the end is the mixing.
    initial = given.out / "initial.weights.h5"
    resnet(given.depth, mixed.num_classes).save_weights(initial)

    accuracies = {}
    for arm, batches in {"cutmix": mixed, "none": mixed.with_mix("none")}.items():
        print(f"\n{arm}")
        model = resnet(given.depth, mixed.num_classes)
        model.load_weights(initial)
        model.compile(keras.optimizers.Adam(1e-3), loss="categorical_crossentropy", metrics=["accuracy"])
        steps = min(given.steps or len(batches), len(batches))
        seen = model.fit(batches, epochs=given.epochs, steps_per_epoch=steps, validation_data=test, verbose=2)
        accuracies[arm] = seen.history["val_accuracy"]

    save(curves(accuracies), given.out / "curves.png")
    print("\nTest accuracy after the last epoch")
    for arm, values in accuracies.items():
        log, words = (100 * said[arm] for said in R2_SAYS.values())
        print(f"  {arm:7} {100 * values[-1]:.2f} %    R2: {log:.2f} % in its log, {words:.2f} % in its words")
    print(f"Figures and first weights: {given.out}")


def pictures(given: argparse.Namespace) -> tuple[MixedDataset, MixedDataset]:
    """Training pictures in mixed batches, test pictures in plain ones; all values in 0..1."""
    mixing = {"mix": CutMix(alpha=ALPHA), "partners": "stream", "seed": given.seed, "epochs": given.epochs}
    if given.data is not None:
        folder = partial(ImageFolder, given.data, SIDE, given.batch_size)
        return folder(subset="training", **mixing), folder(subset="test")
    (x, y), (x_test, y_test) = keras.datasets.cifar10.load_data()
    arrays = partial(ArrayDataset, batch_size=given.batch_size, class_names=CLASSES)
    return arrays(x, y, **mixing), arrays(x_test, y_test, shuffle=False)


def resnet(depth: int, classes: int) -> keras.Model:
    """ResNet v1 of depth 6n + 2: three stages of n blocks, with 16, 32 and 64 filters.

    Source:
        He et al. 2015, arXiv:1512.03385, section 4.2. As R2 has it: a 1x1 convolution where a block changes the
        shape, L2 on every kernel of a convolution.
    """
    inputs = keras.Input((SIDE, SIDE, 3))
    x = layers.ReLU()(layers.BatchNormalization()(convolution(16)(inputs)))
    for stage, filters in enumerate((16, 32, 64)):
        for block in range((depth - 2) // 6):
            x = residual(x, filters, stride=2 if stage and not block else 1)
    x = layers.Flatten()(layers.AveragePooling2D(8)(x))
    outputs = layers.Dense(classes, activation="softmax", kernel_initializer="he_normal")(x)
    return keras.Model(inputs, outputs, name=f"resnet{depth}")


def residual(x: keras.KerasTensor, filters: int, stride: int) -> keras.KerasTensor:
    """F(x) + x: what two convolutions find is added to what came in."""
    y = layers.ReLU()(layers.BatchNormalization()(convolution(filters, stride=stride)(x)))
    y = layers.BatchNormalization()(convolution(filters)(y))
    if stride > 1:
        x = convolution(filters, kernel=1, stride=stride)(x)
    return layers.ReLU()(layers.Add()([x, y]))


def convolution(filters: int, *, kernel: int = 3, stride: int = 1) -> layers.Conv2D:
    """He-normal weights, with 1e-4 times the sum of their squares added to the loss."""
    decay = keras.regularizers.L2(1e-4)
    return layers.Conv2D(
        filters, kernel, stride, padding="same", kernel_initializer="he_normal", kernel_regularizer=decay
    )


def show_nine(mixed: MixedDataset, path: Path) -> None:
    """Nine pictures as the network sees them, over their label weights."""
    images, targets = mixed.preview(9)
    captions = [caption(weights, mixed.class_names) for weights in targets]
    save(mixed_grid(images, captions, columns=3, title=f"CutMix, alpha {ALPHA:g}"), path)


def curves(accuracies: dict[str, list[float]]) -> Figure:
    """Test accuracy epoch by epoch, beside what R2 reports at its end: twice, as its log and its words disagree."""
    lines = [Line(arm, *of_epochs(values), COLORS[arm], marker="o") for arm, values in accuracies.items()]
    last = max(len(values) for values in accuracies.values())
    for dash, (where, said) in zip(DASHES[1:], R2_SAYS.items(), strict=False):
        lines += [Line(f"{where}: {arm}", [1, last], [at, at], COLORS[arm], dash) for arm, at in said.items()]
    return lines_figure(
        lines, title="Test accuracy, beside R2's log and words", xlabel="epoch", percent=True, ylim=(0, None)
    )


def arguments() -> argparse.Namespace:
    """What R2 uses, unless flags say otherwise."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="?", help="holds train/<class>/ and test/<class>/")
    parser.add_argument("--out", type=Path, default=Path("runs/r2"), help="for weights and figures")
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--depth", type=int, default=20, choices=[8, 14, 20, 32, 44, 56])
    parser.add_argument("--steps", type=int, help="of each epoch, instead of all")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
