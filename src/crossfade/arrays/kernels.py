"""The fused CPU passes: every row of every output picture is made in one go, while it is in the nearest cache.

Pictures are seen as (B, P, H, L): P planes of H rows of L numbers. NHWC is one plane whose rows hold pixels of
`step` = C numbers each; NCHW is C planes of one number a pixel. So one kernel serves both layouts.

Kernels work on the samples ``start..stop`` of a batch and release the GIL; `crossfade.arrays.parallel` shares a
batch between threads. (Numba's own thread pool would refuse forked DataLoader workers, and a second caller.)

Inner loops run over flat arrays with unsigned offsets. A slice of a row would cost more than blending it, and a
signed index, which might be negative, would keep the loop from being vectorised. Each row is made in a small array, at
row[m], and then delivered, with `bypass` past the cache: see `vectors.deliver`.
"""

from __future__ import annotations

import numba
import numpy as np

from crossfade.arrays.vectors import LINE, deliver, finish

_options = {"nogil": True, "cache": True, "error_model": "numpy"}


# ------------------------------------------------------------------------------------- loops over one run of numbers


@numba.njit(**_options)
def _blend(row, first, line, u, count, opacity):
    """Row <- (1 - a) row + a line, from row[first] on; exact where a is 0 or 1, whatever the numbers are."""
    if opacity == 1:
        for x in range(count):
            row[first + x] = line[u + x]
    elif opacity > 0:
        a = row.dtype.type(opacity)
        keep = row.dtype.type(1) - a
        for x in range(count):
            row[first + x] = keep * row[first + x] + a * line[u + x]


