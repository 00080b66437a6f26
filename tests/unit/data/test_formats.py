from __future__ import annotations

import os
import resource
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile

from crossfade.data import RefusedPicture, decode
from crossfade.data.formats import check_png, check_scans, jpeg_header
from tests.unit.data.folders import encode, noise
from tests.unit.data.makers import LONG, PNG_START, SHORT, chunk, gif, grey_tiff, png, tiff, zeros

RGB = noise(20, 30)


def reason(data: bytes) -> str:
    with pytest.raises(RefusedPicture) as caught:
        decode(data)
    return caught.value.reason


# -------------------------------------------------------------------------------------------- PNG's chunks


def test_every_checksum_of_a_png_counts() -> None:
    whole = png(8, 8, extra=chunk(b"tEXt", b"Comment\0hello"))
    decode(whole)
    starts = [i for i in range(8, len(whole)) if whole[i + 4 : i + 8] in (b"IHDR", b"tEXt", b"IDAT", b"IEND")]
    assert len(starts) == 4
    for start in starts:
        length = int.from_bytes(whole[start : start + 4], "big")
        damaged = bytearray(whole)
        damaged[start + 8 + length] ^= 1
        assert reason(bytes(damaged)) == "corrupt"


def test_the_end_of_a_png_must_be_there_and_what_follows_it_does_not_count() -> None:
    whole = png(8, 8)
    assert reason(whole[:-12]) == "truncated"
    assert reason(whole[:-1]) == "truncated"
    assert reason(whole[:40] + whole[44:]) == "corrupt", "its end is there"
    assert decode(whole + b"garbage" * 100).shape == (8, 8, 1)


def test_a_damaged_profile_in_a_sound_chunk_is_no_damage_to_the_pixels() -> None:
    assert decode(png(8, 8, extra=chunk(b"iCCP", b"name\0\0this is not compressed"))).shape == (8, 8, 1)


def test_more_compressed_rows_than_the_picture_has_are_not_unpacked() -> None:
    assert decode(png(8, 8, rows=zeros(1 << 28))).shape == (8, 8, 1)


# ------------------------------------------------------------------------------------------ JPEG's segments


