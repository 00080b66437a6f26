"""R4 as a Keras program: daisy or rose? From the first look at a picture to the prediction of another.

    python examples/r4_flowers.py FLOWERS    # a folder with daisy/ and rose/

1. Figures: channels, threshold and morphology, normalisations, augmentations.
2. Ablation run: few pictures, one epoch. Does it run at all?
3. Overfit check: the same pictures, many epochs. Can the network learn them?
4. Learning rate: three of them, side by side.
5. Decay: the rate is halved every so many epochs.
6. Final run: augmented, judged by the ROC AUC, its best weights kept.
7. Prediction: is a rose a rose?

It needs `pip install 'crossfade[keras]' scikit-image` and TensorFlow, JAX or PyTorch, whichever KERAS_BACKEND names.
With `--depth 10 --width 8 --check-epochs 3` it is a short walk through everything.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

import keras
import numpy as np
from keras import layers
from matplotlib.figure import Figure

from crossfade import augment_images
from crossfade.arrays.augment import Colour
from crossfade.data import load_picture
from crossfade.keras import HalveEvery, ImageFolder, LossHistory, RocAuc
from crossfade.report.lines import Line, lines_figure, of_epochs
from crossfade.report.sheets import Normalised, channel_sheet, normalisation_sheet, titled_sheet
from crossfade.report.style import PALETTE, save
from crossfade.vision.augment import PRESETS, Augmentation
from crossfade.vision.geometry import about_centre, flipped, moved, scaled, sheared, turned
from crossfade.vision.morphology import morphology, threshold, view
from crossfade.vision.normalise import normalise
from crossfade.vision.preprocess import Preprocess

SIDE = 100  # the centre of each picture; one with a shorter side is left out
RATES = (0.1, 0.01, 0.001)
BLOCKS = {10: (1, 1, 1, 1), 18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}


def main() -> None:
    given = arguments()
    given.out.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(given.seed)

    # The first 80 % of each class by name to train, the last 20 % to validate; values divided by 255.
    as_r4 = Preprocess(fit="drop", normalise="divide")
    by_name = {"validation_split": 0.2, "split_by": "name"}
    pictures = partial(ImageFolder, given.data, SIDE, given.batch_size, preprocess=as_r4, **by_name)
    train = pictures(subset="training", seed=given.seed)
    few = pictures(subset="training", seed=given.seed, per_class=given.per_class)
    augmented = pictures(subset="training", seed=given.seed, augment=PRESETS["r4"])
    validation = pictures(subset="validation")

    # Every training begins with the same weights, so that nothing but its step makes a difference.
    network = partial(resnet, given.depth, given.width, len(train.class_names))
    initial = given.out / "initial.weights.h5"
    network().save_weights(initial)

    def model(rate: float = RATES[0]) -> keras.Model:
        return compiled(network(), rate, initial)

    figures(rose(train), given.out)
    ablation(model(), few)
    overfit(model(), few, given)
    rates([model(rate) for rate in RATES], train, given)
    decay(model(), few, given)
    best = final(model(), augmented, validation, given)
    predict(best, validation)
    print(f"\nFigures and weights: {given.out}")


# --------------------------------------------------------------------------------------------------------- 1. figures


def figures(batch: np.ndarray, out: Path) -> None:
    """One picture, and what becomes of it."""
    drawn = {
        "channels": channels(batch),
        "morphology": shapes(batch),
        "normalisations": normalisations(batch),
        "augmentations": augmentations(batch),
    }
    for name, figure in drawn.items():
        save(figure, out / f"{name}.png")
    print(f"1. Figures: {', '.join(drawn)}")


def channels(batch: np.ndarray) -> Figure:
    """The picture beside its red, green and blue."""
    names = ("red", "green", "blue")
    return channel_sheet([[batch[0], *(view(batch, name)[0] for name in names)]], ["picture", *names], title="Channels")


def shapes(batch: np.ndarray) -> Figure:
    """Where channel 0 is above 125, and that eroded, dilated, opened and closed by a disk of radius 3."""
    binary = threshold(batch, 125, channel=0)
    cells = [("picture", batch[0]), ("red above 125", binary[0])]
    for operation in ("erosion", "dilation", "opening", "closing"):
        cells.append((operation, morphology(binary, operation, element="disk", radius=3)[0]))
    return titled_sheet(cells, title="Threshold and morphology")


def normalisations(batch: np.ndarray) -> Figure:
    """Division by 255 for natural pictures; by the least and largest value, or by percentiles, for others."""
    formulas = {"divide": "x / 255", "minmax": "(x - min) / (max - min)", "percentile": "(x - p5) / (p95 - p5)"}
    row = [Normalised(how, formula, normalise(batch, how)[0]) for how, formula in formulas.items()]
    return normalisation_sheet([row], title="Normalisations")


def augmentations(batch: np.ndarray) -> Figure:
    """The picture beside each change of R4's."""
    size = batch.shape[1:3]
    maps = {
        "flipped": flipped(size, [True], [False]),
        "upside down": flipped(size, [False], [True]),
        "moved 20, 10": moved([-20], [-10]),
        "turned by 30": about_centre(size, turned([30])),
        "twice as large": about_centre(size, scaled([2])),
        "half as large": about_centre(size, scaled([0.5])),
        "sheared by 20": about_centre(size, sheared([0], [20])),
    }
    changes = {name: Augmentation(matrix[:, :2]) for name, matrix in maps.items()}
    still = about_centre(size, turned([0]))[:, :2]
    changes["brighter"] = Augmentation(still, colours=np.array([[Colour.BRIGHTNESS]]), amounts=np.array([[1.4]]))
    cells = [("picture", batch[0]), *((name, augment_images(batch, change)[0]) for name, change in changes.items())]
    return titled_sheet(cells, title="Augmentations")


