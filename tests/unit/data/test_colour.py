from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from crossfade.data import RefusedPicture, decode, load_picture, prepare, scan
from crossfade.data.decode import read_header
from tests.unit.data.folders import encode, noise, write
from tests.unit.data.makers import chunk, gif, grey_tiff, png


def row(data: bytes, count: int = 4) -> list[int]:
    image = decode(data)
    assert image.shape[2] == 1
    assert read_header(data) == image.shape
    return image[0, :count, 0].tolist()


@pytest.mark.parametrize("order", ["<", ">"])
def test_sixteen_bit_tiff_of_either_byte_order(order: str) -> None:
    values = np.array([0, 1000, 32768, 65535] * 16, f"{order}u2")
    assert row(grey_tiff(8, 8, 16, values.tobytes(), order=order)) == [0, 4, 128, 255]


def test_white_is_zero_at_every_depth() -> None:
    assert row(grey_tiff(8, 8, 8, bytes([0, 1, 254, 255] * 16), white_is_zero=True)) == [255, 254, 1, 0]
    values = np.array([0, 1000, 32768, 65535] * 16, "<u2")
    assert row(grey_tiff(8, 8, 16, values.tobytes(), white_is_zero=True)) == [255, 251, 127, 0]
    assert row(grey_tiff(8, 8, 4, bytes([0x0F, 0x7F] * 16), white_is_zero=True)) == [255, 0, 136, 0]
    assert row(grey_tiff(8, 8, 1, bytes([0b01010101] * 8), white_is_zero=True)) == [255, 0, 255, 0]


def test_twelve_bits_span_black_to_white() -> None:
    values = [0, 1, 2048, 4095] * 16
    pairs = zip(values[::2], values[1::2], strict=True)
    packed = b"".join(bytes([a >> 4, (a & 15) << 4 | b >> 8, b & 255]) for a, b in pairs)
    assert row(grey_tiff(8, 8, 12, packed)) == [0, 0, 128, 255]


@pytest.mark.parametrize("bits", [2, 4])
def test_few_bits_span_black_to_white(bits: int) -> None:
    packed = {2: bytes([0b00011011] * 16), 4: bytes([0x05, 0xAF] * 16)}[bits]
    assert row(grey_tiff(8, 8, bits, packed)) == [0, 85, 170, 255]


def test_sixteen_bit_colours_keep_their_high_byte() -> None:
    sample = struct.pack(">HHH", 0x1234, 0x80FF, 0xFFFF) * 8
    data = png(8, 8, depth=16, colour=2, rows=zlib.compress((b"\0" + sample) * 8))
    assert decode(data)[0, 0].tolist() == [0x12, 0x80, 0xFF]
    alpha = struct.pack(">HHHH", 0x1234, 0x80FF, 0xFFFF, 0) * 8
    data = png(8, 8, depth=16, colour=6, rows=zlib.compress((b"\0" + alpha) * 8))
    assert decode(data)[0, 0].tolist() == [255, 255, 255]


def test_a_sixteen_bit_key_colour_is_transparent() -> None:
    rows = zlib.compress((b"\0" + struct.pack(">8H", 0, 77, 1000, 65535, *[500] * 4)) * 8)
    data = png(8, 8, depth=16, rows=rows, extra=chunk(b"tRNS", struct.pack(">H", 77)))
    assert row(data) == [0, 255, 4, 255]


def test_sixteen_bit_grey_with_alpha_is_laid_on_white() -> None:
    pixels = struct.pack(">HHHH", 0, 0xFFFF, 0, 0) * 4
    data = png(8, 8, depth=16, colour=4, rows=zlib.compress((b"\0" + pixels) * 8))
    assert row(data, 2) == [0, 255]


def test_numbers_without_a_known_range_are_refused_by_name() -> None:
    for values in (np.zeros((8, 8), np.int32), np.zeros((8, 8), np.float32)):
        with pytest.raises(RefusedPicture, match=r"unsupported_variant.*mode [IF]"):
            decode(encode(values, "TIFF"))


