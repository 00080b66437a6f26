"""R1 as a Keras program: mixup from image files, beside the same training without it.

    python examples/r1_mixup_from_files.py CALTECH4                   # a folder of pictures for each class
    python examples/r1_mixup_from_files.py CALTECH4 --weights none    # where ImageNet's weights cannot be fetched

It needs `pip install 'crossfade[keras]'` and TensorFlow, JAX or PyTorch, whichever KERAS_BACKEND names. On two CPU
cores an epoch takes minutes; `--backbone small --size 64 --epochs 2` is a short walk through everything.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import keras
import numpy as np
from keras import layers
from keras.src.legacy.preprocessing.image import ImageDataGenerator  # or tensorflow.keras.preprocessing.image
from matplotlib.figure import Figure

from crossfade.keras import MixupImageDataGenerator
from crossfade.report.figures import lambda_figure
from crossfade.report.grids import mixed_grid
from crossfade.report.lines import Line, lines_figure, of_epochs
from crossfade.report.style import PALETTE, save
from crossfade.report.words import caption

DRAWS = 5000
COLORS = {"mixup": PALETTE[1], "none": PALETTE[0]}


def main() -> None:
    given = arguments()
    given.out.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(given.seed)

    # What may happen to a picture before it is mixed, and how many of each class are kept for validation.
    generator = ImageDataGenerator(
        rescale=1 / 255,
        rotation_range=5,
        width_shift_range=0.05,
        height_shift_range=0,
        shear_range=0.05,
        zoom_range=0,
        brightness_range=(1, 1.3),
        horizontal_flip=True,
        fill_mode="nearest",
        validation_split=0.3,
    )

    # Two streams over the same files, each shuffled by itself; every pair is mixed with a lambda of its own.
    train = MixupImageDataGenerator(
        generator, given.data, given.batch_size, given.size, given.size, alpha=given.alpha, subset="training",
        seed=given.seed,
    )  # fmt: skip
    # Mixing and augmentation are for training: validation pictures are shown as they are.
    held_out = train.held_out()
    print(f"{train.n} pictures to train on, {held_out.n} to validate, of {', '.join(train.class_names)}")

    save(drawn_lambdas(given.alpha, given.seed), given.out / "lambda.png")
    save(mixed_batch(train, given.alpha), given.out / "batch.png")

    # The first weights are drawn once, saved, and loaded for both trainings: what differs in the end is the mixing.
    initial = given.out / "initial.weights.h5"
    network(given, train.num_classes).save_weights(initial)

    histories = {}
    for arm, batches in {"mixup": train, "none": train.with_mix("none")}.items():
        print(f"\n{arm}")
        model = network(given, train.num_classes)
        model.load_weights(initial)
        # A sigmoid for each class, and binary cross-entropy of each: the mixed label is the target of all four.
        model.compile(keras.optimizers.RMSprop(2e-5), loss="binary_crossentropy", metrics=["accuracy"])
        options = {"epochs": given.epochs, "steps_per_epoch": given.steps, "validation_data": held_out}
        seen = model.fit(batches, **options, verbose=2)
        histories[arm] = seen.history

    save(curves(histories, "val_accuracy", "Validation accuracy", percent=True), given.out / "accuracy.png")
    save(curves(histories, "val_loss", "Validation loss"), given.out / "loss.png")
    print("\nAfter the last epoch, on validation")
    for arm, history in histories.items():
        print(f"  {arm:6} accuracy {100 * history['val_accuracy'][-1]:.2f} %, loss {history['val_loss'][-1]:.4f}")
    print(f"Figures and first weights: {given.out}")


def network(given: argparse.Namespace, classes: int) -> keras.Model:
    """A convolutional base, a dense layer of 256, and a sigmoid for each class.

    Source:
        Simonyan and Zisserman 2014, arXiv:1409.1556, configuration D, without its dense layers.
    """
    base = small_base(given.size) if given.backbone == "small" else vgg16_base(given.size, given.weights)
    base.trainable = given.trainable
    return keras.Sequential(
        [
            base,
            layers.Flatten(),
            layers.Dense(256, activation="relu"),
            layers.Dense(classes, activation="sigmoid"),
        ]
    )


def vgg16_base(size: int, weights: str) -> keras.Model:
    """VGG16's convolutions, with ImageNet's weights unless told otherwise."""
    chosen = None if weights == "none" else weights
    return keras.applications.VGG16(weights=chosen, include_top=False, input_shape=shape(size))


def small_base(size: int) -> keras.Model:
    """Three convolutions: to see the program run, not to learn from."""
    convolutions = [layers.Conv2D(8, 3, strides=2, padding="same", activation="relu") for _ in range(3)]
    return keras.Sequential([keras.Input(shape(size)), *convolutions])


def shape(size: int) -> tuple[int, int, int]:
    """Of a picture, in the layout that Keras is configured for."""
    return (3, size, size) if keras.config.image_data_format() == "channels_first" else (size, size, 3)


def drawn_lambdas(alpha: float, seed: int) -> Figure:
    """Beta(alpha, alpha): a small alpha leaves most samples nearly alone, 1 is uniform."""
    drawn = np.random.default_rng(seed).beta(alpha, alpha, DRAWS)
    counts, edges = np.histogram(drawn, bins=40, range=(0, 1))
    return lambda_figure(edges, counts, title=f"{DRAWS:,} draws of Beta({alpha:g}, {alpha:g})")


def mixed_batch(train: MixupImageDataGenerator, alpha: float) -> Figure:
    """The first pictures as the network sees them, over their label weights."""
    images, targets = train.preview(9)
    captions = [caption(weights, train.class_names) for weights in np.asarray(targets)]
    return mixed_grid(images, captions, columns=3, title=f"mixup, alpha {alpha:g}")


def curves(histories: dict[str, dict[str, list[float]]], key: str, title: str, *, percent: bool = False) -> Figure:
    """Both trainings, epoch by epoch."""
    lines = [Line(arm, *of_epochs(history[key]), COLORS[arm], marker="o") for arm, history in histories.items()]
    top = 1.05 * max(max(history[key]) for history in histories.values())
    return lines_figure(lines, title=title, xlabel="epoch", percent=percent, ylim=(0, top or 1))


def arguments() -> argparse.Namespace:
    """What R1 uses, unless flags say otherwise."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="holds a folder of pictures for each class")
    parser.add_argument("--out", type=Path, default=Path("runs/r1"), help="for weights and figures")
    parser.add_argument("--weights", default="imagenet", help="of the base: imagenet, none, or a file of VGG16's")
    parser.add_argument("--trainable", action="store_true", help="train the base, too")
    parser.add_argument("--alpha", type=float, default=0.2)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=5)
    parser.add_argument("--size", type=int, default=150, help="side of the pictures in pixels")
    parser.add_argument("--steps", type=int, help="of each epoch, instead of all")
    parser.add_argument("--backbone", choices=["vgg16", "small"], default="vgg16", help="small: to see it run")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
