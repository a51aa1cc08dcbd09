"""Chunk kernels of gated linear attention (a decay for every key coordinate). Symbols as in kernels/README.md.

cumulate  G = cumsum g in every chunk (times log2 e)
scores    A, one 16 x 16 block a program: below the diagonal a product around the block's first row, where both
          e^{G_i - G_ref} and e^{G_ref - G_j} are <= 1; on the diagonal column by column, exactly
states, outputs                   as in the scalar family
scan, across, within, gates       backward: dS; what passes through states; what passes through A; dg
"""

from __future__ import annotations

import triton
import triton.language as tl

from move37.kernels.common.triton_launch import configs, load_tile, load_tile_t, state_at, state_at_t, store_tile
from move37.kernels.ops.scalar_decay.triton_forward import LOG2_E


@triton.jit
def last_row(G, row, size, heads, head, K: tl.constexpr, BK: tl.constexpr):
    """G at the last valid row of a chunk, [BK]."""
    d = tl.arange(0, BK)
    return tl.load(G + ((row + size - 1) * heads + head) * K + d, mask=d < K, other=0.0)


@triton.jit
def cumulate(
    g, G, rows, sizes, HV: tl.constexpr, K: tl.constexpr, C: tl.constexpr, BK: tl.constexpr
):  # fmt: skip
    chunk, head = tl.program_id(0), tl.program_id(1)
    row, size = tl.load(rows + chunk), tl.load(sizes + chunk)
    steps = load_tile(g, row, size, HV, head, 0, K, C, BK).to(tl.float32)
    store_tile(G, tl.cumsum(steps, 0) * LOG2_E, row, size, HV, head, 0, K, C, BK)


