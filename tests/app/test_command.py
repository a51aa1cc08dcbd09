"""The command line: quick to start, one line for a mistake, nothing created by it, light when it only reads."""

from __future__ import annotations

import ast
import json
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from move37.app.cli import COMMANDS
from move37.app.settings import SandboxSettings, Settings
from move37.lab.archive.store import Archive
from move37.lab.records import Brief
from move37.lab.tasks import open_task
from tests.app.campaigns import a_whole_campaign
from tests.app.conftest import Move37
from tests.app.forked import forked

ROOT = Path(__file__).parents[2]
CIRCLES = ROOT / "lab/tasks/examples/circles"


def test_help_lists_every_command(move37: Move37) -> None:
    answer = move37("--help")
    assert answer.status == 0
    assert all(f"\n  {name} " in answer.out for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(move37: Move37, name: str) -> None:
    answer = move37(name, "--help")
    assert answer.status == 0
    assert "Usage" in answer.out or "There are" in answer.out


@pytest.mark.parametrize("name", ["run", "chat", "resume"])
def test_the_help_says_which_seconds_are_promises(move37: Move37, name: str) -> None:
    said = " ".join(move37(name, "--help").out.split())
    promised = said[said.index("Two times are promises") : said.index("Options:")]
    assert "--max-time" in promised and "--approval-timeout" in promised and "a plan" in promised


def test_help_is_quick_and_loads_nothing_heavy() -> None:
    code = (
        "import sys; from move37.app.__main__ import run; run(['--help']); "
        "heavy = {'torch', 'numpy', 'scipy', 'pydantic', 'autogen_core', 'rich.live', 'plotly', 'docker'}; "
        "print('LOADED', sorted(heavy & set(sys.modules)))"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert "LOADED []" in answer.stdout
    # CPU seconds, which a busy machine does not stretch much; 0.25 where this was written.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1.0


def test_reading_commands_load_neither_torch_nor_autogen(finished: Path) -> None:
    code = (
        "import sys; from move37.app.__main__ import run; "
        "done = [int(run(['--home', sys.argv[1], *line.split()])) for line in sys.argv[2:]]; "
        "print(done, [m for m in ('torch', 'transformers', 'autogen_core') if m in sys.modules], file=sys.stderr)"
    )
    lines = ["list --json", "show c1-001 --json", "show c1-001 --chat", "list", "report --markdown"]
    command = [sys.executable, "-c", code, str(finished), *lines]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    assert answer.stderr.strip() == "[0, 0, 0, 0, 0] []"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("dance", "No such command"),
        ("show", "ID"),
        ("run --budget 0", "--budget"),
        ("run --budget many", "--budget"),
        ("run --max-time ten", "--max-time"),
        ("run --max-time 5", "5m"),
        ("run --max-time 900d", "--max-time"),
        ("run --budget 1000000000000", "--budget"),
        ("run --task program:", "program:DIR"),
        ("run --max-cost free", "--max-cost"),
        ("run --sandbox chroot", "--sandbox"),
        ("run --task chess", "chess"),
        ("run --task program:nowhere", "nowhere"),
        ("run --model oracle", "oracle"),
        ("run --model openai:", "openai"),
        ("run --model openai:gpt-4o", "OPENAI_API_KEY"),
        ("run --model replay:nowhere.jsonl", "nowhere.jsonl"),
        ("run --corpus nowhere.txt", "nowhere.txt"),
        ("run --brief nowhere.md", "nowhere.md"),
        ("chat --approve everything", "--approve"),
        ("list --all --campaign 1", "--all"),
        ("resume", "no campaign"),
        ("show c1-001", "no campaign"),
        ("report", "no campaign"),
        ("bench nothing", "nothing"),
        ("bench json_lines", "no benchmark"),  # a part of others
    ],
)
def test_bad_input_gets_one_line_and_creates_nothing(move37: Move37, tmp_path: Path, line: str, says: str) -> None:
    answer = move37("--home", str(tmp_path / "home"), *line.split())
    assert answer.status == 2 and answer.out == ""
    assert says in answer.err and answer.err.count("\n") == 1 and "Traceback" not in answer.err
    assert not (tmp_path / "home" / "archive.sqlite").exists()


def test_a_campaign_is_not_resumed_under_another_evaluator(move37: Move37, tmp_path: Path) -> None:
    task, home = tmp_path / "task", tmp_path / "home"
    shutil.copytree(CIRCLES, task)
    with Archive.open(home) as archive:
        brief = Brief(budget=1, task=f"program:{task}")
        archive.begin_campaign(brief, {"task_digest": open_task(brief.task, cache=home).digest})
    (task / "evaluator.py").write_text((CIRCLES / "evaluator.py").read_text() + "# easier\n")
    answer = move37("--home", str(home), "resume")
    assert answer.status == 2 and "changed since campaign 1 began" in answer.err and answer.err.count("\n") == 1


