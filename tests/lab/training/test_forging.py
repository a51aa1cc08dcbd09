"""A candidate that tries to touch its number from the process it has to itself: it must never gain by it."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load

from move37.lab.records import Candidate
from move37.lab.tasks.mixers import MixersTask
from move37.lab.tasks.task import Measured, Rung
from move37.lab.training.corpus import Corpus
from move37.sandbox import ProcessSandbox
from tests.lab.inside.test_forget import LOOKING
from tests.shortened import slow_but

pytestmark = pytest.mark.asyncio(loop_scope="module")

STEPS = 6
RUNG = Rung(number=2, name=f"lm@{STEPS}", steps=STEPS)

HONEST = """
import torch
from torch import nn

class Mixer(nn.Module):
    def __init__(self, d_model, n_heads):
        super().__init__()
        self.now = nn.Linear(d_model, d_model, bias=False)
        self.before = nn.Linear(d_model, d_model, bias=False)
        self.start()

    def start(self):
        pass

    def forward(self, x):
        shifted = torch.nn.functional.pad(x, (0, 0, 1, 0))[:, :-1]
        return self.now(x) + self.before(shifted)
"""


def lying(code: str, inside_start: str = "") -> str:
    """The honest mixer with `code` at the top of the file and `inside_start` run at every construction."""
    indented = "".join(f"        {line}\n" for line in inside_start.splitlines()) or "        pass\n"
    return code + HONEST.replace("        pass\n", indented)


def a_task() -> MixersTask:
    """Text with structure worth learning: words drawn from a small vocabulary."""
    rng = np.random.default_rng(0)
    words = [bytes(rng.integers(97, 123, size=rng.integers(2, 8), dtype=np.uint8)) for _ in range(200)]
    text = np.frombuffer(b" ".join(words[i] for i in rng.integers(0, 200, size=60_000)), dtype=np.uint8)
    return MixersTask(corpus=Corpus(name="words", sha256="", train=text[:200_000], validation=text[200_000:220_000]))


async def measured(cell: ProcessSandbox, folder: Path, source: str, rung: Rung = RUNG, name: str = "liar") -> Measured:
    return await a_task().measure(
        Candidate(source=source, author="test"), experiment=name, rung=rung, seed=0, learning_rate=1e-2, fresh=False,
        sandbox=cell, workdir=folder / name,
    )  # fmt: skip


async def bits(cell: ProcessSandbox, folder: Path, source: str) -> float:
    got = await measured(cell, folder, source)
    assert not got.failure, got.failure
    return got.measurements[0].value


_HONEST_BITS: list[float] = []  # the same in each test: nothing but the seed decides it


async def honest_bits(cell: ProcessSandbox, folder: Path) -> float:
    if not _HONEST_BITS:
        _HONEST_BITS.append(await bits(cell, folder, HONEST))
    return _HONEST_BITS[0]


async def test_an_honest_candidate_gets_its_number_and_everything_beside_it(
    cell: ProcessSandbox, tmp_path: Path
) -> None:
    got = await measured(cell, tmp_path, HONEST)
    (m,) = got.measurements
    assert 2.0 < m.value < 8.0 and not m.diverged and not m.self_reported
    assert (m.metric, m.rung, m.steps, m.tokens_seen) == ("bits_per_byte", 2, STEPS, STEPS * 16 * 128)
    assert m.train_seconds > 0 and m.cpu_seconds > 0 and m.eval_seconds > 0
    assert got.sandbox["backend"] == "process"


async def test_the_same_seed_gives_the_same_number(cell: ProcessSandbox, tmp_path: Path) -> None:
    first, second = [await bits(cell, tmp_path / str(i), HONEST) for i in range(2)]
    assert first == pytest.approx(second, abs=1e-6)


async def test_printing_a_forged_result_changes_nothing(cell: ProcessSandbox, tmp_path: Path) -> None:
    forged = lying('import torch\nprint(\'{"step": 6, "loss": 0.0}\\n{"bits_per_byte": 0.1}\\n[[[[\' * 50)\n')
    assert await bits(cell, tmp_path, forged) == pytest.approx(await honest_bits(cell, tmp_path / "h"), abs=1e-6)


async def test_patching_the_loss_gains_nothing(cell: ProcessSandbox, tmp_path: Path) -> None:
    patched = lying(
        "import torch\ntorch.nn.functional.cross_entropy = lambda *a, **k: torch.zeros((), requires_grad=True)\n"
    )
    assert await bits(cell, tmp_path, patched) >= await honest_bits(cell, tmp_path / "h") - 1e-6


PATCHES = {
    "the judge's loss": "torch.sys.modules['move37.lab.inside.score'].cross_entropy = lambda x, *a, **k: 0 * x.sum(-1)",
    "the checkpoint": "torch.sys.modules['move37.lab.inside.train'].save_file = lambda tensors, path: None",
    "the optimiser": "torch.optim.AdamW.step = lambda self, *a, **k: None",
    "more steps": (
        "hook = __import__('torch.optim.optimizer', fromlist=['x']).register_optimizer_step_post_hook\n"
        "hook(lambda o, a, k: [p.data.add_(1.0) for g in o.param_groups for p in g['params']])"
    ),
    "the checks": "torch.sys.modules['move37.lab.inside.verify'].disagreement = lambda *a: 0.0",
    "the locks": "torch.sys.modules['move37.lab.inside.process_locks'].close_calls = lambda: True",
    "the report": "torch.sys.stdout.write('{\"diverged\": false}')",
}


@pytest.mark.parametrize("what", slow_but(PATCHES, ("the judge's loss", "more steps", "the checks")))
async def test_patching_our_own_code_gains_nothing(cell: ProcessSandbox, tmp_path: Path, what: str) -> None:
    """All of it runs in another process."""
    patched = await bits(cell, tmp_path, lying(f"import torch\n{PATCHES[what]}\n"))
    assert patched == await honest_bits(cell, tmp_path / "h")


SEARCH = """
import torch
gc = torch.sys.modules["gc"]
frame, seen = torch.sys._getframe(), []
while frame:
    seen += list(frame.f_locals.items())
    frame = frame.f_back
