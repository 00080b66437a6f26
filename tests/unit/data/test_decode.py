from __future__ import annotations

import struct
import sys
import threading
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile

from crossfade.data import RefusedPicture, decode, load_picture, pillow
from crossfade.data.decode import Decoder, read_header
from crossfade.data.fit import fit_to
from crossfade.data.refusal import REASONS
from tests.unit.data.folders import encode, noise

module = sys.modules["crossfade.data.decode"]
RGB = noise(20, 30)
GREY = noise(20, 30, 1)


def refusal(data: bytes, **options: int) -> str:
    with pytest.raises(RefusedPicture) as caught:
        decode(data, **options)
    assert caught.value.reason in REASONS
    assert caught.value.detail
    return caught.value.reason


# ------------------------------------------------------------------------------------------------- formats


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF"])
def test_lossless_formats_keep_every_pixel(kind: str) -> None:
    assert np.array_equal(decode(encode(RGB, kind)), RGB)
    assert np.array_equal(decode(encode(GREY, kind)), GREY[:, :, None])


def test_webp_lossless_and_gif_first_frame() -> None:
    assert np.array_equal(decode(encode(RGB, "WEBP", lossless=True)), RGB)
    frames = [Image.fromarray(np.full((8, 8), value, np.uint8)) for value in (10, 200)]
    data = encode(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert decode(data).max() == 10


def test_mpo_gives_its_first_picture() -> None:
    first, second = Image.fromarray(RGB), Image.fromarray(255 - RGB)
    data = encode(first, "MPO", save_all=True, append_images=[second])
    assert np.abs(decode(data).astype(int) - RGB).mean() < 20


@pytest.mark.parametrize("mode", ["1", "P", "CMYK", "YCbCr", "LAB"])
def test_other_modes_become_grey_or_rgb(mode: str) -> None:
    white = Image.new("RGB", (9, 8), "white")
    source = Image.new("LAB", (9, 8), (255, 128, 128)) if mode == "LAB" else white.convert(mode)
    image = decode(encode(source, "TIFF"))
    assert image.shape == (8, 9, 1 if mode == "1" else 3)
    assert image.min() >= 254


def test_one_bit_black_is_0_and_white_is_255() -> None:
    bits = Image.fromarray(np.array([[0, 255] * 4] * 8, np.uint8)).convert("1")
    assert decode(encode(bits))[0, :2, 0].tolist() == [0, 255]


def test_sixteen_bit_grey_is_scaled_by_depth_not_by_content() -> None:
    values = np.array([[0, 128, 129, 257, 1000, 32768, 65406, 65535]] * 8, np.uint16)
    expected = [0, 0, 1, 1, 4, 128, 254, 255]  # v / 257, rounded to nearest
    for kind in ("PNG", "TIFF"):
        assert decode(encode(values, kind))[0, :, 0].tolist() == expected


def test_transparent_parts_are_laid_on_white() -> None:
    rgba = np.zeros((8, 8, 4), np.uint8)
    rgba[:, 1, 3] = 255
    rgba[:, 2, 3] = 128
    assert decode(encode(rgba))[0, :3, 0].tolist() == [255, 0, 127]
    grey = decode(encode(Image.fromarray(rgba).convert("LA")))
    assert grey.shape == (8, 8, 1)
    assert grey[0, :3, 0].tolist() == [255, 0, 127]


def test_palette_and_key_transparency_are_laid_on_white() -> None:
    palette = Image.new("P", (8, 8), 0)
    palette.putpalette([10, 20, 30, 40, 50, 60])
    assert decode(encode(palette))[0, 0].tolist() == [10, 20, 30]
    assert decode(encode(palette, transparency=0))[0, 0].tolist() == [255, 255, 255]
    assert decode(encode(palette, transparency=b"\x00\xff"))[0, 0].tolist() == [255, 255, 255]
    assert decode(encode(np.full((8, 8), 7, np.uint8), transparency=7))[0, 0].tolist() == [255]


# --------------------------------------------------------------------------------------------- orientation


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_exif_orientation_is_applied(kind: str, orientation: int) -> None:
    upright = np.zeros((16, 24), np.uint8)
    upright[:8, :8] = 255  # the bright corner is at the top left of the upright picture
    undo = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.T,
        6: upright.T[::-1],
        7: upright.T[::-1, ::-1],
        8: upright.T[:, ::-1],
    }
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.repeat(undo[orientation][:, :, None], 3, axis=2)
    data = encode(np.ascontiguousarray(stored), kind, exif=exif)
    image = decode(data)
    assert image.shape == (16, 24, 3)
    assert np.abs(image[:, :, 0].astype(int) - upright).max() < 60
    assert read_header(data) == (16, 24, 3)


