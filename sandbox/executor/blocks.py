"""Blocks of code, one after the other, each a job over the executor's folder.

Read `BlockRunner.run`. Whatever a model may do by mistake ends as an exit code with a sentence; only a fault of the
sandbox itself is raised.
"""

from __future__ import annotations

import asyncio
import contextlib
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

from autogen_core.code_executor import CodeBlock
from autogen_ext.code_executors._common import get_file_name_from_content, silence_pip

from move37.sandbox.errors import RefusedRequest
from move37.sandbox.executor import workspace
from move37.sandbox.executor.options import SandboxCodeExecutorConfig, SandboxCodeResult, command_of
from move37.sandbox.job import LEFT_OUT_NAMED, MIB, Job, Limits, Outcome, Status, Stream, left_out_words
from move37.sandbox.result_validation import git_settings
from move37.sandbox.sandbox import Sandbox
from move37.sandbox.text import harmless

OnOutput = Callable[[Stream, bytes], None]

CODE_BYTES = MIB  # of a workspace that no block's files may fill
TIMEOUT = "\n Timeout"
OUTSIDE = "Filename is not in the workspace"
ENTRY = Path(__file__).with_name("session_entry.py")
ENTRY_NAME, STATE_NAME = "move37_session_entry.py", "move37_session_state"
OURS = (ENTRY_NAME, STATE_NAME, f"{STATE_NAME}.new")  # beside the code, never in `work_dir`


@dataclass(slots=True, kw_only=True)
class Blocks:
    """What the blocks of one call have done so far; complete also when the call is cancelled."""

    outputs: list[str] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)
    exit_code: int = 0
    wall_seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_memory_bytes: int = 0

    def result(self) -> SandboxCodeResult:
        """As AutoGen gives it."""
        return SandboxCodeResult(
            exit_code=self.exit_code,
            output="".join(self.outputs),
            code_file=str(self.files[0]) if self.files else None,
            wall_seconds=self.wall_seconds,
            cpu_seconds=self.cpu_seconds,
            peak_memory_bytes=self.peak_memory_bytes,
        )


