"""The task `program:DIR`, with every kind of evaluator that people bring."""

from __future__ import annotations

import asyncio
import json
import math
import os
import shutil
import sys
from collections import UserDict
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from move37.lab.errors import BadTask
from move37.lab.records import Candidate
from move37.lab.tasks import open_task
from move37.lab.tasks.program import ProgramTask
from move37.lab.tasks.program_entry import _evaluate, decode, encode, metrics
from move37.lab.tasks.program_folder import END, START, encoded, outside_regions
from move37.lab.tasks.registry import full_name
from move37.lab.tasks.task import Measured
from move37.sandbox import ProcessSandbox

EXAMPLE = Path(__file__).parents[3] / "lab/tasks/examples/circles"

PROGRAM = f"""
LIMIT = 10
{START}
def answer():
    return 4.0
{END}

def result():
    return min(answer(), LIMIT)
"""

TWO = """
import importlib.util

def run(path):
    spec = importlib.util.spec_from_file_location("program", path)
    program = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(program)
    return {"value": program.result()}

def score(data):
    return {"combined_score": data["value"], "twice": 2 * data["value"]}
"""

ONE = TWO.replace("def score(data):", "def evaluate(path):\n    data = run(path)")


def a_folder(path: Path, evaluator: str = TWO, program: str = PROGRAM) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    (path / "initial_program.py").write_text(program)
    (path / "evaluator.py").write_text(evaluator)
    return path


def a_task(path: Path, evaluator: str = TWO, *, wall_seconds: float = 20.0) -> ProgramTask:
    return ProgramTask.open(a_folder(path / "task", evaluator), wall_seconds=wall_seconds)


async def measured(task: ProgramTask, cell: ProcessSandbox, folder: Path, source: str | None = None) -> Measured:
    candidate = task.baselines[0].candidate
    return await task.measure(
        candidate if source is None else replace(candidate, source=source), experiment="p1",
        rung=task.schedule("quick").rungs[0], seed=3, learning_rate=0.0, fresh=False, sandbox=cell, workdir=folder,
    )  # fmt: skip


def values(got: Measured) -> dict[str, float]:
    assert not got.failure, got.failure
    return {m.metric: m.value for m in got.measurements}


