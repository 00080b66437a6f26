"""The fused CPU passes: every row of every output picture is made in one go, while it is in the nearest cache.

Pictures are seen as (B, P, H, L): P planes of H rows of L numbers. NHWC is one plane whose rows hold pixels of
`step` = C numbers each; NCHW is C planes of one number a pixel. So one kernel serves both layouts.

Kernels work on the samples ``start..stop`` of a batch and release the GIL; `crossfade.arrays.parallel` shares a
batch between threads. (Numba's own thread pool would refuse forked DataLoader workers, and a second caller.)
Inner loops run over slices from 0 on: an index that might be negative would keep them from being vectorised.
"""

from __future__ import annotations

import numba
import numpy as np

_options = {"nogil": True, "cache": True, "error_model": "numpy"}


@numba.njit(**_options)
def _blend(row, line, opacity):
    """row <- (1 - a) row + a line; exact where a is 0 or 1, whatever the numbers are."""
    if opacity == 1:
        for j in range(row.size):
            row[j] = line[j]
    elif opacity > 0:
        a = row.dtype.type(opacity)
        keep = row.dtype.type(1) - a
        for j in range(row.size):
            row[j] = keep * row[j] + a * line[j]


@numba.njit(**_options)
def _blend_masked(row, line, opacity, mask, begin, step):
    """The same where the opacity also depends on the pixel; `step` numbers make one pixel."""
    for j in range(row.size):
        a = row.dtype.type(opacity) * row.dtype.type(mask[(begin + j) // step])
        if a == 1:
            row[j] = line[j]
        elif a > 0:
            row[j] = (row.dtype.type(1) - a) * row[j] + a * line[j]


@numba.njit(**_options)
def _blend_layer(row, line, box, opacity, mask_row, masked, step):
    """Blend one layer into a row, inside its box."""
    begin, end = np.int64(box[1]) * step, np.int64(box[3]) * step
    if masked:
        _blend_masked(row[begin:end], line[begin:end], opacity, mask_row, begin, step)
    else:
        _blend(row[begin:end], line[begin:end], opacity)


@numba.njit(**_options)
def mix_float(images, out, source, opacity, box, mask, masked, step, start, stop):
    """Mix floating (B, P, H, L) pictures into `out`, which must not overlap them."""
    planes, height, length = images.shape[1:]
    black = np.zeros(length, images.dtype)
    for i in range(start, stop):
        for p in range(planes):
            for y in range(height):
                row = out[i, p, y]
                _blend(row, images[i, p, y], np.float32(1))
                for k in range(1, source.shape[1]):
                    if box[i, k, 0] <= y < box[i, k, 2]:
                        line = images[source[i, k], p, y] if source[i, k] >= 0 else black
                        mask_row = mask[i, y] if masked else mask[0, 0]
                        _blend_layer(row, line, box[i, k], opacity[i, k], mask_row, masked and k == 1, step)


@numba.njit(**_options)
def mix_bytes(images, out, source, opacity, box, mask, masked, step, start, stop):
    """Mix uint8 (B, P, H, L) pictures into `out`: pastes exact, blends rounded once, to nearest even."""
    planes, height, length = images.shape[1:]
    black = np.zeros(length, np.uint8)
    row = np.empty(length, np.float32)
    for i in range(start, stop):
        for p in range(planes):
            for y in range(height):
                _blend(row, images[i, p, y], np.float32(1))
                for k in range(1, source.shape[1]):
                    if box[i, k, 0] <= y < box[i, k, 2]:
                        line = images[source[i, k], p, y] if source[i, k] >= 0 else black
                        mask_row = mask[i, y] if masked else mask[0, 0]
                        _blend_layer(row, line, box[i, k], opacity[i, k], mask_row, masked and k == 1, step)
                _round(out[i, p, y], row)


@numba.njit(**_options)
def _round(target, row):
    """float32 in 0..255 -> nearest uint8; adding 1.5 * 2^23 leaves the rounded number in the low bits."""
    for j in range(target.size):
        target[j] = np.uint8((row[j] + np.float32(12582912)) - np.float32(12582912))


@numba.njit(**_options)
def _normalise(target, line, scale, shift):
    for j in range(target.size):
        target[j] = line[j] * scale[j] + shift[j]


@numba.njit(**_options)
def _normalise_two(target, lower, upper, box, opacity, step, scale, shift):
    """Blend the upper line into the lower one inside the box, and normalise: two layers in one pass."""
    a, b = np.int64(box[1]) * step, np.int64(box[3]) * step
    _normalise(target[:a], lower[:a], scale[:a], shift[:a])
    _normalise(target[b:], lower[b:], scale[b:], shift[b:])
    if opacity == 1:
        _normalise(target[a:b], upper[a:b], scale[a:b], shift[a:b])
    else:
        _normalise_blend(target[a:b], lower[a:b], upper[a:b], opacity, scale[a:b], shift[a:b])


@numba.njit(**_options)
def _normalise_blend(target, lower, upper, opacity, scale, shift):
    keep = np.float32(1) - opacity
    for j in range(target.size):
        target[j] = (keep * lower[j] + opacity * upper[j]) * scale[j] + shift[j]


@numba.njit(**_options)
def _reflect(at, size):
    """The place `at`, mirrored at the borders (edge pixels not repeated) until it lies in 0..size-1."""
    if size == 1:
        return 0
    period = 2 * (size - 1)
    at = at % period
    return at if at < size else period - at


@numba.njit(**_options)
def _columns(columns, step, flip, right, reflect):
    """For each number of an augmented row, where in the original row it comes from; -1 is black."""
    width = columns.size // step
    for x in range(width):
        at = x + right
        inside = 0 <= at < width
        if not inside:
            at = _reflect(at, width)
        if flip:
            at = width - 1 - at
        for c in range(step):
            columns[x * step + c] = at * step + c if inside or reflect else -1


@numba.njit(**_options)
def _augmented_row(line, picture, y, columns, flip, shift, down, reflect):
    """One row of the augmented picture: row y + down of the original, its numbers taken from `columns`."""
    at = y + down
    if not 0 <= at < picture.shape[0]:
        if not reflect:
            line[:] = 0
            return
        at = _reflect(at, picture.shape[0])
    original = picture[at]
    begin, end = max(0, -shift), max(0, line.size - max(0, shift))
    if flip or end <= begin:
        begin, end = line.size, line.size
    for j in range(begin):
        line[j] = original[columns[j]] if columns[j] >= 0 else 0
    middle, straight = line[begin:end], original[begin + shift : end + shift]
    for j in range(middle.size):
        middle[j] = straight[j]
    for j in range(end, line.size):
        line[j] = original[columns[j]] if columns[j] >= 0 else 0


@numba.njit(**_options)
def _line(buffer, images, j, p, y, step, augmented, columns, flip, offset, reflect):
    """Row y of picture j as it enters the mix: augmented into `buffer`, or as it lies; black for j = -1."""
    if j < 0:
        buffer[:] = 0
        return buffer
    if not augmented:
        return images[j, p, y]
    _augmented_row(buffer, images[j, p], y, columns, flip[j], offset[j, 1] * step, offset[j, 0], reflect)
    return buffer


@numba.njit(**_options)
def render(
    images, out, source, opacity, box, mask, masked, step, scale, shift,
    augmented, flip, offset, reflect, start, stop,
):  # fmt: skip
    """uint8 (B, P, H, L) -> float32: each picture flipped and shifted, mixed, then ``x * scale[p] + shift[p]``.

    flip: (B,) left-right; offset: (B, 2) rows down and columns right; both belong to the source pictures.
    """
    planes, height, length = images.shape[1:]
    layers = source.shape[1]
    lines = np.zeros((layers, length), np.uint8)
    columns = np.zeros((layers, length), np.int64)
    row = np.empty(length, np.float32)
    for i in range(start, stop):
        if augmented:
            for k in range(layers):
                j = max(source[i, k], 0)
                _columns(columns[k], step, flip[j], offset[j, 1], reflect)
        for p in range(planes):
            for y in range(height):
                target = out[i, p, y]
                lower = _line(lines[0], images, i, p, y, step, augmented, columns[0], flip, offset, reflect)
                one_pass = layers <= 2 and not masked
                if not one_pass:
                    _blend(row, lower, np.float32(1))
                plain = True
                for k in range(1, layers):
                    if not box[i, k, 0] <= y < box[i, k, 2] or opacity[i, k] == 0:
                        continue
                    j = source[i, k]
                    upper = _line(lines[k], images, j, p, y, step, augmented, columns[k], flip, offset, reflect)
                    if one_pass:
                        plain = False
                        _normalise_two(target, lower, upper, box[i, k], opacity[i, k], step, scale[p], shift[p])
                    else:
                        mask_row = mask[i, y] if masked else mask[0, 0]
                        _blend_layer(row, upper, box[i, k], opacity[i, k], mask_row, masked and k == 1, step)
                if not one_pass:
                    _normalise(target, row, scale[p], shift[p])
                elif plain:
                    _normalise(target, lower, scale[p], shift[p])