def test_damaged_exif_means_upright() -> None:
    data = encode(RGB, "JPEG", exif=b"Exif\0\0not a tiff header at all")
    assert decode(data).shape == (20, 30, 3)


# ------------------------------------------------------------------------------------ fast path = Pillow's


def jpegs() -> list[bytes]:
    made = []
    for height, width in ((4, 4), (5, 7), (16, 16), (17, 33), (32, 32), (61, 100)):
        for number, subsampling in enumerate((0, 1, 2)):
            for quality in (5, 60, 95):
                for progressive in (False, True):
                    image = noise(height, width, seed=number)
                    options = {"quality": quality, "progressive": progressive, "subsampling": subsampling}
                    made.append(encode(image, "JPEG", **options))
                    made.append(encode(image[:, :, 0].copy(), "JPEG", quality=quality, progressive=progressive))
    return made


def test_simplejpeg_gives_the_pixels_of_pillow() -> None:
    pytest.importorskip("simplejpeg")
    for data in jpegs():
        fast = module._decode_plain_jpeg(data, 10**8)
        assert fast is not None, "the fast path must be taken, or this test shows nothing"
        slow = module._decode_with_pillow(data, 10**8)
        assert fast.shape == slow.shape
        assert np.array_equal(fast, slow)


@pytest.mark.parametrize("subsampling", ["444", "422", "420", "440", "411"])
def test_other_encoders_agree_too(subsampling: str) -> None:
    simplejpeg = pytest.importorskip("simplejpeg")
    data = simplejpeg.encode_jpeg(np.ascontiguousarray(noise(33, 47)), 80, "RGB", subsampling)
    assert np.array_equal(module._decode_plain_jpeg(data, 10**8), module._decode_with_pillow(data, 10**8))


def outcome(decoder: Callable[[bytes], np.ndarray], data: bytes) -> tuple[str, object]:
    try:
        return "pixels", decoder(data).tobytes()
    except RefusedPicture as error:
        return "refused", error.reason


def by_pillow(data: bytes) -> np.ndarray:
    return module._decode_with_pillow(data, 10**8)


def test_damaged_jpegs_get_pillows_verdict() -> None:
    rng = np.random.default_rng(0)
    whole = jpegs()
    refused = 0
    for _ in range(1500):
        data = bytearray(whole[rng.integers(len(whole))])
        at = int(rng.integers(2, len(data)))
        match rng.integers(4):
            case 0:
                data[at] ^= 1 << int(rng.integers(8))
            case 1:
                del data[at : at + int(rng.integers(1, 30))]
            case 2:
                data = data[:at] + b"\xff\xd9"
            case _:
                data = data[:at]
        expected = outcome(by_pillow, bytes(data))
        assert outcome(decode, bytes(data)) == expected
        refused += expected[0] == "refused"
    assert refused > 100


def test_decoder_answers_like_decode_after_learning_a_header() -> None:
    images = [noise(16, 16, seed=seed) for seed in range(4)]
    files = [encode(image, "JPEG") for image in images]
    exif = Image.Exif()
    exif[0x0112] = 6
    files += [encode(noise(16, 24), "JPEG", exif=exif), files[0][:-40], encode(images[0]), files[2], b""]
    decoder = Decoder()
    for data in files:
        assert outcome(decoder, data) == outcome(decode, data)
    assert decoder.header == files[1][: len(decoder.header or b"")]
    assert len(decoder.header or b"") > 300


def test_without_simplejpeg_the_pixels_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encode(RGB, "JPEG")
    before = decode(data)
    monkeypatch.setattr(module, "simplejpeg", None)
    assert np.array_equal(decode(data), before)
    assert np.array_equal(Decoder()(data), before)
    assert read_header(data) == (20, 30, 3)


# ------------------------------------------------------------------------------------------------ refusals


