"""Channel views, thresholds and morphology: from uint8 pictures to uint8 pictures, each by itself.

    threshold   255 where x > t, else 0
    erosion     the smallest value under the element        opening   erosion, then dilation
    dilation    the largest                                 closing   dilation, then erosion

On a picture of 0 and 255 these are the operations on sets; on grey values, those on their surface; in colour each
channel is treated by itself. Beyond the border a picture is mirrored.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from crossfade.data.fit import to_channels
from crossfade.errors import ArrayError, ConfigError, MissingExtra
from crossfade.vision.preprocess import Element, Operation, View, check_threshold

Pictures = NDArray[np.uint8]


def view(images: Pictures, which: View) -> Pictures:
    """One channel of a batch.

    Args:
        images: (B, H, W, C) uint8, C 1 or 3.
        which: "red", "green", "blue", or "grey", which is luma (ITU-R 601, Pillow's "L").

    Returns:
        (B, H, W, 1) uint8; of a grey picture every view is that picture.
    """
    _check("view", images)
    _check_choice("view", which, View)
    if images.shape[3] not in (1, 3):
        raise ArrayError(f"view: images must have 1 or 3 channels. Got {images.shape}.")
    if images.shape[3] == 1:
        return images
    if which == "grey":
        return np.stack([to_channels(np.ascontiguousarray(image), 1) for image in images])
    channel = get_args(View).index(which)
    return np.ascontiguousarray(images[:, :, :, channel : channel + 1])


def threshold(images: Pictures, at: float | Literal["otsu"], *, channel: int | None = None) -> Pictures:
    """Make pictures of 0 and 255: 255 where a pixel is above `at`.

    Args:
        images: (B, H, W, C) uint8.
        at: 0..255, or "otsu" for the value that parts each picture's histogram best, a constant picture becoming 0.
        channel: look at this one only; None thresholds each channel by itself.

    Returns:
        uint8 of the same shape, with one channel where `channel` is given.

    Source:
        Otsu 1979, A threshold selection method from gray-level histograms, by scikit-image. R4 has channel 0 > 125.
    """
    _check("threshold", images)
    check_threshold(at)
    if channel is not None:
        if channel not in range(images.shape[3]):
            raise ConfigError(f"threshold: channel must be from 0 to {images.shape[3] - 1}. Got {channel!r}.")
        images = images[:, :, :, channel : channel + 1]
    above = images > (_otsu(images) if at == "otsu" else at)
    return np.where(above, np.uint8(255), np.uint8(0))


def _otsu(images: Pictures) -> NDArray[np.uint8]:
    """(B, 1, 1, C), the threshold of each channel of each picture."""
    find = _skimage("filters").threshold_otsu
    found = [[find(image[:, :, channel]) for channel in range(image.shape[2])] for image in images]
    return np.array(found, np.uint8).reshape(len(images), 1, 1, images.shape[3])


def morphology(images: Pictures, operation: Operation, *, element: Element = "disk", radius: int = 1) -> Pictures:
    """Erode, dilate, open or close a batch.

    Args:
        images: (B, H, W, C) uint8.
        operation: "erosion", "dilation", "opening" or "closing", see the top of this module.
        element: "disk" (all pixels at most `radius` away), "square" or "cross" (both 2 radius + 1 wide).
        radius: 1 or more pixels.

    Returns:
        uint8 of the same shape.
    """
    _check("morphology", images)
    _check_choice("morphology", operation, Operation)
    operate = getattr(_skimage("morphology"), operation)
    done: Pictures = operate(images, footprint(element, radius)[None, :, :, None])
    return done


def footprint(element: Element, radius: int) -> Pictures:
    """(2 radius + 1, 2 radius + 1) uint8 of 0 and 1: the pixels that an element covers."""
    _check_choice("element", element, Element)
    if radius < 1:
        raise ConfigError(f"radius: must be 1 or more pixels. Got {radius!r}.")
    down, right = np.indices((2 * radius + 1, 2 * radius + 1)) - radius
    if element == "square":
        return np.ones(down.shape, np.uint8)
    inside = down**2 + right**2 <= radius**2 if element == "disk" else (down == 0) | (right == 0)
    return inside.astype(np.uint8)


def _check(who: str, images: Any) -> None:
    if not isinstance(images, np.ndarray) or images.dtype != np.uint8 or images.ndim != 4:
        got = f"{images.dtype} {images.shape}" if isinstance(images, np.ndarray) else type(images).__name__
        raise ArrayError(f"{who}: images must be (B, H, W, C) uint8 in a NumPy array. Got {got}.")


def _check_choice(who: str, value: object, choices: Any) -> None:
    if value not in get_args(choices):
        raise ConfigError(f"{who}: must be one of {', '.join(get_args(choices))}. Got {value!r}.")


def _skimage(module: str) -> Any:
    try:
        return import_module(f"skimage.{module}")
    except ImportError as error:
        raise MissingExtra(
            "morphology: needs scikit-image, which is not installed. Run: pip install 'crossfade[workbench]'"
        ) from error
