"""AutoGen's executor on our sandbox: the same words and codes, without what it leaves open."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from autogen_agentchat.agents import ApprovalRequest, ApprovalResponse, CodeExecutorAgent
from autogen_agentchat.messages import TextMessage
from autogen_core import CancellationToken
from autogen_core.code_executor import CodeBlock, CodeExecutor, FunctionWithRequirements, with_requirements
from docker.types import DeviceRequest

from move37.sandbox import deadlines
from move37.sandbox.errors import RefusedRequest, SandboxUnavailable
from move37.sandbox.executor import SandboxCodeExecutor, gpus_of

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("cold")]


def python(code: str) -> CodeBlock:
    return CodeBlock(code=code, language="python")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def executor(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SandboxCodeExecutor]:
    folder = tmp_path_factory.mktemp("work")
    async with SandboxCodeExecutor(work_dir=folder, timeout=20, sandbox="process", output_bytes=10_000) as started:
        yield started


async def run(executor: SandboxCodeExecutor, *blocks: CodeBlock, token: CancellationToken | None = None) -> Any:
    return await executor.execute_code_blocks(list(blocks), token or CancellationToken())


async def test_blocks_run_in_order_and_share_the_folder(executor: SandboxCodeExecutor) -> None:
    result = await run(
        executor,
        python("open('data.txt', 'w').write('one\\n'); print('first')"),
        CodeBlock(code="echo two >> data.txt; cat data.txt", language="sh"),
        python("import pathlib; print(pathlib.Path('data.txt').read_text().split())"),
    )
    assert result.exit_code == 0
    assert result.output == "first\none\ntwo\n['one', 'two']\n"
    assert (executor.work_dir / "data.txt").read_text() == "one\ntwo\n"
    assert result.code_file.startswith(str(executor.work_dir / "tmp_code_")) and result.code_file.endswith(".python")


async def test_the_first_failure_ends_it_with_its_code_and_both_streams(executor: SandboxCodeExecutor) -> None:
    result = await run(executor, python("import sys; print('seen'); sys.exit(5)"), python("print('never')"))
    assert (result.exit_code, result.output) == (5, "seen\n")
    failed = await run(executor, python("1 / 0"))
    assert failed.exit_code == 1 and "ZeroDivisionError" in failed.output


async def test_a_filename_comment_names_the_file_and_siblings_import_it(executor: SandboxCodeExecutor) -> None:
    await run(executor, python("# filename: pack/helper.py\nvalue = 7"))
    result = await run(executor, python("# filename: use.py\nfrom pack.helper import value\nprint(value)"))
    assert result.output == "7\n" and result.code_file == str(executor.work_dir / "use.py")


@pytest.mark.parametrize("name", ["../evil.py", "/tmp/evil.py"])
async def test_a_file_outside_is_refused_in_their_words(executor: SandboxCodeExecutor, name: str) -> None:
    result = await run(executor, python(f"# filename: {name}\nprint(1)"))
    assert (result.exit_code, result.output) == (1, "Filename is not in the workspace")


async def test_nothing_is_written_through_a_link_in_the_folder(executor: SandboxCodeExecutor, tmp_path: Path) -> None:
    victim = tmp_path / "victim.py"
    victim.write_text("kept")
    (executor.work_dir / "linked.py").symlink_to(victim)
    result = await run(executor, python("# filename: linked.py\nprint(1)"))
    assert result.exit_code == 1 and victim.read_text() == "kept"
    # Nor what a program leaves where the host's folder has a link.
    await run(executor, python("print(1)"))
    result = await run(executor, python("open('linked.py', 'w').write('overwritten')"))
    assert result.exit_code == 1 and "symbolic link" in result.output
    (executor.work_dir / "linked.py").unlink()
    assert victim.read_text() == "kept"


async def test_a_timeout_has_their_code_and_word_even_when_signals_are_ignored(tmp_path: Path) -> None:
    async with SandboxCodeExecutor(work_dir=tmp_path, timeout=1, sandbox="process") as short:
        code = "import signal, time\nsignal.signal(15, signal.SIG_IGN)\nprint('x')\ntime.sleep(900)"
        async with asyncio.timeout(300):
            result = await run(short, python(code))
        assert result.exit_code == 124 and result.output == "x\n\n Timeout"


async def test_cancelling_gives_their_words_and_ends_the_program(tmp_path: Path) -> None:
    runs, token = threading.Event(), CancellationToken()
    async with SandboxCodeExecutor(work_dir=tmp_path, sandbox="process", on_output=lambda *_: runs.set()) as executor:
        code = "import time; print('runs', flush=True); time.sleep(60)"
        task = asyncio.create_task(run(executor, python(code), token=token))
        assert await asyncio.to_thread(runs.wait, 300)
        token.cancel()
        result = await task
        assert result.exit_code == 1 and result.output.endswith("Code execution was cancelled.")
        assert (await run(executor, python("print(1)"))).output == "1\n"


async def test_output_is_cut_and_harmless(executor: SandboxCodeExecutor) -> None:
    flood = await run(executor, python("print('x' * 1_000_000)"))
    assert len(flood.output) < 10_100 and flood.output.endswith("The output was cut after 10000 bytes.")
    odd = await run(executor, python("import os; os.write(1, b'\\x1b[2J\\xff')"))
    assert odd.output == "␛[2J\ufffd"


async def test_an_unknown_language_and_no_blocks_are_their_errors(executor: SandboxCodeExecutor) -> None:
    with pytest.raises(ValueError, match="Unsupported language"):
        await run(executor, CodeBlock(code="x", language="cobol"))
    with pytest.raises(ValueError, match="No code blocks to execute"):
        await run(executor)
    with pytest.raises(ValueError, match="Must first be started"):
        await run(SandboxCodeExecutor(), python("1"))


async def test_code_files_go_when_that_is_asked(tmp_path: Path) -> None:
    async with SandboxCodeExecutor(work_dir=tmp_path, delete_tmp_files=True, sandbox="process") as tidy:
        result = await run(tidy, python("open('kept.txt', 'w').write('x')"))
    assert [path.name for path in tmp_path.iterdir()] == ["kept.txt"] and result.code_file


@pytest.mark.parametrize(
    "change",
    ["os.remove(f); os.mkdir(f); open(f + '/x', 'w')", "os.remove(f)", "os.rename(f, 'g'); open(f, 'w')"],
)
async def test_a_code_file_that_the_code_replaced_is_no_error(tmp_path: Path, change: str) -> None:
    async with SandboxCodeExecutor(work_dir=tmp_path, delete_tmp_files=True, sandbox="process") as tidy:
        result = await run(tidy, python(f"import os\nf = os.path.basename(__file__)\n{change}"))
    assert result.exit_code == 0 and not [path for path in tmp_path.glob("tmp_code_*") if path.is_file()]


@with_requirements(python_packages=["numpy"], global_imports=["numpy"])
def double(number: int) -> int:
    """Twice."""
    return int(numpy.multiply(2, number))  # type: ignore[name-defined]  # noqa: F821


async def test_functions_can_be_imported_by_the_code(tmp_path: Path) -> None:
    assert isinstance(double, FunctionWithRequirements)
    async with SandboxCodeExecutor(work_dir=tmp_path, functions=[double], sandbox="process") as able:
        result = await run(able, python("from functions import double\nprint(double(21))"))
    assert result.output == "42\n"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"extra_volumes": {"/etc": {"bind": "/etc", "mode": "ro"}}}, "no host folder"),
        ({"extra_hosts": {"a": "host-gateway"}}, "no network"),
        ({"auto_remove": False}, "outlives"),
        ({"stop_container": False}, "outlives"),
        ({"device_requests": [{"count": 1, "capabilities": [["tpu"]]}]}, "GPUs only"),
    ],
)
async def test_what_would_open_the_sandbox_is_refused_with_the_reason(arguments: dict[str, Any], reason: str) -> None:
    with pytest.raises(RefusedRequest, match=reason):
        SandboxCodeExecutor(**arguments)


async def test_gpu_requests_are_counted_and_survive_serialisation(tmp_path: Path) -> None:
    request = DeviceRequest(count=2, capabilities=[["gpu"]])
    assert gpus_of([request]) == 2 and gpus_of([DeviceRequest(device_ids=["a", "b", "c"], capabilities=[["gpu"]])]) == 3
    before = SandboxCodeExecutor(work_dir=tmp_path, timeout=7, device_requests=[request], container_name="mine")
    after = CodeExecutor.load_component(before.dump_component())
    assert isinstance(after, SandboxCodeExecutor)
    assert after.dump_component() == before.dump_component()
    assert after._gpus == 2 and after.timeout == 7 and after.work_dir == tmp_path


async def test_an_approval_hook_is_not_dropped_silently() -> None:
    asking = SandboxCodeExecutor(approval=lambda request: ApprovalResponse(approved=True, reason=""))
    with pytest.raises(ValueError, match="approval"):
        asking.dump_component()


async def test_a_hook_that_says_no_stops_the_code_and_never_the_loop(tmp_path: Path) -> None:
    release = threading.Event()
    asked: list[str] = []

    def slow(request: ApprovalRequest) -> ApprovalResponse:
        asked.append(request.code)
        release.wait(10)
        return ApprovalResponse(approved=False, reason="too bold")

    async with SandboxCodeExecutor(work_dir=tmp_path, sandbox="process", approval=slow) as asking:
        task = asyncio.create_task(run(asking, python("open('x', 'w')")))
        for _ in range(3):
            await asyncio.sleep(0.01)  # the loop turns while the person thinks
        release.set()
        result = await task
    assert result.exit_code == 1 and result.output == "Code execution was not approved. Reason: too bold"
    assert "open('x', 'w')" in asked[0] and not list(tmp_path.iterdir())


async def test_an_async_hook_can_say_yes(tmp_path: Path) -> None:
    async def yes(request: ApprovalRequest) -> ApprovalResponse:
        return ApprovalResponse(approved=True, reason="fine")

    async with SandboxCodeExecutor(work_dir=tmp_path, sandbox="process", approval=yes) as asking:
        assert (await run(asking, python("print(1)"))).output == "1\n"


async def test_code_of_a_model_needs_docker_unless_less_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    with pytest.raises(SandboxUnavailable, match="--sandbox process"):
        await SandboxCodeExecutor().start()


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("# filename: bad\\name.py\nprint(1)", "cannot be written"),
        (f"# filename: {'x' * 300}.py\nprint(1)", "cannot be written"),
        ("# filename: turned\u200e.py\nprint(1)", "cannot be written"),
        ("# filename: folder\nprint(1)", "is a folder"),
        ("print('\ud800')", "cannot be written"),
    ],
    ids=["backslash", "too long", "letters that turn the line", "a folder", "half a character"],
)
async def test_a_models_odd_file_is_an_exit_code_with_a_sentence(tmp_path: Path, code: str, says: str) -> None:
    (tmp_path / "folder").mkdir()
    async with SandboxCodeExecutor(work_dir=tmp_path, sandbox="process") as odd:
        result = await run(odd, python(code), python("print('never')"))
        assert result.exit_code != 0 and says in result.output and "never" not in result.output
        assert (await run(odd, python("print('goes on')"))).output == "goes on\n"


@pytest.mark.parametrize(
    "change",
    [
        "import os; os.remove('thing'); os.mkdir('thing'); open('thing/x', 'w').write('in')",
        "import os; os.rename('thing', 'else'); os.mkdir('thing'); open('thing/x', 'w').write('in')",
    ],
)
async def test_a_folder_may_take_a_files_place_and_a_file_a_folders(tmp_path: Path, change: str) -> None:
    async with SandboxCodeExecutor(work_dir=tmp_path, sandbox="process") as odd:
        assert (await run(odd, python("open('thing', 'w').write('a file')"))).exit_code == 0
        assert (await run(odd, python(change))).exit_code == 0
        assert (tmp_path / "thing" / "x").read_text() == "in"
        back = "import shutil; shutil.rmtree('thing'); open('thing', 'w').write('again')"
        assert (await run(odd, python(back))).exit_code == 0
        assert (tmp_path / "thing").read_text() == "again"


async def test_what_stands_in_the_folder_and_cannot_travel_costs_only_its_own_name(tmp_path: Path) -> None:
    """Pipes, links, folders of links: never written into, never removed, and no block hangs or is lost by them."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/nowhere/at/all")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "link").symlink_to("/nowhere/at/all")
    (tmp_path / os.fsdecode(b"caf\xe9")).write_text("x")
    async with SandboxCodeExecutor(work_dir=tmp_path, sandbox="process", delete_tmp_files=True) as odd:
        code = "import os\nfor n in ('pipe', 'link', 'full', 'good'): open(n, 'w').write('mine')\n"
        both = "os.mkdir(os.environ['MOVE37_OUT'] + '/good'); open(os.environ['MOVE37_OUT'] + '/good/x', 'w')"
        result = await run(odd, python(code + both))
        assert result.exit_code == 1 and all(f"{n} (" in result.output for n in ("pipe", "link", "full"))
        assert (await run(odd, python("print('goes on')"))).output == "goes on\n"
    assert (tmp_path / "pipe").is_fifo() and (tmp_path / "link").is_symlink() and (tmp_path / "full/link").is_symlink()
    assert (tmp_path / "good").is_dir() or (tmp_path / "good").read_text() == "mine"


