"""`augment` in compiled loops: a picture is read from where it lies, warped and recoloured while it is in the cache.

Kernels work on the samples ``start..stop`` of a batch and release the GIL, as those of `kernels` do. Pictures are
(H, W, C) uint8; sample i is row ``rows[i]`` of the pictures, which may be a memory map of many more than a batch.
"""

from __future__ import annotations

import numba
import numpy as np

from crossfade.arrays.augment import FILLS, PART_BITS, UNIT_BITS, Colour
from crossfade.arrays.vectors import reverse_five

_options = {"nogil": True, "cache": True, "error_model": "numpy"}
_CONSTANT, _NEAREST, _REFLECT, _MIRROR, _WRAP = (FILLS.index(name) for name in FILLS)
_NONE, _BRIGHTNESS, _CONTRAST, _SATURATION, _HUE, _SHARPNESS = (int(colour) for colour in list(Colour)[:6])
_SHIFT, _POSTERIZE, _SOLARIZE, _AUTOCONTRAST, _EQUALIZE = (int(colour) for colour in list(Colour)[6:])
_UNIT, _ONE = 1 << UNIT_BITS, 1 << PART_BITS
_LANE = 21  # bits; three channels of a pixel share a word of 64 and are blended at once


@numba.njit(**_options)
def augment(pictures, rows, out, matrix, fill, value, colours, amounts, start, stop):
    """Sample i: row rows[i] of the (N, H, W, C) pictures, by matrix[i], then colours[i] in turn, into out[i].

    matrix: (B, 2, 3) int64 from `whole_matrix`.
    """
    _, height, width, _ = out.shape
    words = np.full(height * width + 1, _word(value, value, value))
    lines, columns = _places(height, width, fill, height * width), _places(width, 1, fill, height * width)
    for i in range(start, stop):
        picture, m = pictures[rows[i]], matrix[i]
        if m[0, 0] == _UNIT and m[0, 1] == m[1, 0] == 0 and abs(m[1, 1]) == _UNIT and (m[:, 2] % _UNIT == 0).all():
            _move(picture, out[i], m[1, 1] < 0, m[0, 2] >> UNIT_BITS, m[1, 2] >> UNIT_BITS, fill, value)
        else:
            _warp(picture, out[i], m, fill, value, words, lines, columns)
        for n in range(colours.shape[1]):
            if colours[i, n] != _NONE:
                _recolour(out[i], colours[i, n], np.float32(amounts[i, n]))


# ---------------------------------------------------------------------------------------------------------- geometry


@numba.njit(**_options)
def _inside(at, size, fill):
    """The place in 0..size-1 that stands for the place `at`; -1 for the constant."""
    if 0 <= at < size:
        return at
    if fill == _CONSTANT:
        return -1
    if fill == _NEAREST:
        return 0 if at < 0 else size - 1
    if fill == _WRAP:
        return at % size
    period = max(1, 2 * (size - 1)) if fill == _MIRROR else 2 * size
    at = at % period
    return at if at < size else (period if fill == _MIRROR else period - 1) - at


@numba.njit(**_options)
def _move(picture, out, flip, down, right, fill, value):
    """Shifts and left-right flips: all of a row but what lies beyond the border is one run of pixels."""
    height, width, channels = picture.shape
    flat, into = picture.reshape(-1), out.reshape(-1)
    begin = min(width, max(0, right - width + 1 if flip else -right))
    end = max(begin, min(width, right + 1 if flip else width - right))
    step, first, count = np.uintp(channels), np.uintp(begin * channels), np.uintp((end - begin) * channels)
    for y in range(height):
        o, row = np.uintp(y * width * channels), _inside(y + down, height, fill)
        if row < 0:
            out[y] = value
            continue
        for x in range(width - (end - begin)):
            x = x if x < begin else x + end - begin
            column = _inside(right - x if flip else right + x, width, fill)
            for c in range(channels):
                into[o + np.uintp(x * channels + c)] = value if column < 0 else picture[row, column, c]
        u = np.uintp((row * width + (right - begin if flip else right + begin)) * channels)
        if not flip:
            for x in range(count):
                into[o + first + x] = flat[u + x]
            continue
        done = np.uintp(0)
        if channels == 3:
            while done + np.uintp(15) < count:
                reverse_five(into, o + first + done, flat, u - done)
                done += np.uintp(15)
        for x in range(done, count, step):
            for c in range(step):
                into[o + first + x + c] = flat[u - x + c]