@pytest.mark.asyncio(loop_scope="module")
class TestRunning:
    async def test_two_processes_make_a_number_that_counts(self, cell: ProcessSandbox, tmp_path: Path) -> None:
        got = await measured(a_task(tmp_path), cell, tmp_path)
        assert values(got) == {"combined_score": 4.0, "twice": 8.0}
        assert not any(m.self_reported for m in got.measurements)
        assert got.measurements[0].metric == "combined_score" and got.measurements[0].train_seconds > 0

    async def test_one_process_is_self_reported(self, cell: ProcessSandbox, tmp_path: Path) -> None:
        got = await measured(a_task(tmp_path, ONE), cell, tmp_path)
        assert values(got) == {"combined_score": 4.0, "twice": 8.0}
        assert all(m.self_reported for m in got.measurements)

    async def test_a_program_that_forges_its_score_in_the_other_process_cannot(
        self, cell: ProcessSandbox, tmp_path: Path
    ) -> None:
        """It replaces the evaluator's score and writes the result file; the score is made where it never was."""
        forge = PROGRAM.replace(
            "return 4.0",
            "import json, os, sys\n"
            "    sys.modules['evaluator'].score = lambda data: {'combined_score': 1e9}\n"
            "    open(os.environ['MOVE37_OUT'] + '/metrics.json', 'w').write(json.dumps({'combined_score': 1e9}))\n"
            "    open('evaluator.py', 'w').write('def score(data): return {\"combined_score\": 1e9}')\n"
            "    return 4.0",
        )
        assert values(await measured(a_task(tmp_path), cell, tmp_path, forge))["combined_score"] == 4.0

    async def test_the_folder_is_a_writable_copy_with_subprocesses_and_helpers(
        self, cell: ProcessSandbox, tmp_path: Path
    ) -> None:
        evaluator = TWO.replace(
            "def run(path):",
            "import subprocess, sys, tempfile, numpy, scipy.special, helper\n"
            "def run(path):\n"
            "    open('note.txt', 'w').write('here')\n"
            "    tempfile.NamedTemporaryFile().write(b'x')\n"
            "    out = subprocess.run([sys.executable, '-c', 'print(6 * 7)'], capture_output=True, text=True)\n"
            "    return {'value': float(out.stdout) + helper.ONE}\n"
            "def unused(path):",
        )
        folder = a_folder(tmp_path / "task", evaluator)
        (folder / "helper.py").write_text("ONE = 1\n")
        assert values(await measured(ProgramTask.open(folder), cell, tmp_path))["combined_score"] == 43.0
        assert sorted(p.name for p in folder.iterdir()) == ["evaluator.py", "helper.py", "initial_program.py"]

    async def test_values_that_are_no_numbers_are_left_out(self, cell: ProcessSandbox, tmp_path: Path) -> None:
        evaluator = TWO.replace(
            '"twice": 2 * data["value"]', "'text': 'fine', 'none': None, 'list': [1], 'nan': float('nan'), 'yes': True"
        )
        assert values(await measured(a_task(tmp_path, evaluator), cell, tmp_path)) == {
            "combined_score": 4.0,
            "yes": 1.0,
        }

    @pytest.mark.parametrize(
        "score, words",
        [
            ("return {'other': 1.0}", "no finite number under `combined_score`"),
            ("return {'combined_score': float('nan')}", "no finite number"),
            ("return {'combined_score': 'high'}", "no finite number"),
            ("return [3.0]", "not a dict of metrics"),
            ("import sys; sys.exit(0)", "before there was a score"),
            ("return None", "not a dict of metrics"),
            ("raise ValueError('bad circles')", "bad circles"),
            ("import os; os._exit(3)", "exit status 3"),
            ("import os; os._exit(0)", "ended without a result"),
        ],
    )
    async def test_an_evaluator_without_a_number_is_one_sentence(
        self, cell: ProcessSandbox, tmp_path: Path, score: str, words: str
    ) -> None:
        evaluator = TWO.replace('return {"combined_score": data["value"], "twice": 2 * data["value"]}', score)
        got = await measured(a_task(tmp_path, evaluator), cell, tmp_path)
        assert words in got.failure and "\n" not in got.failure and not got.measurements

    @pytest.mark.parametrize(
        "answer, words",
        [
            ("object()", "run() returned a object"),
            ("{1: 2}", "dicts with string keys"),
            ("[[]] * 3 + [lambda: 0]", "run() returned a function"),
            ("1 / 0", "ZeroDivisionError"),
            ("bytearray(40_000_000).decode('latin-1')", "refused"),
        ],
    )
    async def test_data_that_cannot_cross_is_one_sentence(
        self, cell: ProcessSandbox, tmp_path: Path, answer: str, words: str
    ) -> None:
        evaluator = TWO.replace("program.result()", answer)
        got = await measured(a_task(tmp_path, evaluator), cell, tmp_path)
        assert words in got.failure and "\n" not in got.failure

    async def test_a_program_that_never_returns_ends_with_everything_it_started(
        self, cell: ProcessSandbox, tmp_path: Path
    ) -> None:
        endless = PROGRAM.replace(
            "return 4.0", "import subprocess, time\n    subprocess.Popen(['sleep', '900'])\n    time.sleep(900)"
        )
        async with asyncio.timeout(300.0):
            got = await measured(a_task(tmp_path, wall_seconds=2.0), cell, tmp_path, endless)
        assert "did not end within" in got.failure

    async def test_a_flood_of_metrics_is_cut_and_their_names_are_text(
        self, cell: ProcessSandbox, tmp_path: Path
    ) -> None:
        """The program writes the file of results itself and leaves before the evaluator can."""
        flood = PROGRAM.replace(
            "return 4.0",
            "import json, os\n"
            "    found = {'combined_score': 5.0, '\\ud800\\x1b[31m': 1.0} | {str(i): 0.0 for i in range(10_000)}\n"
            "    open(os.environ['MOVE37_OUT'] + '/metrics.json', 'w').write(json.dumps(found))\n"
            "    os._exit(0)",
        )
        got = values(await measured(a_task(tmp_path, ONE), cell, tmp_path, flood))
        assert len(got) == 64 and got["combined_score"] == 5.0
        assert all(name.isprintable() for name in got)

    async def test_an_evaluator_may_set_its_own_time_limit(self, cell: ProcessSandbox, tmp_path: Path) -> None:
        evaluator = "WALL_SECONDS = 1.5\n" + TWO.replace("def score(data):", "def score(data):\n    while True: pass")
        task = ProgramTask.open(a_folder(tmp_path / "task", evaluator))
        assert task.wall_seconds == 1.5 and "2 seconds" in task.contract
        assert "score() did not end within" in (await measured(task, cell, tmp_path)).failure

    async def test_a_flood_of_output_is_no_result(self, cell: ProcessSandbox, tmp_path: Path) -> None:
        flood = PROGRAM.replace("return 4.0", "print('x' * 20_000_000)\n    return 4.0")
        assert values(await measured(a_task(tmp_path), cell, tmp_path, flood))["combined_score"] == 4.0

    async def test_the_seed_reaches_the_program(self, cell: ProcessSandbox, tmp_path: Path) -> None:
        evaluator = TWO.replace("program.result()", "__import__('random').random()")
        first, second = [values(await measured(a_task(tmp_path, evaluator), cell, tmp_path)) for _ in range(2)]
        assert first == second

    async def test_gates_say_what_they_can_and_nothing_more(self, cell: ProcessSandbox, tmp_path: Path) -> None:
        task = a_task(tmp_path)
        checked = await task.check(task.baselines[0].candidate, trust="p1", sandbox=cell, known=())
        assert checked.passed and checked.fingerprint is not None
        assert {r.name for r in checked.results if r.passed is not None} == {"import"}
        assert len(checked.results) == 13

    @pytest.mark.parametrize(
        "source, words",
        [
            ("def broken(:", "not Python"),
            ("print('something else')", "keep the lines"),
            (PROGRAM.replace("LIMIT = 10", "LIMIT = 1e9"), "only the text between"),
            (PROGRAM.replace("return 4.0", "return 4.0\nraise KeyError('lost')"), "lost"),
        ],
        ids=["syntax", "markers", "outside", "raises"],
    )
    async def test_the_import_gate_names_what_is_wrong(
        self, cell: ProcessSandbox, tmp_path: Path, source: str, words: str
    ) -> None:
        checked = await a_task(tmp_path).check(Candidate(source=source, author="x"), trust="p1", sandbox=cell, known=())
        (failed,) = [r for r in checked.results if r.passed is False]
        assert failed.name == "import" and words in failed.message
        assert bool(failed.traceback) == (words == "lost")

    async def test_the_same_program_twice_is_not_novel(self, cell: ProcessSandbox, tmp_path: Path) -> None:
        task = a_task(tmp_path)
        candidate = task.baselines[0].candidate
        first = await task.check(candidate, trust="p1", sandbox=cell, known=())
        known = [first.fingerprint] if first.fingerprint else []
        again = replace(candidate, source=PROGRAM.replace("return 4.0", "return 4.0  # new comment"))
        other = replace(candidate, source=PROGRAM.replace("return 4.0", "return 5.0"))
        twin = await task.check(again, trust="p2", sandbox=cell, known=known)
        assert not twin.passed and "p1" in next(r.message for r in twin.results if r.passed is False)
        assert (await task.check(other, trust="p3", sandbox=cell, known=known)).passed

    async def test_the_shipped_example_scores_its_start_program(self, cell: ProcessSandbox, tmp_path: Path) -> None:
        got = await measured(ProgramTask.open(EXAMPLE), cell, tmp_path)
        assert (
            values(got)["combined_score"] == pytest.approx(2.1807, abs=1e-3) and not got.measurements[0].self_reported
        )