class BlockRunner:
    """Belongs to one event loop; one call at a time."""

    def __init__(
        self,
        sandbox: Sandbox,
        config: SandboxCodeExecutorConfig,
        folder: Path,
        *,
        gpus: int,
        trust: str,
        heard: OnOutput | None = None,
    ) -> None:
        self._sandbox = sandbox
        self._config = config
        self._folder = folder
        self._gpus = gpus
        self._heard = heard
        self._turn = asyncio.Lock()
        self._state: bytes | None = None
        self.trust = trust

    def begin_anew(self, trust: str) -> None:
        """No container and no variable of before."""
        self.trust, self._state = trust, None

    async def run(self, blocks: Sequence[CodeBlock], done: Blocks) -> None:
        """Fill `done`. Raises `ValueError` for an unknown language, `SandboxError` when the sandbox broke."""
        async with self._turn:
            try:
                for block in blocks:
                    command = command_of(block.language.lower(), self._config.languages)
                    output, done.exit_code = await self._one(block, command, done)
                    done.outputs.append(output)
                    if done.exit_code:
                        return
            finally:
                if self._config.delete_tmp_files:
                    for path in done.files:
                        with contextlib.suppress(OSError):  # the block put something else in its place
                            path.unlink()

    async def _one(self, block: CodeBlock, command: str, done: Blocks) -> tuple[str, int]:
        try:
            path = self._save(block)
        except (ValueError, OSError) as error:
            return (OUTSIDE if str(error) == OUTSIDE else f"The code's file cannot be written: {error}"), 1
        done.files.append(path)
        try:
            before = without_ours(await asyncio.to_thread(workspace.pack, self._folder, self._config.workspace_bytes))
        except (RefusedRequest, OSError) as error:
            path.unlink(missing_ok=True)  # it has not run; kept, it would stand in the way of smaller ones
            return str(error), 1
        pieces: list[bytes] = []

        def hear(stream: Stream, data: bytes) -> None:
            pieces.append(data)  # both streams in the order in which they came
            if self._heard is not None:
                self._heard(stream, data)

        outcome = await self._sandbox.run(self._job(command, path, before), on_output=hear)
        done.wall_seconds += outcome.wall_seconds
        done.cpu_seconds += outcome.cpu_seconds
        done.peak_memory_bytes = max(done.peak_memory_bytes, outcome.peak_memory_bytes)
        return await asyncio.to_thread(self._conclude, outcome, before, harmless(b"".join(pieces)))

    def _save(self, block: CodeBlock) -> Path:
        """The block's file in the folder. Raises `ValueError` for a name that cannot be used."""
        language = block.language.lower()
        code = silence_pip(block.code, language)
        try:
            name = get_file_name_from_content(code, self._folder)
        except (ValueError, OSError, RuntimeError) as error:  # the last: links that lead to each other
            raise ValueError(OUTSIDE) from error
        name = name or f"tmp_code_{sha256(code.encode()).hexdigest()}.{language}"
        if not without_ours({name: b""}):
            raise ValueError(f"{name} is a name of ours")
        if (self._folder / name).is_dir():
            raise ValueError(f"{name} is a folder")
        if refused := workspace.unpack(self._folder, {}, {name: code.encode()}):
            raise ValueError(refused[name])
        return self._folder / name

    def _job(self, command: str, path: Path, before: Mapping[str, bytes]) -> Job:
        name = path.relative_to(self._folder).as_posix()
        argv: tuple[str, ...] = (*shlex.split(command), f"./{name}" if name.startswith("-") else name)
        files = dict(before)
        if self._config.stateful and command == "python":
            argv = (command, ENTRY_NAME, STATE_NAME, name)
            files[ENTRY_NAME] = ENTRY.read_bytes()
            files |= {STATE_NAME: self._state} if self._state is not None else {}
        if self._config.init_command:
            argv = ("sh", "-c", f'{self._config.init_command}\nexec "$@"', "sh", *argv)
        size = self._config.workspace_bytes
        limits = Limits(
            wall_seconds=float(self._config.timeout),
            memory_bytes=self._config.memory_bytes,
            output_bytes=self._config.output_bytes,
            result_bytes=size,
            disk_bytes=2 * size,
            file_bytes=size,
            gpus=self._gpus,
        )
        return Job(
            id=f"{self.trust}-{uuid4().hex[:8]}",
            trust=self.trust,
            argv=argv,
            files=files,
            collect=("*", "./*"),
            writable=True,
            executables=workspace.executables(self._folder, files),
            limits=limits,
        )

    def _conclude(self, outcome: Outcome, before: Mapping[str, bytes], output: str) -> tuple[str, int]:
        if outcome.status is Status.RESULTS_REFUSED:
            return f"{output}\n{outcome.message}", outcome.exit_code or 1
        after = without_ours(outcome.files)
        # What the user's git would run is not a block's to say.
        git = sorted(name for name in git_settings(after) if after[name] != before.get(name))
        after = {name: content for name, content in after.items() if name not in git}
        after |= {name: before[name] for name in git if name in before}
        if git:
            output += f"\nNot kept: {listed(git)} (git would run what they say)"
        self._state = outcome.files.get(STATE_NAME, self._state)
        if outcome.left_out_count:
            # A file that could not come back was not deleted by the block, so it is not deleted here either.
            after = {name: content for name, content in before.items() if name not in after} | after
            output += f"\n{left_out_words(outcome)}"
        # What one block leaves must not keep the next from running: it is copied with that one's code.
        size = self._config.workspace_bytes
        after, out = workspace.fitting(before, after, size - min(CODE_BYTES, size // 8))
        if out:
            output += f"\nNot kept: {listed(out)} (the folder may hold {size // MIB} MiB)"
        try:
            refused = workspace.unpack(self._folder, before, after)
            workspace.make_executable(self._folder, outcome.executables & after.keys() - refused.keys())
        except OSError as error:
            return f"{output}\nWhat the code wrote cannot be kept: {error}", outcome.exit_code or 1
        code = outcome.exit_code
        if refused:
            output += f"\nNot kept: {listed([f'{name} ({why})' for name, why in refused.items()])}"
            code = code or 1
        if outcome.truncated:
            output += f"\nThe output was cut after {self._config.output_bytes} bytes."
        if outcome.status is Status.TIMED_OUT:
            output += TIMEOUT
        elif outcome.status is Status.OUT_OF_MEMORY:
            output += f"\n{outcome.message}"
        return output, code


def without_ours(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """The files that are the user's: neither one of ours nor below a folder that a block put in its place."""
    return {name: content for name, content in files.items() if name.partition("/")[0] not in OURS}


def listed(names: Sequence[str]) -> str:
    """The first few, and how many more there are."""
    more = f" and {len(names) - LEFT_OUT_NAMED} more" if len(names) > LEFT_OUT_NAMED else ""
    return ", ".join(names[:LEFT_OUT_NAMED]) + more
