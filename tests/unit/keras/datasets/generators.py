"""R1's generator over the corners."""

from __future__ import annotations

from keras.src.legacy.preprocessing.image import ImageDataGenerator

from crossfade.keras import MixupImageDataGenerator

R1 = {
    "rescale": 1 / 255, "rotation_range": 5, "width_shift_range": 0.05, "height_shift_range": 0, "shear_range": 0.05,
    "zoom_range": 0, "brightness_range": (1, 1.3), "horizontal_flip": True, "fill_mode": "nearest",
    "validation_split": 0.3,
}  # fmt: skip
SIDE = 12


def made(directory, batch_size=8, generator=None, **options) -> MixupImageDataGenerator:
    generator = ImageDataGenerator(**R1, data_format="channels_last") if generator is None else generator
    return MixupImageDataGenerator(generator, directory, batch_size, SIDE, SIDE, **options)


def plain(**settings) -> ImageDataGenerator:
    return ImageDataGenerator(rescale=1 / 255, data_format="channels_last", **settings)