@numba.njit(**_options)
def _warp(picture, out, m, fill, value, words, lines, columns):
    height, width, channels = picture.shape
    packed, into = channels in (1, 3), out.reshape(-1)
    if packed:
        _pack(picture, words)
    for y in range(height):
        row, column = m[0, 0] * y + m[0, 2], m[1, 0] * y + m[1, 2]
        begin, end = 0, width if packed else 0
        while begin < end and not _surrounded(row + m[0, 1] * begin, column + m[1, 1] * begin, height, width):
            begin += 1
        while begin < end and not _surrounded(row + m[0, 1] * (end - 1), column + m[1, 1] * (end - 1), height, width):
            end -= 1
        _blend_run(words, into, y, row, column, m[0, 1], m[1, 1], begin, end, out.shape)
        for x in range(width - (end - begin)):
            x = x if x < begin else x + end - begin
            at_row, at_column = _place(row + m[0, 1] * x), _place(column + m[1, 1] * x)
            if packed and _is_near(at_row, height) and _is_near(at_column, width):
                _blend_word(words, into, y, x, at_row, at_column, lines, columns, out.shape)
            else:
                _blend_pixel(picture, out, y, x, at_row, at_column, fill, value)


@numba.njit(**_options)
def _place(units):
    """2^-32 of a pixel, rounded to 64ths."""
    return (units + (1 << (UNIT_BITS - PART_BITS - 1))) >> (UNIT_BITS - PART_BITS)


@numba.njit(**_options)
def _surrounded(row, column, height, width):
    """Whether the four pixels around a place are all of the picture."""
    top, left = _place(row) >> PART_BITS, _place(column) >> PART_BITS
    return top >= 0 and top + 1 < height and left >= 0 and left + 1 < width


@numba.njit(**_options)
def _is_near(at, size):
    return -size <= at >> PART_BITS < 2 * size - 1


@numba.njit(**_options)
def _around(at, size, fill):
    """The two pixels that a place in 64ths lies between, -1 for the constant, and how far along it lies."""
    low = at >> PART_BITS
    return _inside(low, size, fill), _inside(low + 1, size, fill), at & (_ONE - 1)


@numba.njit(**_options)
def _pack(picture, words):
    """The channels of a pixel side by side in one word, with room to be multiplied by 64 * 64."""
    flat = picture.reshape(-1)
    for n in range(np.uintp(picture.shape[0] * picture.shape[1])):
        if picture.shape[2] == 1:
            words[n] = flat[n]
        else:
            at = np.uintp(3) * n
            words[n] = _word(flat[at], flat[at + np.uintp(1)], flat[at + np.uintp(2)])


@numba.njit(**_options)
def _word(red, green, blue):
    return np.uint64(red) | np.uint64(green) << np.uint64(_LANE) | np.uint64(blue) << np.uint64(2 * _LANE)


