"""Chunk backward with a decay for every key coordinate, after the forward kernels up to `states` have run again.

local      a chunk and head: dR = A^T dO, what the chunk's own outputs ask of R
scan       a sequence, head and block of V, last chunk first: dR += Kd dS', dS = e^{G_C} dS' + (s Q e^G)^T dO - W^T dR
triangles  a chunk and head: dA = lower(dO R^T), and with the erase term dBv = X^T dR, dM = -strict(dBv R^T), dV, dbeta
across     a chunk, head and block of the key's coordinates: what dQ, dK and h = e^G dBw get through the states
within     16 rows of a chunk and head: what they get through A and M, as rows and as columns; dQ, dK, dbeta, dG
gates      a chunk and head: dg

dQ and dK are per value head; where several share a key head the caller sums them. W carries its minus sign.
"""

from __future__ import annotations

import triton
import triton.language as tl

from move37.kernels.common.triton_launch import (
    SMALLEST_LOG,
    configs,
    load_column,
    load_tile,
    load_tile_t,
    state_at,
    state_at_t,
    store_column,
    store_tile,
)
from move37.kernels.ops.vector_decay.triton_forward import last_row, load_lower_t


@triton.autotune(configs(({}, 4, 2), ({}, 8, 2)), key=["HV", "V", "C"])
@triton.jit
def local(
    a, do, dr, rows, sizes,
    HV: tl.constexpr, V: tl.constexpr, C: tl.constexpr, BV: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    chunk, head = tl.program_id(0), tl.program_id(1)
    row, size = tl.load(rows + chunk), tl.load(sizes + chunk)
    a_t = load_lower_t(a, row, size, HV, head, C).to(dr.dtype.element_ty)
    for v0 in range(0, V, BV):
        asked = load_tile(do, row, size, HV, head, v0, V, C, BV).to(a_t.dtype)
        store_tile(dr, tl.dot(a_t, asked, input_precision=PRECISION), row, size, HV, head, v0, V, C, BV)


@triton.autotune(
    configs(({"BV": 32}, 4, 2), ({"BV": 64}, 4, 2), ({"BV": 64}, 8, 3)), key=["H", "HV", "K", "V", "C", "ERASE"]
)
@triton.jit
def scan(
    q, k, G, w, do, local_dr, dr, ds, dfinal, dinitial, rows, sizes, first, scale,
    H: tl.constexpr, HV: tl.constexpr, K: tl.constexpr, V: tl.constexpr, C: tl.constexpr, BK: tl.constexpr,
    ERASE: tl.constexpr, INITIAL: tl.constexpr, FINAL: tl.constexpr, PRECISION: tl.constexpr, BV: tl.constexpr,
):  # fmt: skip
    sequence, head, v0 = tl.program_id(0), tl.program_id(1), tl.program_id(2) * BV
    shared = head // (HV // H)
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
        keys = load_tile(k, row, size, H, shared, 0, K, C, BK)
        fade = tl.exp2(last[None, :] - load_tile(G, row, size, HV, head, 0, K, C, BK))
        keys = tl.where((tl.arange(0, C) < size)[:, None], keys * fade, 0.0).to(keys.dtype)
        grown = tl.dot(keys, state.to(keys.dtype), input_precision=PRECISION)
        grown += load_tile(local_dr, row, size, HV, head, v0, V, C, BV).to(tl.float32)
        store_tile(dr, grown, row, size, HV, head, v0, V, C, BV)
        queries_t = load_tile_t(q, row, size, H, shared, 0, K, C, BK)
        rise_t = tl.exp2(load_tile_t(G, row, size, HV, head, 0, K, C, BK))
        queries_t = (queries_t * rise_t * scale).to(queries_t.dtype)
        asked = load_tile(do, row, size, HV, head, v0, V, C, BV).to(queries_t.dtype)
        state = state * tl.exp2(last)[:, None] + tl.dot(queries_t, asked, input_precision=PRECISION)
        if ERASE:
            erase_t = load_tile_t(w, row, size, HV, head, 0, K, C, BK)
            state += tl.dot(erase_t, grown.to(erase_t.dtype), input_precision=PRECISION)
    if INITIAL:
        tl.store(dinitial + edge, state, mask=inside)


@triton.autotune(configs(({}, 4, 2), ({}, 8, 2)), key=["HV", "V", "C", "ERASE"])
@triton.jit
def triangles(
    v, beta, x, r, do, dr, da, dm, dbv, dv, dbeta_v, rows, sizes,
    HV: tl.constexpr, V: tl.constexpr, C: tl.constexpr, BV: tl.constexpr,
    ERASE: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    chunk, head = tl.program_id(0), tl.program_id(1)
    row, size = tl.load(rows + chunk), tl.load(sizes + chunk)
    i = tl.arange(0, C)
    score = tl.zeros((C, C), tl.float32)
    if ERASE:
        rate = load_column(beta, row, size, HV, head, C)
        x_t = load_tile_t(x, row, size, HV, head, 0, C, C, C)
        erased, dot_v = tl.zeros((C, C), tl.float32), tl.zeros((C,), tl.float32)
    for v0 in range(0, V, BV):
        r_t = load_tile_t(r, row, size, HV, head, v0, V, C, BV)
        asked = load_tile(do, row, size, HV, head, v0, V, C, BV).to(r_t.dtype)
        score += tl.dot(asked, r_t, input_precision=PRECISION)
        if ERASE:
            into = load_tile(dr, row, size, HV, head, v0, V, C, BV).to(x_t.dtype)
            through = tl.dot(x_t, into, input_precision=PRECISION)
            erased += tl.dot(through.to(r_t.dtype), r_t, input_precision=PRECISION)
            dot_v += tl.sum(through * load_tile(v, row, size, HV, head, v0, V, C, BV).to(tl.float32), 1)
            store_tile(dbv, through, row, size, HV, head, v0, V, C, BV)
            store_tile(dv, through * rate[:, None], row, size, HV, head, v0, V, C, BV)
    store_tile(da, tl.where(i[:, None] >= i[None, :], score, 0.0), row, size, HV, head, 0, C, C, C)
    if ERASE:
        store_tile(dm, tl.where(i[:, None] > i[None, :], -erased, 0.0), row, size, HV, head, 0, C, C, C)
        store_column(dbeta_v, dot_v, row, size, HV, head, C)


@triton.autotune(configs(({}, 8, 2), ({}, 4, 2)), key=["H", "HV", "K", "V", "C", "ERASE"])
@triton.jit
def across(
    G, r, s, ds, do, dbv, dq, dk, h, dlast, rows, sizes,
    H: tl.constexpr, HV: tl.constexpr, K: tl.constexpr, V: tl.constexpr, C: tl.constexpr, BK: tl.constexpr,
    BV: tl.constexpr, ERASE: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    chunk, head, k0 = tl.program_id(0), tl.program_id(1), tl.program_id(2) * BK
    row, size = tl.load(rows + chunk), tl.load(sizes + chunk)
    i, d = tl.arange(0, C), k0 + tl.arange(0, BK)
    last = tl.load(G + ((row + tl.maximum(size - 1, 0)) * HV + head) * K + d, mask=d < K, other=0.0)
    G_tile = load_tile(G, row, size, HV, head, k0, K, C, BK)
    rise, fade = tl.exp2(G_tile), tl.where((i < size)[:, None], tl.exp2(last[None, :] - G_tile), 0.0)
    into_q, into_k, into_h = tl.zeros((C, BK), tl.float32), tl.zeros((C, BK), tl.float32), tl.zeros((C, BK), tl.float32)
    carried = tl.zeros((BK,), tl.float32)
    for v0 in range(0, V, BV):
        at_t, valid_t = state_at_t(chunk, HV, head, k0, v0, K, V, BK, BV)
        before = tl.load(s + at_t, mask=valid_t, other=0.0)
        after = tl.load(ds + at_t, mask=valid_t, other=0.0)
        asked = load_tile(do, row, size, HV, head, v0, V, C, BV).to(before.dtype)
        stored = load_tile(r, row, size, HV, head, v0, V, C, BV).to(after.dtype)
        into_q += tl.dot(asked, before, input_precision=PRECISION)
        into_k += tl.dot(stored, after, input_precision=PRECISION)
        carried += tl.sum(before.to(tl.float32) * after.to(tl.float32), 0)
        if ERASE:
            through = load_tile(dbv, row, size, HV, head, v0, V, C, BV).to(before.dtype)
            into_h += tl.dot(through, before, input_precision=PRECISION)
    store_tile(dq, into_q * rise, row, size, HV, head, k0, K, C, BK)
    store_tile(dk, into_k * fade, row, size, HV, head, k0, K, C, BK)
    if ERASE:
        store_tile(h, -into_h * rise, row, size, HV, head, k0, K, C, BK)
    tl.store(dlast + (chunk * HV + head) * K + d, carried * tl.exp2(last), mask=d < K)


@triton.jit
def within(
    q, k, G, beta, da, dm, across_q, across_k, across_h, dbeta_v, dq, dk, dbeta, dG, rows, sizes, scale,
    H: tl.constexpr, HV: tl.constexpr, K: tl.constexpr, C: tl.constexpr, BK: tl.constexpr, ERASE: tl.constexpr,
    PRECISION: tl.constexpr,
):  # fmt: skip
    chunk, head, own = tl.program_id(0), tl.program_id(1), tl.program_id(2) * 16
    row, size = tl.load(rows + chunk), tl.load(sizes + chunk)
    here, left = row + own, size - own
    if left > 0:
        i, d = tl.arange(0, 16), tl.arange(0, BK)
        shared = head // (HV // H)
        keys = load_tile(k, here, left, H, shared, 0, K, 16, BK).to(tl.float32)
        G_own = load_tile(G, here, left, HV, head, 0, K, 16, BK)
        valid = (i < left)[:, None]
        into_q, into_k = tl.zeros((16, BK), tl.float32), tl.zeros((16, BK), tl.float32)
        into_h = tl.zeros((16, BK), tl.float32)
        reference = tl.load(G + (here * HV + head) * K + d, mask=d < K, other=0.0)
        for earlier in range(0, own, 16):
            others = load_tile(k, row + earlier, size - earlier, H, shared, 0, K, 16, BK).to(tl.float32)
            others *= tl.exp2(reference[None, :] - load_tile(G, row + earlier, size - earlier, HV, head, 0, K, 16, BK))
            block = load_tile(da, here, left, HV, head, earlier, C, 16, 16)
            into_q += tl.dot(block, others, input_precision=PRECISION)
            if ERASE:
                block = load_tile(dm, here, left, HV, head, earlier, C, 16, 16)
                into_h += tl.dot(block, others, input_precision=PRECISION)
        fade = tl.where(valid, tl.exp2(tl.where(valid, G_own - reference[None, :], 0.0)), 0.0)
        into_q *= fade
        into_h *= fade
        for later in range(own + 16, C, 16):
            if later < size:
                middle = tl.load(G + ((row + later) * HV + head) * K + d, mask=d < K, other=0.0)
                G_other = load_tile(G, row + later, size - later, HV, head, 0, K, 16, BK)
                there = (i < size - later)[:, None]
                fade = tl.where(there, tl.exp2(tl.where(there, G_other - middle[None, :], 0.0)), 0.0)
                others = load_tile(q, row + later, size - later, H, shared, 0, K, 16, BK).to(tl.float32)
                block_t = load_tile_t(da, row + later, size - later, HV, head, own, C, 16, 16)
                part = tl.dot(block_t, others * fade * scale, input_precision=PRECISION)
                if ERASE:
                    others = load_tile(k, row + later, size - later, H, shared, 0, K, 16, BK).to(tl.float32)
                    others *= fade * load_column(beta, row + later, size - later, HV, head, 16)[:, None]
                    block_t = load_tile_t(dm, row + later, size - later, HV, head, own, C, 16, 16)
                    part += tl.dot(block_t, others, input_precision=PRECISION)
                into_k += part * tl.exp2(middle[None, :] - G_own)
        for j in range(16):
            if j < left:
                at = here + j
                key = tl.load(k + (at * H + shared) * K + d, mask=d < K, other=0.0).to(tl.float32)
                query = tl.load(q + (at * H + shared) * K + d, mask=d < K, other=0.0).to(tl.float32) * scale
                G_j = tl.load(G + (at * HV + head) * K + d, mask=d < K, other=0.0)
                down, up = valid & (i > j)[:, None], valid & (i < j)[:, None]
                fade = tl.where(down, tl.exp2(tl.where(down, G_own - G_j[None, :], 0.0)), 0.0) * key[None, :]
                rise = tl.where(up, tl.exp2(tl.where(up, G_j[None, :] - G_own, 0.0)), 0.0)
                column, line = ((here + i) * HV + head) * C + own + j, (at * HV + head) * C + own + i
                into_q += tl.load(da + column, mask=i < left, other=0.0).to(tl.float32)[:, None] * fade
                into_k += tl.load(da + line, mask=i < left, other=0.0).to(tl.float32)[:, None] * rise * query[None, :]
                if ERASE:
                    rate_j = tl.load(beta + at * HV + head).to(tl.float32)
                    into_h += tl.load(dm + column, mask=i < left, other=0.0).to(tl.float32)[:, None] * fade
                    weight = tl.load(dm + line, mask=i < left, other=0.0).to(tl.float32) * rate_j
                    into_k += weight[:, None] * rise * key[None, :]
        queries = load_tile(q, here, left, H, shared, 0, K, 16, BK).to(tl.float32) * scale
        into_q += load_tile(across_q, here, left, HV, head, 0, K, 16, BK)
        flow, through = into_q * queries - into_k * keys, tl.zeros((16, BK), tl.float32)
        if ERASE:
            into_h += load_tile(across_h, here, left, HV, head, 0, K, 16, BK)
            rates = load_column(beta, here, left, HV, head, 16)
            along = load_column(dbeta_v, here, left, HV, head, 16) + tl.sum(keys * into_h, 1)
            store_column(dbeta, along, here, left, HV, head, 16)
            through = into_h * rates[:, None]
            flow += keys * through
        store_tile(dG, flow, here, left, HV, head, 0, K, 16, BK)
        # A's diagonal comes after dG: no decay touches it, and under strong decay it would drown the rest.
        own_score = tl.load(da + ((here + i) * HV + head) * C + own + i, mask=i < left, other=0.0).to(tl.float32)
        store_tile(dq, (into_q + own_score[:, None] * keys) * scale, here, left, HV, head, 0, K, 16, BK)
        into_k += own_score[:, None] * queries + load_tile(across_k, here, left, HV, head, 0, K, 16, BK)
        store_tile(dk, into_k + through, here, left, HV, head, 0, K, 16, BK)


@triton.jit
def gates(
    k, g, across_k, dG, dlast, dg, rows, sizes,
    H: tl.constexpr, HV: tl.constexpr, K: tl.constexpr, C: tl.constexpr, BK: tl.constexpr,
):  # fmt: skip
    """What flows across each token, inside its chunk and from the chunk's keys into the state behind it."""
    chunk, head, k0 = tl.program_id(0), tl.program_id(1), tl.program_id(2) * BK
    row, size = tl.load(rows + chunk), tl.load(sizes + chunk)
    d = k0 + tl.arange(0, BK)
    x = load_tile(dG, row, size, HV, head, k0, K, C, BK)
    written = load_tile(k, row, size, H, head // (HV // H), k0, K, C, BK).to(tl.float32)
    written *= load_tile(across_k, row, size, HV, head, k0, K, C, BK)
    crossing = tl.sum(x, 0)[None, :] - tl.cumsum(x, 0) + x + tl.cumsum(written, 0) - written
    crossing += tl.load(dlast + (chunk * HV + head) * K + d, mask=d < K, other=0.0)[None, :]
    # A decay of nothing at all has no slope; what is left there is rounding.
    alive = load_tile(g, row, size, HV, head, k0, K, C, BK).to(tl.float32) > SMALLEST_LOG
    store_tile(dg, tl.where(alive, crossing, 0.0), row, size, HV, head, k0, K, C, BK)