def circles() -> object:
    if str(EXAMPLE) not in sys.path:
        sys.path.append(str(EXAMPLE))  # where `judge` is found, as in a scoring job
    return __import__("importlib").import_module("move37.lab.tasks.examples.circles.evaluator")


JUDGED = """
import json, os

def run(path):
    found = sorted(os.path.join(at, n) for at, _, names in os.walk(".") for n in names)
    return {"found": [name for name in found if "judge" in name or "labels" in name]}

def score(data):
    labels = json.load(open("judge/data/labels.json"))
    return {"combined_score": float(len(labels)), "seen_by_the_program": float(len(data["found"]))}
"""


@pytest.mark.asyncio(loop_scope="module")
async def test_what_is_in_judge_never_travels_with_the_programs_own_run(cell: ProcessSandbox, tmp_path: Path) -> None:
    folder = a_folder(tmp_path / "task", JUDGED)
    (folder / "judge" / "data").mkdir(parents=True)
    (folder / "judge" / "data" / "labels.json").write_text("[1, 2, 3]")
    task = ProgramTask.open(folder)
    got = await measured(task, cell, tmp_path)
    assert values(got) == {"combined_score": 3.0, "seen_by_the_program": 0.0}
    checked = await task.check(task.baselines[0].candidate, trust="p", sandbox=cell, known=())
    assert checked.passed
    changed = (folder / "judge" / "data" / "labels.json").write_text("[1, 2]") and ProgramTask.open(folder)
    assert isinstance(changed, ProgramTask) and changed.digest != task.digest


