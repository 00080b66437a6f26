"""How a picture becomes square, and how many channels it has."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from crossfade.data import prepare
from crossfade.data.decode import RefusedPicture, load_picture
from crossfade.data.fit import PAD_FILL, fit_to, to_channels
from crossfade.data.resize import resize
from crossfade.errors import ConfigError
from tests.unit.data.folders import encode, noise, write


def test_fit_to_does_not_resample_what_fits() -> None:
    image = noise(16, 16)
    assert fit_to(image, 16) is image


def test_crop_takes_the_centre_and_stretch_takes_all() -> None:
    wide = np.zeros((16, 48, 3), np.uint8)
    wide[:, 16:32] = 200
    assert (fit_to(wide, 16, "crop") == 200).all()
    stretched = fit_to(wide, 16, "stretch")
    assert stretched[0, 0, 0] == 0
    assert stretched[0, 8, 0] == 200
    tall = np.ascontiguousarray(wide.transpose(1, 0, 2))
    assert (fit_to(tall, 16, "crop") == 200).all()
    assert fit_to(wide[:, :, :1], 8).shape == (8, 8, 1)


def test_shrinking_averages() -> None:
    checks = np.indices((64, 64)).sum(axis=0) % 2 * 255
    small = fit_to(checks.astype(np.uint8)[:, :, None], 8)
    assert np.abs(small.astype(int) - 127).max() < 6


def test_to_channels() -> None:
    grey, colour = noise(20, 30, 1).reshape(20, 30, 1), noise(20, 30)
    assert to_channels(colour, 3) is colour
    assert np.array_equal(to_channels(grey, 3), np.repeat(grey, 3, axis=2))
    assert np.array_equal(to_channels(to_channels(grey, 3), 1), grey)


def test_drop_takes_the_centre_pixel_by_pixel() -> None:
    image = noise(21, 30)
    assert np.array_equal(fit_to(image, 16, "drop"), image[2:18, 7:23])
    assert np.array_equal(fit_to(image, 21, "drop"), image[:, 4:25])


def test_drop_refuses_a_side_that_is_too_short_by_name() -> None:
    with pytest.raises(RefusedPicture, match="30 x 21 pixels, a side under 22") as caught:
        fit_to(noise(21, 30), 22, "drop")
    assert caught.value.reason == "too_small"


@pytest.mark.parametrize("channels", [1, 3])
def test_pad_keeps_the_whole_picture_and_its_aspect_between_bars(channels: int) -> None:
    image = np.full((10, 30, channels), 200, np.uint8)
    padded = fit_to(image, 15, "pad")
    assert padded.shape == (15, 15, channels)
    assert (padded[5:10] == 200).all()
    assert (padded[:5] == PAD_FILL).all()
    assert (padded[10:] == PAD_FILL).all()
    assert np.array_equal(fit_to(image.transpose(1, 0, 2), 15, "pad"), padded.transpose(1, 0, 2))


def test_pad_of_a_line_keeps_one_row() -> None:
    assert (fit_to(np.full((4, 1000, 3), 9, np.uint8), 16, "pad") > 0).any(axis=(1, 2)).sum() == 1


def test_a_rectangle_holds_the_whole_or_the_middle_of_a_picture() -> None:
    image = noise(20, 30)
    assert np.array_equal(fit_to(image, (10, 15)), resize(image, 10, 15))
    assert np.array_equal(fit_to(image, (10, 10), "crop"), fit_to(image, 10, "crop"))
    assert np.array_equal(fit_to(image, (5, 15), "crop"), resize(image, 5, 15, (0, 5, 30, 15)))
    assert np.array_equal(fit_to(image, (10, 5), "crop"), resize(image, 10, 5, (10, 0, 20, 20)))
    assert np.array_equal(fit_to(image, (6, 8), "drop"), image[7:13, 11:19])
    with pytest.raises(RefusedPicture, match="30 x 20 pixels, fewer than 31 x 10"):
        fit_to(image, (10, 31), "drop")


def test_a_rectangle_frames_a_picture_of_another_aspect() -> None:
    image = np.full((20, 30, 3), 200, np.uint8)
    beside, above = fit_to(image, (10, 25), "pad"), fit_to(image, (30, 15), "pad")
    assert (beside[:, 5:20] == 200).all()
    assert (beside[:, :5] == PAD_FILL).all()
    assert (beside[:, 20:] == PAD_FILL).all()
    assert (above[10:20] == 200).all()
    assert (above[:10] == PAD_FILL).all()


def test_an_unknown_fit_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"one of stretch, crop, drop, pad\. Got 'squeeze'"):
        fit_to(noise(4, 5), 8, "squeeze")  # type: ignore[arg-type]


def test_a_picture_that_drop_leaves_out_is_counted_and_named(tmp_path: Path) -> None:
    sides = {"a/1": (20, 20), "a/2": (15, 40), "b/1": (16, 16), "b/2": (40, 17)}
    root = write(tmp_path / "data", {f"{name}.png": encode(noise(*side)) for name, side in sides.items()})
    index, cache = prepare(root, cache_dir=tmp_path / "caches", size=16, fit="drop")
    assert index.paths == ("a/1.png", "b/1.png", "b/2.png")
    assert [(refusal.path, refusal.reason) for refusal in index.refused] == [("a/2.png", "too_small")]
    assert np.array_equal(cache.pixels[0], noise(20, 20)[2:18, 2:18])
    again, reused = prepare(root, cache_dir=tmp_path / "caches", size=16, fit="drop")
    assert reused.reused
    assert again.refused == index.refused
    with pytest.raises(RefusedPicture, match="too_small"):
        load_picture(root / "a" / "2.png", size=16, fit="drop")


def test_drop_needs_a_size(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="needs a size"):
        prepare(tmp_path, cache_dir=tmp_path, fit="drop")
