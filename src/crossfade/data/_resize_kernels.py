"""The two passes of `resize`, compiled. They release the GIL, so that threads resize side by side."""

from __future__ import annotations

import numba
import numpy as np

from crossfade.data.resize import BITS

_options = {"nogil": True, "cache": True, "error_model": "numpy"}
_HALF = np.int32(1 << (BITS - 1))


@numba.njit(**_options)
def across(image, out, first, count, weights):
    """Each row on its own, three channels at once."""
    height, width, channels = out.shape
    one, two, three = np.uintp(1), np.uintp(2), np.uintp(3)
    for y in range(height):
        line, made = image[y].reshape(-1), out[y].reshape(-1)
        for x in range(width):
            o = np.uintp(x * channels)
            if channels == 3:
                u = np.uintp(first[x] * 3)
                red, green, blue = _HALF, _HALF, _HALF
                for n in range(count[x]):
                    weight = weights[x, n]
                    red += np.int32(line[u]) * weight
                    green += np.int32(line[u + one]) * weight
                    blue += np.int32(line[u + two]) * weight
                    u += three
                made[o], made[o + one], made[o + two] = _byte(red), _byte(green), _byte(blue)
            else:
                for c in range(channels):
                    total = _HALF
                    for n in range(count[x]):
                        total += np.int32(line[np.uintp((first[x] + n) * channels + c)]) * weights[x, n]
                    made[o + np.uintp(c)] = _byte(total)


@numba.njit(**_options)
def down(image, out, first, count, weights):
    """Whole rows are added up."""
    length = np.uintp(out.shape[1] * out.shape[2])
    flat, made, total = image.reshape(-1), out.reshape(-1), np.empty(length, np.int32)
    for y in range(out.shape[0]):
        total[:] = _HALF
        for n in range(count[y]):
            weight, u = weights[y, n], np.uintp(first[y] + n) * length
            for x in range(length):
                total[x] += np.int32(flat[u + x]) * weight
        o = np.uintp(y) * length
        for x in range(length):
            made[o + x] = _byte(total[x])


@numba.njit(**_options)
def _byte(total):
    return np.uint8(min(max(total >> np.int32(BITS), np.int32(0)), np.int32(255)))