SCORE = 'return {"combined_score": 1.5}'
FORMS = {
    "a byte order mark": f"\ufeffdef evaluate(path):\n    {SCORE}\n",
    "line ends of an old Mac": f"def evaluate(path):\r    {SCORE}\r",
    "a declared encoding": (
        f"# coding: latin-1\nwhat = 'caf\xe9'\ndef evaluate(path):\n    assert len(what) == 4\n    {SCORE}\n"
    ),
    "inside if": f"if True:\n    def evaluate(path):\n        {SCORE}\n",
    "inside try": f"try:\n    import nowhere\nexcept ImportError:\n    def evaluate(p):\n        {SCORE}\n",
    "inside except*": (
        f"try:\n    raise ExceptionGroup('', [OSError()])\nexcept* OSError:\n    def evaluate(p):\n        {SCORE}\n"
    ),
    "inside match": f"match 1:\n    case 1:\n        def evaluate(p):\n            {SCORE}\n",
    "as what a loop left": "from helper import evaluate as other\nfor evaluate in [other]:\n    pass\n",
    "by a walrus": "print(evaluate := lambda path: {'combined_score': 1.5})\n",
    "by a function of its own": f"def make():\n    global evaluate\n    def evaluate(p):\n        {SCORE}\nmake()\n",
    "assigned with a type": f"from typing import Callable\ndef f(path):\n    {SCORE}\nevaluate: Callable = f\n",
    "a star import": "from helper import *\n",
    "a lambda": "evaluate = lambda path: {'combined_score': 1.5}\n",
    "a coroutine": f"async def evaluate(path):\n    {SCORE}\n",
    "its own arguments": (
        f"import argparse\ndef evaluate(path):\n    argparse.ArgumentParser().parse_args()\n    {SCORE}\n"
    ),
    "its own environment": (
        "import os\nENVIRONMENT = {'LEVEL': '3'}\n"
        f"def evaluate(path):\n    assert os.environ['LEVEL'] == '3'\n    {SCORE}\n"
    ),
    "a thread left behind": (
        "import threading, time\n"
        f"def evaluate(path):\n    threading.Thread(target=time.sleep, args=(999,)).start()\n    {SCORE}\n"
    ),
    "a child left behind": (
        f"import subprocess\ndef evaluate(path):\n    subprocess.Popen(['sleep', '999'])\n    {SCORE}\n"
    ),
    "a child that comes back too": (
        "import os, time\ndef evaluate(path):\n    if os.fork() == 0:\n        time.sleep(0)\n        return 666\n"
        "    os.wait()\n    return 1.5\n"
    ),
    "a closed output": f"import sys\ndef evaluate(path):\n    sys.stdout.close()\n    {SCORE}\n",
    "no error stream": f"import sys\ndef evaluate(path):\n    sys.stderr = None\n    {SCORE}\n",
    "its own environment, with a type": (
        "import os\nENVIRONMENT: dict[str, str] = {'LEVEL': '3'}\n"
        f"def evaluate(path):\n    assert os.environ['LEVEL'] == '3'\n    {SCORE}\n"
    ),
    "fields of a data class": (
        "import dataclasses\n@dataclasses.dataclass\nclass R:\n    combined_score: float = 1.5\n"
        "def evaluate(path):\n    return R()\n"
    ),
    "an object with metrics": (
        "class Result:\n    metrics = {'combined_score': 1.5}\ndef evaluate(path):\n    return Result()\n"
    ),
}


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("form", FORMS)
async def test_an_evaluator_in_any_form_is_read_and_run(cell: ProcessSandbox, tmp_path: Path, form: str) -> None:
    folder = a_folder(tmp_path / "task")
    (folder / "evaluator.py").write_bytes(FORMS[form].encode("latin-1" if "latin-1" in FORMS[form] else "utf-8"))
    (folder / "helper.py").write_text(FORMS["a lambda"])
    got = await measured(ProgramTask.open(folder), cell, tmp_path)
    assert values(got) == {"combined_score": 1.5}


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("start", ["", "\ufeff", "# coding: latin-1\n"])
async def test_a_start_program_in_any_encoding_is_read_and_run(
    cell: ProcessSandbox, tmp_path: Path, ends: str, start: str
) -> None:
    text = start + PROGRAM.replace("LIMIT = 10", "LIMIT = 10  # caf\xe9")
    folder = a_folder(tmp_path / "task", ONE)
    data = text.replace("\n", ends).encode("latin-1" if "latin-1" in start else "utf-8")
    (folder / "initial_program.py").write_bytes(data)
    task = ProgramTask.open(folder)
    assert values(await measured(task, cell, tmp_path))["combined_score"] == 4.0
    assert (await task.check(task.baselines[0].candidate, trust="p", sandbox=cell, known=())).passed


