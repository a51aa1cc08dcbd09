"""Chunk forward of the scalar-decay family: `prepare` -> `states` -> `outputs`. Symbols as in kernels/README.md.

prepare   one program a chunk and head: gamma, X = (I + M)^-1, U = X beta V, -W = -X beta e^gamma K; with SOLVED gamma
          and X are there already (the backward pass)
states    one program a sequence, head and block of V: over its chunks, R = U - W S, S' = e^{gamma_C} S + Kd^T R
outputs   one program a chunk, head and block of V: O = Qg S + A R

Two compile-time switches make the five models: DECAY (g is there), ERASE (beta is there). W carries its minus sign.
Decays are powers of two: gamma is multiplied by log2 e once.
"""

from __future__ import annotations

import triton
import triton.language as tl

from move37.kernels.common.triton_launch import (
    LOG2_E,
    configs,
    decay_matrix,
    load_column,
    load_gamma,
    load_log_decay,
    load_tile,
    load_tile_t,
    state_at,
    store_column,
    store_tile,
)


@triton.jit
def unit_lower_inverse(m, C: tl.constexpr, PRECISION: tl.constexpr):
    """(I + m)^-1 of m [C, C], strictly lower triangular: substitution in blocks of 16, then blocks that double."""
    BLOCKS: tl.constexpr = C // 16
    LEVELS: tl.constexpr = (C >= 32) + (C >= 64)
    b, r = tl.arange(0, BLOCKS), tl.arange(0, 16)
    same = b[:, None, None, None] == b[None, None, :, None]
    diagonal = tl.sum(tl.where(same, tl.reshape(m, (BLOCKS, 16, BLOCKS, 16)), 0.0), 2)  # [blocks, 16, 16]
    x = tl.where(r[None, :, None] == r[None, None, :], 1.0, 0.0) + tl.zeros((BLOCKS, 16, 16), tl.float32)
    for row in range(1, 16):
        here = r[None, :, None] == row
        weights = tl.sum(tl.where(here, diagonal, 0.0), 1)  # m[row, :] of every block
        x = tl.where(here, x - tl.sum(weights[:, :, None] * x, 1)[:, None, :], x)
    x = tl.reshape(tl.where(same, x[:, :, None, :], 0.0), (C, C))
    i = tl.arange(0, C)
    for level in tl.static_range(LEVELS):
        half, whole = i // (16 << level), i // (32 << level)
        square = tl.where((whole[:, None] == whole[None, :]) & (half[:, None] > half[None, :]), m, 0.0)
        x -= tl.dot(x, tl.dot(square, x, input_precision=PRECISION), input_precision=PRECISION)
    return x