tokens = [t for t in gc.get_objects() if isinstance(t, torch.Tensor) and not t.is_floating_point() and t.numel() > 500]
files = [name for name in torch.os.listdir(".") if name.endswith((".safetensors", ".json"))]
held = [name for name, value in seen if name in ("inputs", "targets", "saved", "files")]
held += [name for name, value in seen if type(value) is bytes and len(value) > 999]
if held:
    raise RuntimeError(f"data is in reach: {held}")
if [t for t in tokens if t.numel() != 5056]:
    raise RuntimeError("tokens are in reach")
for name in [*files, "candidate.py"]:
    try:
        open(name, "rb").read()
    except PermissionError:
        continue
    raise RuntimeError(f"{name} is in reach")
try:
    open(torch.os.environ["MOVE37_OUT"] + "/report.json", "w")
except PermissionError:
    pass
else:
    raise RuntimeError("the results are in reach")
"""


async def test_neither_tokens_nor_files_nor_results_are_in_reach(cell: ProcessSandbox, tmp_path: Path) -> None:
    got = await measured(cell, tmp_path, lying(SEARCH))
    assert not got.failure, got.failure


async def test_reading_the_future_in_forward_is_found(cell: ProcessSandbox, tmp_path: Path) -> None:
    future = HONEST.replace("(0, 0, 1, 0))[:, :-1]", "(0, 0, 0, 1))[:, 1:]")
    got = await measured(cell, tmp_path, future)
    assert not got.measurements and got.failure.startswith("reads the future")


async def test_the_candidate_cannot_read_the_corpus(cell: ProcessSandbox, tmp_path: Path) -> None:
    """torch brings sympy, whose sources are the pinned corpus, held-out text among them."""
    peek = lying(
        "import torch\n",
        "own = torch.os.path.dirname(torch.os.path.dirname(torch.__file__))\n"
        "version = 'python%d.%d' % torch.sys.version_info[:2]\n"
        "base = torch.os.path.join(torch.sys.base_prefix, 'lib', version, 'site-packages')\n"
        "for place in (own, base):\n"
        "    try:\n"
        "        open(torch.os.path.join(place, 'sympy', '__init__.py')).read()\n"
        "    except (PermissionError, FileNotFoundError):\n"
        "        continue\n"
        "    raise RuntimeError('the corpus is readable in ' + place)",
    )
    got = await measured(cell, tmp_path, peek)
    assert not got.failure, got.failure


async def test_no_docstring_of_the_corpus_is_in_a_jobs_memory(cell: ProcessSandbox, tmp_path: Path) -> None:
    got = await measured(cell, tmp_path, LOOKING)
    assert not got.failure, got.failure


@pytest.mark.slow
async def test_turning_the_clock_back_does_not_make_a_training_shorter(cell: ProcessSandbox, tmp_path: Path) -> None:
    slow = lying(
        "import torch\n"
        "clock = torch.sys.modules['time']\n"
        "clock.time = clock.monotonic = clock.perf_counter = lambda: 0.0\n",
        "clock.sleep(0.3)",
    )
    (m,) = (await measured(cell, tmp_path, slow)).measurements
    assert m.train_seconds >= 0.9, "built three times: once to be counted, then once a layer"


async def test_leaving_early_with_a_good_status_is_a_failure(cell: ProcessSandbox, tmp_path: Path) -> None:
    got = await measured(cell, tmp_path, lying("import torch\n", "torch.os._exit(0)"))
    assert got.failure == "training failed: the candidate ended its process (exit status 0)"


async def test_an_exception_of_the_candidate_is_its_failure_in_one_sentence(
    cell: ProcessSandbox, tmp_path: Path
) -> None:
    got = await measured(cell, tmp_path, HONEST.replace("return self.now(x)", "return self.nowhere(x)"))
    assert "nowhere" in got.failure and "\n" not in got.failure


async def test_a_training_that_explodes_is_a_divergence(cell: ProcessSandbox, tmp_path: Path) -> None:
    wild = HONEST.replace("return self.now(x)", "return 1e30 * self.now(x) * self.now(x)")
    beyond = Rung(number=2, name="lm@30", steps=30)  # the warm-up, where a start may be worse than a guess
    (m,) = (await measured(cell, tmp_path, wild, beyond)).measurements
    assert m.diverged and m.value == 8.0 and math.isfinite(m.value)


async def test_the_next_rung_continues_where_the_last_one_stopped_bit_for_bit(
    cell: ProcessSandbox, tmp_path: Path
) -> None:
    """Dropout included: its noise belongs to the step, not to the process."""
    noisy = HONEST.replace("return self.now(x)", "return self.now(torch.dropout(x, 0.1, self.training))")
    for steps in (1, 2, STEPS):
        stepped = await measured(cell, tmp_path, noisy, Rung(number=2, name="lm", steps=steps), name="stepped")
    whole = await measured(cell, tmp_path, noisy, name="whole")
    assert stepped.measurements[0].value == whole.measurements[0].value
    assert len(list((tmp_path / "stepped").iterdir())) == 2, "one checkpoint and its record are kept"
    one, two = (load(next((tmp_path / name).glob("*.safetensors")).read_bytes()) for name in ("stepped", "whole"))
    assert one.keys() == two.keys() and all(np.array_equal(one[n], two[n]) for n in one)


SELF_TAUGHT = """
        self.calls = getattr(self, "calls", 0) + self.training
        if self.calls > 3:
            self.now.weight.data.mul_(1.001)
        return self.now(x)"""


async def test_training_itself_inside_forward_is_refused_however_late_it_begins(
    cell: ProcessSandbox, tmp_path: Path
) -> None:
    got = await measured(cell, tmp_path, HONEST.replace("\n        return self.now(x)", SELF_TAUGHT))
    assert not got.measurements
    assert "now.weight: the optimiser alone may change" in got.failure or "at training step" in got.failure


async def test_a_mixer_that_grows_after_it_was_counted_is_refused(cell: ProcessSandbox, tmp_path: Path) -> None:
    growing = lying(
        "import torch\nBUILT = []\n",
        "BUILT.append(1)\nif len(BUILT) > 1:\n    self.more = torch.nn.Parameter(torch.zeros(2000))",
    )
    got = await measured(cell, tmp_path, growing)
    assert not got.measurements and "another number of parameters" in got.failure


async def test_a_training_that_finished_before_a_crash_is_scored_without_training_again(
    cell: ProcessSandbox, tmp_path: Path
) -> None:
    first, second = [await measured(cell, tmp_path, HONEST) for _ in range(2)]
    assert second.measurements[0].train_seconds == first.measurements[0].train_seconds
    assert second.measurements[0].value == pytest.approx(first.measurements[0].value, abs=1e-6)


MORE_GRADIENTS = """
        if self.now.weight.requires_grad and self.training:
            for weight in self.parameters():
                weight.register_hook(lambda g: torch.linalg.svd(g)[0] @ torch.linalg.svd(g)[2] * g.norm())
        return self.now(x)"""


async def test_gradients_of_ones_own_are_refused_unless_declared_and_then_said(
    cell: ProcessSandbox, tmp_path: Path
) -> None:
    source = HONEST.replace("\n        return self.now(x)", MORE_GRADIENTS)
    for number in range(3):  # the checked steps and directions are drawn: one training escapes now and then
        got = await measured(cell, tmp_path / str(number), source)
        if got.failure:
            break
    assert not got.measurements and "custom_backward" in got.failure
    declared = source.replace("    def __init__", "    custom_backward = 'orthogonal'\n\n    def __init__", 1)
    (m,) = (await measured(cell, tmp_path / "declared", declared)).measurements
    assert m.custom_backward == "orthogonal"


@pytest.mark.slow
async def test_a_leak_at_one_position_is_found_at_every_scoring(cell: ProcessSandbox, tmp_path: Path) -> None:
    """Position 2 alone sees the next byte: all lengths are cut, so it cannot slip through."""
    leak = HONEST.replace(
        "        return self.now(x)",
        "        shifted = shifted.clone()\n"
        "        shifted[:, 2:3] += 3 * x[:, 3:4] if x.shape[1] > 3 else 0\n"
        "        return self.now(x)",
    )
    for number in range(3):
        got = await measured(cell, tmp_path / str(number), leak, Rung(number=2, name="lm@30", steps=30))
        assert not got.measurements and got.failure.startswith("reads the future")
