from __future__ import annotations

import json
import os
import resource
import shutil
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from crossfade.data import Cache, Index, prepare, scan
from crossfade.data import _crew as crew
from crossfade.data import _reading as reading
from crossfade.data._store import npy_header
from crossfade.data._workshop import default_cache_dir
from crossfade.data.decode import decode
from crossfade.data.fit import fit_to, to_channels
from crossfade.errors import CacheError, ConfigError, DataError
from tests.unit.data.folders import encode, noise, pictures, write
from tests.unit.data.test_scan import always_helpers, count_helpers, same, slow_down, snapshot


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write(tmp_path / "data", pictures({"a": 5, "b": 6}, size=16))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "caches"


def truth(index: Index, cache: Cache) -> np.ndarray:
    """Every picture decoded on its own, in the order of the index."""
    images = [decode((index.root / path).read_bytes()) for path in index.paths]
    return np.stack([to_channels(fit_to(image, cache.size, cache.fit), cache.channels) for image in images])


def entries(home: Path) -> list[str]:
    return sorted(path.name for path in home.iterdir())


def test_the_cache_holds_the_pictures_of_the_index(root: Path, home: Path) -> None:
    before = snapshot(root)
    index, cache = prepare(root, cache_dir=home)
    assert same(index, scan(root))
    assert np.array_equal(cache.pixels, truth(index, cache))
    assert (cache.size, cache.channels, cache.reused) == (16, 3, False)
    assert cache.pixels.shape == (11, 16, 16, 3)
    assert isinstance(cache.pixels, np.memmap)
    assert not cache.pixels.flags.writeable
    assert entries(home) == [cache.key]
    assert snapshot(root) == before


@pytest.mark.parametrize("size", [(10, 24), (24, 10), (16, 20)])
@pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
def test_pictures_may_be_rectangles(root: Path, home: Path, size: tuple[int, int], fit: Any) -> None:
    index, cache = prepare(root, size=size, fit=fit, cache_dir=home)
    assert cache.pixels.shape == (11, *size, 3)
    assert np.array_equal(cache.pixels, truth(index, cache))
    assert cache.key.endswith(f"-{size[0]}x{size[1]}x3")
    again = prepare(root, size=size, fit=fit, cache_dir=home)[1]
    assert (again.reused, again.size) == (True, size)
    assert np.array_equal(again.pixels, cache.pixels)
    assert not prepare(root, size=size[::-1], fit=fit, cache_dir=home)[1].reused


def test_a_rectangle_of_equal_sides_is_the_square(root: Path, home: Path) -> None:
    square = prepare(root, size=16, cache_dir=home)[1]
    same = prepare(root, size=(16, 16), cache_dir=home)[1]
    assert (same.reused, same.key, same.size) == (True, square.key, 16)


def test_rectangles_that_are_too_many_are_decoded_each_time(root: Path, home: Path) -> None:
    index, cache = prepare(root, size=(10, 24), cache_dir=home, bound=100)
    assert cache.on_the_fly
    assert np.array_equal(cache.pixels[:], truth(index, cache))


def test_any_program_can_read_the_pixels(root: Path, home: Path) -> None:
    _, cache = prepare(root, cache_dir=home)
    assert np.array_equal(np.load(cache.folder / "pixels.npy"), cache.pixels)
    header = npy_header((123456789012, 224, 224, 3))
    assert len(header) == 128
    assert header.endswith(b"\n")