async def test_a_session_goes_on_without_what_it_cannot_read_back(tmp_path: Path) -> None:
    async with SandboxCodeExecutor(work_dir=tmp_path, sandbox="process", stateful=True) as session:
        made = "open('helper.py', 'w').write('class A: pass')\nimport helper\na, x = helper.A(), 1"
        assert (await run(session, python(made))).exit_code == 0
        assert (
            "variables of earlier blocks are lost"
            in (await run(session, python("import os; os.remove('helper.py')"), python("y = 2"))).output
        )
        assert (await run(session, python("print(y)"))).output == "2\n"
        refused = await run(session, python("# filename: move37_session_entry.py\nprint(1)"))
        assert refused.exit_code == 1 and "of ours" in refused.output


@pytest.mark.parametrize("name", ["move37_session_entry.py", "move37_session_state", "move37_session_state.new"])
async def test_a_folder_in_the_place_of_a_file_of_ours_stops_no_later_block(tmp_path: Path, name: str) -> None:
    replace = f"import os; n = '{name}'; os.path.exists(n) and os.remove(n); os.mkdir(n); open(n + '/f', 'w')"
    async with SandboxCodeExecutor(work_dir=tmp_path, sandbox="process", stateful=True) as session:
        for code in ("x = 1", replace, "print(2)"):
            result = await run(session, python(code))
        assert (result.exit_code, result.output) == (0, "2\n") and not (tmp_path / name).exists()