def test_cmyk_jpegs_of_adobe_are_not_negatives() -> None:
    red = Image.new("RGB", (16, 16), (250, 10, 10)).convert("CMYK")
    image = decode(encode(red, "JPEG", quality=95))
    assert np.abs(image[4, 4].astype(int) - [250, 10, 10]).max() < 12


def test_lab_is_converted_by_its_meaning() -> None:
    grey = Image.new("LAB", (8, 8), (128, 128, 128))
    image = decode(encode(grey, "TIFF"))[0, 0].astype(int)
    assert image.max() - image.min() <= 2
    assert 110 < image.mean() < 130


def test_what_a_partial_frame_leaves_free_is_background_or_white() -> None:
    image = decode(gif(8, 8, frame=(3, 2, 2, 1)))
    assert image[2, 3].tolist() == [10, 20, 30]
    assert image[2, 4].tolist() == [200, 210, 220]
    transparent = b"!\xf9\x04\x01\0\0\x01\0"
    image = decode(gif(8, 8, frame=(3, 2, 2, 1), before=transparent))
    assert image[2, 3].tolist() == [10, 20, 30]
    assert image[2, 4].tolist() == image[0, 0].tolist() == [255, 255, 255]


@pytest.mark.parametrize("kind", ["WEBP", "PNG", "GIF"])
def test_of_an_animation_the_first_frame_counts(kind: str) -> None:
    frames = [Image.fromarray(noise(16, 16, seed=seed)).convert("RGB") for seed in range(3)]
    options = {"lossless": True} if kind == "WEBP" else {}
    animated = decode(encode(frames[0], kind, save_all=True, append_images=frames[1:], **options))
    assert np.array_equal(animated, decode(encode(frames[0], kind, **options)))


def test_the_default_image_of_an_apng_counts_not_its_animation() -> None:
    still, moving = Image.new("RGB", (8, 8), "red"), Image.new("RGB", (8, 8), "blue")
    data = encode(still, "PNG", save_all=True, default_image=True, append_images=[moving, moving])
    assert decode(data)[0, 0].tolist() == [255, 0, 0]


def test_orientation_only_by_a_whole_number_from_1_to_8() -> None:
    for value, expected in ((6, (30, 20)), (1, (20, 30)), (0, (20, 30)), (9, (20, 30))):
        exif = Image.Exif()
        exif[0x0112] = value
        assert decode(encode(noise(20, 30), "PNG", exif=exif)).shape[:2] == expected


def test_mpo_is_turned_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = Image.fromarray(noise(16, 24))
    data = encode(picture, "MPO", save_all=True, append_images=[picture], exif=exif)
    assert decode(data).shape == (24, 16, 3)
    assert read_header(data) == (24, 16, 3)


def test_the_header_of_a_png_is_read_without_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    plain, turned = encode(noise(20, 30)), encode(noise(20, 30), exif=exif)
    late = turned[:33] + turned[turned.find(b"IDAT") - 4 : -12] + turned[33 : turned.find(b"IDAT") - 4] + turned[-12:]
    assert read_header(turned) == read_header(late) == decode(late).shape == (30, 20, 3)
    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", None)
    assert read_header(plain) == (20, 30, 3)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_scan_cache_and_single_files_agree_on_every_orientation(kind: str, tmp_path: Path) -> None:
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        data = encode(noise(16, 24, seed=orientation), kind, exif=exif)
        write(tmp_path / "data", {f"a/{orientation}.x": data, f"b/{orientation}.x": data})
    index, cache = prepare(tmp_path / "data", size=16, fit="crop", cache_dir=tmp_path / "cache", workers=1)
    scanned = scan(tmp_path / "data", workers=1)
    assert scanned.sizes.tolist() == index.sizes.tolist() == ([[16, 24]] * 4 + [[24, 16]] * 4) * 2
    for path, pixels in zip(index.paths, cache.pixels, strict=True):
        assert np.array_equal(load_picture(tmp_path / "data" / path, size=16, fit="crop"), pixels)
