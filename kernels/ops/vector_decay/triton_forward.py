"""Chunk forward with a decay for every key coordinate: `cumulate` -> `scores` -> (`solve`) -> `states` -> `outputs`.

cumulate  G = cumsum g in every chunk, in powers of two
scores    A and, with the erase term, P, one 16 x 16 block of the lower triangle a program: below the diagonal a product
          around the block's first row, where both e^{G_i - G_ref} and e^{G_ref - G_j} are <= 1; on the diagonal column
          by column, exactly. Blocks above the diagonal are not written: who reads A or P masks them
solve     with the erase term: X = (I + beta P)^-1, U = X beta V, -W = -X beta (K e^G); with SOLVED X is there already
states    S before each chunk, R = U - W S, S' = diag(e^{G_C}) S + (K e^{G_C - G})^T R
outputs   O = s (Q e^G) S + A R

ERASE (beta is there) tells Kimi Delta Attention from gated linear attention. Symbols as in kernels/README.md.
"""

from __future__ import annotations

import triton
import triton.language as tl

from move37.kernels.common.triton_launch import (
    LOG2_E,
    SMALLEST_LOG,
    configs,
    load_column,
    load_tile,
    load_tile_t,
    state_at,
    store_tile,
)
from move37.kernels.ops.scalar_decay.triton_forward import unit_lower_inverse


@triton.jit
def last_row(G, row, size, heads, head, K: tl.constexpr, BK: tl.constexpr):
    """G at the last valid row of a chunk, [BK]; of a chunk without rows anything that is there."""
    d = tl.arange(0, BK)
    return tl.load(G + ((row + tl.maximum(size - 1, 0)) * heads + head) * K + d, mask=d < K, other=0.0)


@triton.jit
def load_lower(p, row, size, heads, head, C: tl.constexpr):
    """A or P [C, C] with zeros above the diagonal."""
    i = tl.arange(0, C)
    return tl.where(i[:, None] >= i[None, :], load_tile(p, row, size, heads, head, 0, C, C, C), 0.0)


@triton.jit
def load_lower_t(p, row, size, heads, head, C: tl.constexpr):
    """The same, transposed."""
    i = tl.arange(0, C)
    return tl.where(i[:, None] <= i[None, :], load_tile_t(p, row, size, heads, head, 0, C, C, C), 0.0)


@triton.jit
def cumulate(
    g, G, rows, sizes, HV: tl.constexpr, K: tl.constexpr, C: tl.constexpr, BK: tl.constexpr
):  # fmt: skip
    chunk, head = tl.program_id(0), tl.program_id(1)
    row, size = tl.load(rows + chunk), tl.load(sizes + chunk)
    # Logarithms end where their power is zero: -inf - -inf would be no number.
    steps = tl.maximum(load_tile(g, row, size, HV, head, 0, K, C, BK).to(tl.float32), SMALLEST_LOG)
    store_tile(G, tl.cumsum(steps, 0) * LOG2_E, row, size, HV, head, 0, K, C, BK)


