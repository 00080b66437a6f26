"""The fused CPU passes: every row of every output picture is made in one go, while it is in the nearest cache.

Pictures are seen as (B, P, H, L): P planes of H rows of L numbers. NHWC is one plane whose rows hold pixels of
`step` = C numbers each; NCHW is C planes of one number a pixel. So one kernel serves both layouts.

Kernels work on the samples ``start..stop`` of a batch and release the GIL; `crossfade.arrays.parallel` shares a
batch between threads. (Numba's own thread pool would refuse forked DataLoader workers, and a second caller.)

Inner loops run over flat arrays with unsigned offsets. A slice of a row would cost more than blending it, and a
signed index, which might be negative, would keep the loop from being vectorised.
"""

from __future__ import annotations

import numba
import numpy as np

_options = {"nogil": True, "cache": True, "error_model": "numpy"}


# ------------------------------------------------------------------------------------- loops over one run of numbers


@numba.njit(**_options)
def _copy(out, o, line, u, count):
    for x in range(count):
        out[o + x] = line[u + x]


@numba.njit(**_options)
def _blend(out, o, line, u, count, opacity):
    """Out <- (1 - a) out + a line; exact where a is 0 or 1, whatever the numbers are."""
    if opacity == 1:
        _copy(out, o, line, u, count)
    elif opacity > 0:
        a = out.dtype.type(opacity)
        keep = out.dtype.type(1) - a
        for x in range(count):
            out[o + x] = keep * out[o + x] + a * line[u + x]