async def test_no_block_says_what_the_users_git_runs(tmp_path: Path) -> None:
    for name in (".git/config", ".git/HEAD", "config"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("mine")
    code = (
        "import os\nos.makedirs('.git/hooks')\n"
        "for n in '.git/config .git/hooks/post-commit .git/HEAD HEAD config objects x'.split(): open(n, 'w')"
    )
    async with SandboxCodeExecutor(work_dir=tmp_path, sandbox="process") as odd:
        result = await run(odd, python(code))
    assert "Not kept: .git/config, .git/hooks/post-commit, HEAD, config (git" in result.output and not result.exit_code
    kept = {p.relative_to(tmp_path).as_posix(): p.read_text() for p in tmp_path.rglob("*") if p.is_file()}
    assert {n: kept.get(n) for n in (".git/config", ".git/HEAD", "config")} == {
        ".git/config": "mine", ".git/HEAD": "", "config": "mine"
    }  # fmt: skip
    assert "x" in kept and not {"HEAD", ".git/hooks/post-commit"} & kept.keys()


async def test_a_block_of_a_session_is_compiled_as_it_stands(tmp_path: Path) -> None:
    async with SandboxCodeExecutor(work_dir=tmp_path, sandbox="process", stateful=True) as session:
        code = "def f(x: int): ...\nprint(f.__annotations__)"
        for mark in ("", "\ufeff"):
            assert (await run(session, python(mark + code))).output == "{'x': <class 'int'>}\n"
        assert (await run(session, python("from __future__ import annotations\n" + code))).output == "{'x': 'int'}\n"


async def test_names_that_read_as_something_else_are_names(tmp_path: Path) -> None:
    """An option of the interpreter; a folder whose links lead to each other."""
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to("one")
    async with SandboxCodeExecutor(work_dir=tmp_path, sandbox="process") as odd:
        assert (await run(odd, python("# filename: -c\nprint(1)"))).output == "1\n"
        assert (await run(odd, python("# filename: one/x.py\nprint(1)"))).exit_code == 1


async def test_a_workspace_that_is_too_large_is_said_and_the_rest_stays_usable(tmp_path: Path) -> None:
    async with SandboxCodeExecutor(work_dir=tmp_path, sandbox="process", workspace_bytes=2**20) as small:
        (tmp_path / "huge").write_bytes(bytes(2**21))
        result = await run(small, python("print(1)"))
        assert result.exit_code == 1 and "holds more than 1 MiB" in result.output
        (tmp_path / "huge").unlink()
        assert (await run(small, python("print(1)"))).output == "1\n"


async def test_of_more_files_than_come_back_those_come_that_are_new_or_changed(tmp_path: Path) -> None:
    async with SandboxCodeExecutor(work_dir=tmp_path, sandbox="process") as many:
        for number in range(4_200):
            (tmp_path / f"{number:05}.txt").write_text("old")
        code = "open('zz_new', 'w').write('new'); open('04199.txt', 'w').write('now')"
        result = await run(many, python(code))
        assert result.exit_code == 0 and "Not returned" in result.output
        assert [(tmp_path / name).read_text() for name in ("zz_new", "04199.txt", "04198.txt")] == ["new", "now", "old"]


async def test_no_block_leaves_a_workspace_in_which_none_can_run(tmp_path: Path) -> None:
    """As full as it may be, or more: by one file, by several, by others than those that were removed."""
    async with SandboxCodeExecutor(work_dir=tmp_path, sandbox="process", workspace_bytes=8 * 2**20) as small:
        for code in (
            "open('big', 'wb').write(bytes(8 * 2**20 - 64))",
            "import os; os.path.exists('a') and os.remove('a'); [open(n, 'wb').write(bytes(3 * 2**20)) for n in 'ab']",
            "import os; os.remove('a'); [open(n, 'wb').write(bytes(3 * 2**20)) for n in 'cde']",
        ):
            result = await run(small, python(code))
            assert "returned" in result.output or "Not kept" in result.output or (tmp_path / "a").exists(), result
            assert (await run(small, python("print(1)"))).output == "1\n"
        too_much = await run(small, python("x = '" + "a" * 5 * 2**20 + "'"))
        assert (too_much.exit_code, "8 MiB" in too_much.output) == (1, True)
        assert (await run(small, python("print(2)"))).output == "2\n"


async def test_variables_live_between_blocks_when_asked_and_end_with_a_restart(tmp_path: Path) -> None:
    async with SandboxCodeExecutor(work_dir=tmp_path, sandbox="process", stateful=True) as session:
        first = await run(
            session,
            python(
                "import math\nx = [1]\ny = x\nclass P:\n    n = 2\ndef f(): return P.n * math.pi\nh = open('a', 'w')"
            ),
            python("x.append(3); print(y, round(f(), 2), __name__)"),
        )
        assert (first.exit_code, first.output) == (0, "not kept for the next block: h\n[1, 3] 6.28 __main__\n")
        assert (await run(session, python("z = 9; 1 / 0"))).exit_code == 1
        assert (await run(session, python("print(z, len(x))"))).output == "9 2\n"
        assert {p.name for p in tmp_path.iterdir() if not p.name.startswith("tmp_code")} == {"a"}
        await session.restart()
        assert "NameError" in (await run(session, python("print(x)"))).output


async def test_without_the_switch_nothing_of_a_block_is_left_in_the_next(executor: SandboxCodeExecutor) -> None:
    await run(executor, python("left = 1"))
    assert "NameError" in (await run(executor, python("print(left)"))).output


async def test_more_languages_are_commands_of_the_image(tmp_path: Path) -> None:
    async with SandboxCodeExecutor(work_dir=tmp_path, sandbox="process", languages={"Awk": "awk -f"}) as more:
        result = await run(more, CodeBlock(code="BEGIN { print 6 * 7 }", language="awk"))
        assert (result.exit_code, result.output) == (0, "42\n")
        with pytest.raises(ValueError, match="cobol"):
            await run(more, CodeBlock(code="x", language="cobol"))


async def test_output_streams_while_it_runs_and_the_result_says_what_was_used(tmp_path: Path) -> None:
    heard: list[tuple[str, bytes]] = []
    streaming = SandboxCodeExecutor(work_dir=tmp_path, sandbox="process", on_output=lambda s, d: heard.append((s, d)))
    async with streaming:
        result = await run(
            streaming, python("print('one', flush=True); sum(i * i for i in range(10**6)); print('two')")
        )
    assert b"".join(d for _, d in heard) == b"one\ntwo\n" and {s for s, _ in heard} == {"stdout"}
    assert result.cpu_seconds > 0 and result.wall_seconds > 0


async def test_a_real_code_executor_agent_runs_on_it(executor: SandboxCodeExecutor) -> None:
    async def yes(request: ApprovalRequest) -> ApprovalResponse:
        return ApprovalResponse(approved=True, reason="")

    agent = CodeExecutorAgent("runner", executor, sources=["writer"], approval_func=yes)
    message = TextMessage(source="writer", content="Try this:\n```python\nprint(6 * 7)\n```\n")
    response = await agent.on_messages([message], CancellationToken())
    assert isinstance(response.chat_message, TextMessage) and response.chat_message.content.strip() == "42"
    stranger = TextMessage(source="stranger", content="```python\nprint('no')\n```")
    answer = await agent.on_messages([stranger], CancellationToken())
    assert isinstance(answer.chat_message, TextMessage) and "no\n" not in answer.chat_message.content


async def test_a_restart_keeps_the_folder_and_changes_the_container(executor: SandboxCodeExecutor) -> None:
    blocks = executor._blocks
    assert blocks is not None
    trust = blocks.trust
    (executor.work_dir / "kept.txt").write_text("x")
    await executor.restart()
    assert executor._blocks is not None and executor._blocks.trust != trust
    assert (await run(executor, python("print(open('kept.txt').read())"))).output == "x\n"


async def test_a_block_whose_worker_was_killed_has_removed_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deadlines, "GRACE_SECONDS", -1e9)  # the host gives up before the worker can say anything
    monkeypatch.setattr(deadlines, "LAST_LOOK_SECONDS", 0.05)
    (tmp_path / "mine/deep").mkdir(parents=True)
    (tmp_path / "mine/deep/years.txt").write_text("kept")
    async with SandboxCodeExecutor(work_dir=tmp_path, timeout=30, sandbox="process") as started:
        result = await run(started, python("import time; print('x', flush=True); time.sleep(60)"))
    assert result.exit_code == 124 and "killed with it" in result.output, result
    assert (tmp_path / "mine/deep/years.txt").read_text() == "kept"