@triton.jit
def scores(
    q, k, G, a, p, rows, sizes, scale,
    H: tl.constexpr, HV: tl.constexpr, K: tl.constexpr, C: tl.constexpr, BK: tl.constexpr, ERASE: tl.constexpr,
    PRECISION: tl.constexpr,
):  # fmt: skip
    chunk, head, pair = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    row, size = tl.load(rows + chunk), tl.load(sizes + chunk)
    line = 0
    for n in tl.static_range(1, C // 16):
        line += tl.where(pair >= n * (n + 1) // 2, 1, 0)
    later, earlier = line * 16, (pair - line * (line + 1) // 2) * 16
    shared = head // (HV // H)
    if later < size:
        i, d = tl.arange(0, 16), tl.arange(0, BK)
        left = size - later
        queries = load_tile(q, row + later, left, H, shared, 0, K, 16, BK).to(tl.float32) * scale
        keys = load_tile(k, row + later, left, H, shared, 0, K, 16, BK).to(tl.float32)
        above = load_tile(G, row + later, left, HV, head, 0, K, 16, BK)
        block, erased = tl.zeros((16, 16), tl.float32), tl.zeros((16, 16), tl.float32)
        if later > earlier:
            reference = tl.load(G + ((row + later) * HV + head) * K + d, mask=d < K, other=0.0)
            keys_t = load_tile_t(k, row + earlier, size - earlier, H, shared, 0, K, 16, BK).to(tl.float32)
            below_t = load_tile_t(G, row + earlier, size - earlier, HV, head, 0, K, 16, BK)
            valid = (i < left)[:, None]
            fade = tl.where(valid, tl.exp2(tl.where(valid, above - reference[None, :], 0.0)), 0.0)
            keys_t *= tl.exp2(reference[:, None] - below_t)
            block = tl.dot(queries * fade, keys_t, input_precision=PRECISION)
            if ERASE:
                erased = tl.dot(keys * fade, keys_t, input_precision=PRECISION)
        else:
            for j in range(16):
                if j < left:
                    at = row + later + j
                    key = tl.load(k + (at * H + shared) * K + d, mask=d < K, other=0.0).to(tl.float32)
                    own = tl.load(G + (at * HV + head) * K + d, mask=d < K, other=0.0)
                    valid = ((i >= j) & (i < left))[:, None]
                    fade = tl.where(valid, tl.exp2(tl.where(valid, above - own[None, :], 0.0)), 0.0) * key[None, :]
                    block = tl.where((i == j)[None, :], tl.sum(queries * fade, 1)[:, None], block)
                    if ERASE:
                        erased = tl.where((i == j)[None, :], tl.sum(keys * fade, 1)[:, None], erased)
        store_tile(a, block, row + later, left, HV, head, earlier, C, 16, 16)
        if ERASE:
            store_tile(p, erased, row + later, left, HV, head, earlier, C, 16, 16)


@triton.autotune(configs(({}, 4, 2), ({}, 8, 2)), key=["H", "HV", "K", "V", "C", "SOLVED"])
@triton.jit
def solve(
    k, v, G, beta, p, x, u, w, rows, sizes,
    H: tl.constexpr, HV: tl.constexpr, K: tl.constexpr, V: tl.constexpr, C: tl.constexpr, BK: tl.constexpr,
    BV: tl.constexpr, SOLVED: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    chunk, head = tl.program_id(0), tl.program_id(1)
    row, size = tl.load(rows + chunk), tl.load(sizes + chunk)
    i = tl.arange(0, C)
    rate = load_column(beta, row, size, HV, head, C)
    keys = load_tile(k, row, size, H, head // (HV // H), 0, K, C, BK)
    if SOLVED:
        inverse = load_tile(x, row, size, HV, head, 0, C, C, C)
    else:
        m = tl.where(i[:, None] > i[None, :], load_lower(p, row, size, HV, head, C) * rate[:, None], 0.0)
        inverse = unit_lower_inverse(m, C, PRECISION).to(keys.dtype)
        store_tile(x, inverse, row, size, HV, head, 0, C, C, C)
    faded = (keys * tl.exp2(load_tile(G, row, size, HV, head, 0, K, C, BK)) * (-rate)[:, None]).to(keys.dtype)
    store_tile(w, tl.dot(inverse, faded, input_precision=PRECISION), row, size, HV, head, 0, K, C, BK)
    for v0 in range(0, V, BV):
        values = load_tile(v, row, size, HV, head, v0, V, C, BV)
        values = (values * rate[:, None]).to(keys.dtype)
        store_tile(u, tl.dot(inverse, values, input_precision=PRECISION), row, size, HV, head, v0, V, C, BV)


@triton.autotune(
    configs(({"BV": 32}, 4, 2), ({"BV": 64}, 4, 2), ({"BV": 64}, 8, 3)), key=["H", "HV", "K", "V", "C", "ERASE"]
)
@triton.jit
def states(
    k, u, w, G, r, s, initial, final, rows, sizes, first,
    H: tl.constexpr, HV: tl.constexpr, K: tl.constexpr, V: tl.constexpr, C: tl.constexpr, BK: tl.constexpr,
    ERASE: tl.constexpr, INITIAL: tl.constexpr, FINAL: tl.constexpr, PRECISION: tl.constexpr, BV: tl.constexpr,
):  # fmt: skip
    sequence, head, v0 = tl.program_id(0), tl.program_id(1), tl.program_id(2) * BV
    state = tl.zeros((BK, BV), tl.float32)
    edge, inside = state_at(sequence, HV, head, v0, K, V, BK, BV)
    if INITIAL:
        state += tl.load(initial + edge, mask=inside, other=0.0).to(tl.float32)
    for chunk in range(tl.load(first + sequence), tl.load(first + sequence + 1)):
        row, size = tl.load(rows + chunk), tl.load(sizes + chunk)
        at, valid = state_at(chunk, HV, head, v0, K, V, BK, BV)
        tl.store(s + at, state.to(s.dtype.element_ty), mask=valid)
        values = load_tile(u, row, size, HV, head, v0, V, C, BV)
        if ERASE:
            erase = load_tile(w, row, size, HV, head, 0, K, C, BK)
            read = tl.dot(erase, state.to(erase.dtype), input_precision=PRECISION)
            values = (values.to(tl.float32) + read).to(erase.dtype)
            store_tile(r, values, row, size, HV, head, v0, V, C, BV)
        last = last_row(G, row, size, HV, head, K, BK)
        fade_t = tl.exp2(last[:, None] - load_tile_t(G, row, size, HV, head, 0, K, C, BK))
        keys_t = load_tile_t(k, row, size, H, head // (HV // H), 0, K, C, BK)
        keys_t = tl.where((tl.arange(0, C) < size)[None, :], keys_t * fade_t, 0.0).to(keys_t.dtype)
        state = state * tl.exp2(last)[:, None] + tl.dot(keys_t, values, input_precision=PRECISION)
    if FINAL:
        tl.store(final + edge, state, mask=inside)


@triton.autotune(configs(({"BV": 64}, 4, 2), ({"BV": 128}, 8, 2)), key=["H", "HV", "K", "V", "C"])
@triton.jit
def outputs(
    q, r, G, a, s, o, rows, sizes, scale,
    H: tl.constexpr, HV: tl.constexpr, K: tl.constexpr, V: tl.constexpr, C: tl.constexpr, BK: tl.constexpr,
    PRECISION: tl.constexpr, BV: tl.constexpr,
):  # fmt: skip
    chunk, head, v0 = tl.program_id(0), tl.program_id(1), tl.program_id(2) * BV
    row, size = tl.load(rows + chunk), tl.load(sizes + chunk)
    queries = load_tile(q, row, size, H, head // (HV // H), 0, K, C, BK)
    rise = tl.exp2(load_tile(G, row, size, HV, head, 0, K, C, BK))
    at, valid = state_at(chunk, HV, head, v0, K, V, BK, BV)
    state = tl.load(s + at, mask=valid, other=0.0).to(queries.dtype)
    out = tl.dot((queries * rise * scale).to(queries.dtype), state, input_precision=PRECISION)
    written = load_tile(r, row, size, HV, head, v0, V, C, BV)
    block = load_lower(a, row, size, HV, head, C).to(written.dtype)
    out += tl.dot(block, written, input_precision=PRECISION)
    store_tile(o, out, row, size, HV, head, v0, V, C, BV)
