"""Two things processors can do and Numba has no words for, as LLVM instructions for its kernels.

**Stores that bypass the cache.** An ordinary store first reads the line of memory it writes to into the cache, and
pushes another line out. A batch of 77 MB that is written once and read much later has no use for either: stored past
the cache it costs a third of the traffic less, and what the kernel reads stays where it is. LLVM makes of a nontemporal
store what the processor has, or an ordinary store where it has none. Lines are 64 bytes.

**Bytes shuffled in a register**, to mirror a row of pixels of three bytes, five at a time.

All must be inlined: a call with its many array arguments costs more than a row. Numba's cache of a kernel looks at the
kernel's file only: touch that after a change here.
"""

from __future__ import annotations

import numba
from llvmlite import ir
from numba import types
from numba.core.extending import intrinsic

LINE = 64


@numba.njit(nogil=True, error_model="numpy", forceinline=True)
def deliver(out, o, row, kept, count, bypass, first, last):
    """Write row[kept:kept + count] at out[o], with `bypass` past the cache. See `finish`.

    Only whole lines bypass it. What does not fill one is kept at the front of `row` for the next call, which goes on
    where this one ends, or is stored as usual if this is the `last`. Numbers are unsigned; out[first] begins a line.

    Returns:
        How many numbers are kept; the next row is made at row[kept].
    """
    line, start, end = _numbers_of_a_line(out), o - kept, kept + count
    head = min(end, (first - start) % line)
    whole = head + (end - head) // line * line
    if not bypass:
        head = whole = end - end
    for x in range(head):
        out[start + x] = row[x]
    for x in range(head, whole, line):
        _store_line(out, start + x, row, x)
    rest = end - whole
    if bypass and not last:
        for x in range(rest):
            row[x] = row[whole + x]
        return rest
    for x in range(whole, end):
        out[start + x] = row[x]
    return end - end


@intrinsic
def _numbers_of_a_line(typing, out):
    """A constant, which the compiler must know to make of the loop above what it is meant to be."""

    def generate(context, builder, signature, arguments):
        return context.get_constant(types.uintp, LINE // context.get_abi_sizeof(context.get_data_type(out.dtype)))

    return types.uintp(out), generate


@intrinsic
def _store_line(typing, out, o, row, x):
    """Store the line row[x:] at out[o:], which must begin on a multiple of `LINE`."""

    def generate(context, builder, signature, arguments):
        number = context.get_data_type(out.dtype)
        line = ir.VectorType(number, LINE // context.get_abi_sizeof(number)).as_pointer()
        to, origin = (
            builder.bitcast(builder.gep(context.make_array(kind)(context, builder, array).data, [at]), line)
            for kind, array, at in ((out, *arguments[:2]), (row, *arguments[2:]))
        )
        store = builder.store(builder.load(origin, align=context.get_abi_alignment(number)), to, align=LINE)
        store.set_metadata("nontemporal", builder.module.add_metadata([ir.Constant(ir.IntType(32), 1)]))

    return types.void(out, types.uintp, row, types.uintp), generate


@intrinsic
def finish(typing):
    """Make what was streamed visible to the other threads, before they are told that it is there."""

    def generate(context, builder, signature, arguments):
        builder.fence("seq_cst")

    return types.void(), generate


@intrinsic
def reverse_five(typing, out, o, flat, u):
    """Out[o:o + 15] <- five pixels of three bytes, from the one at flat[u] to the left; out[o + 15] may change, too.

    Reads the 16 bytes that end with that pixel.
    """
    order = [4 * 3 + 1 - 3 * n + c for n in range(5) for c in range(3)] + [0]

    def generate(context, builder, signature, arguments):
        sixteen = ir.VectorType(ir.IntType(8), 16).as_pointer()
        start = builder.sub(arguments[3], ir.Constant(arguments[3].type, 13))
        to, origin = (
            builder.bitcast(builder.gep(context.make_array(kind)(context, builder, array).data, [at]), sixteen)
            for kind, array, at in ((out, arguments[0], arguments[1]), (flat, arguments[2], start))
        )
        pixels = builder.load(origin, align=1)
        shuffled = builder.shuffle_vector(pixels, pixels, ir.Constant(ir.VectorType(ir.IntType(32), 16), order))
        builder.store(shuffled, to, align=1)

    return types.void(out, types.uintp, flat, types.uintp), generate
