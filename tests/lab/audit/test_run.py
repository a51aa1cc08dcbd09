"""Every gate on every program: honest, broken, untestable and hostile ones side by side, and each gets its verdict."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from move37.app.views.audit import headline, html_of, markdown_of, record_of, table_of
from move37.lab.audit.programs import Program, read_programs
from move37.lab.audit.run import Audited, answered, audit, summary_of, untestable
from move37.lab.errors import BadCandidate
from move37.lab.gates.registry import NAMES
from move37.lab.judging.checked import Checked
from move37.sandbox import ProcessSandbox
from move37.sandbox.job import Job, Outcome
from tests.builders import a_gate
from tests.lab.audit.programs import HONEST, HOSTILE, LEAKY, OWN, RANDOM_CALLS, UNTESTABLE


def test_an_archive_and_a_folder_hold_the_same_programs(tmp_path: Path) -> None:
    sources = {"a": HONEST, "b": OWN}
    folder = tmp_path / "layers"
    (folder / "deep").mkdir(parents=True)
    for name, source in sources.items():
        (folder / "deep" / f"{name}.py").write_text(source)
    records = [{"name": n, "program": s, "score": 1} for n, s in sources.items()]
    (tmp_path / "list.json").write_text(json.dumps(records))
    (tmp_path / "object.json").write_text(json.dumps({"data": records}))
    (tmp_path / "lines.jsonl").write_text("\n".join(map(json.dumps, records)) + "\n{broken\n")
    for name in ("list.json", "object.json", "lines.jsonl"):
        assert [p.source for p in read_programs(tmp_path / name)] == list(sources.values())
    assert [p.source for p in read_programs(folder)] == list(sources.values())
    assert read_programs(folder / "deep" / "a.py")[0].name == "a"


@pytest.mark.parametrize("content", ["", "[]", "{}", "[1, 2]", '{"a": "b"}', "[[[", '[{"name": "x"}]'])
def test_what_holds_no_program_is_refused_in_one_line(tmp_path: Path, content: str) -> None:
    (tmp_path / "x.json").write_text(content)
    for path in (tmp_path / "x.json", tmp_path / "nowhere", tmp_path):
        if path == tmp_path:
            (tmp_path / "x.json").unlink()
        with pytest.raises(BadCandidate) as error:
            read_programs(path)
        assert "\n" not in str(error.value)


def test_bytes_that_are_no_text_are_a_program_that_could_not_be_tested(tmp_path: Path) -> None:
    (tmp_path / "x.py").write_bytes(b"\xff\xfe\x00")
    (found,) = read_programs(tmp_path)
    assert found.source is None and "UTF-8" in found.reason


@pytest.mark.slow
async def test_each_program_gets_its_own_verdict_whatever_the_others_do() -> None:
    programs = [
        Program(name="honest", source=HONEST), Program(name="leaky", source=LEAKY),
        Program(name="counting", source=RANDOM_CALLS), Program(name="raises", source=UNTESTABLE["raises"][0]),
        Program(name="syntax", source=UNTESTABLE["syntax"][0]), Program(name="bytes", source=None, reason="no UTF-8"),
    ]  # fmt: skip
    async with ProcessSandbox(2) as sandbox:
        found = {a.name: a for a in await audit(programs, sandbox, workers=2)}
    assert list(found) == [p.name for p in programs]
    assert found["honest"].tested and not {"causality", "purity", "shape", "batch"} & set(found["honest"].failed)
    assert "causality" in found["leaky"].failed and "purity" in found["counting"].failed
    for name in ("raises", "syntax", "bytes"):
        assert not found[name].tested and found[name].reason and found[name].failed == ()


@pytest.mark.slow
async def test_hostile_programs_are_survived() -> None:
    programs = [Program(name=n, source=s) for n, s in HOSTILE.items()] + [Program(name="own", source=OWN)]
    async with ProcessSandbox(2) as sandbox:
        async with asyncio.timeout(600):
            found = {a.name: a for a in await audit(programs, sandbox, workers=2, seconds=60.0)}
    assert found["own"].tested
    # What prints or forks and then computes may be fine for all that; what ends or hangs never passes.
    assert all(not found[name].tested or found[name].failed for name in ("hangs", "hangs at import", "ends"))


async def test_a_program_that_we_cannot_run_is_not_accused_and_one_that_fails_at_some_sizes_is() -> None:
    """On our kernels and at our sizes an exception says nothing of it, unless it computed at other sizes."""
    head, own = "import torch\nfrom fla.layers.utils import pad_input\n", OWN.replace("import torch\n", "")
    always = "return {'out': self.proj(x)}", "return pad_input(x)", "return self.proj(x @ torch.ones(256, 256))"
    odd = "assert x.shape[1] % 2 == 0; return self.proj(x)"
    sources = [head + own.replace("return self.proj(x)", line) for line in (*always, odd)]
    programs = [Program(name=str(n), source=source) for n, source in enumerate(sources)]
    async with ProcessSandbox(1) as sandbox:
        *never, sometimes = await audit(programs, sandbox, workers=1)
    assert [(a.tested, a.failed) for a in never] == [(False, ())] * 3
    assert all("does not run here" in a.reason for a in never)
    assert sometimes.tested and sometimes.failed == ("shape",) and list(sometimes.reproducers) == ["shape"]


class Recording:
    """The sandbox, and which jobs it was given."""

    def __init__(self, sandbox: ProcessSandbox) -> None:
        self.sandbox, self.asked = sandbox, list[Job]()

    async def run(self, job: Job) -> Outcome:
        self.asked.append(job)
        return await self.sandbox.run(job)

    async def release(self, trust: str) -> None:
        await self.sandbox.release(trust)


@pytest.mark.parametrize("seconds, tested", [(0.5, False), (60.0, True)])
async def test_a_programs_time_is_its_own_and_a_busy_machine_makes_none_untestable(
    seconds: float, tested: bool
) -> None:
    async with ProcessSandbox(1) as sandbox:
        given: Any = Recording(sandbox)
        (found,) = await audit([Program(name="own", source=OWN)], given, workers=1, seconds=seconds)
    assert found.tested is tested
    assert tested or ("CPU time" in found.reason and found.failed == ())
    assert given.asked[0].limits.wall_seconds >= 4 * seconds + 20, "a wall that only what sleeps would meet"


LEAK = a_gate(name="causality", passed=False, message="</td>")
AUDITED = (
    Audited(name="<b>one</b>|", tested=True, layer="DeltaNet", gates=(LEAK,), adapted="x = 1",
            reproducers={"causality": "print(1 < 2)\n"}),
    Audited(name="two", tested=True, gates=(a_gate(),)),
    Audited(name="three", tested=False, reason="it imports pandas, which is not served"),
)  # fmt: skip


def test_untested_is_neither_clean_nor_refused() -> None:
    found = summary_of(AUDITED)
    assert (found.programs, found.tested, found.clean, found.by_gate) == (3, 2, 1, {"causality": 1})
    assert headline(AUDITED) == (
        "3 programs, 2 tested: 1 pass every gate, 1 have a fault, 0 are only too large or too slow; "
        "refused by causality 1"
    )
    assert [row[2].text for row in table_of(AUDITED).rows] == ["fails causality", "passes", "could not test"]


@pytest.mark.parametrize("name", NAMES)
def test_a_program_that_is_merely_larger_is_not_called_faulty(name: str) -> None:
    of_budget = name in ("parameters", "complexity")
    one = Audited(name="one", tested=True, gates=(a_gate(name=name, passed=False),))
    with_leak = Audited(name="two", tested=True, gates=(a_gate(name=name, passed=False), LEAK))
    found = summary_of((one, with_leak))
    assert (found.faulty, found.over_budget, found.clean) == ((1, 1, 0) if of_budget else (2, 0, 0))
    assert record_of((one,))["summary"]["over_budget"] == of_budget


def test_an_audit_as_json_markdown_and_html() -> None:
    record = json.loads(json.dumps(record_of(AUDITED), allow_nan=False))
    assert [p["tested"] for p in record["programs"]] == [True, True, False]
    assert all({"name", "tested", "gates"} <= set(p) for p in record["programs"])
    assert set(record["programs"][0]["gates"][0]) == {"name", "passed", "value", "limit", "message"}
    first = record["programs"][0]
    assert (first["file"], first["reproducers"]) == ("001-_b_one__b__.py", {"causality": "print(1 < 2)\n"})
    for page in (markdown_of(AUDITED, title="x"), html_of(AUDITED, title="x")):
        assert "001-_b_one__b__.py" in page, "the file that --keep leaves"
    assert "  print(1 < 2)\n" in markdown_of(AUDITED, title="x")
    assert "<pre>print(1 &lt; 2)" in html_of(AUDITED, title="x")
    assert "<b>one" not in html_of(AUDITED, title="x") and "</td></b>" not in html_of(AUDITED, title="x")
    assert "&lt;b>one&lt;/b>\\|" in markdown_of(AUDITED, title="x")


def test_what_a_gate_found_before_the_time_ended_is_a_fault_and_what_had_no_time_is_none() -> None:
    built, leak = a_gate(name="import"), a_gate(name="causality", passed=False, value=0.9)
    late = a_gate(name="complexity", passed=False, value=None, message="complexity says")
    found = Checked(results=(built, leak, late), exhausted=True)
    assert untestable(found) == ""
    assert [g.passed for g in answered(found)] == [True, False, None]
    nothing = Checked(results=(built, late), exhausted=True)
    assert untestable(nothing).endswith("complexity says") and "time ended" in untestable(nothing)
    whole = Checked(results=(built, leak, late))
    assert answered(whole) == whole.results