# ---------------------------------------------------------------------------------------- 2 to 5. before the long run


def ablation(model: keras.Model, few: ImageFolder) -> None:
    """A short training that shows whether everything fits together."""
    seen = model.fit(few, epochs=1, verbose=0)
    print(f"2. Ablation run: {few.n} pictures, 1 epoch, loss {seen.history['loss'][-1]:.3f}")


def overfit(model: keras.Model, few: ImageFolder, given: argparse.Namespace) -> None:
    """A network that cannot learn a few pictures by heart will not learn from many."""
    seen = model.fit(few, epochs=given.check_epochs, verbose=0).history
    lines = [
        Line(name, *of_epochs(seen[name]), color) for name, color in (("loss", PALETTE[1]), ("accuracy", PALETTE[2]))
    ]
    save(lines_figure(lines, title="Overfit check", xlabel="epoch", ylim=(0, None)), given.out / "overfit.png")
    first, last = seen["loss"][0], seen["loss"][-1]
    print(f"3. Overfit check: loss {first:.3f} -> {last:.3f}, training accuracy {100 * seen['accuracy'][-1]:.1f} %")


def rates(models: list[keras.Model], train: ImageFolder, given: argparse.Namespace) -> None:
    """The loss batch by batch for each rate, from the same weights on the same batches."""
    histories = {}
    for rate, model in zip(RATES, models, strict=True):
        train.set_epoch(0)
        histories[f"{rate:g}"] = LossHistory()
        model.fit(train, epochs=given.rate_epochs, verbose=0, callbacks=[histories[f"{rate:g}"]])
    save(LossHistory.side_by_side(histories), given.out / "rates.png")
    losses = {rate: history.epochs[-1]["loss"] for rate, history in histories.items()}
    said = ", ".join(f"{rate} {loss:.3f}" for rate, loss in losses.items())
    print(f"4. Learning rate: loss of the last epoch {said}; best {min(losses, key=losses.get)} (R4: 0.1)")


def decay(model: keras.Model, few: ImageFolder, given: argparse.Namespace) -> None:
    """The rate of each epoch, as it was in a training."""
    halve = HalveEvery(given.decay_epochs, base=RATES[0])
    model.fit(few, epochs=given.rate_epochs, verbose=0, callbacks=[halve])
    save(halve.figure(), given.out / "decay.png")
    print(f"5. Decay: {', '.join(f'{rate:g}' for rate in halve.rates)}")


# ----------------------------------------------------------------------------------------- 6 and 7. the run, and after