def png_with_header(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    start = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return start + encode(RGB)[33:]


def test_reasons() -> None:
    assert refusal(b"") == "empty_file"
    assert refusal(b"hello, I am a text file") == "not_an_image"
    assert refusal(b"%PDF-1.7 ...") == "unsupported_format"
    assert refusal(b"8BPS" + bytes(40)) == "unsupported_format"
    assert refusal(b'<?xml version="1.0"?><svg xmlns="..."/>') == "unsupported_format"
    assert refusal(encode(RGB, "PPM")) == "unsupported_format"
    assert refusal(encode(np.zeros((8, 8), np.float32), "TIFF")) == "unsupported_variant"
    assert refusal(encode(np.zeros((8, 8), np.int32), "TIFF")) == "unsupported_variant"
    assert refusal(png_with_header(60_000, 60_000)) == "too_many_pixels"
    assert refusal(encode(RGB, "JPEG"), max_pixels=599) == "too_many_pixels"
    assert refusal(encode(RGB[:3])) == "too_small"
    assert decode(encode(RGB, "JPEG"), max_pixels=600).shape == (20, 30, 3)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP"])
def test_a_file_cut_short_is_refused_wherever_it_is_cut(kind: str) -> None:
    image = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    data = encode(image, kind)
    seen = set()
    for length in range(12, len(data) * 3 // 4, max(1, len(data) // 40)):
        seen.add(refusal(data[:length]))
    if kind == "TIFF":  # what its tags say lies behind the pixels, so a cut can look like anything
        assert seen <= {"truncated", "corrupt", "unsupported_variant"}
    else:
        assert seen == {"truncated"}


def test_garbage_behind_a_good_start_is_a_refusal_not_a_crash() -> None:
    rng = np.random.default_rng(1)
    starts = [b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM", b"II*\0", b"MM\0*", b"RIFF\0\0\0\0WEBP"]
    for start in starts:
        for length in (0, 1, 10, 100, 2000):
            assert refusal(start + rng.bytes(length)) in ("truncated", "corrupt", "unsupported_variant",
                                                          "too_many_pixels", "too_small")  # fmt: skip


def test_corrupt_png_pixels_are_corrupt() -> None:
    data = bytearray(encode(np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)))
    data[len(data) // 2] ^= 0xFF
    assert refusal(bytes(data)) == "corrupt"


def test_whatever_a_decoder_raises_is_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    errors = [struct.error("x"), ValueError("x"), ZeroDivisionError(), Image.DecompressionBombError("x"), KeyError(3)]
    for error in [*errors, SyntaxError("x"), OSError("x"), RuntimeError("x"), MemoryError()]:

        def load(self: object, error: Exception = error) -> None:
            raise error

        monkeypatch.setattr(ImageFile.ImageFile, "load", load)
        assert refusal(encode(RGB, "TIFF")) in ("corrupt", "too_many_pixels")


# ------------------------------------------------------------------------------------------------ warnings


def test_pillows_warnings_stay_inside() -> None:
    exif = b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + bytes(30)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        decode(encode(RGB, "JPEG", exif=exif))
        palette = Image.new("P", (8, 8), 0)
        decode(encode(palette, transparency=b"\x00\xff"))
    assert not seen


def test_overlapping_threads_leave_the_warning_filters_as_they_were() -> None:
    data = encode(noise(64, 64))
    before = list(warnings.filters)
    threads = [threading.Thread(target=lambda: [decode(data) for _ in range(50)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert warnings.filters == before
    assert pillow._settings.inside == 0


def test_load_picture_is_what_the_cache_would_hold(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(encode(RGB))
    assert np.array_equal(load_picture(tmp_path / "a.png", size=8), fit_to(RGB, 8))
    with pytest.raises(RefusedPicture, match="unreadable"):
        load_picture(tmp_path / "missing.png", size=8)


def test_pil_is_not_needed_for_a_plain_jpeg(monkeypatch: pytest.MonkeyPatch) -> None:
    from crossfade.errors import MissingExtra

    pytest.importorskip("simplejpeg")
    jpeg, png = encode(RGB, "JPEG"), encode(RGB)
    monkeypatch.setitem(sys.modules, "PIL", None)
    for name in [name for name in sys.modules if name.startswith("PIL.")]:
        monkeypatch.setitem(sys.modules, name, None)
    assert decode(jpeg).shape == (20, 30, 3)
    with pytest.raises(MissingExtra, match="pip install"):
        decode(png)
