"""A training whose mixers compute in another process is the training of one process, bit for bit."""

from __future__ import annotations

import pytest
import torch

from move37.lab import baselines
from move37.lab.inside.building import around_mixers, build_model
from move37.lab.inside.remote import CandidateDied, CandidateFault, Forward, Remote, RemoteMixer
from move37.lab.training.contract import ContractError
from move37.lab.training.jobs import Network
from tests.lab.inside.conftest import Start
from tests.lab.inside.mixers import HONEST, fitted, in_one_process, with_forward
from tests.shortened import slow_but

NETWORK = Network(kind="bytes").spec
STEPS = 10


@pytest.mark.parametrize("name", slow_but(baselines.NAMES, ("softmax", "gated_delta_net")))
def test_every_baseline_trains_bit_for_bit_as_in_one_process(name: str, start: Start) -> None:
    source = baselines.source(name)
    one, weights = in_one_process(source, STEPS)
    two, remote_weights = fitted(build_model(start(source), NETWORK, seed=0).model, STEPS)
    assert one == two
    assert weights.keys() == remote_weights.keys()
    assert all(torch.equal(weights[name], remote_weights[name]) for name in weights)


@pytest.mark.parametrize(("seed", "follows"), [(0, True), (999, True), (1000, False), (10**9, False)])
def test_the_generator_of_a_fresh_seeds_mixers_does_not_tell_what_the_fixed_network_drew(
    seed: int, follows: bool
) -> None:
    model, state, _ = around_mixers(NETWORK, 64, seed=seed)
    torch.manual_seed(seed)
    torch.nn.Embedding(256, 64)
    table = torch.empty(256, 64).normal_(std=0.125)
    for _ in range(2):
        torch.nn.Linear(64, 64, bias=False), torch.nn.Linear(64, 64, bias=False)
    assert torch.equal(model.embedding.weight, table)
    assert torch.equal(state, torch.get_rng_state()) is follows
    assert torch.equal(state, around_mixers(NETWORK, 64, seed=seed)[1])


SHARED = """
import torch
from torch import nn

class Mixer(nn.Module):
    def __init__(self, d_model, n_heads):
        super().__init__()
        self.mode = nn.Linear(d_model, d_model)
        self.remote = nn.Sequential(nn.Linear(d_model, d_model))
        self.remote[0].weight = self.mode.weight
        self.scale = nn.Parameter(torch.ones(()))
        self.still = nn.Parameter(torch.ones(3), requires_grad=False)
        self.unused = nn.Parameter(torch.ones(3))
        self.register_buffer("ramp", torch.arange(3))

    def forward(self, x):
        return self.scale * self.mode(x) + self.remote(x.sin())
"""


def test_shared_frozen_unused_and_oddly_named_weights_train_as_in_one_process(start: Start) -> None:
    one, weights = in_one_process(SHARED, 6)
    two, remote_weights = fitted(build_model(start(SHARED), NETWORK, seed=0).model, 6)
    assert one == two and weights.keys() == remote_weights.keys()
    assert all(torch.equal(weights[name], remote_weights[name]) for name in weights)


@pytest.mark.parametrize("own", sorted(RemoteMixer.OWN))
def test_a_weight_may_have_the_name_of_something_of_ours(start: Start, own: str) -> None:
    for source in (HONEST.replace("self.now", f"self.{own}"), HONEST.replace('"taps"', f'"{own}"')):
        model = build_model(start(source), NETWORK, seed=0)
        mixer, names = model.mixers[0], set(model.model.state_dict())
        mixer.seed, mixer.records, mixer.mode, mixer.remote = 3, [], "inference", mixer.remote
        assert (mixer.seed, mixer.records, mixer.mode, mixer.number) == (3, [], "inference", 0)
        mixer(torch.randn(2, 5, 64)).sum().backward()
        assert set(model.model.state_dict()) == names and any(f".mixer.{own}" in name for name in names)


def test_a_name_that_torch_gives_to_no_weight_is_refused(start: Start) -> None:
    for taken in ("training", "_parameters", "forward", "inner.training"):
        listed = f"""
    def named_parameters(self, *args, **kwargs):
        return [("{taken}", self.now.weight), ("before", self.before.weight)]
"""
        with pytest.raises(CandidateFault, match="odd names"):
            build_model(start(HONEST + listed), NETWORK, seed=0)


def built(start: Start, source: str) -> Remote:
    remote = start(source)
    remote.build(layers=2, d_model=64, n_heads=4)
    return remote


X = torch.randn(2, 9, 64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    "lines, words",
    [
        ("raise ValueError('look here')", "look here"),
        ("torch.os._exit(7)", "exit status 7"),
        ("torch.os.abort()", "SIGABRT"),
        ("torch.os.kill(torch.os.getpid(), 40)", "signal 40"),
        ("torch.ops.aten.nowhere()", "nowhere"),
        ("return None", "NoneType"),
        ("return x.to_sparse()", "layout"),
        ("return x.int()", "int32"),
        ("import ctypes; ctypes.string_at(0)", "SIGSEGV"),
        ("raise SystemExit(3)", "SystemExit"),
        ("raise type('Odd', (BaseException,), {'__str__': lambda s: 1 / 0})()", "Odd"),
    ],
)
def test_whatever_a_candidate_does_ends_as_its_fault_in_one_line(start: Start, lines: str, words: str) -> None:
    with pytest.raises((CandidateFault, ContractError)) as caught:
        built(start, with_forward(lines).replace("import ctypes;", "ctypes = __import__('ctypes');")).forward(
            0, X, Forward()
        )
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_an_exception_comes_with_the_candidates_own_lines(start: Start) -> None:
    with pytest.raises(CandidateFault) as caught:
        built(start, with_forward("raise ValueError('look here')")).forward(0, X, Forward())
    assert "candidate.py" in caught.value.traceback and "look here" in caught.value.traceback


