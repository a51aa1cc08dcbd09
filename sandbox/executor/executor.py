"""`SandboxCodeExecutor`: AutoGen's code executor on our sandbox.

A program that uses `DockerCommandLineCodeExecutor` works by changing one import: the same arguments, `# filename:`
comments, languages, exit codes and words. What differs: no network; files are copied in and out, never mounted;
every block runs within limits that are enforced from outside; no process survives its block (with `stateful`, Python's
variables do); output is capped and can be printed. What would undo that is refused with the reason (`RefusedRequest`).

An ordinary mistake of a model (an odd file name, a folder where a file was, a workspace that is too large) is an exit
code with a sentence, never an exception. The sandbox lives in a loop of its own, so the executor may be used from any.

Read in this order: `options.py` (all that is serialised), the class, `_run_block`.
Not covered: PowerShell (not in the image); device requests for one certain GPU (leases choose).
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import sys
import tempfile
import warnings
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self
from uuid import uuid4

import structlog
from autogen_agentchat.agents import ApprovalRequest, ApprovalResponse
from autogen_core import CancellationToken, Component
from autogen_core.code_executor import CodeBlock, CodeExecutor, FunctionWithRequirements, FunctionWithRequirementsStr
from autogen_ext.code_executors._common import build_python_functions_file

from move37.sandbox.docker.settings import DockerSettings
from move37.sandbox.executor.background import BackgroundLoop
from move37.sandbox.executor.blocks import BlockRunner, Blocks, OnOutput
from move37.sandbox.executor.options import SandboxCodeExecutorConfig, SandboxCodeResult, gpus_of, refuse
from move37.sandbox.factory import Kind, open_sandbox
from move37.sandbox.job import MIB
from move37.sandbox.sandbox import Sandbox

log = structlog.get_logger()

Approval = Callable[[ApprovalRequest], ApprovalResponse] | Callable[[ApprovalRequest], Awaitable[ApprovalResponse]]
Function = FunctionWithRequirements[Any, Any] | FunctionWithRequirementsStr | Callable[..., Any]

NOT_STARTED = "Container is not running. Must first be started with either start or a context manager."
CANCELLED = "Code execution was cancelled."


class SandboxCodeExecutor(CodeExecutor, Component[SandboxCodeExecutorConfig]):
    """Runs blocks of Python and shell, in order, until one fails.

    Args:
        image: A Docker image with our worker in it; None, and every plain `python:...`, mean our own.
        container_name: Appears in the ids of jobs; there is no container of that name.
        timeout: Seconds for one block, enforced from outside.
        work_dir: Where code and results are kept; None: a temporary folder until `stop`.
        bind_dir: Taken for AutoGen's sake: files are copied, so that no folder of the host is bound.
        device_requests: Docker's GPU requests, as `docker.types.DeviceRequest` or dictionaries.
        functions: Python functions that the code may import from `functions_module`.
        init_command: A shell command that runs before each block, in the same job.
        delete_tmp_files: Remove the code files afterwards.
        sandbox: "auto" takes Docker and nothing else, since a model writes the code; "process" accepts less.
        memory_bytes: Limit of one block.
        output_bytes: Limit of one block.
        workspace_bytes: The most that `work_dir` may hold; it is copied for each block.
        stateful: Variables of Python blocks live between blocks, until `restart`.
        languages: More languages, by the command that runs a file of them in your image: `{"r": "Rscript"}`.
        approval: Asked before anything runs, with the same types as `CodeExecutorAgent`'s; sync or async.
        on_output: Called with "stdout" or "stderr" and bytes, as they come; from another thread.
        auto_remove: Refused where it asks for what a sandbox must not do.
        stop_container: Refused where it asks for what a sandbox must not do.
        extra_volumes: Refused where it asks for what a sandbox must not do.
        extra_hosts: Refused where it asks for what a sandbox must not do.

    Raises `ValueError` for arguments without meaning and `RefusedRequest` for what is refused on purpose.
    """

    component_config_schema = SandboxCodeExecutorConfig
    component_provider_override = "move37.sandbox.executor.SandboxCodeExecutor"

    SUPPORTED_LANGUAGES: ClassVar[list[str]] = ["bash", "shell", "sh", "pwsh", "powershell", "ps1", "python"]

    def __init__(
        self,
        image: str | None = None,
        container_name: str | None = None,
        *,
        timeout: int = 60,
        work_dir: Path | str | None = None,
        bind_dir: Path | str | None = None,
        auto_remove: bool = True,
        stop_container: bool = True,
        device_requests: Sequence[Mapping[str, Any]] | None = None,
        functions: Sequence[Function] = (),
        functions_module: str = "functions",
        extra_volumes: Mapping[str, Mapping[str, str]] | None = None,
        extra_hosts: Mapping[str, str] | None = None,
        init_command: str | None = None,
        delete_tmp_files: bool = False,
        sandbox: Kind = "auto",
        memory_bytes: int = 2048 * MIB,
        output_bytes: int = 1 * MIB,
        workspace_bytes: int = 256 * MIB,
        stateful: bool = False,
        languages: Mapping[str, str] | None = None,
        approval: Approval | None = None,
        on_output: OnOutput | None = None,
    ) -> None:
        if timeout < 1:
            raise ValueError("Timeout must be greater than or equal to 1.")
        if not functions_module.isidentifier():
            raise ValueError("Module name must be a valid Python identifier")
        _log_quietly()
        refuse(extra_volumes, extra_hosts, kept=not (auto_remove and stop_container))
        self._config = SandboxCodeExecutorConfig(
            image=image,
            container_name=container_name,
            timeout=timeout,
            work_dir=None if work_dir is None else str(work_dir),
            device_requests=None if device_requests is None else [dict(request) for request in device_requests],
            functions_module=functions_module,
            init_command=init_command,
            delete_tmp_files=delete_tmp_files,
            sandbox=sandbox,
            memory_bytes=memory_bytes,
            output_bytes=output_bytes,
            workspace_bytes=workspace_bytes,
            stateful=stateful,
            languages={name.lower(): command for name, command in (languages or {}).items()},
        )
        self._gpus = gpus_of(self._config.device_requests)
        self._functions = tuple(functions)
        self._functions_are_ready = not functions
        self._approval = approval
        self._on_output = on_output
        self._loop = BackgroundLoop()
        self._opening = asyncio.Lock()  # of that loop
        self._starts = 0  # calls of `start` that are not done
        self._stops = 0
        self._sandbox: Sandbox | None = None
        self._blocks: BlockRunner | None = None
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        if work_dir is not None:
            self._own(Path(work_dir))

    @property
    def timeout(self) -> int:
        """Seconds that one block may take."""
        return self._config.timeout

    @property
    def work_dir(self) -> Path:
        """Where code files and what the code wrote are kept."""
        if self._config.work_dir is not None:
            return Path(self._config.work_dir)
        if self._temporary is None:
            raise RuntimeError("Working directory not properly initialized")
        return Path(self._temporary.name)

    @property
    def bind_dir(self) -> Path:
        """The same: nothing is bound, files are copied."""
        return self.work_dir

    async def start(self) -> None:
        """Open the sandbox. Raises `SandboxUnavailable` or one of its kinds with what to do."""
        self._starts, stops = self._starts + 1, self._stops
        try:
            opened = await self._loop.run(self._open())
        finally:
            self._starts -= 1
        if self._stops != stops:  # what was opened is closed, or about to be
            raise ValueError(f"It was stopped while it started. {NOT_STARTED}")
        if self._blocks is not None:
            return
        if self._config.work_dir is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="move37-executor-")
        self._blocks = BlockRunner(
            opened, self._config, self.work_dir, gpus=self._gpus, trust=self._new_trust(), heard=self._on_output
        )

    async def _open(self) -> Sandbox:
        """One sandbox, however many ask for it at once."""
        async with self._opening:
            if self._sandbox is None:
                self._sandbox = await open_sandbox(self._config.sandbox, trusted_source="model", docker=self._docker())
            return self._sandbox

    async def _shut(self) -> None:
        """Close what is open, and what is just being opened once it is."""
        async with self._opening:
            sandbox, self._sandbox = self._sandbox, None
            if sandbox is not None:
                await sandbox.close()

    async def stop(self) -> None:
        """Kill whatever still runs and remove the temporary folder. Idempotent."""
        self._blocks = None
        self._stops += 1
        if self._sandbox is not None or self._starts:
            await self._loop.run(self._shut())
        self._loop.close()
        self._opening = asyncio.Lock()
        if self._temporary is not None:
            self._temporary.cleanup()
            self._temporary = None

    async def restart(self) -> None:
        """Give the next block a container that no earlier one has seen, and no variables. `work_dir` stays."""
        if self._sandbox is None or self._blocks is None:
            raise ValueError(NOT_STARTED)
        await self._loop.run(self._sandbox.release(self._blocks.trust))
        self._blocks.begin_anew(self._new_trust())

    async def execute_code_blocks(
        self, code_blocks: list[CodeBlock], cancellation_token: CancellationToken
    ) -> SandboxCodeResult:
        """Run the blocks in order; the first that fails ends it.

        A time-out gives exit code 124, a kill for memory 137, a cancelled token 1, with AutoGen's words.
        Raises `ValueError` for no blocks or an unknown language, `SandboxError` when the sandbox itself broke.
        """
        if self._blocks is None:
            raise ValueError(NOT_STARTED)
        if not code_blocks:
            raise ValueError("No code blocks to execute.")
        if (refusal := await self._ask(code_blocks)) is not None:
            return SandboxCodeResult(exit_code=1, output=refusal, code_file=None)
        if not self._functions_are_ready:
            await self._set_up_functions(cancellation_token)
        return await self._run(code_blocks, cancellation_token)

    async def _run(self, code_blocks: Sequence[CodeBlock], token: CancellationToken) -> SandboxCodeResult:
        assert self._blocks is not None
        done = Blocks()
        running = asyncio.ensure_future(self._loop.run(self._blocks.run(code_blocks, done)))
        token.link_future(running)
        try:
            await running
        except asyncio.CancelledError:
            if not token.is_cancelled():
                raise
            done.outputs.append(CANCELLED)
            done.exit_code = 1
        return done.result()

    async def _ask(self, code_blocks: list[CodeBlock]) -> str | None:
        """Why the code may not run, or None."""
        if self._approval is None:
            return None
        code = "\n\n".join(f"```{block.language}\n{block.code}\n```" for block in code_blocks)
        request = ApprovalRequest(code=code, context=[])
        if inspect.iscoroutinefunction(self._approval):
            answer = await self._approval(request)
        else:
            # In a thread: a user who takes their time must not stop the agents.
            answer = await asyncio.to_thread(self._approval, request)
            if inspect.isawaitable(answer):
                answer = await answer
        if answer.approved:
            return None
        return f"Code execution was not approved. Reason: {answer.reason}"

    async def _set_up_functions(self, token: CancellationToken) -> None:
        """As AutoGen's: write the module, see that its packages are there, load it once."""
        source = build_python_functions_file(list(self._functions))
        (self.work_dir / f"{self._config.functions_module}.py").write_text(source, encoding="utf-8")
        wanted = {
            name
            for function in self._functions
            if isinstance(function, FunctionWithRequirements)
            for name in function.python_packages
        }
        if wanted:
            check = "import importlib.metadata as m\n" + "".join(f"m.version({name!r})\n" for name in sorted(wanted))
            found = await self._run([CodeBlock(code=check, language="python")], token)
            if found.exit_code:
                raise ValueError(f"Pip install failed: the sandbox has no network and no {', '.join(sorted(wanted))}.")
        loaded = await self._run([CodeBlock(code=source, language="python")], token)
        if loaded.exit_code:
            raise ValueError(f"Functions failed to load: {loaded.output}")
        self._functions_are_ready = True

    def _docker(self) -> Any:
        image = self._config.image
        if image is None or image.split(":")[0] == "python":
            if image is not None:
                log.info("image_replaced", asked=image, why="ours has Python, NumPy, SciPy, PyTorch and the worker")
            return None
        return DockerSettings(image=image)

    def _new_trust(self) -> str:
        return f"{self._config.container_name or 'executor'}-{uuid4().hex[:12]}"

    def _own(self, folder: Path) -> None:
        if folder.resolve() == Path.cwd().resolve():
            warnings.warn("Using the current directory as work_dir is deprecated.", DeprecationWarning, stacklevel=3)
        folder.mkdir(parents=True, exist_ok=True)

    def _to_config(self) -> SandboxCodeExecutorConfig:
        """Raises `ValueError` with an approval hook: it would be lost, and code would run unasked."""
        if self._approval is not None:
            raise ValueError("An executor with an approval hook cannot be serialised: the hook would be lost.")
        if self._functions:
            log.info("functions_not_serialised", count=len(self._functions))
        return self._config.model_copy(deep=True)

    @classmethod
    def _from_config(cls, config: SandboxCodeExecutorConfig) -> Self:
        return cls(**config.model_dump())


def _log_quietly() -> None:
    """Without a configuration of the program that uses us, structlog would print our events among its output."""
    if not structlog.is_configured():
        structlog.configure(
            wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
            logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        )
