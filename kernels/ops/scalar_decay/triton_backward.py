"""Chunk backward of the scalar-decay family: four kernels after `prepare` (X is kept) and `states` have run again.

local    a chunk and head: dR = A^T dO, what the chunk's own outputs ask of R
scan     a sequence, head and block of V, last chunk first: dR += Kd dS', dS = e^{gamma_C} dS' + Qg^T dO - W^T dR
scores   a chunk and head: dA . L and E = (dBv U^T + dBw W^T) . L, dV, and what dbeta and dK get through X
inputs   a chunk and head: dQ, dK, dbeta, dg

Each result that is needed transposed is stored and read back in the other order. dQ and dK are per value head; where
several share a key head the caller sums them. W carries its minus sign, and E with it.
"""

from __future__ import annotations

import triton
import triton.language as tl

from move37.kernels.common.triton_launch import (
    SMALLEST_LOG,
    configs,
    decay_matrix,
    decay_matrix_t,
    load_column,
    load_gamma,
    load_tile,
    load_tile_t,
    state_at,
    state_at_t,
    store_column,
    store_tile,
)


@triton.autotune(configs(({}, 4, 2), ({}, 8, 2)), key=["H", "HV", "K", "V", "C", "DECAY"])
@triton.jit
def local(
    q, k, gamma, do, dr, rows, sizes, scale,
    H: tl.constexpr, HV: tl.constexpr, K: tl.constexpr, V: tl.constexpr, C: tl.constexpr,
    BK: tl.constexpr, BV: tl.constexpr, DECAY: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    chunk, head = tl.program_id(0), tl.program_id(1)
    row, size = tl.load(rows + chunk), tl.load(sizes + chunk)
    keys = load_tile(k, row, size, H, head // (HV // H), 0, K, C, BK)
    queries_t = load_tile_t(q, row, size, H, head // (HV // H), 0, K, C, BK)
    c = tl.zeros((C,), tl.float32)
    if DECAY:
        c, _ = load_gamma(gamma, row, size, HV, head, C)
    a_t = (tl.dot(keys, queries_t, input_precision=PRECISION) * scale * decay_matrix_t(c, C)).to(keys.dtype)
    for v0 in range(0, V, BV):
        gradient = load_tile(do, row, size, HV, head, v0, V, C, BV).to(keys.dtype)
        store_tile(dr, tl.dot(a_t, gradient, input_precision=PRECISION), row, size, HV, head, v0, V, C, BV)


@triton.autotune(
    configs(({"BV": 32}, 4, 2), ({"BV": 64}, 4, 2), ({"BV": 64}, 8, 3)),
    key=["H", "HV", "K", "V", "C", "DECAY", "ERASE"],
)
@triton.jit
def scan(
    q, k, gamma, w, do, local_dr, dr, ds, dfinal, dinitial, rows, sizes, first, scale,
    H: tl.constexpr, HV: tl.constexpr, K: tl.constexpr, V: tl.constexpr, C: tl.constexpr, BK: tl.constexpr,
    DECAY: tl.constexpr, ERASE: tl.constexpr, INITIAL: tl.constexpr, FINAL: tl.constexpr, PRECISION: tl.constexpr,
    BV: tl.constexpr,
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
        keys = load_tile(k, row, size, H, head // (HV // H), 0, K, C, BK)
        queries_t = load_tile_t(q, row, size, H, head // (HV // H), 0, K, C, BK)
        gradient = load_tile(do, row, size, HV, head, v0, V, C, BV).to(tl.float32) * scale
        grown = tl.dot(keys, state.to(keys.dtype), input_precision=PRECISION)
        if DECAY:
            c, last = load_gamma(gamma, row, size, HV, head, C)
            grown *= tl.exp2(last - c)[:, None]
            gradient *= tl.exp2(c)[:, None]
            state *= tl.exp2(last)
        grown += load_tile(local_dr, row, size, HV, head, v0, V, C, BV).to(tl.float32)
        store_tile(dr, grown, row, size, HV, head, v0, V, C, BV)
        state += tl.dot(queries_t, gradient.to(queries_t.dtype), input_precision=PRECISION)
        if ERASE:
            erase_t = load_tile_t(w, row, size, HV, head, 0, K, C, BK)
            state += tl.dot(erase_t, grown.to(erase_t.dtype), input_precision=PRECISION)
    if INITIAL:
        tl.store(dinitial + edge, state, mask=inside)


@triton.autotune(configs(({}, 4, 2), ({}, 8, 2)), key=["HV", "V", "C", "DECAY", "ERASE"])
@triton.jit
def scores(
    v, beta, gamma, x, r, do, dr, da, e, dbv, dv, dbeta_v, rows, sizes,
    HV: tl.constexpr, V: tl.constexpr, C: tl.constexpr, BV: tl.constexpr,
    DECAY: tl.constexpr, ERASE: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    chunk, head = tl.program_id(0), tl.program_id(1)
    row, size = tl.load(rows + chunk), tl.load(sizes + chunk)
    i = tl.arange(0, C)
    c = tl.zeros((C,), tl.float32)
    if DECAY:
        c, _ = load_gamma(gamma, row, size, HV, head, C)
    decay = decay_matrix(c, C)
    score = tl.zeros((C, C), tl.float32)
    if ERASE:
        rate = load_column(beta, row, size, HV, head, C)
        x_t = load_tile_t(x, row, size, HV, head, 0, C, C, C)
        erased = tl.zeros((C, C), tl.float32)
        dot_v = tl.zeros((C,), tl.float32)
    for v0 in range(0, V, BV):
        gradient = load_tile(do, row, size, HV, head, v0, V, C, BV)
        r_t = load_tile_t(r, row, size, HV, head, v0, V, C, BV)
        score += tl.dot(gradient.to(r_t.dtype), r_t, input_precision=PRECISION)
        if ERASE:
            value = load_tile(v, row, size, HV, head, v0, V, C, BV).to(tl.float32)
            asked = load_tile(dr, row, size, HV, head, v0, V, C, BV).to(x_t.dtype)
            through = tl.dot(x_t, asked, input_precision=PRECISION)
            erased += tl.dot(through.to(r_t.dtype), r_t, input_precision=PRECISION)
            dot_v += tl.sum(through * value, 1)
            store_tile(dbv, through, row, size, HV, head, v0, V, C, BV)
            store_tile(dv, through * rate[:, None], row, size, HV, head, v0, V, C, BV)
    store_tile(da, score * decay, row, size, HV, head, 0, C, C, C)
    if ERASE:
        strict = tl.where(i[:, None] > i[None, :], erased * decay, 0.0)
        store_tile(e, strict, row, size, HV, head, 0, C, C, C)
        store_column(dbeta_v, dot_v, row, size, HV, head, C)


@triton.autotune(
    configs(({"BK": 64}, 8, 2), ({"BK": 64}, 8, 3), ({"BK": 32}, 8, 2)),
    key=["H", "HV", "K", "V", "C", "DECAY", "ERASE"],
)
@triton.jit
def inputs(
    q, k, g, beta, gamma, r, s, do, ds, da, e, dbv, dbeta_v, dq, dk, dbeta, dg, rows, sizes, scale,
    H: tl.constexpr, HV: tl.constexpr, K: tl.constexpr, V: tl.constexpr, C: tl.constexpr, BV: tl.constexpr,
    DECAY: tl.constexpr, ERASE: tl.constexpr, PRECISION: tl.constexpr, BK: tl.constexpr,
):  # fmt: skip
    chunk, head = tl.program_id(0), tl.program_id(1)
    row, size = tl.load(rows + chunk), tl.load(sizes + chunk)
    shared = head // (HV // H)
    i = tl.arange(0, C)
    c, last = tl.zeros((C,), tl.float32), 0.0
    if DECAY:
        c, last = load_gamma(gamma, row, size, HV, head, C)
    if ERASE:
        rate = load_column(beta, row, size, HV, head, C)
    on = i[:, None] == i[None, :]
    carried, written = 0.0, tl.zeros((C,), tl.float32)
    dgamma, kh = tl.zeros((C,), tl.float32), tl.zeros((C,), tl.float32)
    for k0 in range(0, K, BK):  # a block of the key's coordinates at a time: all of them do not fit into registers
        dqg, dkd = tl.zeros((C, BK), tl.float32), tl.zeros((C, BK), tl.float32)
        into = tl.zeros((C, BK), tl.float32)
        for v0 in range(0, V, BV):
            at_t, valid_t = state_at_t(chunk, HV, head, k0, v0, K, V, BK, BV)
            before = tl.load(s + at_t, mask=valid_t, other=0.0)
            after = tl.load(ds + at_t, mask=valid_t, other=0.0)
            gradient = load_tile(do, row, size, HV, head, v0, V, C, BV)
            stored = load_tile(r, row, size, HV, head, v0, V, C, BV)
            dqg += tl.dot(gradient.to(before.dtype), before, input_precision=PRECISION)
            dkd += tl.dot(stored.to(after.dtype), after, input_precision=PRECISION)
            carried += tl.sum(before.to(tl.float32) * after.to(tl.float32))
            if ERASE:
                through = load_tile(dbv, row, size, HV, head, v0, V, C, BV)
                into += tl.dot(through, before, input_precision=PRECISION)
        queries = load_tile(q, row, size, H, shared, k0, K, C, BK)
        keys = load_tile(k, row, size, H, shared, k0, K, C, BK)
        wide = keys.to(tl.float32)
        if DECAY:
            dqg *= tl.exp2(c)[:, None]
            dkd *= tl.exp2(last - c)[:, None]
        written += tl.sum(dkd * wide, 1)
        score = load_tile(da, row, size, HV, head, 0, C, C, C)
        diagonal = tl.sum(tl.where(on, score, 0.0), 1)[:, None].to(tl.float32) * scale
        score = tl.where(on, 0.0, score).to(da.dtype.element_ty)
        dqg = (dqg + tl.dot(score, keys.to(score.dtype), input_precision=PRECISION)) * scale
        store_tile(dq, dqg + diagonal * wide, row, size, HV, head, k0, K, C, BK)
        score_t = load_tile_t(da, row, size, HV, head, 0, C, C, C)
        score_t = tl.where(on, 0.0, score_t).to(da.dtype.element_ty)
        within = tl.dot(score_t, queries.to(score_t.dtype), input_precision=PRECISION) * scale
        dkd += diagonal * queries.to(tl.float32)
        if ERASE:
            erased = load_tile(e, row, size, HV, head, 0, C, C, C)
            erased_t = load_tile_t(e, row, size, HV, head, 0, C, C, C)
            if DECAY:
                into *= tl.exp2(c)[:, None]
            into += tl.dot(erased, keys.to(erased.dtype), input_precision=PRECISION)
            within -= tl.dot(erased_t, (wide * rate[:, None]).to(erased.dtype), input_precision=PRECISION)
            kh += tl.sum(wide * into, 1)
            dkd -= into * rate[:, None]
        store_tile(dk, dkd + within, row, size, HV, head, k0, K, C, BK)
        # Without A's diagonal, which no decay touches: under strong decay it would drown the rest.
        dgamma += tl.sum(dqg * queries.to(tl.float32), 1) - tl.sum(within * wide, 1)
    if ERASE:
        store_column(dbeta, load_column(dbeta_v, row, size, HV, head, C) - kh, row, size, HV, head, C)
        dgamma -= rate * kh
    if DECAY:
        dgamma = tl.where(i < size, dgamma, 0.0)
        crossing = tl.sum(dgamma, 0) - tl.cumsum(dgamma, 0) + dgamma + tl.cumsum(written, 0) - written
        # A decay of nothing at all has no slope; what is left there is rounding.
        alive = load_column(g, row, size, HV, head, C) > SMALLEST_LOG
        store_column(dg, tl.where(alive, crossing + carried * tl.exp2(last), 0.0), row, size, HV, head, C)