@given(st.sampled_from(["", "# coding: latin-1\n", "#!/bin/python\n# -*- coding: cp1252 -*-\n"]), st.text(max_size=40))
def test_source_survives_the_way_into_a_job(head: str, text: str) -> None:
    source = head + "# " + "".join(c for c in text if c.isprintable()) + "\nx = 1\n"
    compile(encoded(source), "x.py", "exec")


GRID = [[0.1 + 0.2 * i, 0.1 + 0.2 * j, 0.09] for i in range(5) for j in range(5)] + [[0.2, 0.2, 0.01]]


def test_the_example_accepts_a_packing_and_adds_its_radii() -> None:
    assert circles().score(GRID)["combined_score"] == pytest.approx(25 * 0.09 + 0.01)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "packing",
    [
        GRID[:25],
        [*GRID[:25], [0.2, 0.2, 0.06]],
        [*GRID[:25], [0.2, 0.2, -0.01]],
        [*GRID[:25], [0.2, 0.2, math.nan]],
        [*GRID[:25], [0.2, 0.2, "0.01"]],
        [[math.nextafter(0.09, 0.0), 0.1, 0.09], *GRID[1:]],
        "circles",
        None,
    ],
    ids=["25", "overlap", "negative", "nan", "text", "one ulp outside", "a word", "nothing"],
)
def test_the_example_gives_nothing_for_a_packing_that_breaks_a_rule(packing: object) -> None:
    assert circles().score(packing) == {"combined_score": 0.0, "valid": 0.0}  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "spoil, words",
    [
        (lambda f: (f / "evaluator.py").unlink(), "no evaluator.py"),
        (lambda f: (f / "initial_program.py").unlink(), "no initial_program.py"),
        (lambda f: (f / "initial_program.py").write_text("x = 1\n"), "no region"),
        (lambda f: (f / "evaluator.py").write_text("def other(): ...\n"), "defines neither"),
        (lambda f: (f / "evaluator.py").write_text("def run(path): ...\n"), "defines neither"),
        (lambda f: (f / "evaluator.py").write_text("def evaluate(:\n"), r"evaluator\.py is not Python: .* in line 1"),
        (lambda f: (f / "evaluator.py").write_text("WALL_SECONDS = 0\n" + TWO), "WALL_SECONDS as a number"),
        (lambda f: (f / "evaluator.py").write_text("WALL_SECONDS = 'long'\n" + TWO), "WALL_SECONDS as a number"),
        (lambda f: (f / "evaluator.py").write_bytes(b"\xff\xfe\x00"), "not text in the encoding"),
        *(
            (lambda f, name=name, code=code: (f / name).write_bytes(PROGRAM.encode(code)), "looks like UTF-16")
            for name in ("initial_program.py", "evaluator.py")
            for code in ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")
        ),
        *(
            (lambda f, said=said: (f / "evaluator.py").write_text(f"ENVIRONMENT = {said}\n{TWO}"), "a dict of names")
            for said in ("3", "{[1]: 'x'}", "{{}: 'x'}", r"{'A': '\0'}", r"{'A': '\ud800'}", "{'A': b'x'}", "{**{}}")
        ),
        (lambda f: (f / "evaluator.py").write_text("ENVIRONMENT = {'LD_PRELOAD': 'x'}\n" + TWO), "a dict of names"),
        *(
            (
                lambda f, code=code: (f / "evaluator.py").write_text(f"# coding: {code}\n{TWO}"),
                "not text in the encoding",
            )
            for code in ("undefined", "punycode", "hex", "klingon")
        ),
        (lambda f: (f / "two\nlines.txt").write_text("x"), "control characters"),
        (lambda f: (f / "data.bin").write_bytes(bytes(17 * 1024 * 1024)), "over 16 MiB"),
    ],
)
def test_a_folder_that_cannot_be_used_is_one_sentence(tmp_path: Path, spoil: object, words: str) -> None:
    folder = a_folder(tmp_path / "task")
    spoil(folder)  # type: ignore[operator]
    with pytest.raises(BadTask, match=words) as error:
        open_task(f"program:{folder}", cache=tmp_path)
    assert "\n" not in str(error.value)