def final(
    model: keras.Model, augmented: ImageFolder, validation: ImageFolder, given: argparse.Namespace
) -> keras.Model:
    """Train on each picture and a transformed copy of it; give back the model with the best weights by AUC."""
    weights, history = given.out / "best.weights.h5", LossHistory()
    keep_best = keras.callbacks.ModelCheckpoint(
        weights, monitor="val_auc", mode="max", save_best_only=True, save_weights_only=True
    )
    callbacks = [
        RocAuc(validation),  # before what reads val_auc
        HalveEvery(given.decay_epochs, base=RATES[0]),
        history,
        keep_best,
    ]
    seen = model.fit(augmented, epochs=given.epochs, validation_data=validation, callbacks=callbacks, verbose=2).history
    save(history.figure(), given.out / "final.png")
    best = int(np.argmax(seen["val_auc"]))
    print(f"6. Final run: {augmented.n} pictures, best validation AUC {seen['val_auc'][best]:.4f} in epoch {best + 1}")
    model.load_weights(weights)
    return model


def predict(model: keras.Model, validation: ImageFolder) -> None:
    """The probabilities of one picture that the network was not trained on; and how it does with all of its class."""
    probabilities = model.predict(rose(validation).astype("float32") / 255, verbose=0)[0]
    names = validation.class_names
    said = ", ".join(f"{name} {100 * p:.1f} %" for name, p in zip(names, probabilities, strict=True))
    print(f"7. Prediction of a {names[-1]}: {said}, so a {names[int(np.argmax(probabilities))]}")
    of_last = validation.classes == len(names) - 1
    hits = model.predict(validation, verbose=0).argmax(axis=1)[of_last] == len(names) - 1
    print(f"   Of {len(hits)} of class {names[-1]}, {int(hits.sum())} are recognised")


def rose(pictures: ImageFolder) -> np.ndarray:
    """The first picture of the last class, as batches hold it: (1, 100, 100, 3) uint8."""
    name = pictures.filenames[int(np.argmax(pictures.classes))]
    return load_picture(pictures.directory / name, size=SIDE, fit="drop")[None]


# ------------------------------------------------------------------------------------------------------------ network


def compiled(model: keras.Model, rate: float, weights: Path) -> keras.Model:
    """With the first weights and R4's optimiser: SGD, each gradient's norm clipped at 1."""
    model.load_weights(weights)
    optimizer = keras.optimizers.SGD(rate, clipnorm=1.0)
    model.compile(optimizer, loss="categorical_crossentropy", metrics=["accuracy"])
    return model


def resnet(depth: int, width: int, classes: int) -> keras.Model:
    """ResNet-18, 34 and so on: four stages of blocks, each with twice the filters at half the resolution.

    Source:
        He et al. 2015, arXiv:1512.03385, table 1.
    """
    inputs = keras.Input((SIDE, SIDE, 3))
    x = layers.ReLU()(convolved(inputs, width, kernel=7, stride=2))
    x = layers.MaxPooling2D(3, 2, padding="same")(x)
    for stage, blocks in enumerate(BLOCKS[depth]):
        for block in range(blocks):
            x = residual(x, width * 2**stage, stride=2 if stage and not block else 1)
    outputs = layers.Dense(classes, activation="softmax")(layers.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, outputs, name=f"resnet{depth}")


def residual(x: keras.KerasTensor, filters: int, stride: int) -> keras.KerasTensor:
    """F(x) + x: what two convolutions find is added to what came in."""
    y = layers.ReLU()(convolved(x, filters, stride=stride))
    y = convolved(y, filters)
    if stride > 1:
        x = convolved(x, filters, kernel=1, stride=stride)
    return layers.ReLU()(layers.Add()([x, y]))


def convolved(x: keras.KerasTensor, filters: int, *, kernel: int = 3, stride: int = 1) -> keras.KerasTensor:
    """A convolution, normalised over the batch."""
    y = layers.Conv2D(filters, kernel, stride, padding="same", use_bias=False, kernel_initializer="he_normal")(x)
    return layers.BatchNormalization()(y)


def arguments() -> argparse.Namespace:
    """What R4 uses, unless flags say otherwise; its batch size and epochs of decay are not known."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="holds daisy/ and rose/, or other classes")
    parser.add_argument("--out", type=Path, default=Path("runs/r4"), help="for weights and figures")
    parser.add_argument("--per-class", type=int, default=100, help="pictures of the ablation run and the overfit check")
    parser.add_argument("--check-epochs", type=int, default=20, help="of the overfit check")
    parser.add_argument("--rate-epochs", type=int, default=3, help="of each learning rate, and of the decay")
    parser.add_argument("--decay-epochs", type=int, default=1, help="until the rate is halved")
    parser.add_argument("--epochs", type=int, default=3, help="of the final run")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--depth", type=int, default=18, choices=BLOCKS)
    parser.add_argument("--width", type=int, default=64, help="filters of the first stage")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
