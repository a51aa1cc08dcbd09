"""What PyTorch does with operators, done to all of them: autocast, torch.func, compilers, hooks, infinite decay."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from move37 import kernels
from move37.kernels.common.operator import Operator
from tests.kernels.cases import (
    LIMITS,
    compare,
    every_operator,
    gated_delta,
    heads,
    kda,
    low_rank_heads,
    product_heads,
    relative_rms,
    simple,
    vector,
    vector_heads,
)
from tests.shortened import slow_but

EVERY = every_operator()
HEADS = [name for name in EVERY if name.split(",")[0] not in ("convolution", "gated norm", "l2norm", "cross-entropy")]
# One of each formula that a compiler is to see whole; the others are slow tests.
COMPILED = (
    "gated delta",
    "kda, packed",
    "diagonal plus low rank",
    "convolution, packed",
    "gated norm",
    "cross-entropy",
)


def given_in(name, dtype, *, gates=torch.float32):
    """The inputs of a case as leaves: gates and states in float32, the rest in `dtype`."""
    return {
        n: x
        if not x.is_floating_point()
        else x.to(gates if n in ("g", "beta", "initial_state") and x.dim() > 1 and name in HEADS else dtype)
        .clone()
        .requires_grad_()
        for n, x in EVERY[name].inputs.items()
    }


def total(out):
    return sum(y.float().square().sum() for y in (out if isinstance(out, tuple) else (out,)) if y is not None)


@pytest.mark.parametrize("name", EVERY)
def test_every_operator_equals_the_reference(name):
    compare(EVERY[name].call, EVERY[name].inputs)


@pytest.mark.parametrize("dtype", (torch.float32, torch.bfloat16))
@pytest.mark.parametrize("name", EVERY)
def test_autocast_changes_nothing_inside(name, dtype):
    given, again = given_in(name, dtype), given_in(name, dtype)
    plain = total(EVERY[name].call(**given))
    plain.backward()
    with torch.autocast("cpu", torch.bfloat16):
        cast = total(EVERY[name].call(**again))
        if name != "log-linear":  # half of its gradients are PyTorch's own, which autocast changes in here
            cast.backward()
    if name == "log-linear":
        cast.backward()
    assert torch.allclose(cast, plain)
    for n, x in given.items():
        if x.requires_grad:
            assert x.grad.dtype == again[n].grad.dtype == x.dtype
            assert torch.allclose(x.grad, again[n].grad), n


@pytest.mark.parametrize("mixer", ("gated", "kda"))
def test_a_layer_trains_under_autocast_as_people_write_it(mixer):
    torch.manual_seed(0)
    into, out = nn.Linear(16, 3 * 16 + 2), nn.Linear(16, 16)
    x = torch.randn(2, 20, 16)
    with torch.autocast("cpu", torch.bfloat16):
        qkv, beta, g = into(x).split([48, 1, 1], -1)
        q, k, v = qkv.view(2, 20, 3, 2, 8).unbind(2)
        k = nn.functional.normalize(k.float(), dim=-1)  # float32 beside bfloat16
        beta, g = beta.sigmoid().expand(2, 20, 2), nn.functional.logsigmoid(g).expand(2, 20, 2)
        if mixer == "gated":
            o, _ = kernels.chunk_gated_delta_rule(q, k, v, g, beta)
        else:
            o, _ = kernels.chunk_kda(q, k, v, g.unsqueeze(-1).expand(2, 20, 2, 8), beta)
        loss = out(o.flatten(2)).float().square().mean()
    loss.backward()
    assert o.dtype == torch.bfloat16
    assert all(p.grad is not None and p.grad.isfinite().all() for p in (*into.parameters(), *out.parameters()))


DECODING = {
    "gated_delta_rule": heads(9),
    "delta_rule": heads(9, decay=None),
    "simple_gla": heads(9, beta=None),
    "gla": vector_heads(9),
    "kda": vector_heads(9, beta=torch.sigmoid),
    "gated_delta_product": {**product_heads(9, 2), "num_householder": 2},
    "dplr_delta_rule": low_rank_heads(9),
    "rwkv7": {{"q": "r", "gk": "w"}.get(n, n): x for n, x in low_rank_heads(9).items()} | {"scale": 0.25},
}


def test_every_decoding_operator_has_a_case():
    assert {f"fused_recurrent_{name}" for name in DECODING} == {n for n in kernels.__all__ if "_recurrent_" in n}


@pytest.mark.parametrize("name", DECODING)
@pytest.mark.parametrize("dtype", (torch.float32, torch.bfloat16))
def test_autocast_changes_nothing_in_decoding(name, dtype):
    """Or decoding and prefill, whose products are never cast, disagree."""
    gates = ("g", "gk", "w", "beta", "initial_state")
    kinds = {n: torch.float32 if n in gates else dtype for n in DECODING[name]}
    given = {n: x.to(kinds[n]) if torch.is_tensor(x) else x for n, x in DECODING[name].items()}
    prefill, decode = (getattr(kernels, f"{form}_{name}") for form in ("chunk", "fused_recurrent"))
    renamed = {"gk" if (n, name) == ("g", "gla") else n: x for n, x in given.items()}
    wanted, last = decode(**renamed, output_final_state=True)
    with torch.autocast("cpu", torch.bfloat16):
        o, state = decode(**renamed, output_final_state=True)
        ahead, end = prefill(**given, output_final_state=True)
    assert torch.equal(o, wanted) and torch.equal(state, last) and o.dtype == ahead.dtype == dtype
    assert relative_rms(state, end) < 1e-5


def test_a_loss_takes_the_layers_bfloat16_and_the_weights_float32_under_autocast():
    x, weight = torch.randn(6, 8).bfloat16(), torch.randn(11, 8)
    target = torch.arange(6)
    with torch.autocast("cpu", torch.bfloat16):
        loss = kernels.fused_linear_cross_entropy_loss(x, target, weight)
    wanted = nn.functional.cross_entropy(x.float() @ weight.bfloat16().float().t(), target)
    assert torch.allclose(loss, wanted, atol=1e-5)


@pytest.mark.parametrize("name", EVERY)
def test_torch_func_takes_gradients(name):
    case, given = EVERY[name], {n: x.detach() for n, x in given_in(name, torch.float32).items()}
    floating = {n: x for n, x in given.items() if x.is_floating_point()}
    found = torch.func.grad(lambda some: total(case.call(**{**given, **some})))(floating)
    leaves = given_in(name, torch.float32)
    total(case.call(**leaves)).backward()
    for n, dx in found.items():
        assert torch.allclose(dx, leaves[n].grad), n


@pytest.mark.parametrize("name", EVERY)
def test_torch_func_maps_over_samples_and_their_gradients(name):
    case, given = EVERY[name], {n: x.detach() for n, x in given_in(name, torch.float32).items()}
    first = next(iter(given))
    several = torch.stack([given[first], 2 * given[first], -given[first]])

    def loss(x):
        return total(case.call(**{**given, first: x}))

    assert torch.allclose(torch.func.vmap(loss)(several), torch.stack([loss(x) for x in several]))
    each = torch.func.vmap(torch.func.grad(loss))(several)
    assert torch.allclose(each, torch.stack([torch.func.grad(loss)(x) for x in several]))


@pytest.mark.parametrize("name", slow_but(EVERY, COMPILED))
def test_a_compiler_sees_one_graph(name):
    torch._dynamo.reset()
    case, given, again = EVERY[name], given_in(name, torch.float32), given_in(name, torch.float32)

    def loss(given):
        return total(case.call(**given))

    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    found, wanted = compiled(again), loss(given)
    assert torch.allclose(found, wanted)
    wanted.backward()
    found.backward()
    for n, x in given.items():
        if x.requires_grad:
            assert torch.allclose(x.grad, again[n].grad), n
    with torch.no_grad():
        assert torch.allclose(compiled({n: x.detach() for n, x in again.items()}), wanted)


@pytest.mark.slow
@pytest.mark.parametrize("name", ("gated delta", "kda", "convolution, packed", "cross-entropy"))
def test_a_compiler_that_takes_lengths_as_symbols_sees_one_graph(name):
    torch._dynamo.reset()
    compiled = torch.compile(
        lambda call, given: total(call(**given)), fullgraph=True, dynamic=True, backend="aot_eager"
    )
    for time in (21, 40):
        case = every_operator(time)[name]
        given = {n: x.float() if x.is_floating_point() else x for n, x in case.inputs.items()}
        assert torch.allclose(compiled(case.call, given), total(case.call(**given)))


@pytest.mark.parametrize("dtype", (torch.float32, torch.bfloat16))
@pytest.mark.parametrize("name", EVERY)
def test_what_a_compiler_believes_is_what_comes_out(name, dtype, monkeypatch):
    """Shapes, strides and dtypes of every output, also of what is kept, and nothing shares memory with an input."""
    calls = []
    plain = Operator.__call__

    def note(self, *arguments):
        calls.append((self, arguments))
        return plain(self, *arguments)

    monkeypatch.setattr(Operator, "__call__", note)
    EVERY[name].call(**given_in(name, dtype))
    assert calls
    for operator, arguments in calls:
        if "packed" in name and operator.keeps:  # what a compiler never asks for: see chunk_delta
            arguments = (*arguments[:-1], False)
        torch.library.opcheck(operator.compiled, arguments, test_utils=("test_schema", "test_faketensor"))


@pytest.mark.parametrize("name", EVERY)
def test_everything_that_waits_for_the_backward_pass_is_seen_by_hooks(name):
    """Packed into nothing but copies, the backward pass still has all it needs: nothing is kept on the side."""
    seen = []

    def pack(x):
        seen.append(x)
        return x.clone()

    given, again = given_in(name, torch.float32), given_in(name, torch.float32)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        loss = total(EVERY[name].call(**given))
    loss.backward()
    total(EVERY[name].call(**again)).backward()
    assert seen
    assert all(torch.equal(x.grad, again[n].grad) for n, x in given.items() if x.requires_grad)


def test_what_waits_is_held_by_the_graph_alone():
    import gc
    import weakref

    kept = []

    def pack(x):
        kept.append(weakref.ref(x.untyped_storage()))
        return x

    given = given_in("gated delta", torch.float32)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        loss = total(EVERY["gated delta"].call(**given))
    del loss
    gc.collect()
    own = {x.untyped_storage()._cdata for x in given.values()}
    assert all((held := s()) is None or held._cdata in own for s in kept)


@pytest.mark.parametrize("gradients", (True, False))
@pytest.mark.parametrize("name", [n for n in EVERY if "initial_state" in EVERY[n].inputs])
def test_a_returned_state_holds_only_its_own_memory(name, gradients):
    given = given_in(name, torch.float32)
    with torch.set_grad_enabled(gradients):
        _, state = EVERY[name].call(**given)
    assert state.untyped_storage().nbytes() == state.numel() * state.element_size()


@pytest.mark.parametrize("name", [n for n in HEADS if "g" in EVERY[n].inputs])
def test_a_decay_of_minus_infinity_is_a_reset(name):
    """Also at the first and the last token, twice in a row, and for all tokens: finite, and equal to the reference."""
    case = EVERY[name]
    for at in (slice(0, 1), slice(9, 11), slice(-1, None), slice(None)):
        g = case.inputs["g"].clone()
        g[:, at] = -torch.inf
        compare(case.call, {**case.inputs, "g": g})
        compare(case.call, {**case.inputs, "g": g}, torch.bfloat16)


@pytest.mark.parametrize(
    "call,inputs",
    (
        (gated_delta, heads(40)),
        (simple, heads(40, beta=None)),
        (vector, vector_heads(40)),
        (kda, vector_heads(40, beta=torch.sigmoid)),
    ),
)
def test_leaves_that_want_gradients_change_nothing_under_no_grad(call, inputs, monkeypatch):
    """The same numbers, by the same segments, as for plain tensors."""
    for family in ("scalar_decay", "vector_decay"):
        monkeypatch.setattr(f"move37.kernels.ops.{family}.chunked.SEGMENT_ELEMENTS", 700)
    plain = {n: x.float() for n, x in inputs.items()}
    with torch.no_grad():
        found = call(**{n: x.clone().requires_grad_() for n, x in plain.items()})
    assert all(torch.equal(x, y) for x, y in zip(found, call(**plain), strict=True))
    whole = call(**{n: x.clone().requires_grad_() for n, x in plain.items()})
    assert all(relative_rms(x, y.detach()) < 1e-6 for x, y in zip(found, whole, strict=True))


@pytest.mark.parametrize("time", (16, 21))  # a whole chunk, and one that is padded
@pytest.mark.parametrize("name", EVERY)
def test_results_may_be_changed_in_place(name, time):
    """`o.mul_(gate)`, a dropout in place: as after any other layer."""
    case = every_operator(time)[name]
    grads = []
    for in_place in (True, False):
        given = {n: x.float().requires_grad_() if x.is_floating_point() else x for n, x in case.inputs.items()}
        out = case.call(**given)
        out = [y for y in (out if isinstance(out, tuple) else (out,)) if y is not None]
        total(tuple(y.mul_(2) if in_place else y * 2 for y in out)).backward()
        grads.append([x.grad for x in given.values() if x.requires_grad])
    assert all(torch.equal(x, y) for x, y in zip(*grads, strict=True))


@pytest.mark.parametrize("name", EVERY)
def test_a_second_derivative_is_refused_by_name(name):
    given = given_in(name, torch.float32)
    wanted = [x for x in given.values() if x.requires_grad]
    grads = torch.autograd.grad(total(EVERY[name].call(**given)), wanted, create_graph=True)
    with pytest.raises(NotImplementedError, match="second derivatives"):
        torch.stack([x.sum() for x in grads]).sum().backward()


def test_many_short_sequences_beside_a_long_one_cost_their_tokens():
    """A padded batch would hold 64 times the longest; what is kept stays in proportion to the tokens."""
    sizes = []
    short, long = 3, 400
    for bounds in ([0, long + 63 * short], [0, *range(short, 63 * short + 1, short), long + 63 * short]):
        given = {n: x.float().requires_grad_() for n, x in heads(bounds[-1], state=False).items()}
        held = 0

        def pack(x):
            nonlocal held
            held += x.numel()
            return x

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
            gated_delta(**given, cu_seqlens=torch.tensor(bounds))
        sizes.append(held)
    assert sizes[1] < 8 * sizes[0]  # 63 chunks of 16 for 3 tokens each, and their states; padded: 43 times


@pytest.mark.parametrize("call,make", ((gated_delta, heads), (vector, vector_heads), (kda, vector_heads)))
def test_a_long_sequence_equals_its_halves(call, make):
    given = {n: x.float() for n, x in make(3000, **({} if call is vector else {"beta": 0.5})).items()}
    state = given.pop("initial_state")
    o, last = call(**given, initial_state=state)
    first, between = call(**{n: x[:, :1111] for n, x in given.items()}, initial_state=state)
    second, end = call(**{n: x[:, 1111:] for n, x in given.items()}, initial_state=between)
    assert relative_rms(torch.cat((first, second), 1), o) < LIMITS[torch.float32][0]
    assert relative_rms(end, last) < LIMITS[torch.float32][0]


@pytest.mark.parametrize("axis", (0, 1))
@pytest.mark.parametrize("name", [n for n in HEADS if "packed" not in n])
def test_nothing_at_all_is_refused_by_name(name, axis):
    given = given_in(name, torch.float32)
    empty = {n: x.narrow(axis, 0, 0) if n != "initial_state" else x for n, x in given.items()}
    with pytest.raises(kernels.errors.BadShape, match="at least one"):
        EVERY[name].call(**empty)