@pytest.mark.parametrize("name", ["run", "chat", "resume"])
def test_workers_runtime_and_image_have_flags(
    move37: Move37, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    heard: list[Settings] = []

    def conduct(settings: Settings, **_: Any) -> int:
        heard.append(settings)
        return 0

    monkeypatch.setattr("move37.app.session.conduct", conduct)
    a_whole_campaign(tmp_path / "home", finished=False)
    flags = "--workers 3 --runtime runsc --image mine --sandbox docker"
    assert move37("--home", str(tmp_path / "home"), name, *flags.split()).status == 0
    (settings,) = heard
    assert settings.campaign.workers == 3
    assert settings.sandbox == SandboxSettings(backend="docker", runtime="runsc", image="mine")


@pytest.mark.parametrize("line", ["run --task program:TASK", "chat --task program:TASK"])
@pytest.mark.parametrize("home", ["file", "file/below"])
def test_a_home_that_cannot_be_is_one_line(move37: Move37, tmp_path: Path, line: str, home: str) -> None:
    (tmp_path / "file").write_text("not a folder")
    answer = move37("--home", str(tmp_path / home), *line.replace("TASK", str(CIRCLES)).split())
    assert answer.status == 3 and answer.out == ""
    assert "--home" in answer.err and answer.err.count("\n") == 1


def test_a_listing_of_nothing_is_empty_and_no_error(move37: Move37) -> None:
    answer = move37("list", "--json")
    assert (answer.status, answer.out) == (0, "[]\n")


@pytest.mark.parametrize("json_too", [False, True], ids=["text", "json"])
@pytest.mark.parametrize("line", ["list", "principles", "sandbox status", "memory stats", "doctor"])
def test_what_only_looks_has_an_answer_where_nothing_ran(move37: Move37, line: str, json_too: bool) -> None:
    answer = move37(*line.split(), *["--json"] * json_too)
    assert answer.status in (0, 3) and answer.out + answer.err and "Traceback" not in answer.err
    if json_too:
        json.loads(answer.out)


def test_the_version_is_told(move37: Move37) -> None:
    assert move37("--version").out.startswith("move37")


def test_a_reader_that_leaves_early_is_no_error(finished: Path) -> None:
    command = f"{sys.executable} -m move37 --home {finished} list --json | head -c 10; echo ${{PIPESTATUS[0]}}"
    answer = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True, cwd=ROOT)
    assert answer.stdout.endswith("0\n") and "Traceback" not in answer.stderr


@pytest.mark.parametrize("line", ["", "memory", "memory --help", "list --csv", "no-such-command"])
@pytest.mark.parametrize(("where", "status"), [("a pipe without a reader", {0, 2}), ("/dev/full", {2, 3})])
def test_whatever_has_no_reader_or_no_room_is_a_status_and_at_most_a_line(
    finished: Path, line: str, where: str, status: set[int]
) -> None:
    reader, output = (
        os.pipe() if where != "/dev/full" else (os.open(os.devnull, os.O_RDONLY), os.open(where, os.O_WRONLY))
    )
    os.close(reader)
    home = ["--home", str(finished)] if line == "list --csv" else []
    done = forked([*line.split(), *home], cwd=ROOT, env=os.environ, stdout=output)
    os.close(output)
    said = done.stderr.decode()
    assert done.returncode in status and said.count("\n") <= 1 and "Traceback" not in said, said


@pytest.mark.parametrize("line", ["", "memory", "sandbox"])
def test_a_command_or_a_group_alone_shows_its_help(move37: Move37, line: str) -> None:
    answer = move37(*line.split())
    assert answer.status == 0 and answer.err == ""
    assert "Usage" in answer.out and answer.out.count("\n") > 5


def test_a_misspelt_variable_is_named(move37: Move37, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MOVE37_BUGDET", "4")
    monkeypatch.setenv("MOVE37_MEMORY__URL", "http://127.0.0.1:1")
    answer = move37("--home", str(tmp_path), "list", "--json")
    assert answer.status == 0 and json.loads(answer.out) == []
    assert (
        "MOVE37_BUGDET is not a setting: did you mean MOVE37_BUDGET?" in answer.err and "MEMORY__URL" not in answer.err
    )


@pytest.mark.parametrize(
    ("encoding", "lines"), [("ascii", ("show c1-001", "list --json")), ("latin-1", ("list", "show c1-001 --json"))]
)
def test_a_locale_without_utf8_ends_no_command(finished: Path, encoding: str, lines: tuple[str, ...]) -> None:
    for line in lines:
        command = [sys.executable, "-m", "move37", "--home", str(finished), *line.split()]
        environment = os.environ | {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
        done = subprocess.run(command, capture_output=True, env=environment, check=False)
        assert done.returncode == 0 and b"Traceback" not in done.stderr, (line, done.stderr)
        if line.endswith("--json"):
            json.loads(done.stdout.decode("ascii"))


def test_ctrl_c_is_answered_before_anything_is_imported() -> None:
    from move37 import __main__

    source = Path(__main__.__file__).read_text()
    top = [n for n in ast.parse(source).body if isinstance(n, ast.Import | ast.ImportFrom)]
    assert {alias.name for node in top for alias in node.names} == {"annotations", "sys"}


@pytest.mark.parametrize("closed", ["<&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize(
    ("line", "status"),
    [("chat --task program:nowhere", 2), ("attach", 2), ("list --json", 0)],
)
def test_a_standard_stream_that_is_closed_is_no_terminal_and_no_fault(
    finished: Path, tmp_path: Path, line: str, status: int, closed: str
) -> None:
    told = "" if "2>&-" in closed else f"2> {tmp_path}/told"
    command = f"exec {sys.executable} -m move37 --home {finished} {line} {closed} {told}"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == status
    if told:
        assert "fault" not in (tmp_path / "told").read_text()
        assert line != "list --json" or json.loads(done.stdout)
