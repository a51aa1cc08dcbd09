"""The candidate contract: what is refused, and with which words; and what travels."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from move37.lab.baselines import NAMES, source
from move37.lab.job_bundle import inside, main_file
from move37.lab.judging.ast_hash import ast_hash
from move37.lab.training.contract import ContractError, bare_source, check_source, load_mixer
from move37.lab.training.sizes import TARGET_PARAMETERS, fit_mlp_width, network_parameters
from tests.lab.gates.defects import CLEAN

LINES = [
    "x = 1  # data", 'def f():\n    """data\n    data\n    """; y = "#"', "class A:\n    'data'", "# data",
    "async def g():\n    ('data'\n     'data')\n    return '''#\n'''", "z = f'{1!r}' \\\n    '# no'",
]  # fmt: skip


@pytest.mark.parametrize(
    "source, words",
    [
        ("def broken(:", "line 1"),
        ("import numpy\nclass Mixer: pass", "numpy"),
        ("from os import path\nclass Mixer: pass", "os"),
        ("from . import x\nclass Mixer: pass", "torch, einops, math and kernels"),
        ("def f():\n    import subprocess\nclass Mixer: pass", "subprocess"),
        ("import torch\nG = torch.Generator()\nclass Mixer: pass", "line 2 uses torch's Generator"),
        ("from torch import Generator\nclass Mixer: pass", "default generator"),
        ("import torch\nwith torch.random.fork_rng():\n  x = 1\nclass Mixer: pass", "default generator"),
        ("import torch\ntorch.set_rng_state(s)\nclass Mixer: pass", "default generator"),
        ("x = 1", "no `class Mixer"),
        ("class Blender: pass", "Blender"),
        ("\0", "not Python"),
        ("(" * 5000 + ")" * 5000, "not Python"),
        ("#" * 300_000, "characters"),
        ("x = 0x" + "f" * 20_000 + "\nclass Mixer: pass", "bytes"),
        ("x = '" + "\u4e00" * 1_400 + "'\nclass Mixer: pass", "bytes"),
        ("\n".join(f"{chr(0x4E00 + i) * 40} = 0" for i in range(100)) + "\nclass Mixer: pass", "bytes"),
        ("x = 0." + "37" * 3_000 + "\nclass Mixer: pass", "bytes"),
        ("x = 0x" + "0" * 6_000 + "\nclass Mixer: pass", "bytes"),
        ("".join(f"{chr(0x1D41A + 52 * (i % 3))}\n" for i in range(2_000)) + "class Mixer: pass", "bytes"),
        ("if a:\n pass\n" + "elif a:\n pass\n" * 1900 + "class Mixer: pass", "levels deep"),
    ],
)
def test_a_file_that_breaks_the_contract_is_refused_unexecuted(source: str, words: str) -> None:
    with pytest.raises(ContractError, match=words.replace("(", r"\(")):
        check_source(source)


def _drawn(pieces: Sequence[str], count: int, line: int) -> str:
    """Lines that are all different: `count` pieces, `line` of them in each."""
    drawn = random.Random(0).choices(pieces, k=count)
    return "\n".join("    a" + "".join(drawn[i : i + line]) for i in range(0, count, line))


HIDING_PLACES = {
    "one of a thousand letters at each place": ([f"+{chr(0x4E00 + i)}" for i in range(1_250)], 11_000),
    "the order of operations": ([f"{sign}{name}" for sign in "+-*/%@|&^<>" for name in "abcdefgh"], 11_000),
    "the order of statements": ([f"{name}{sign}={name};" for sign in "+-*/%@|&^" for name in "bcdefghijklm"], 5_500),
}


@pytest.mark.parametrize("place", HIDING_PLACES)
def test_data_is_refused_wherever_it_hides(place: str) -> None:
    pieces, count = HIDING_PLACES[place]
    lines = _drawn(pieces, count, 40).replace("    a", "    ") if ";" in pieces[0] else _drawn(pieces, count, 40)
    text = f"{CLEAN}\ndef hidden():\n{lines}\n"
    with pytest.raises(ContractError, match="compressed"):
        check_source(text)


def test_a_long_program_that_holds_no_data_is_read() -> None:
    """All baselines one behind the other, and comments of any size."""
    text = "\n".join(source(name).replace("from __future__ import annotations", "") for name in NAMES)
    words = random.Random(0).choices("abcdefghijklmnopqrstuvwxyz ", k=12_000)
    check_source(text + "\n# " + "".join(words))


@pytest.mark.parametrize("name", NAMES)
def test_what_a_running_mixer_can_read_of_itself_is_the_same_program(name: str) -> None:
    text = source(name)
    bare = bare_source(text)
    assert ast_hash(check_source(bare)) == ast_hash(check_source(text))
    assert "#" not in bare and '"""' not in bare and bare.count("\n") == text.count("\n")


@given(st.lists(st.sampled_from(LINES), max_size=12))
def test_lines_stay_where_they_were_without_comments_and_docstrings(lines: list[str]) -> None:
    text = "\n".join([*lines, CLEAN])
    bare = bare_source(text)
    assert len(bare.split("\n")) == len(text.split("\n")) and "data" not in bare
    assert ast_hash(check_source(bare)) == ast_hash(check_source(text))


@given(st.text())
def test_any_text_is_either_a_candidate_or_a_contract_error(source: str) -> None:
    with pytest.raises(ContractError):
        check_source(source)


def test_an_exception_while_importing_keeps_its_cause() -> None:
    with pytest.raises(ContractError, match="ZeroDivisionError") as caught:
        load_mixer(CLEAN + "\n1 / 0\n")

    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_a_mixer_has_to_be_a_module() -> None:
    with pytest.raises(ContractError, match=r"torch\.nn\.Module"):
        load_mixer("class Mixer:\n    pass\n")


@given(st.integers(min_value=2_000, max_value=30_000))
def test_networks_agree_within_one_percent_whatever_the_mixer_weighs(mixer: int) -> None:
    total = network_parameters(mixer, fit_mlp_width(mixer))

    assert abs(total - TARGET_PARAMETERS) <= 0.01 * TARGET_PARAMETERS


def test_a_mixer_that_leaves_no_room_is_an_error() -> None:
    with pytest.raises(ValueError, match="make the mixer smaller"):
        fit_mlp_width(60_000)


def test_what_travels_imports_nothing_that_stays_at_home(tmp_path: object) -> None:
    """The job's folder is all there is: neither sandbox nor app nor any installed copy of ours."""
    folder = str(tmp_path)
    for name, content in {**inside(), **main_file("move37.lab.inside.job")}.items():
        path = __import__("pathlib").Path(folder, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    code = (
        "import sys; sys.path.insert(0, '.'); import move37.lab.gates.job, move37.lab.inside.job, kernels;"
        "ours = [m for n, m in sys.modules.items() if n.partition('.')[0] == 'move37']; assert kernels.chunk_gla;"
        "assert len(ours) > 20 and all(m.__file__.startswith(sys.argv[1]) for m in ours), ours"
    )
    subprocess.run([sys.executable, "-c", code, folder], cwd=folder, check=True, timeout=120)


def test_judging_needs_no_torch() -> None:
    code = "import move37.lab.judging.run, move37.lab.judging.judging, sys; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