def test_a_large_folder_without_an_evaluator_lacks_the_evaluator(tmp_path: Path) -> None:
    """As `--task program:/tmp`: the size is not what is wrong with it."""
    (tmp_path / "initial_program.py").write_text(PROGRAM)
    (tmp_path / "data.bin").write_bytes(bytes(17 * 1024 * 1024))
    with pytest.raises(BadTask, match=r"has no evaluator\.py"):
        ProgramTask.open(tmp_path)


def test_what_is_hidden_or_a_link_stays_at_home(tmp_path: Path) -> None:
    folder = a_folder(tmp_path / "task")
    (folder / "deep/.git").mkdir(parents=True)
    (folder / "deep/.git/config").write_text("secret")
    (folder / "deep/table.csv").write_text("1,2\n")
    (folder / ".env").write_text("KEY=secret")
    (folder / "link.txt").symlink_to("/etc/hostname")
    assert list(ProgramTask.open(folder).files) == ["deep/table.csv", "evaluator.py", "initial_program.py"]


def test_an_unknown_task_and_a_missing_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(BadTask, match="unknown task 'poems'"):
        open_task("poems", cache=tmp_path)
    with pytest.raises(BadTask, match="no such folder"):
        open_task(f"program:{tmp_path / 'none'}", cache=tmp_path)
    with pytest.raises(BadTask, match="--corpus"):
        open_task(f"program:{EXAMPLE}", cache=tmp_path, corpus=tmp_path)
    with pytest.raises(BadTask, match="unknown preset"):
        ProgramTask.open(EXAMPLE).schedule("huge")


def test_a_folder_may_have_several_regions() -> None:
    two = f"a = 1\n{START}\nb = 2\n{END}\nc = 3\n    {START} of the second\nd\n    {END}\n"
    assert [p.strip().splitlines()[0] for p in outside_regions(two)] == ["a = 1", END, END]
    paged = "\f".join(two.splitlines(keepends=True))
    assert len(outside_regions(paged)) == 3


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(plain)
def test_plain_data_crosses_unchanged(data: object) -> None:
    assert decode(json.loads(json.dumps(encode(data)))) == data