@numba.njit(**_options)
def _blend_masked(out, o, line, u, count, opacity, mask, m, step):
    """The same where the opacity also depends on the pixel; `step` numbers make one, the first at mask[m]."""
    one = out.dtype.type(1)
    for x in range(count):
        a = out.dtype.type(opacity) * out.dtype.type(mask[m + x // step])
        if a == 1:
            out[o + x] = line[u + x]
        elif a > 0:
            out[o + x] = (one - a) * out[o + x] + a * line[u + x]


@numba.njit(**_options)
def _round(out, o, row, count):
    """float32 in 0..255 -> nearest uint8; adding 1.5 * 2^23 leaves the rounded number in the low bits."""
    shift = np.float32(12582912)
    for x in range(count):
        out[o + x] = np.uint8((row[x] + shift) - shift)


@numba.njit(**_options)
def _normalise(out, o, line, u, count, scale, shift, q):
    for x in range(count):
        out[o + x] = line[u + x] * scale[q + x] + shift[q + x]


# ------------------------------------------------------------------------------------------------- one layer of a row


@numba.njit(**_options)
def _blend_layer(out, o, line, u, i, k, y, opacity, box, mask, masked, step):
    """Blend layer k of sample i, whose row y begins at line[u], into the row at out[o]; inside its box only."""
    begin, end = np.uintp(box[i, k, 1]), np.uintp(box[i, k, 3])
    first, count = begin * step, (end - begin) * step
    if masked and k == 1:
        m = np.uintp((i * mask.shape[1] + y) * mask.shape[2]) + begin
        _blend_masked(out, o + first, line, u + first, count, opacity[i, k], mask.reshape(-1), m, step)
    else:
        _blend(out, o + first, line, u + first, count, opacity[i, k])


@numba.njit(**_options)
def _shown(i, k, y, opacity, box):
    return box[i, k, 0] <= y < box[i, k, 2] and opacity[i, k] > 0


@numba.njit(**_options)
def _start(j, p, y, shape):
    """Where row y of plane p of picture j begins in the flat batch."""
    return np.uintp(((j * shape[1] + p) * shape[2] + y) * shape[3])


# ------------------------------------------------------- whole passes over two layers without a mask or fill


@numba.njit(**_options)
def mix_pairs(images, out, source, opacity, box, step, start, stop):
    """Mix floating (B, P, H, L) pictures of two layers; loops lie bare, as a call would cost more than a row."""
    planes, height, length = images.shape[1], images.shape[2], np.uintp(images.shape[3])
    flat, result = images.reshape(-1), out.reshape(-1)
    for i in range(start, stop):
        a = images.dtype.type(opacity[i, 1])
        keep = images.dtype.type(1) - a
        top, bottom = box[i, 1, 0], box[i, 1, 2]
        left, right = np.uintp(box[i, 1, 1] * step), np.uintp(box[i, 1, 3] * step)
        for p in range(planes):
            for y in range(height):
                o = _start(i, p, y, images.shape)
                u = _start(source[i, 1], p, y, images.shape)
                if a == 0 or not top <= y < bottom:
                    for x in range(length):
                        result[o + x] = flat[o + x]
                    continue
                for x in range(left):
                    result[o + x] = flat[o + x]
                if a == 1:
                    for x in range(left, right):
                        result[o + x] = flat[u + x]
                else:
                    for x in range(left, right):
                        result[o + x] = keep * flat[o + x] + a * flat[u + x]
                for x in range(right, length):
                    result[o + x] = flat[o + x]


@numba.njit(**_options)
def render_pairs(images, out, source, opacity, box, step, scale, shift, start, stop):
    """uint8 (B, P, H, L) -> float32 of two layers: mixed, then ``x * scale[p] + shift[p]``; scale, shift (P, L)."""
    planes, height, length = images.shape[1], images.shape[2], np.uintp(images.shape[3])
    flat, result = images.reshape(-1), out.reshape(-1)
    scales, shifts = scale.reshape(-1), shift.reshape(-1)
    for i in range(start, stop):
        a = opacity[i, 1]
        keep = np.float32(1) - a
        top, bottom = box[i, 1, 0], box[i, 1, 2]
        left, right = np.uintp(box[i, 1, 1] * step), np.uintp(box[i, 1, 3] * step)
        for p in range(planes):
            q = np.uintp(p) * length
            for y in range(height):
                o = _start(i, p, y, images.shape)
                u = _start(source[i, 1], p, y, images.shape)
                if a == 0 or not top <= y < bottom:
                    for x in range(length):
                        result[o + x] = flat[o + x] * scales[q + x] + shifts[q + x]
                    continue
                for x in range(left):
                    result[o + x] = flat[o + x] * scales[q + x] + shifts[q + x]
                if a == 1:
                    for x in range(left, right):
                        result[o + x] = flat[u + x] * scales[q + x] + shifts[q + x]
                else:
                    for x in range(left, right):
                        mixed = keep * flat[o + x] + a * flat[u + x]
                        result[o + x] = mixed * scales[q + x] + shifts[q + x]
                for x in range(right, length):
                    result[o + x] = flat[o + x] * scales[q + x] + shifts[q + x]


@numba.njit(**_options)
def render_pairs_augmented(
    images, out, source, opacity, box, step, scale, shift, flip, offset, reflect, start, stop
):  # fmt: skip
    """The same of pictures each flipped and shifted first, see `render`."""
    planes, height, length = images.shape[1], images.shape[2], np.uintp(images.shape[3])
    result, scales, shifts = out.reshape(-1), scale.reshape(-1), shift.reshape(-1)
    lower, upper = np.zeros(images.shape[3], np.uint8), np.zeros(images.shape[3], np.uint8)
    columns = np.zeros((2, images.shape[3] // step), np.int64)
    zero = np.uintp(0)
    for i in range(start, stop):
        j, a = source[i, 1], opacity[i, 1]
        keep = np.float32(1) - a
        left, right = np.uintp(box[i, 1, 1] * step), np.uintp(box[i, 1, 3] * step)
        _columns(columns[0], flip[i], offset[i, 1], reflect)
        _columns(columns[1], flip[j], offset[j, 1], reflect)
        for p in range(planes):
            q = np.uintp(p) * length
            for y in range(height):
                o = _start(i, p, y, images.shape)
                _augmented_row(lower, zero, images, i, p, y, columns[0], flip, offset, reflect)
                if _shown(i, 1, y, opacity, box):
                    _augmented_row(upper, zero, images, j, p, y, columns[1], flip, offset, reflect)
                    if a == 1:
                        for x in range(left, right):
                            lower[x] = upper[x]
                    else:
                        for x in range(length):
                            mixed = keep * lower[x] + a * upper[x] if left <= x < right else np.float32(lower[x])
                            result[o + x] = mixed * scales[q + x] + shifts[q + x]
                        continue
                for x in range(length):
                    result[o + x] = lower[x] * scales[q + x] + shifts[q + x]


# ------------------------------------------------------------------------------ whole passes over any plan


@numba.njit(**_options)
def mix_float(images, out, source, opacity, box, mask, masked, step, start, stop):
    """Mix floating (B, P, H, L) pictures into `out`, which must not overlap them."""
    shape = images.shape
    flat, result, black = images.reshape(-1), out.reshape(-1), np.zeros(shape[3], images.dtype)
    length, width = np.uintp(shape[3]), np.uintp(step)
    for i in range(start, stop):
        for p in range(shape[1]):
            for y in range(shape[2]):
                o = _start(i, p, y, shape)
                _copy(result, o, flat, o, length)
                for k in range(1, source.shape[1]):
                    j = source[i, k]
                    if not _shown(i, k, y, opacity, box):
                        continue
                    if j < 0:
                        _blend_layer(result, o, black, np.uintp(0), i, k, y, opacity, box, mask, masked, width)
                    else:
                        u = _start(j, p, y, shape)
                        _blend_layer(result, o, flat, u, i, k, y, opacity, box, mask, masked, width)


@numba.njit(**_options)
def mix_bytes(images, out, source, opacity, box, mask, masked, step, start, stop):
    """Mix uint8 (B, P, H, L) pictures into `out`: pastes exact, blends rounded once, to nearest even."""
    shape = images.shape
    flat, result, black = images.reshape(-1), out.reshape(-1), np.zeros(shape[3], np.uint8)
    length, width, zero = np.uintp(shape[3]), np.uintp(step), np.uintp(0)
    row = np.empty(shape[3], np.float32)
    for i in range(start, stop):
        for p in range(shape[1]):
            for y in range(shape[2]):
                o = _start(i, p, y, shape)
                _copy(row, zero, flat, o, length)
                for k in range(1, source.shape[1]):
                    j = source[i, k]
                    if not _shown(i, k, y, opacity, box):
                        continue
                    if j < 0:
                        _blend_layer(row, zero, black, zero, i, k, y, opacity, box, mask, masked, width)
                    else:
                        u = _start(j, p, y, shape)
                        _blend_layer(row, zero, flat, u, i, k, y, opacity, box, mask, masked, width)
                _round(result, o, row, length)


@numba.njit(**_options)
def render(
    images, out, source, opacity, box, mask, masked, step, scale, shift,
    augmented, flip, offset, reflect, start, stop,
):  # fmt: skip
    """uint8 (B, P, H, L) -> float32: each picture flipped and shifted, mixed, then ``x * scale[p] + shift[p]``.

    scale, shift: (P, L). flip: (B,) left-right; offset: (B, 2) rows down and columns right; of the source pictures.
    """
    shape = images.shape
    layers, length = source.shape[1], np.uintp(shape[3])
    flat, result = images.reshape(-1), out.reshape(-1)
    scales, shifts = scale.reshape(-1), shift.reshape(-1)
    lines, row = np.zeros(layers * shape[3], np.uint8), np.empty(shape[3], np.float32)
    starts, columns = np.zeros(layers, np.uintp), np.zeros((layers, shape[3] // step), np.int64)
    for i in range(start, stop):
        for k in range(layers if augmented else 0):
            j = max(source[i, k], 0)
            _columns(columns[k], flip[j], offset[j, 1], reflect)
        for p in range(shape[1]):
            q = np.uintp(p) * length
            for y in range(shape[2]):
                o = _start(i, p, y, shape)
                for k in range(layers):
                    j = source[i, k]
                    if j < 0 or not _shown(i, k, y, opacity, box):
                        continue
                    if augmented:
                        starts[k] = np.uintp(k) * length
                        _augmented_row(lines, starts[k], images, j, p, y, columns[k], flip, offset, reflect)
                    else:
                        starts[k] = _start(j, p, y, shape)
                shown = lines if augmented else flat
                _render_row(
                    result, o, shown, starts, row, i, y, source, opacity, box, mask, masked, step, scales, shifts, q
                )


@numba.njit(**_options)
def _render_row(out, o, lines, starts, row, i, y, source, opacity, box, mask, masked, step, scale, shift, q):
    """One row of the result, from the rows of its layers, which begin at lines[starts[k]]."""
    layers, length, width, zero = source.shape[1], np.uintp(row.size), np.uintp(step), np.uintp(0)
    if layers == 1 or (layers == 2 and not _shown(i, 1, y, opacity, box)):
        _normalise(out, o, lines, starts[0], length, scale, shift, q)
    else:
        _copy(row, zero, lines, starts[0], length)
        for k in range(1, layers):
            if not _shown(i, k, y, opacity, box):
                continue
            if source[i, k] < 0:
                black = np.zeros(row.size, np.uint8)
                _blend_layer(row, zero, black, zero, i, k, y, opacity, box, mask, masked, width)
            else:
                _blend_layer(row, zero, lines, starts[k], i, k, y, opacity, box, mask, masked, width)
        _normalise(out, o, row, zero, length, scale, shift, q)


@numba.njit(**_options)
def _reflect(at, size):
    """The place `at`, mirrored at the borders (edge pixels not repeated) until it lies in 0..size-1."""
    if size == 1:
        return 0
    period = 2 * (size - 1)
    at = at % period
    return at if at < size else period - at


@numba.njit(**_options)
def _columns(columns, flip, right, reflect):
    """For each pixel of an augmented row, which pixel of the original row it is; -1 is black."""
    width = columns.size
    for x in range(width):
        at = x + right
        inside = 0 <= at < width
        if not inside:
            at = _reflect(at, width)
        if flip:
            at = width - 1 - at
        columns[x] = at if inside or reflect else -1


@numba.njit(**_options)
def _augmented_row(line, o, images, j, p, y, columns, flip, offset, reflect):
    """Write at line[o] row y of plane p of the augmented picture j; all but the border is one run of pixels."""
    shape, flat = images.shape, images.reshape(-1)
    width, step = columns.size, shape[3] // columns.size
    down, right = offset[j, 0], offset[j, 1]
    at = y + down
    if not 0 <= at < shape[2]:
        if not reflect:
            for x in range(np.uintp(shape[3])):
                line[o + x] = 0
            return
        at = _reflect(at, shape[2])
    first = _start(j, p, at, shape)
    begin = min(width, max(0, -right))
    end = max(begin, min(width, width - right))
    _gathered(line, o, flat, first, columns, 0, begin, step)
    to, count = o + np.uintp(begin * step), np.uintp(end - begin)
    if flip[j]:
        _reversed(line, to, flat, first + np.uintp((width - 1 - begin - right) * step), count, np.uintp(step))
    else:
        _copy(line, to, flat, first + np.uintp((begin + right) * step), count * np.uintp(step))
    _gathered(line, o, flat, first, columns, end, width, step)


@numba.njit(**_options)
def _reversed(line, o, flat, u, count, step):
    """`count` pixels, read from the one at flat[u] to the left."""
    one, two, three = np.uintp(1), np.uintp(2), np.uintp(3)
    if step == three:
        for _ in range(count):
            line[o], line[o + one], line[o + two] = flat[u], flat[u + one], flat[u + two]
            o, u = o + three, u - three
    else:
        for _ in range(count):
            for c in range(step):
                line[o + c] = flat[u + c]
            o, u = o + step, u - step


@numba.njit(**_options)
def _gathered(line, o, flat, first, columns, begin, end, step):
    """Pixels begin..end, each taken from its column; -1 is black."""
    for x in range(begin, end):
        for c in range(step):
            at = columns[x] * step + c
            line[o + np.uintp(x * step + c)] = flat[first + np.uintp(at)] if columns[x] >= 0 else 0