def test_a_process_that_died_is_dead_for_good(start: Start) -> None:
    remote = built(start, with_forward("torch.os._exit(0)"))
    for _ in range(2):
        with pytest.raises(CandidateDied):
            remote.forward(0, X, Forward())


def test_a_candidate_that_changes_its_weights_is_told_which(start: Start) -> None:
    source = with_forward("self.calls = getattr(self, 'calls', 0) + 1\nif self.calls > 3: self.now.weight.data.mul_(2)")
    with pytest.raises(ContractError, match=r"now\.weight.*the optimiser alone"):
        fitted(build_model(start(source), NETWORK, seed=0).model, 6)


def test_weights_that_a_candidate_hides_a_change_of_are_overwritten(start: Start) -> None:
    """It lies about what it holds; its copy of the weights is nobody's."""
    source = HONEST + "\n    def state_dict(self, *a, **k):\n        return {}\n"
    changed = source.replace(
        "        return self.now", "        self.now.weight.data.add_(1e-3)\n        return self.now"
    )
    layer = built(start, HONEST)
    values = layer.build(layers=1, d_model=64, n_heads=4)[0].values
    honest = layer.forward(0, X, Forward(), values)
    other = built(start, changed)
    ours = other.build(layers=1, d_model=64, n_heads=4)[0].values
    assert len(ours) == 2 and not torch.equal(other.forward(0, X, Forward(), values[:2]), honest)


FORBIDDEN = {
    "writing anywhere": "open('/tmp/left-by-a-candidate', 'w')",
    "a process": "torch.os.fork()",
    "a program": "__import__('subprocess').run(['true'])",
    "a socket": "__import__('socket').socket()",
    "its parent": "torch.os.kill(torch.os.getppid(), 0)",
    "its parent's memory": "open(f'/proc/{torch.os.getppid()}/mem', 'rb').read(1)",
    "its parent's limits": "__import__('resource').prlimit(torch.os.getppid(), 7)",
    "a lock": "fcntl.fcntl(open(torch.__file__), 6, LOCK)",
    "whether there is a lock": "fcntl.fcntl(open(torch.__file__), 5, LOCK)",
    "who owns a descriptor": "fcntl.fcntl(3, 8, 1)",
    "a lease": "fcntl.fcntl(open(torch.__file__), 1024, 0)",
    "what others have read": "torch.os.preadv(open(torch.__file__).fileno(), [bytearray(9)], 0, torch.os.RWF_NOWAIT)",
    "what is kept of files": "torch.os.posix_fadvise(open(torch.__file__).fileno(), 0, 0, 4)",
    "where it runs": "torch.os.sched_setaffinity(0, torch.os.sched_getaffinity(0))",
    "the corpus": "open(__import__('importlib').util.find_spec('sympy').origin)",
}


LOCKS = "fcntl, LOCK = __import__('fcntl'), __import__('struct').pack('hhqqi', 1, 0, 0, 9, 0)\n"


@pytest.mark.parametrize("what", FORBIDDEN)
def test_a_candidate_cannot_touch(start: Start, what: str) -> None:
    with pytest.raises(CandidateFault, match=r"PermissionError|BlockingIOError"):
        built(start, LOCKS + with_forward(FORBIDDEN[what])).forward(0, X, Forward())


def test_threads_are_allowed(start: Start) -> None:
    source = with_forward("t = __import__('threading').Thread(target=print)\nt.start()\nt.join()")
    assert built(start, source).forward(0, X, Forward()).shape == X.shape


def test_the_shared_memory_of_one_process_is_not_anothers(start: Start) -> None:
    """What a process left in its region is gone when the region serves the next one."""
    first = built(start, HONEST)
    first.forward(0, torch.full((4, 9, 64), 7.0), Forward())
    slot = first.process.slot
    first.end()
    second = start(HONEST)
    assert second.process.slot == slot
    assert bytes(second.process.channel.region[4096:8192]) == bytes(4096)


NOTES = HONEST.replace("class Mixer", "# a note\nclass Mixer").replace(
    "    def __init__", '    """For readers."""\n\n    def __init__', 1
)


def test_a_running_mixer_has_neither_comments_nor_docstrings(start: Start) -> None:
    """They would be data that nobody counts; lines keep their numbers."""
    code = """
frame, found = torch.sys._getframe(), []
while frame:
    found += [value for value in frame.f_locals.values() if type(value) is str]
    frame = frame.f_back
found += torch.sys.modules["linecache"].cache["candidate.py"][2] + [type(self).__doc__]
raise ValueError([word for word in ("a no" + "te", "For re" + "aders") if any(word in text for text in found)])"""
    source = NOTES.replace("        return", code.replace("\n", "\n        ").lstrip("\n") + "\n        return", 1)
    with pytest.raises(CandidateFault, match=r"ValueError: \[\]$") as caught:
        built(start, source).forward(0, X, Forward())
    assert f"line {source[: source.index('raise ValueError')].count(chr(10)) + 1}," in caught.value.traceback