def test_the_second_call_decodes_nothing(root: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index, cache = prepare(root, cache_dir=home)
    monkeypatch.setattr(reading, "Decoder", None)
    again, reused = prepare(root, cache_dir=home)
    assert same(index, again)
    assert reused.reused
    assert reused.key == cache.key
    assert np.array_equal(reused.pixels, cache.pixels)


def test_the_same_pictures_elsewhere_share_the_cache(root: Path, home: Path, tmp_path: Path) -> None:
    _, cache = prepare(root, cache_dir=home)
    shutil.copytree(root, tmp_path / "copy")
    index, other = prepare(tmp_path / "copy", cache_dir=home)
    assert other.reused
    assert other.key == cache.key
    assert index.root == tmp_path / "copy"


def change_content(root: Path) -> None:
    status = os.stat(root / "a/000.png")
    (root / "a/000.png").write_bytes(encode(noise(16, 16, seed=99)))
    os.utime(root / "a/000.png", ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.mark.parametrize(
    "change",
    [
        change_content,
        lambda root: (root / "a/000.png").unlink(),
        lambda root: (root / "a/000.png").rename(root / "a/zero.png"),
        lambda root: (root / "a/004.png").rename(root / "a/004b.png"),
        lambda root: (root / "a/004.png").rename(root / "b/!.png"),
        lambda root: (root / "a/000.png").rename(root / "b/zero.png"),
        lambda root: (root / "b/new.png").write_bytes(encode(noise(16, 16, seed=98))),
        lambda root: (root / "b/bad.png").write_bytes(b"no picture"),
    ],
)
def test_a_changed_folder_is_read_again(root: Path, home: Path, change: Any) -> None:
    prepare(root, cache_dir=home)
    change(root)
    index, cache = prepare(root, cache_dir=home)
    assert not cache.reused
    assert same(index, scan(root))
    assert np.array_equal(cache.pixels, truth(index, cache))


def test_a_repaired_picture_is_taken_in(root: Path, home: Path) -> None:
    good = (root / "a/001.png").read_bytes()
    (root / "a/001.png").write_bytes(good[:50])
    index, cache = prepare(root, cache_dir=home)
    assert len(index) == len(cache.pixels) == 10
    (root / "a/001.png").write_bytes(good)
    assert len(prepare(root, cache_dir=home)[0]) == 11


@pytest.mark.parametrize("options", [{"size": 8}, {"channels": 1}, {"size": 16, "fit": "crop"}, {"max_pixels": 300}])
def test_another_wish_is_another_cache(root: Path, home: Path, options: dict[str, Any]) -> None:
    _, one = prepare(root, cache_dir=home)
    index, other = prepare(root, cache_dir=home, **options)
    assert one.key != other.key
    assert np.array_equal(other.pixels, truth(index, other))
    assert len(entries(home)) == 2


def test_another_fit_is_another_cache(tmp_path: Path, home: Path) -> None:
    files = {f"{name}/{i}.png": encode(noise(20, 40, seed=i)) for name in "ab" for i in range(2)}
    root = write(tmp_path / "data", files)
    pixels = {}
    for fit in ("stretch", "crop", "drop", "pad"):
        index, cache = prepare(root, cache_dir=home, size=16, fit=fit)
        assert np.array_equal(cache.pixels, truth(index, cache))
        assert cache.fit == fit
        pixels[fit] = cache.pixels
    assert len({picture.tobytes() for picture in pixels.values()}) == len(pixels)
    assert prepare(root, cache_dir=home, size=16, fit="crop")[1].reused


def test_another_code_version_is_another_cache(root: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, one = prepare(root, cache_dir=home)
    monkeypatch.setattr("crossfade.data._store.VERSION", 999)
    _, other = prepare(root, cache_dir=home)
    assert not other.reused
    assert one.key != other.key


def test_refused_files_leave_no_gap_and_no_wrong_label(tmp_path: Path, home: Path) -> None:
    files = pictures({"a": 30, "b": 30}, size=15)
    for name in ("a/000.png", "a/007.png", "a/008.png", "b/012.png", "b/029.png"):
        files[name] = b"no picture"
    index, cache = prepare(write(tmp_path / "data", files), cache_dir=home)
    assert len(index) == 55
    assert len(index.refused) == 5
    assert np.array_equal(cache.pixels, truth(index, cache))
    again, reused = prepare(tmp_path / "data", cache_dir=home)
    assert reused.reused
    assert same(index, again)


# --------------------------------------------------------------------------------------- size and channels


@pytest.mark.parametrize(
    ("sides", "size"),
    [
        ([(16, 16)] * 4, 16),
        ([(33, 33)] * 4, 33),
        ([(300, 300)] * 4, 128),
        ([(16, 16)] * 3 + [(20, 20)], 16),
        ([(40, 60), (60, 50), (48, 90), (47, 47)], 32),
        ([(47, 60), (60, 50), (49, 90), (90, 47)], 48),
        ([(9, 10)] * 4, 16),
        ([(200, 300)] * 4, 128),
    ],
)
def test_the_chosen_size(tmp_path: Path, home: Path, sides: list[tuple[int, int]], size: int) -> None:
    files = {f"{'ab'[i % 2]}/{i}.png": encode(noise(h, w, seed=i)) for i, (h, w) in enumerate(sides)}
    index, cache = prepare(write(tmp_path / "data", files), cache_dir=home)
    assert cache.size == size
    assert np.array_equal(cache.pixels, truth(index, cache))


def test_a_guess_that_proves_wrong_is_made_good(tmp_path: Path, home: Path) -> None:
    """The few files looked at first are grey and 16 x 16; among the others is a larger one in colour."""
    files = {f"{name}/{i:03d}.png": encode(noise(16, 16, 1, seed=i)) for name in "ab" for i in range(100)}
    files["b/001.png"] = encode(noise(20, 24))
    root = write(tmp_path / "data", files)
    index, cache = prepare(root, cache_dir=home)
    assert (cache.size, cache.channels, index.channels) == (16, 3, 3)
    assert np.array_equal(cache.pixels, truth(index, cache))
    assert prepare(root, cache_dir=home)[1].reused


def test_grey_pictures_keep_one_channel(tmp_path: Path, home: Path) -> None:
    files = {f"{name}/{i}.png": encode(noise(16, 16, 1, seed=i)) for name in "ab" for i in range(3)}
    root = write(tmp_path / "data", files)
    assert prepare(root, cache_dir=home)[1].pixels.shape == (6, 16, 16, 1)
    assert prepare(root, cache_dir=home, channels=3)[1].pixels.shape == (6, 16, 16, 3)


@pytest.mark.parametrize(
    "options", [{"size": 0}, {"size": (8, 0)}, {"size": (8, 8, 3)}, {"size": 8.5}, {"channels": 2}, {"fit": "squash"}]
)
def test_wishes_that_make_no_sense(root: Path, home: Path, options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"Got|must be"):
        prepare(root, cache_dir=home, **options)


# ---------------------------------------------------------------------------------------- several processes


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """600 files, some of them no pictures."""
    files = pictures({"a": 300, "b": 300}, size=16, kind="JPEG")
    for number in range(3, 290, 7):
        files[f"a/{number:03d}.jpeg"] = b"no picture"
    return write(tmp_path / "data", files)


def same_files(one: Cache, other: Cache) -> bool:
    names = ("meta.json", "pixels.npy", "sums.npy", "shapes.npy", "digests.npy", "sketches.npy")
    return all((one.folder / name).read_bytes() == (other.folder / name).read_bytes() for name in names)


def test_helpers_write_the_same_cache(mixed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index, alone = prepare(mixed, cache_dir=tmp_path / "one", workers=1)
    always_helpers(monkeypatch)
    slow_down(monkeypatch)
    started = count_helpers(monkeypatch)
    other, together = prepare(mixed, cache_dir=tmp_path / "two", workers=3)
    assert len(started) == 2
    assert same(index, other)
    assert alone.key == together.key
    assert same_files(alone, together)
    assert np.array_equal(alone.pixels, together.pixels)


def always_threads(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Have threads help; the names of those that do are in the set that is returned."""
    monkeypatch.setattr(crew, "HELPERS_HELP_SECONDS", 0.0)
    monkeypatch.setattr(crew, "THREADS_HELP_FROM", 0.0)
    monkeypatch.setattr(crew, "THREADS_HELP_UNTIL", 1e9)
    slow_down(monkeypatch)
    slow, seen = reading.Reader.chunk, set()

    def chunk(*args: Any) -> reading.Chunk:
        seen.add(threading.current_thread().name)
        return slow(*args)

    monkeypatch.setattr(reading.Reader, "chunk", chunk)
    return seen


def test_threads_write_the_same_cache_and_start_no_process(
    mixed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index, alone = prepare(mixed, cache_dir=tmp_path / "one", workers=1)
    seen = always_threads(monkeypatch)
    started = count_helpers(monkeypatch)
    other, together = prepare(mixed, cache_dir=tmp_path / "two", workers=3)
    assert seen == {"MainThread", "crossfade-reader"}
    assert not started
    assert same(index, other)
    assert same_files(alone, together)


def test_an_interruption_ends_the_threads_before_the_folder_is_taken_away(
    mixed: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = always_threads(monkeypatch)
    genuine = reading.Reader._write

    def write_slowly(*args: Any) -> bytes:
        time.sleep(0.2 if threading.current_thread().name == "crossfade-reader" else 0)
        return genuine(*args)

    monkeypatch.setattr(reading.Reader, "_write", write_slowly)

    def interrupt(done: int, total: int) -> None:
        if len(seen) > 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(mixed, cache_dir=home, size=16, channels=3, workers=3, progress=interrupt)
    assert not [thread for thread in threading.enumerate() if thread.name == "crossfade-reader"]
    assert entries(home) == []


def test_a_thread_that_fails_is_an_error(mixed: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    always_threads(monkeypatch)
    genuine = reading.Reader._write

    def write_rows(*args: Any) -> bytes:
        if threading.current_thread().name == "crossfade-reader":
            raise OSError(28, "No space left on device")
        return genuine(*args)

    monkeypatch.setattr(reading.Reader, "_write", write_rows)
    with pytest.raises(CacheError, match="No space left on device"):
        prepare(mixed, cache_dir=home, workers=2)
    assert entries(home) == []


# ------------------------------------------------------------------------------------------ damaged caches


DAMAGED_PIXELS = {
    "first byte": (lambda pixels: flip(pixels, 128), 1),
    "a byte in the middle": (lambda pixels: flip(pixels, 128 + 5 * 768 + 77), 1),
    "last byte": (lambda pixels: flip(pixels, -1), 1),
    "header": (lambda pixels: flip(pixels, 20), 0),
    "two rows": (lambda pixels: (flip(pixels, 128 + 768), flip(pixels, 128 + 2 * 768)), 2),
    "top bits of two words, which a sum of words would not see": (
        lambda pixels: (flip(pixels, 128 + 7, 128), flip(pixels, 128 + 15, 128)),
        1,
    ),
    "cut off": (lambda pixels: os.truncate(pixels, 128 + 9 * 768 + 5), 2),
    "empty": (lambda pixels: os.truncate(pixels, 0), 11),
    "longer": (lambda pixels: os.truncate(pixels, 20_000), 0),
}


def flip(path: Path, at: int, mask: int = 4) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= mask
    path.write_bytes(data)


def edit(path: Path, old: str, new: str) -> None:
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


@pytest.mark.parametrize("damage", DAMAGED_PIXELS)
def test_only_damaged_pictures_are_decoded_again(
    root: Path, home: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    index, cache = prepare(root, cache_dir=home)
    decoded: list[bytes] = []

    class Counting(reading.Decoder):
        def __call__(self, data: bytes) -> np.ndarray:
            decoded.append(data)
            return super().__call__(data)

    monkeypatch.setattr(reading, "Decoder", Counting)
    harm, pictures = DAMAGED_PIXELS[damage]
    harm(cache.folder / "pixels.npy")
    again, mended = prepare(root, cache_dir=home)
    assert (mended.reused, mended.key, mended.mended) == (True, cache.key, pictures)
    assert len(decoded) == pictures
    assert same(index, again)
    assert np.array_equal(mended.pixels, truth(again, mended))
    assert np.array_equal(np.load(mended.folder / "pixels.npy"), mended.pixels)
    assert np.array_equal(cache.pixels, mended.pixels), "who has it open sees it mended"
    assert entries(home) == [cache.key]
    assert prepare(root, cache_dir=home)[1].mended == 0


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: flip(folder / "sums.npy", -1),
        lambda folder: flip(folder / "digests.npy", -1),
        lambda folder: flip(folder / "sketches.npy", -1),
        lambda folder: flip(folder / "shapes.npy", 3),
        lambda folder: flip(folder / "shapes.npy", -5),
        lambda folder: os.truncate(folder / "sums.npy", 100),
        lambda folder: os.truncate(folder / "meta.json", 30),
        lambda folder: (folder / "meta.json").write_text("[]"),
        lambda folder: edit(folder / "meta.json", '"stretch"', '"crop"'),
        lambda folder: edit(folder / "meta.json", '"size": 16', '"size": 17'),
        lambda folder: (folder / "meta.json").unlink(),
        lambda folder: (folder / "pixels.npy").unlink(),
    ],
)
def test_a_cache_whose_notes_are_damaged_is_made_anew(root: Path, home: Path, damage: Any) -> None:
    index, cache = prepare(root, cache_dir=home)
    damage(cache.folder)
    again, anew = prepare(root, cache_dir=home)
    assert not anew.reused
    assert anew.key == cache.key
    assert same(index, again)
    assert np.array_equal(anew.pixels, truth(again, anew))
    assert entries(home) == [cache.key]


def test_a_damaged_row_of_a_file_that_changed_is_not_mended_with_other_pixels(root: Path, home: Path) -> None:
    """With trust="size" nobody notices that a file changed, until its row has to be decoded again."""
    _, cache = prepare(root, cache_dir=home, trust="size")
    bitmap = {"kind": "BMP"}
    write(root, {"a/000.png": encode(noise(16, 16, seed=1), **bitmap)})
    _, cache = prepare(root, cache_dir=home, trust="size")
    write(root, {"a/000.png": encode(noise(16, 16, seed=2), **bitmap)})
    flip(cache.folder / "pixels.npy", 200)
    index, anew = prepare(root, cache_dir=home, trust="size")
    assert not anew.reused
    assert np.array_equal(anew.pixels, truth(index, anew))


def test_row_sums_see_any_changed_byte() -> None:
    for length in (1, 7, 8, 9, 75, 768):
        rows = np.random.default_rng(length).integers(0, 256, (3, length), dtype=np.uint8)
        before = reading.row_sums(rows)
        for at in range(length):
            changed = rows.copy()
            changed[1, at] ^= 0x10
            assert (reading.row_sums(changed) == before).tolist() == [True, False, True]


# ---------------------------------------------------------------------------------- folders that refuse us


def test_a_cache_folder_that_cannot_be_made(root: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(CacheError, match=r"^cache: its folder must be writable\. Got .* Pass another cache_dir"):
        prepare(root, cache_dir=tmp_path / "file/caches")
    with pytest.raises(CacheError, match="must be writable"):
        prepare(root, cache_dir=tmp_path / "file")


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_a_read_only_cache_folder(root: Path, home: Path) -> None:
    home.mkdir(mode=0o500)
    with pytest.raises(CacheError, match="must be writable"):
        prepare(root, cache_dir=home)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_full_disk(root: Path, home: Path, monkeypatch: pytest.MonkeyPatch, workers: int) -> None:
    write(root, pictures({"a": 100, "b": 100}, size=16, first=50))
    if workers > 1:
        always_helpers(monkeypatch)
        slow_down(monkeypatch)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, hard))
    try:
        with pytest.raises(CacheError, match=r"could not be written\. Got: .*Free some space"):
            prepare(root, cache_dir=home, workers=workers)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert entries(home) == []
    assert not prepare(root, cache_dir=home)[1].reused


def test_a_finished_cache_is_read_from_a_folder_we_may_not_write(root: Path, home: Path) -> None:
    prepare(root, cache_dir=home)
    os.chmod(home, 0o500)
    try:
        assert prepare(root, cache_dir=home)[1].reused
    finally:
        os.chmod(home, 0o700)


def test_bad_pictures_publish_nothing(tmp_path: Path, home: Path) -> None:
    root = write(tmp_path / "data", {**pictures({"a": 2}), "b/0.png": b"x"})
    with pytest.raises(DataError, match="class 'b'"):
        prepare(root, cache_dir=home)
    assert entries(home) == []


def test_an_interrupted_build_leaves_nothing(root: Path, home: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(root, cache_dir=home, progress=interrupt)
    assert entries(home) == []


def test_what_a_dead_build_left_is_cleared_away_but_not_what_a_living_one_needs(root: Path, home: Path) -> None:
    fcntl = pytest.importorskip("fcntl")
    for name in (".building-dead", ".building-alive"):
        write(home / name, {"pixels.npy": b"half"})
    handle = os.open(home / ".building-alive", os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    _, cache = prepare(root, cache_dir=home)
    assert entries(home) == [".building-alive", cache.key]
    os.close(handle)


def test_a_file_that_vanishes_while_it_is_read_is_refused(
    root: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crew, "PROBE_FILES", 1)

    def vanish(done: int, total: int) -> None:
        (root / "a/004.png").unlink(missing_ok=True)

    index, cache = prepare(root, cache_dir=home, progress=vanish, size=16, channels=3, workers=1)
    assert [(refusal.path, refusal.reason) for refusal in index.refused] == [("a/004.png", "unreadable")]
    assert np.array_equal(cache.pixels, truth(index, cache))
    assert index.counts == {"a": 4, "b": 6}


def test_pictures_that_change_at_every_pass_are_an_error(
    root: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crew, "PROBE_FILES", 1)

    def restless(done: int, total: int) -> None:
        for path in root.glob("*/*.png"):
            if done == 1:
                side = np.asarray(Image.open(path)).shape[0] + 16
                path.write_bytes(encode(noise(side, side)))

    with pytest.raises(CacheError, match="must not change while they are read"):
        prepare(root, cache_dir=home, progress=restless, workers=1)
    assert entries(home) == []


def test_where_caches_live(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("CROSSFADE_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert default_cache_dir() == tmp_path / ".cache/crossfade"
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert default_cache_dir() == Path("/x/crossfade")
    monkeypatch.setenv("CROSSFADE_CACHE", "/y")
    assert default_cache_dir() == Path("/y")


def test_progress_reaches_the_total(root: Path, home: Path) -> None:
    for _ in range(2):
        seen: list[tuple[int, int]] = []
        prepare(root, cache_dir=home, progress=lambda done, total: seen.append((done, total)))  # noqa: B023
        assert seen[-1] == (11, 11)


# ------------------------------------------------------------------------------------------------- memory


def test_what_stays_in_memory_is_under_300_bytes_a_picture() -> None:
    import tracemalloc

    from crossfade.data import Loader, split
    from crossfade.data._reading import Findings
    from crossfade.data.listing import Listing
    from crossfade.data.scan import join

    number = 60_000

    def listing() -> Listing:
        made = Listing(Path("/data"), classes=("airplane", "ship"))
        made.paths = [f"train/{made.classes[i % 2]}/{i:06d}.jpeg" for i in range(number)]
        made.labels = [i % 2 for i in range(number)]
        made.parts = ["train"] * number
        return made

    tracemalloc.start()
    try:
        digests = np.random.default_rng(0).integers(0, 256, (number, 16), dtype=np.uint8)
        shapes = np.full((number, 3), 32, np.int32)
        sketches = np.random.default_rng(1).integers(0, 256, (number, 96), dtype=np.uint8)
        index = join(listing(), Findings(digests, shapes, np.zeros(number, np.uint32), sketches, []))
        done = split(index, seed=0)
        pixels = np.lib.stride_tricks.as_strided(
            np.zeros(48, np.uint8).reshape(1, 4, 4, 3), (number, 4, 4, 3), (0, 12, 3, 1)
        )
        loader = Loader(pixels, index.labels, done.train, batch_size=128, seed=0)
        batches = loader.epoch(0)
        next(batches)
        del digests, shapes, sketches
        used = tracemalloc.get_traced_memory()[0] / number
        batches.close()
    finally:
        tracemalloc.stop()
    assert 50 < used < 300


def test_json_notes_are_plain(root: Path, home: Path) -> None:
    _, cache = prepare(root, cache_dir=home)
    meta = json.loads((cache.folder / "meta.json").read_text())
    assert len(meta.pop("notes")) == 32
    assert meta == {
        "version": 4,
        "size": 16,
        "channels": 3,
        "fit": "stretch",
        "pictures": 11,
        "stored": True,
        "refused": [],
    }