@triton.jit
def scores(
    q, k, G, a, rows, sizes, scale,
    H: tl.constexpr, HV: tl.constexpr, K: tl.constexpr, C: tl.constexpr, BK: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    chunk, head, pair = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    row, size = tl.load(rows + chunk), tl.load(sizes + chunk)
    later, earlier = pair // (C // 16) * 16, pair % (C // 16) * 16
    i, d = tl.arange(0, 16), tl.arange(0, BK)
    block = tl.zeros((16, 16), tl.float32)
    if (later >= earlier) & (later < size):
        queries = load_tile(q, row + later, size - later, H, head // (HV // H), 0, K, 16, BK).to(tl.float32) * scale
        above = load_tile(G, row + later, size - later, HV, head, 0, K, 16, BK)
        if later > earlier:
            reference = tl.load(G + ((row + later) * HV + head) * K + d, mask=d < K, other=0.0)
            keys_t = load_tile_t(k, row + earlier, size - earlier, H, head // (HV // H), 0, K, 16, BK).to(tl.float32)
            below_t = load_tile_t(G, row + earlier, size - earlier, HV, head, 0, K, 16, BK)
            valid = (i < size - later)[:, None]
            queries *= tl.where(valid, tl.exp2(tl.where(valid, above - reference[None, :], 0.0)), 0.0)
            keys_t *= tl.exp2(reference[:, None] - below_t)
            block = tl.dot(queries, keys_t, input_precision=PRECISION)
        else:
            for j in range(16):
                if j < size - later:
                    at = row + later + j
                    key = tl.load(k + (at * H + head // (HV // H)) * K + d, mask=d < K, other=0.0).to(tl.float32)
                    own = tl.load(G + (at * HV + head) * K + d, mask=d < K, other=0.0)
                    valid = ((i >= j) & (i < size - later))[:, None]
                    fade = tl.where(valid, tl.exp2(tl.where(valid, above - own[None, :], 0.0)), 0.0)
                    column = tl.sum(queries * fade * key[None, :], 1)
                    block = tl.where((i == j)[None, :], column[:, None], block)
    store_tile(a, block, row + later, size - later, HV, head, earlier, C, 16, 16)


@triton.autotune(configs(({"BV": 32}, 4, 2), ({"BV": 64}, 4, 2), ({"BV": 64}, 8, 3)), key=["H", "HV", "K", "V", "C"])
@triton.jit
def states(
    k, v, G, s, initial, final, rows, sizes, first,
    H: tl.constexpr, HV: tl.constexpr, K: tl.constexpr, V: tl.constexpr, C: tl.constexpr, BK: tl.constexpr,
    INITIAL: tl.constexpr, FINAL: tl.constexpr, PRECISION: tl.constexpr, BV: tl.constexpr,
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
        last = last_row(G, row, size, HV, head, K, BK)
        fade_t = tl.exp2(last[:, None] - load_tile_t(G, row, size, HV, head, 0, K, C, BK))
        keys_t = load_tile_t(k, row, size, H, head // (HV // H), 0, K, C, BK)
        keys_t = tl.where((tl.arange(0, C) < size)[None, :], keys_t * fade_t, 0.0).to(keys_t.dtype)
        values = load_tile(v, row, size, HV, head, v0, V, C, BV)
        state = state * tl.exp2(last)[:, None] + tl.dot(keys_t, values, input_precision=PRECISION)
    if FINAL:
        tl.store(final + edge, state, mask=inside)


@triton.autotune(configs(({"BV": 64}, 4, 2), ({"BV": 128}, 8, 2)), key=["H", "HV", "K", "V", "C"])
@triton.jit
def outputs(
    q, v, G, a, s, o, rows, sizes, scale,
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
    values = load_tile(v, row, size, HV, head, v0, V, C, BV)
    block = load_tile(a, row, size, HV, head, 0, C, C, C).to(values.dtype)
    out += tl.dot(block, values, input_precision=PRECISION)
    store_tile(o, out, row, size, HV, head, v0, V, C, BV)


@triton.autotune(configs(({"BV": 32}, 4, 2), ({"BV": 64}, 4, 2), ({"BV": 64}, 8, 3)), key=["H", "HV", "K", "V", "C"])
@triton.jit
def scan(
    q, G, do, ds, dfinal, dinitial, rows, sizes, first, scale,
    H: tl.constexpr, HV: tl.constexpr, K: tl.constexpr, V: tl.constexpr, C: tl.constexpr, BK: tl.constexpr,
    INITIAL: tl.constexpr, FINAL: tl.constexpr, PRECISION: tl.constexpr, BV: tl.constexpr,
):  # fmt: skip
    sequence, head, v0 = tl.program_id(0), tl.program_id(1), tl.program_id(2) * BV
    state = tl.zeros((BK, BV), tl.float32)
    edge, inside = state_at(sequence, HV, head, v0, K, V, BK, BV)
    if FINAL:
        state += tl.load(dfinal + edge, mask=inside, other=0.0).to(tl.float32)
    begin, end = tl.load(first + sequence), tl.load(first + sequence + 1)
    for back in range(end - begin):
        chunk = end - 1 - back
        row, size = tl.load(rows + chunk), tl.load(sizes + chunk)
        at, valid = state_at(chunk, HV, head, v0, K, V, BK, BV)
        tl.store(ds + at, state.to(ds.dtype.element_ty), mask=valid)
        last = last_row(G, row, size, HV, head, K, BK)
        rise_t = tl.exp2(load_tile_t(G, row, size, HV, head, 0, K, C, BK))
        queries_t = load_tile_t(q, row, size, H, head // (HV // H), 0, K, C, BK)
        queries_t = (queries_t * rise_t * scale).to(queries_t.dtype)
        asked = load_tile(do, row, size, HV, head, v0, V, C, BV).to(queries_t.dtype)
        state = state * tl.exp2(last)[:, None] + tl.dot(queries_t, asked, input_precision=PRECISION)
    if INITIAL:
        tl.store(dinitial + edge, state, mask=inside)


@triton.autotune(configs(({}, 4, 2), ({}, 8, 2)), key=["H", "HV", "K", "V", "C"])
@triton.jit
def across(
    k, v, G, a, s, ds, do, da, dq, dk, dv, dlast, rows, sizes,
    H: tl.constexpr, HV: tl.constexpr, K: tl.constexpr, V: tl.constexpr, C: tl.constexpr, BK: tl.constexpr,
    BV: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """dV and dA in full; of dQ (of s Q), dK and dg (dlast) what passes through the states."""
    chunk, head = tl.program_id(0), tl.program_id(1)
    row, size = tl.load(rows + chunk), tl.load(sizes + chunk)
    i, d = tl.arange(0, C), tl.arange(0, BK)
    last = last_row(G, row, size, HV, head, K, BK)
    G_tile = load_tile(G, row, size, HV, head, 0, K, C, BK)
    fade = tl.where((i < size)[:, None], tl.exp2(last[None, :] - G_tile), 0.0)
    keys = load_tile(k, row, size, H, head // (HV // H), 0, K, C, BK)
    kept_keys = (keys * fade).to(keys.dtype)
    a_t = load_tile_t(a, row, size, HV, head, 0, C, C, C).to(keys.dtype)
    score = tl.zeros((C, C), tl.float32)
    into_q, into_k = tl.zeros((C, BK), tl.float32), tl.zeros((C, BK), tl.float32)
    carried = tl.zeros((BK,), tl.float32)
    for v0 in range(0, V, BV):
        asked = load_tile(do, row, size, HV, head, v0, V, C, BV).to(keys.dtype)
        values = load_tile(v, row, size, HV, head, v0, V, C, BV)
        values_t = load_tile_t(v, row, size, HV, head, v0, V, C, BV)
        at, valid = state_at(chunk, HV, head, v0, K, V, BK, BV)
        at_t, valid_t = state_at_t(chunk, HV, head, v0, K, V, BK, BV)
        after = tl.load(ds + at, mask=valid, other=0.0)
        after_t = tl.load(ds + at_t, mask=valid_t, other=0.0)
        before = tl.load(s + at, mask=valid, other=0.0)
        before_t = tl.load(s + at_t, mask=valid_t, other=0.0)
        dvalues = tl.dot(a_t, asked, input_precision=PRECISION) + tl.dot(kept_keys, after, input_precision=PRECISION)
        store_tile(dv, dvalues, row, size, HV, head, v0, V, C, BV)
        score += tl.dot(asked, values_t, input_precision=PRECISION)
        into_q += tl.dot(asked, before_t, input_precision=PRECISION)
        into_k += tl.dot(values, after_t, input_precision=PRECISION)
        carried += tl.sum(before.to(tl.float32) * after.to(tl.float32), 1)
    into_k *= fade
    store_tile(da, tl.where(i[:, None] >= i[None, :], score, 0.0), row, size, HV, head, 0, C, C, C)
    store_tile(dq, into_q * tl.exp2(G_tile), row, size, HV, head, 0, K, C, BK)
    store_tile(dk, into_k, row, size, HV, head, 0, K, C, BK)
    tl.store(dlast + (chunk * HV + head) * K + d, carried * tl.exp2(last), mask=d < K)


@triton.jit
def within(
    q, k, G, da, across_q, across_k, dq, dk, dG, rows, sizes, scale,
    H: tl.constexpr, HV: tl.constexpr, K: tl.constexpr, C: tl.constexpr, BK: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """What passes through A, for 16 rows as queries and as keys, added to `across`; and dG = q dq - k dk."""
    chunk, head, own = tl.program_id(0), tl.program_id(1), tl.program_id(2) * 16
    row, size = tl.load(rows + chunk), tl.load(sizes + chunk)
    here, left = row + own, size - own
    if left > 0:
        i, d = tl.arange(0, 16), tl.arange(0, BK)
        shared = head // (HV // H)
        queries = load_tile(q, here, left, H, shared, 0, K, 16, BK).to(tl.float32) * scale
        keys = load_tile(k, here, left, H, shared, 0, K, 16, BK).to(tl.float32)
        G_own = load_tile(G, here, left, HV, head, 0, K, 16, BK)
        valid = (i < left)[:, None]
        into_q, into_k = tl.zeros((16, BK), tl.float32), tl.zeros((16, BK), tl.float32)
        reference = tl.load(G + (here * HV + head) * K + d, mask=d < K, other=0.0)
        for earlier in range(0, own, 16):
            others = load_tile(k, row + earlier, size - earlier, H, shared, 0, K, 16, BK).to(tl.float32)
            G_other = load_tile(G, row + earlier, size - earlier, HV, head, 0, K, 16, BK)
            block = load_tile(da, here, left, HV, head, earlier, C, 16, 16)
            others *= tl.exp2(reference[None, :] - G_other)
            into_q += tl.dot(block, others, input_precision=PRECISION)
        into_q *= tl.where(valid, tl.exp2(tl.where(valid, G_own - reference[None, :], 0.0)), 0.0)
        for later in range(own + 16, C, 16):
            if later < size:
                middle = tl.load(G + ((row + later) * HV + head) * K + d, mask=d < K, other=0.0)
                others = load_tile(q, row + later, size - later, H, shared, 0, K, 16, BK).to(tl.float32) * scale
                G_other = load_tile(G, row + later, size - later, HV, head, 0, K, 16, BK)
                there = (i < size - later)[:, None]
                others *= tl.where(there, tl.exp2(tl.where(there, G_other - middle[None, :], 0.0)), 0.0)
                block_t = load_tile_t(da, row + later, size - later, HV, head, own, C, 16, 16)
                part = tl.dot(block_t, others, input_precision=PRECISION)
                into_k += part * tl.exp2(middle[None, :] - G_own)
        for j in range(16):
            if j < left:
                at = here + j
                key = tl.load(k + (at * H + shared) * K + d, mask=d < K, other=0.0).to(tl.float32)
                query = tl.load(q + (at * H + shared) * K + d, mask=d < K, other=0.0).to(tl.float32) * scale
                G_j = tl.load(G + (at * HV + head) * K + d, mask=d < K, other=0.0)
                column = tl.load(da + ((here + i) * HV + head) * C + own + j, mask=i < left, other=0.0).to(tl.float32)
                line = tl.load(da + (at * HV + head) * C + own + i, mask=i < left, other=0.0).to(tl.float32)
                down, up = valid & (i > j)[:, None], valid & (i < j)[:, None]
                fade = tl.where(down, tl.exp2(tl.where(down, G_own - G_j[None, :], 0.0)), 0.0)
                into_q += column[:, None] * fade * key[None, :]
                fade = tl.where(up, tl.exp2(tl.where(up, G_j[None, :] - G_own, 0.0)), 0.0)
                into_k += line[:, None] * fade * query[None, :]
        into_q += load_tile(across_q, here, left, HV, head, 0, K, 16, BK)
        store_tile(dG, into_q * queries - into_k * keys, here, left, HV, head, 0, K, 16, BK)
        # A's diagonal comes after dG: no decay touches it, and under strong decay it would drown the rest.
        own_score = tl.load(da + ((here + i) * HV + head) * C + own + i, mask=i < left, other=0.0).to(tl.float32)
        into_q += own_score[:, None] * keys
        into_k += own_score[:, None] * queries + load_tile(across_k, here, left, HV, head, 0, K, 16, BK)
        store_tile(dq, into_q * scale, here, left, HV, head, 0, K, 16, BK)
        store_tile(dk, into_k, here, left, HV, head, 0, K, 16, BK)


@triton.jit
def gates(
    k, across_k, dG, dlast, dg, rows, sizes,
    H: tl.constexpr, HV: tl.constexpr, K: tl.constexpr, C: tl.constexpr, BK: tl.constexpr,
):  # fmt: skip
    """dg: what flows across each token, inside its chunk and from the chunk's keys into the state behind it."""
    chunk, head = tl.program_id(0), tl.program_id(1)
    row, size = tl.load(rows + chunk), tl.load(sizes + chunk)
    d = tl.arange(0, BK)
    x = load_tile(dG, row, size, HV, head, 0, K, C, BK)
    written = load_tile(k, row, size, H, head // (HV // H), 0, K, C, BK).to(tl.float32)
    written *= load_tile(across_k, row, size, HV, head, 0, K, C, BK)
    crossing = tl.sum(x, 0)[None, :] - tl.cumsum(x, 0) + x + tl.cumsum(written, 0) - written
    crossing += tl.load(dlast + (chunk * HV + head) * K + d, mask=d < K, other=0.0)[None, :]
    store_tile(dg, crossing, row, size, HV, head, 0, K, C, BK)
