"""A candidate that lies to the process it shares with its training: what it says must never become its number."""

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
    assert await bits(cell, tmp_path, forged) == pytest.approx(await bits(cell, tmp_path / "h", HONEST), abs=1e-6)


async def test_patching_the_loss_gains_nothing(cell: ProcessSandbox, tmp_path: Path) -> None:
    patched = lying(
        "import torch\ntorch.nn.functional.cross_entropy = lambda *a, **k: torch.zeros((), requires_grad=True)\n"
    )
    assert await bits(cell, tmp_path, patched) >= await bits(cell, tmp_path / "h", HONEST) - 1e-6


async def test_patching_the_judges_softmax_gains_nothing(cell: ProcessSandbox, tmp_path: Path) -> None:
    """Scores that are no log-probabilities (all zero: every byte certain) are normalised outside."""
    patched = lying(
        "import torch\n"
        "torch.sys.modules['move37.lab.training.entry'].log_softmax = lambda x, dim: torch.zeros_like(x)\n"
    )
    assert await bits(cell, tmp_path, patched) == pytest.approx(8.0, abs=1e-3)


PEEK = """
import torch
entry = torch.sys.modules["move37.lab.training.entry"]

def cheat(answers, path):
    seen = entry.load_file("inputs.safetensors")
    for name, rows in seen.items():
        later = torch.cat([rows[:, 1:], rows[:, :1]], dim=1).long()
        answers[name] = torch.full_like(answers[name], -20.0).scatter_(2, later[..., None], 0.0)
    real(answers, path)

real = entry.save_file
if entry.Path("inputs.safetensors").exists():
    entry.save_file = cheat
"""


async def test_writing_the_next_byte_as_the_answer_is_found_where_the_future_is_absent(
    cell: ProcessSandbox, tmp_path: Path
) -> None:
    """It answers from its own inputs: perfect on the full pass, wrong at the end of every prefix."""
    got = await measured(cell, tmp_path, lying(PEEK))
    assert not got.measurements and got.failure.startswith("reads the future")


async def test_reading_the_future_in_forward_is_found(cell: ProcessSandbox, tmp_path: Path) -> None:
    future = HONEST.replace("(0, 0, 1, 0))[:, :-1]", "(0, 0, 0, 1))[:, 1:]")
    got = await measured(cell, tmp_path, future)
    assert not got.measurements and got.failure.startswith("reads the future")


HIDE = """
import torch
os = torch.os
PLACES = ["/tmp/leak", "/dev/shm/leak", "/var/tmp/leak", os.path.expanduser("~/leak"), "leak", "../leak"]
PLACES.append(os.path.join(os.environ["MOVE37_OUT"], "leak"))
if any(os.path.exists(p) for p in PLACES):
    raise RuntimeError("a side file survived")
if os.path.exists("inputs.safetensors"):
    for place in PLACES:
        try:
            with open(place, "wb") as stream, open("inputs.safetensors", "rb") as text:
                stream.write(text.read())
        except OSError:
            pass
"""


async def test_validation_text_in_a_side_file_never_reaches_a_training_or_a_prefix(
    cell: ProcessSandbox, tmp_path: Path
) -> None:
    """Every answering job leaves its inputs wherever it may write; whoever finds one of them raises."""
    source = lying(HIDE)
    for steps in (STEPS, STEPS + 2):
        got = await measured(cell, tmp_path, source, Rung(number=2, name="lm", steps=steps))
        assert not got.failure, got.failure


async def test_the_corpus_is_not_in_the_room(cell: ProcessSandbox, tmp_path: Path) -> None:
    """torch brings sympy, whose sources are the pinned corpus, held-out text among them."""
    peek = lying(
        "import torch\n",
        "place = torch.os.path.join(torch.os.path.dirname(torch.os.path.dirname(torch.__file__)), 'sympy')\n"
        "try:\n"
        "    open(torch.os.path.join(place, '__init__.py')).read()\n"
        "except PermissionError:\n"
        "    return\n"
        "raise RuntimeError('the corpus is readable')",
    )
    got = await measured(cell, tmp_path, peek)
    assert not got.failure, got.failure


async def test_turning_the_clock_back_does_not_make_a_training_shorter(cell: ProcessSandbox, tmp_path: Path) -> None:
    slow = lying(
        "import torch\n"
        "clock = torch.sys.modules['time']\n"
        "clock.time = clock.monotonic = clock.perf_counter = lambda: 0.0\n",
        "clock.sleep(0.3)",
    )
    (m,) = (await measured(cell, tmp_path, slow)).measurements
    assert m.train_seconds >= 0.9, "built three times: once to be counted, then once a layer"


def saving(change: str) -> str:
    """A candidate that writes another checkpoint than the one it was told to."""
    return lying(
        "import torch\n"
        "entry = torch.sys.modules['move37.lab.training.entry']\n"
        "real = entry.save_file\n"
        "def save(tensors, path):\n"
        "    if 'checkpoint' in str(path):\n"
        f"        {change}\n"
        "    real(tensors, path)\n"
        "entry.save_file = save\n"
    )


async def test_weights_that_are_not_finite_are_a_divergence(cell: ProcessSandbox, tmp_path: Path) -> None:
    got = await measured(cell, tmp_path, saving("tensors = {n: t * float('nan') for n, t in tensors.items()}"))
    (m,) = got.measurements
    assert m.diverged and m.value == 8.0


@pytest.mark.parametrize(
    "change, words",
    [
        ("tensors = {n: t for n, t in tensors.items() if 'embedding' not in n}", "Missing key"),
        ("tensors = {**tensors, 'model.more': torch.ones(200_000)}", "at most"),
        ("tensors = {**tensors, 'model.more': torch.ones(3)}", "Unexpected key"),
        ("tensors = {'other': torch.ones(3)}", "at most"),
        ("open(path, 'wb').write(b'no safetensors'); return", "not readable"),
    ],
    ids=["missing", "too many", "unknown", "none", "garbage"],
)
async def test_weights_that_are_not_the_models_are_refused(
    cell: ProcessSandbox, tmp_path: Path, change: str, words: str
) -> None:
    got = await measured(cell, tmp_path, saving(change))
    assert not got.measurements and words.lower() in got.failure.lower(), got.failure


async def test_wrong_weights_gain_nothing(cell: ProcessSandbox, tmp_path: Path) -> None:
    wrong = saving("tensors = {n: torch.zeros_like(t) for n, t in tensors.items()}")
    assert await bits(cell, tmp_path, wrong) == pytest.approx(8.0, abs=1e-3)


async def test_leaving_early_with_a_good_status_is_a_failure(cell: ProcessSandbox, tmp_path: Path) -> None:
    got = await measured(cell, tmp_path, lying("import torch\n", "torch.os._exit(0)"))
    assert got.failure == "training ended without a result"


async def test_an_exception_of_the_candidate_is_its_failure_in_one_sentence(
    cell: ProcessSandbox, tmp_path: Path
) -> None:
    got = await measured(cell, tmp_path, HONEST.replace("return self.now(x)", "return self.nowhere(x)"))
    assert "nowhere" in got.failure and "\n" not in got.failure


async def test_a_training_that_explodes_is_a_divergence(cell: ProcessSandbox, tmp_path: Path) -> None:
    wild = HONEST.replace("return self.now(x)", "return 1e30 * self.now(x) * self.now(x)")
    (m,) = (await measured(cell, tmp_path, wild)).measurements
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
    assert not got.measurements and "the optimiser alone may change weights" in got.failure
    assert "mixer.now.weight at training step 3" in got.failure


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