def test_arrays_cross_bit_for_bit_and_objects_do_not() -> None:

    array = np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4)
    back = decode(json.loads(json.dumps(encode({"points": array, "one": np.float64(0.1)}))))
    assert back["points"].dtype == np.float32 and np.array_equal(back["points"], array)
    with pytest.raises(TypeError):
        encode(np.array([object()]))
    with pytest.raises(ValueError, match="objects"):
        decode({"__ndarray__": "", "dtype": "O", "shape": [0]})
    with pytest.raises(TypeError):
        encode({"__ndarray__": "what stands for an array"})


@pytest.mark.parametrize(
    "answer",
    [
        2, 2.0, np.float32(2.0), np.int64(2), np.array(2.0), np.array([2.0]), np.array([[2]]), Decimal(2), Fraction(2),
        torch.tensor(2.0, requires_grad=True), torch.tensor([2]),
    ],
)  # fmt: skip
def test_a_number_alone_is_the_score(answer: Any) -> None:
    assert metrics(answer) == {"combined_score": 2.0}


class Score(NamedTuple):
    combined_score: float


@pytest.mark.parametrize(
    "answer",
    [
        ({"combined_score": 2}, "notes"),
        (2.0, {"ignored": 1}),
        {"metrics": {"combined_score": 2}},
        {"metrics": SimpleNamespace(combined_score=2)},
        Score(2),
        SimpleNamespace(combined_score=2, word="x"),
        MappingProxyType({"combined_score": 2}),
        UserDict({"metrics": MappingProxyType({"combined_score": 2})}),
        '{"combined_score": 2}',
        {"combined_score": np.array([[2.0]])},
    ],
)
def test_a_score_is_found_in_what_evaluators_give(answer: Any) -> None:
    assert metrics(answer) == {"combined_score": 2.0}


@pytest.mark.parametrize("answer", [None, "2", "{2}", [2], (x for x in [2]), (), object(), dict])
def test_what_holds_no_score_is_named(answer: Any) -> None:
    with pytest.raises(TypeError, match="not a dict of metrics"):
        metrics(answer)


def test_a_score_behind_any_number_of_metrics_counts() -> None:
    many = {f"m{n}": 1.0 for n in range(200)}
    found = metrics(many | {"combined_score": 2})
    assert len(found) == 64 and next(iter(found.items())) == ("combined_score", 2.0)


def test_what_the_code_says_of_new_files_does_not_hide_its_score(tmp_path: Path) -> None:
    def evaluate(_: str) -> dict[str, float]:
        os.umask(0o777)
        return {"combined_score": 2.0}

    before = os.umask(0o022)
    try:
        _evaluate("evaluate", SimpleNamespace(evaluate=evaluate), tmp_path, here=tmp_path, out=tmp_path)  # type: ignore[arg-type]
    finally:
        os.umask(before)
    assert (tmp_path / "metrics.json").stat().st_mode & 0o400


def test_an_answer_with_a_metrics_attribute_is_read_too() -> None:
    answer = SimpleNamespace(metrics={"combined_score": 2, "huge": 10**400, "word": "x"})
    assert metrics(answer) == {"combined_score": 2.0}


def test_a_folder_is_one_task_however_it_is_named(tmp_path, monkeypatch):
    """And two folders of one relative name are two: a task's lessons are found by its name."""
    for place in ("a", "b"):
        shutil.copytree(EXAMPLE, tmp_path / place / "packing")
    (tmp_path / "link").symlink_to(tmp_path / "a" / "packing")
    monkeypatch.setenv("HOME", str(tmp_path / "a"))
    monkeypatch.chdir(tmp_path / "a")
    typed = (
        "packing",
        "./packing/",
        "../a/packing",
        "~/packing",
        str(tmp_path / "a" / "packing"),
        str(tmp_path / "link"),
    )
    names = {open_task(f"program:{folder}", cache=tmp_path).name for folder in typed}
    assert names == {f"program:{(tmp_path / 'a' / 'packing').resolve()}"} == {full_name(f"program:{f}") for f in typed}
    assert full_name(names.pop()) == full_name("program:packing"), "a name in full stays"
    monkeypatch.chdir(tmp_path / "b")
    assert open_task("program:packing", cache=tmp_path).name == f"program:{(tmp_path / 'b' / 'packing').resolve()}"
    assert [full_name(name) for name in ("mixers", "program", "program:", "")] == ["mixers", "program", "program:", ""]