@triton.autotune(
    configs(({}, 4, 2), ({}, 8, 2), ({}, 4, 3)), key=["H", "HV", "K", "V", "C", "DECAY", "ERASE", "SOLVED"]
)
@triton.jit
def prepare(
    k, v, g, beta, gamma, x, u, w, rows, sizes,
    H: tl.constexpr, HV: tl.constexpr, K: tl.constexpr, V: tl.constexpr, C: tl.constexpr,
    BK: tl.constexpr, BV: tl.constexpr, DECAY: tl.constexpr, ERASE: tl.constexpr, SOLVED: tl.constexpr,
    PRECISION: tl.constexpr,
):  # fmt: skip
    chunk, head = tl.program_id(0), tl.program_id(1)
    row, size = tl.load(rows + chunk), tl.load(sizes + chunk)
    c = tl.zeros((C,), tl.float32)
    if DECAY:
        c = tl.cumsum(load_log_decay(g, row, size, HV, head, C), 0) * LOG2_E
        if not SOLVED:
            store_column(gamma, c, row, size, HV, head, C)
    if ERASE:
        rate = load_column(beta, row, size, HV, head, C)
        keys = load_tile(k, row, size, H, head // (HV // H), 0, K, C, BK)
        if SOLVED:
            inverse = load_tile(x, row, size, HV, head, 0, C, C, C)
        else:
            keys_t = load_tile_t(k, row, size, H, head // (HV // H), 0, K, C, BK)
            i = tl.arange(0, C)
            m = tl.dot(keys, keys_t, input_precision=PRECISION) * rate[:, None] * decay_matrix(c, C)
            m = tl.where(i[:, None] > i[None, :], m, 0.0)
            inverse = unit_lower_inverse(m, C, PRECISION).to(keys.dtype)
            store_tile(x, inverse, row, size, HV, head, 0, C, C, C)
        erased = (keys * (-rate * tl.exp2(c))[:, None]).to(keys.dtype)
        store_tile(w, tl.dot(inverse, erased, input_precision=PRECISION), row, size, HV, head, 0, K, C, BK)
        for v0 in range(0, V, BV):
            values = load_tile(v, row, size, HV, head, v0, V, C, BV)
            values = (values * rate[:, None]).to(keys.dtype)
            store_tile(u, tl.dot(inverse, values, input_precision=PRECISION), row, size, HV, head, v0, V, C, BV)


@triton.autotune(
    configs(({"BV": 32}, 4, 2), ({"BV": 64}, 4, 2), ({"BV": 64}, 8, 3)),
    key=["H", "HV", "K", "V", "C", "DECAY", "ERASE"],
)
@triton.jit
def states(
    k, gamma, u, w, r, s, initial, final, rows, sizes, first,
    H: tl.constexpr, HV: tl.constexpr, K: tl.constexpr, V: tl.constexpr, C: tl.constexpr, BK: tl.constexpr,
    DECAY: tl.constexpr, ERASE: tl.constexpr, INITIAL: tl.constexpr, FINAL: tl.constexpr, PRECISION: tl.constexpr,
    BV: tl.constexpr,
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
        written = load_tile(u, row, size, HV, head, v0, V, C, BV).to(tl.float32)
        keys_t = load_tile_t(k, row, size, H, head // (HV // H), 0, K, C, BK)
        if ERASE:
            erase = load_tile(w, row, size, HV, head, 0, K, C, BK)
            written += tl.dot(erase, state.to(erase.dtype), input_precision=PRECISION)
            store_tile(r, written, row, size, HV, head, v0, V, C, BV)
        if DECAY:
            c, last = load_gamma(gamma, row, size, HV, head, C)
            written *= tl.exp2(last - c)[:, None]
            state *= tl.exp2(last)
        state += tl.dot(keys_t, written.to(keys_t.dtype), input_precision=PRECISION)
    if FINAL:
        tl.store(final + edge, state, mask=inside)


@triton.autotune(
    configs(({"BV": 64}, 4, 2), ({"BV": 128}, 8, 2), ({"BV": 64}, 4, 3), ({"BV": 128}, 4, 3)),
    key=["H", "HV", "K", "V", "C", "DECAY"],
)
@triton.jit
def outputs(
    q, k, r, s, g, o, rows, sizes, scale,
    H: tl.constexpr, HV: tl.constexpr, K: tl.constexpr, V: tl.constexpr, C: tl.constexpr, BK: tl.constexpr,
    DECAY: tl.constexpr, PRECISION: tl.constexpr, BV: tl.constexpr,
):  # fmt: skip
    chunk, head, v0 = tl.program_id(0), tl.program_id(1), tl.program_id(2) * BV
    row, size = tl.load(rows + chunk), tl.load(sizes + chunk)
    queries = load_tile(q, row, size, H, head // (HV // H), 0, K, C, BK)
    keys_t = load_tile_t(k, row, size, H, head // (HV // H), 0, K, C, BK)
    at, valid = state_at(chunk, HV, head, v0, K, V, BK, BV)
    state = tl.load(s + at, mask=valid, other=0.0).to(queries.dtype)
    out = tl.dot(queries, state, input_precision=PRECISION)
    c = tl.zeros((C,), tl.float32)
    if DECAY:
        c = tl.cumsum(load_log_decay(g, row, size, HV, head, C), 0) * LOG2_E
        out *= tl.exp2(c)[:, None]
    a = tl.dot(queries, keys_t, input_precision=PRECISION) * decay_matrix(c, C)
    written = load_tile(r, row, size, HV, head, v0, V, C, BV)
    out += tl.dot(a.to(written.dtype), written, input_precision=PRECISION)
    store_tile(o, out * scale, row, size, HV, head, v0, V, C, BV)