@numba.njit(**_options)
def _blend_masked(row, first, line, u, count, opacity, mask, m, step):
    """The same where the opacity also depends on the pixel; `step` numbers make one, the first at mask[m]."""
    one = row.dtype.type(1)
    for x in range(count):
        a = row.dtype.type(opacity) * row.dtype.type(mask[m + x // step])
        if a == 1:
            row[first + x] = line[u + x]
        elif a > 0:
            row[first + x] = (one - a) * row[first + x] + a * line[u + x]


@numba.njit(**_options)
def _round(out, o, row, count):
    """float32 in 0..255 -> nearest uint8; adding 1.5 * 2^23 leaves the rounded number in the low bits."""
    shift = np.float32(12582912)
    for x in range(count):
        out[o + x] = np.uint8((row[x] + shift) - shift)


@numba.njit(**_options)
def _room(out):
    """For a row, and what `deliver` keeps of the row before it."""
    return np.empty(out.shape[3] + LINE, out.dtype)


# ----------------------------------------------------------------------------------------------- one row of a sample


@numba.njit(**_options)
def _stack_row(row, m, flat, black, i, p, y, shape, source, opacity, box, mask, masked, step):
    """All layers of row y of plane p of sample i, in floating point, at row[m]."""
    zero, width, own = np.uintp(0), np.uintp(step), _start(i, p, y, shape)
    for x in range(np.uintp(shape[3])):
        row[m + x] = flat[own + x]
    for k in range(1, source.shape[1]):
        j = source[i, k]
        if not box[i, k, 0] <= y < box[i, k, 2]:
            continue
        if j < 0:
            _blend_layer(row, m, black, zero, i, k, y, opacity, box, mask, masked, width)
        else:
            _blend_layer(row, m, flat, _start(j, p, y, shape), i, k, y, opacity, box, mask, masked, width)


@numba.njit(**_options)
def _blend_layer(row, m, line, u, i, k, y, opacity, box, mask, masked, step):
    """Blend layer k of sample i, whose row y begins at line[u], into the row at row[m]; inside its box only."""
    begin, end = np.uintp(box[i, k, 1]), np.uintp(box[i, k, 3])
    first, count = begin * step, (end - begin) * step
    if masked and k == 1:
        a = np.uintp((i * mask.shape[1] + y) * mask.shape[2]) + begin
        _blend_masked(row, m + first, line, u + first, count, opacity[i, k], mask.reshape(-1), a, step)
    else:
        _blend(row, m + first, line, u + first, count, opacity[i, k])


@numba.njit(**_options)
def _start(j, p, y, shape):
    """Where row y of plane p of picture j begins in the flat batch."""
    return np.uintp(((j * shape[1] + p) * shape[2] + y) * shape[3])


# ------------------------------------------------------------------------------------------ whole passes over any plan


@numba.njit(**_options)
def mix_float(images, out, bypass, first, source, opacity, box, mask, masked, step, start, stop):
    """Mix floating (B, P, H, L) pictures into `out`, which must not overlap them."""
    shape = images.shape
    flat, result = images.reshape(-1), out.reshape(-1)
    row, black = _room(images), np.zeros(shape[3], images.dtype)
    for i in range(start, stop):
        m = np.uintp(0)
        for p in range(shape[1]):
            for y in range(shape[2]):
                _stack_row(row, m, flat, black, i, p, y, shape, source, opacity, box, mask, masked, step)
                o, last = _start(i, p, y, shape), p + 1 == shape[1] and y + 1 == shape[2]
                m = deliver(result, o, row, m, np.uintp(shape[3]), bypass, first, last)
    finish()


@numba.njit(**_options)
def mix_bytes(images, out, source, opacity, box, mask, masked, step, start, stop):
    """Mix uint8 (B, P, H, L) pictures into `out`: pastes exact, blends rounded once, to nearest even."""
    shape = images.shape
    flat, result = images.reshape(-1), out.reshape(-1)
    row, black, zero = np.empty(shape[3], np.float32), np.zeros(shape[3], np.uint8), np.uintp(0)
    for i in range(start, stop):
        for p in range(shape[1]):
            for y in range(shape[2]):
                _stack_row(row, zero, flat, black, i, p, y, shape, source, opacity, box, mask, masked, step)
                _round(result, _start(i, p, y, shape), row, np.uintp(shape[3]))


@numba.njit(**_options)
def render(images, out, bypass, first, source, opacity, box, mask, masked, step, scale, shift, start, stop):
    """uint8 (B, P, H, L) -> float32: mixed, then ``x * scale[p] + shift[p]``; scale, shift (P, L)."""
    shape, length = images.shape, np.uintp(images.shape[3])
    flat, result, scales, shifts = images.reshape(-1), out.reshape(-1), scale.reshape(-1), shift.reshape(-1)
    row, black = _room(out), np.zeros(shape[3], np.uint8)
    for i in range(start, stop):
        m = np.uintp(0)
        for p in range(shape[1]):
            q = np.uintp(p) * length
            for y in range(shape[2]):
                _stack_row(row, m, flat, black, i, p, y, shape, source, opacity, box, mask, masked, step)
                for x in range(length):
                    row[m + x] = row[m + x] * scales[q + x] + shifts[q + x]
                o, last = _start(i, p, y, shape), p + 1 == shape[1] and y + 1 == shape[2]
                m = deliver(result, o, row, m, length, bypass, first, last)
    finish()


# ------------------------- whole passes over two layers without mask or fill; loops lie bare, since a call costs a row


@numba.njit(**_options)
def mix_pairs(images, out, bypass, first, source, opacity, box, step, start, stop):
    """Mix floating (B, P, H, L) pictures of two layers."""
    planes, height, length = images.shape[1], images.shape[2], np.uintp(images.shape[3])
    flat, result, row = images.reshape(-1), out.reshape(-1), _room(images)
    for i in range(start, stop):
        m, a = np.uintp(0), images.dtype.type(opacity[i, 1])
        keep = images.dtype.type(1) - a
        top, bottom = box[i, 1, 0], box[i, 1, 2]
        left, right = np.uintp(box[i, 1, 1] * step), np.uintp(box[i, 1, 3] * step)
        for p in range(planes):
            for y in range(height):
                o, u = _start(i, p, y, images.shape), _start(source[i, 1], p, y, images.shape)
                hidden = a == 0 or not top <= y < bottom
                for x in range(length if hidden else left):
                    row[m + x] = flat[o + x]
                if not hidden:
                    if a == 1:
                        for x in range(left, right):
                            row[m + x] = flat[u + x]
                    else:
                        for x in range(left, right):
                            row[m + x] = keep * flat[o + x] + a * flat[u + x]
                    for x in range(right, length):
                        row[m + x] = flat[o + x]
                m = deliver(result, o, row, m, length, bypass, first, p + 1 == planes and y + 1 == height)
    finish()


@numba.njit(**_options)
def mix_byte_pairs(images, out, source, opacity, box, step, start, stop):
    """Mix uint8 (B, P, H, L) pictures of two layers: pastes exact, blends rounded once, to nearest even."""
    planes, height, length = images.shape[1], images.shape[2], np.uintp(images.shape[3])
    flat, result, shift = images.reshape(-1), out.reshape(-1), np.float32(12582912)
    for i in range(start, stop):
        a = opacity[i, 1]
        keep = np.float32(1) - a
        top, bottom = box[i, 1, 0], box[i, 1, 2]
        left, right = np.uintp(box[i, 1, 1] * step), np.uintp(box[i, 1, 3] * step)
        for p in range(planes):
            for y in range(height):
                o, u = _start(i, p, y, images.shape), _start(source[i, 1], p, y, images.shape)
                hidden = a == 0 or not top <= y < bottom
                for x in range(length if hidden else left):
                    result[o + x] = flat[o + x]
                if not hidden:
                    if a == 1:
                        for x in range(left, right):
                            result[o + x] = flat[u + x]
                    else:
                        for x in range(left, right):
                            mixed = keep * np.float32(flat[o + x]) + a * np.float32(flat[u + x])
                            result[o + x] = np.uint8((mixed + shift) - shift)
                    for x in range(right, length):
                        result[o + x] = flat[o + x]


@numba.njit(**_options)
def render_pairs(images, out, bypass, first, source, opacity, box, step, scale, shift, start, stop):
    """uint8 (B, P, H, L) -> float32 of two layers: mixed, then ``x * scale[p] + shift[p]``; scale, shift (P, L)."""
    planes, height, length = images.shape[1], images.shape[2], np.uintp(images.shape[3])
    flat, result, row = images.reshape(-1), out.reshape(-1), _room(out)
    scales, shifts = scale.reshape(-1), shift.reshape(-1)
    for i in range(start, stop):
        m, a = np.uintp(0), opacity[i, 1]
        keep = np.float32(1) - a
        top, bottom = box[i, 1, 0], box[i, 1, 2]
        left, right = np.uintp(box[i, 1, 1] * step), np.uintp(box[i, 1, 3] * step)
        for p in range(planes):
            q = np.uintp(p) * length
            for y in range(height):
                o, u = _start(i, p, y, images.shape), _start(source[i, 1], p, y, images.shape)
                hidden = a == 0 or not top <= y < bottom
                for x in range(length if hidden else left):
                    row[m + x] = flat[o + x] * scales[q + x] + shifts[q + x]
                if not hidden:
                    if a == 1:
                        for x in range(left, right):
                            row[m + x] = flat[u + x] * scales[q + x] + shifts[q + x]
                    else:
                        for x in range(left, right):
                            mixed = keep * flat[o + x] + a * flat[u + x]
                            row[m + x] = mixed * scales[q + x] + shifts[q + x]
                    for x in range(right, length):
                        row[m + x] = flat[o + x] * scales[q + x] + shifts[q + x]
                m = deliver(result, o, row, m, length, bypass, first, p + 1 == planes and y + 1 == height)
    finish()