def test_the_header_of_a_jpeg() -> None:
    data = encode(RGB, "JPEG")
    end, several = jpeg_header(data)
    assert data[end - 14 : end - 12] == b"\xff\xda"
    assert not several
    assert jpeg_header(encode(RGB, "JPEG", progressive=True))[1]
    assert not jpeg_header(encode(RGB[:, :, 0].copy(), "JPEG"))[1]
    assert jpeg_header(data[: end - 10] + b"\1" + data[end - 9 :])[1], "a first scan of one component out of three"
    assert jpeg_header(b"\xff\xd8\xff\xff\xff" + data[3:])[0] == end + 2
    assert jpeg_header(data[: end // 2]) == (0, True)


def test_scans_are_counted_in_the_first_picture_only() -> None:
    progressive = encode(noise(64, 64), "JPEG", progressive=True)
    motion = progressive + b"\xff\xda" * 1000  # a film behind the picture may hold any bytes
    check_scans(motion, 10**12)
    bomb = progressive[:-2] + progressive[progressive.rfind(b"\xff\xda") : -2] * 100 + b"\xff\xd9"
    with pytest.raises(RefusedPicture, match="at least 51 scans"):
        check_scans(bomb, 10**12)
    check_scans(bomb, 64 * 64)  # so small that nobody has to wait


@pytest.mark.parametrize(("at", "junk"), [(20, b"\0"), (-2, b"\xff\x01\x7f\xfe")])
def test_scans_are_counted_behind_what_decoders_skip(at: int, junk: bytes) -> None:
    """Bytes between two segments, and ff 01, a marker without a length."""
    progressive = encode(noise(64, 64), "JPEG", progressive=True)
    bomb = progressive[:at] + junk + progressive[at:-2] + progressive[progressive.rfind(b"\xff\xda") : -2] * 100
    with pytest.raises(RefusedPicture, match="at least 51 scans"):
        check_scans(bomb + b"\xff\xd9", 10**12)


def test_a_jpeg_cut_and_given_an_end_is_truncated() -> None:
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    for options in ({}, {"subsampling": 0}, {"restart_marker_rows": 1}):
        data = encode(image, "JPEG", **options)
        assert reason(data[: len(data) // 2] + b"\xff\xd9") == "truncated"
    grey = encode(image[:, :, 0].copy(), "JPEG")
    assert reason(grey[: len(grey) // 2] + b"\xff\xd9") == "truncated"


def test_a_jpeg_whose_lower_part_is_one_colour_is_not_truncated() -> None:
    image = noise(64, 64).copy()
    image[20:] = 255
    assert (decode(encode(image, "JPEG", exif=Image.Exif()) + b"behind the end")[-8:] >= 250).all()


def test_settings_of_the_process_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1)
    for kind in ("PNG", "JPEG", "GIF", "TIFF", "BMP", "WEBP"):
        data = encode(np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8), kind)
        assert decode(data).shape == (40, 40, 3)
        assert reason(data[: len(data) // 2]) == "truncated" or kind == "TIFF"
    assert ImageFile.LOAD_TRUNCATED_IMAGES is True
    assert Image.MAX_IMAGE_PIXELS == 1


# --------------------------------------------------------------------------------------------------- bombs


def jpeg_of(height: int, width: int) -> bytes:
    data = bytearray(encode(RGB, "JPEG"))
    at = data.find(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def progressive_of_many_scans() -> bytes:
    data = encode(Image.new("L", (6000, 6000)), "JPEG", progressive=True)
    last = data[data.rfind(b"\xff\xda") : -2]
    return data[:-2] + last * 300 + b"\xff\xd9"


def sequential_of_many_scans() -> bytes:
    """A baseline picture whose first component comes again and again, each time for all its blocks, in two bytes."""
    data = encode(Image.new("RGB", (6000, 6000)), "JPEG", subsampling=0)
    scan = b"\xff\xda\0\x08\x01\x01\0\0\x3f\0\0\0"
    return data[: data.index(b"\xff\xda")] + scan * 9000 + b"\xff\xd9"


def webp_of(kind: bytes, body: bytes) -> bytes:
    return b"RIFF" + struct.pack("<I", 1000) + b"WEBP" + kind + struct.pack("<I", 980) + body.ljust(980, b"\0")


def bmp_of(side: int, compression: int = 0) -> bytes:
    header = struct.pack("<IiiHHIIiiII", 40, side, side, 1, 8 if compression else 24, compression, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 154, 0, 0, 54) + header.ljust(140, b"\0")


TILE = {256: (SHORT, [8]), 257: (SHORT, [8]), 258: (SHORT, [8]), 259: (SHORT, [8]), 262: (SHORT, [1])}
TILE |= {322: (LONG, [200_000]), 323: (LONG, [200_000]), 324: (LONG, [8]), 325: (LONG, [100])}
COMMENT = b"!\xfe" + (b"\xff" + b"a" * 255) * 40_000 + b"\0"
BOMBS: dict[str, tuple[Callable[[], bytes], str]] = {
    "png": (lambda: png(22_400, 22_400, rows=zeros(22_401 * 22_400)), "too_many_pixels"),
    "png, no pixels": (lambda: png(60_000, 60_000, rows=b""), "too_many_pixels"),
    "png, text": (lambda: png(8, 8, extra=chunk(b"zTXt", b"a\0\0" + zeros(1 << 28))), "unsupported_variant"),
    "png, international": (
        lambda: png(8, 8, extra=chunk(b"iTXt", b"a\0\1\0\0\0" + zeros(1 << 28))),
        "unsupported_variant",
    ),
    "png, profile": (lambda: png(8, 8, extra=chunk(b"iCCP", b"a\0\0" + zeros(1 << 28))), "unsupported_variant"),
    "png, chunks": (lambda: png(8, 8, extra=chunk(b"abCd", b"") * 300_000), "unsupported_variant"),
    "jpeg": (lambda: jpeg_of(65_000, 65_000), "too_many_pixels"),
    "jpeg, scans": (progressive_of_many_scans, "unsupported_variant"),
    "jpeg, baseline scans": (sequential_of_many_scans, "unsupported_variant"),
    "jpeg, fillers": (lambda: b"\xff\xd8" + b"\xff" * (8 << 20), "truncated"),
    "jpeg, segments": (lambda: b"\xff\xd8" + b"\xff\xe5\0\2" * (2 << 20) + b"\xff\xd9", "corrupt"),
    "webp, extended": (lambda: webp_of(b"VP8X", b"\x10\0\0\0" + b"\xff" * 6), "too_many_pixels"),
    "webp, lossless": (lambda: webp_of(b"VP8L", b"\x2f" + struct.pack("<I", 16382 | 16382 << 14)), "too_many_pixels"),
    "webp, lossy": (lambda: webp_of(b"VP8 ", b"\0\0\0\x9d\x01\x2a\xff\x3f\xff\x3f"), "too_many_pixels"),
    "gif, canvas": (lambda: gif(65_535, 65_535, frame=(0, 0, 8, 8)), "too_many_pixels"),
    "gif, frame": (lambda: gif(8, 8, frame=(50_000, 50_000, 9_000, 9_000)), "too_many_pixels"),
    "gif, comment": (lambda: gif(8, 8, frame=(0, 0, 8, 8), before=COMMENT), "unsupported_variant"),
    "bmp, runs": (lambda: bmp_of(4_000, compression=1).ljust(40 << 20, b"\1"), "unsupported_variant"),
    "bmp": (lambda: bmp_of(30_000), "too_many_pixels"),
    "tiff": (lambda: grey_tiff(60_000, 60_000, 8, b""), "too_many_pixels"),
    "tiff, tile": (lambda: tiff(TILE, b""), "too_many_pixels"),
}

_CHILD = """
import resource, sys, time
from crossfade.data import RefusedPicture, decode
from crossfade.data.pillow import pillow
[pillow(name) for name in ("Image", "JpegImagePlugin", "PngImagePlugin", "TiffImagePlugin", "WebPImagePlugin")]
data = open(sys.argv[1], "rb").read()
memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
began = time.process_time()
try:
    decode(data)
except RefusedPicture as refusal:
    print(refusal.reason, time.process_time() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory)
"""


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_in_a_second_and_200_megabytes(name: str, tmp_path: Path) -> None:
    make, expected = BOMBS[name]
    (tmp_path / "bomb").write_bytes(make())
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, str(tmp_path / "bomb")],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": "1"},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30)),
    )
    assert done.stderr == ""
    reason, seconds, kilobytes = done.stdout.split()
    assert reason == expected
    assert float(seconds) < 1
    assert int(kilobytes) < 200_000


def test_check_png_on_the_shortest_of_files() -> None:
    for length in range(len(PNG_START) + 12):
        with pytest.raises(RefusedPicture, match="truncated"):
            check_png((PNG_START + bytes(20))[:length])