@numba.njit(**_options)
def _blend(a, b, c, d, down, right):
    """Four words, a b above c d: ``64 a + right (b - a)``, likewise down; what lanes borrow they give back."""
    bits, right = np.uint64(PART_BITS), np.uint64(right)
    above, below = (a << bits) + right * (b - a), (c << bits) + right * (d - c)
    half = _word(_ONE**2 // 2, _ONE**2 // 2, _ONE**2 // 2)
    return ((above << bits) + np.uint64(down) * (below - above) + half) >> np.uint64(2 * PART_BITS)


@numba.njit(**_options)
def _unpack(word, into, o, channels):
    byte = np.uint64(255)
    into[o] = np.uint8(word & byte)
    if channels == 3:
        into[o + np.uintp(1)] = np.uint8(word >> np.uint64(_LANE) & byte)
        into[o + np.uintp(2)] = np.uint8(word >> np.uint64(2 * _LANE) & byte)


@numba.njit(**_options)
def _blend_run(words, into, y, row, column, down, right, begin, end, shape):
    """Pixels begin..end of row y, whose places go on by (down, right) and are surrounded by pixels of the picture."""
    _, width, channels = shape
    next_row = np.uintp(width)
    for x in range(begin, end):
        top, left = _place(row + down * x), _place(column + right * x)
        at = np.uintp((top >> PART_BITS) * width + (left >> PART_BITS))
        under = at + next_row
        word = _blend(
            words[at], words[at + np.uintp(1)], words[under], words[under + np.uintp(1)],
            top & (_ONE - 1), left & (_ONE - 1),
        )  # fmt: skip
        _unpack(word, into, np.uintp((y * width + x) * channels), channels)


@numba.njit(**_options)
def _blend_word(words, into, y, x, row, column, lines, columns, shape):
    """One pixel whose place lies a picture's length beyond the border at most."""
    height, width, channels = shape
    at, left, blank = (row >> PART_BITS) + height, (column >> PART_BITS) + width, np.uintp(height * width)
    upper, lower, sooner, later = lines[at], lines[at + 1], columns[left], columns[left + 1]
    word = _blend(
        words[min(upper + sooner, blank)], words[min(upper + later, blank)],
        words[min(lower + sooner, blank)], words[min(lower + later, blank)], row & (_ONE - 1), column & (_ONE - 1),
    )  # fmt: skip
    _unpack(word, into, np.uintp((y * width + x) * channels), channels)


@numba.njit(**_options)
def _places(size, step, fill, blank):
    """Where the words of the places -size..2 size begin, `step` words apart; `blank` for the constant."""
    places = np.empty(3 * size, np.uintp)
    for n in range(3 * size):
        at = _inside(n - size, size, fill)
        places[n] = np.uintp(blank if at < 0 else at * step)
    return places


@numba.njit(**_options)
def _blend_pixel(picture, out, y, x, row, column, fill, value):
    """The same with any number of channels."""
    upper, lower, down = _around(row, picture.shape[0], fill)
    sooner, later, right = _around(column, picture.shape[1], fill)
    for c in range(picture.shape[2]):
        above = (_ONE - right) * _read(picture, upper, sooner, c, value) + right * _read(
            picture, upper, later, c, value
        )
        below = (_ONE - right) * _read(picture, lower, sooner, c, value) + right * _read(
            picture, lower, later, c, value
        )
        out[y, x, c] = ((_ONE - down) * above + down * below + _ONE**2 // 2) >> (2 * PART_BITS)


@numba.njit(**_options)
def _read(picture, row, column, c, value):
    return np.int64(value) if row < 0 or column < 0 else np.int64(picture[row, column, c])


@numba.njit(**_options)
def _to_byte(x):
    """Nearest, even where two are as near, within 0..255."""
    shift = np.float32(12582912)
    return np.uint8((min(max(x, np.float32(0)), np.float32(255)) + shift) - shift)


# ----------------------------------------------------------------------------------------------------------- colours


@numba.njit(**_options)
def _recolour(picture, colour, a):
    """One colour step of one picture, in place."""
    if colour in (_SATURATION, _HUE):
        if picture.shape[2] == 3:
            _recolour_pixels(picture.reshape(-1, 3), colour, a)
    elif colour == _SHARPNESS:
        _sharpen(picture, a)
    else:
        flat, channels = picture.reshape(-1), picture.shape[2]
        tables = np.empty((channels, 256), np.uint8)
        for c in range(channels):
            _tabulate(tables[c], picture, c, colour, a)
        if channels == 3:
            for x in range(0, flat.size, 3):
                flat[x] = tables[0, flat[x]]
                flat[x + 1] = tables[1, flat[x + 1]]
                flat[x + 2] = tables[2, flat[x + 2]]
        else:
            for x in range(flat.size):
                flat[x] = tables[x % channels, flat[x]]


@numba.njit(**_options)
def _tabulate(table, picture, c, colour, a):
    """What becomes of each level of channel c."""
    if colour in (_AUTOCONTRAST, _EQUALIZE):
        histogram = np.zeros(256, np.int64)
        for y in range(picture.shape[0]):
            for x in range(picture.shape[1]):
                histogram[picture[y, x, c]] += 1
        if colour == _EQUALIZE:
            _equalize(table, histogram)
        else:
            _stretch(table, histogram)
        return
    pivot = np.float32(_mean_luma(picture) if colour == _CONTRAST else 0)
    for level in range(256):
        x = np.float32(level)
        if colour == _SHIFT:
            x = x + a
        elif colour == _POSTERIZE:
            step = np.float32(2.0 ** (8 - a))
            x = np.floor(x / step) * step
        elif colour == _SOLARIZE:
            x = x if x < a else np.float32(255) - x
        else:
            x = pivot + a * (x - pivot)
        table[level] = _to_byte(x)


@numba.njit(**_options)
def _stretch(table, histogram):
    used = np.flatnonzero(histogram)
    low, high = used[0], used[-1]
    scale = np.float32(255) / np.float32(high - low) if high > low else np.float32(0)
    for level in range(256):
        table[level] = _to_byte(np.float32(level - low) * scale) if high > low else level


@numba.njit(**_options)
def _equalize(table, histogram):
    used = np.flatnonzero(histogram)
    step = (histogram.sum() - histogram[used[-1]]) // 255
    below = step // 2
    for level in range(256):
        table[level] = min(255, below // step) if step else level
        below += histogram[level]


@numba.njit(**_options)
def _luma(red, green, blue):
    """As Pillow computes it, in fixed point."""
    return (19595 * np.int64(red) + 38470 * np.int64(green) + 7471 * np.int64(blue) + 32768) // 65536


@numba.njit(**_options)
def _mean_luma(picture):
    total, pixels = 0, picture.shape[0] * picture.shape[1]
    for y in range(picture.shape[0]):
        for x in range(picture.shape[1]):
            if picture.shape[2] == 3:
                total += _luma(picture[y, x, 0], picture[y, x, 1], picture[y, x, 2])
            else:
                total += picture[y, x, 0]
    return (2 * total + pixels) // (2 * pixels)


@numba.njit(**_options)
def _recolour_pixels(pixels, colour, a):
    for n in range(pixels.shape[0]):
        if colour == _SATURATION:
            grey = np.float32(_luma(pixels[n, 0], pixels[n, 1], pixels[n, 2]))
            for c in range(3):
                pixels[n, c] = _to_byte(grey + a * (np.float32(pixels[n, c]) - grey))
        else:
            _turn(pixels, n, a)


@numba.njit(**_options)
def _turn(pixels, n, turns):
    """Hue in 0..6 round the circle; each channel is the height of a trapezoid over it, see `augment`."""
    red, green, blue = np.float32(pixels[n, 0]), np.float32(pixels[n, 1]), np.float32(pixels[n, 2])
    high, low = max(red, green, blue), min(red, green, blue)
    spread = high - low
    if spread == 0:
        return
    if high == red:
        hue = (green - blue) / spread
    elif high == green:
        hue = np.float32(2) + (blue - red) / spread
    else:
        hue = np.float32(4) + (red - green) / spread
    hue += np.float32(6) * turns
    for c in range(3):
        place = np.float32(5 - 2 * c) + hue
        while place >= 6:
            place -= np.float32(6)
        while place < 0:
            place += np.float32(6)
        slope = min(max(min(place, np.float32(4) - place), np.float32(0)), np.float32(1))
        pixels[n, c] = _to_byte(high - spread * slope)


@numba.njit(**_options)
def _sharpen(picture, a):
    height, width, channels = picture.shape
    original = picture.copy()
    for y in range(1, height - 1):
        for x in range(1, width - 1):
            for c in range(channels):
                total = 4 * np.int64(original[y, x, c])
                for down in range(-1, 2):
                    for right in range(-1, 2):
                        total += original[y + down, x + right, c]
                smooth = np.float32(np.rint(np.float32(total) / np.float32(13)))
                picture[y, x, c] = _to_byte(smooth + a * (np.float32(original[y, x, c]) - smooth))
