"""`SandboxCodeExecutor`: AutoGen's code executor on our sandbox.

A program that uses `DockerCommandLineCodeExecutor` works by changing one import: the same arguments, `# filename:`
comments, languages, exit codes and words. What differs: no network; files are copied in and out, never mounted;
every block runs within limits that are enforced from outside; nothing survives its block; output is capped and can be
printed. What would undo that is refused with the reason (`RefusedRequest`).

Read in this order: `SandboxCodeExecutorConfig` (all that is serialised), the class, `_run_block`.
Not covered: PowerShell (not in the image); device requests for one certain GPU (leases choose).
"""

from __future__ import annotations

import asyncio
import inspect
import tempfile
import warnings
from collections.abc import Awaitable, Callable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar, Self
from uuid import uuid4

import structlog
from autogen_agentchat.agents import ApprovalRequest, ApprovalResponse
from autogen_core import CancellationToken, Component
from autogen_core.code_executor import CodeBlock, CodeExecutor, FunctionWithRequirements, FunctionWithRequirementsStr
from autogen_ext.code_executors._common import (
    CommandLineCodeResult,
    build_python_functions_file,
    get_file_name_from_content,
    lang_to_cmd,
    silence_pip,
)
from pydantic import BaseModel

from move37.sandbox import workspace
from move37.sandbox.errors import RefusedRequest
from move37.sandbox.factory import Kind, open_sandbox
from move37.sandbox.job import MIB, Job, Limits, Outcome, Status, Stream
from move37.sandbox.sandbox import Sandbox
from move37.sandbox.text import harmless

log = structlog.get_logger()

Approval = Callable[[ApprovalRequest], ApprovalResponse] | Callable[[ApprovalRequest], Awaitable[ApprovalResponse]]
Function = FunctionWithRequirements[Any, Any] | FunctionWithRequirementsStr | Callable[..., Any]

NOT_STARTED = "Container is not running. Must first be started with either start or a context manager."
CANCELLED = "Code execution was cancelled."
TIMEOUT = "\n Timeout"
OUTSIDE = "Filename is not in the workspace"


class SandboxCodeExecutorConfig(BaseModel):
    """What is kept when an executor is dumped; unlike AutoGen's, the GPU request is part of it."""

    image: str | None = None
    container_name: str | None = None
    timeout: int = 60
    work_dir: str | None = None
    device_requests: list[dict[str, Any]] | None = None
    functions_module: str = "functions"
    init_command: str | None = None
    delete_tmp_files: bool = False
    sandbox: Kind = "auto"
    memory_bytes: int = 2048 * MIB
    output_bytes: int = 1 * MIB
    workspace_bytes: int = 256 * MIB


class SandboxCodeExecutor(CodeExecutor, Component[SandboxCodeExecutorConfig]):
    """Runs blocks of Python and shell, in order, until one fails.

    Args:
        image: A Docker image with our worker in it; None, and every plain `python:...`, mean our own.
        container_name: Appears in the ids of jobs; there is no container of that name.
        timeout: Seconds for one block, enforced from outside.
        work_dir: Where code and results are kept; None: a temporary folder until `stop`.
        device_requests: Docker's GPU requests, as `docker.types.DeviceRequest` or dictionaries.
        functions: Python functions that the code may import from `functions_module`.
        init_command: A shell command that runs before each block, in the same job.
        delete_tmp_files: Remove the code files afterwards.
        sandbox: "auto" takes Docker and nothing else, since a model writes the code; "process" accepts less.
        memory_bytes, output_bytes: Limits of one block.
        workspace_bytes: The most that `work_dir` may hold; it is copied for each block.
        approval: Asked before anything runs, with the same types as `CodeExecutorAgent`'s; sync or async.
        bind_dir, auto_remove, stop_container, extra_volumes, extra_hosts: Refused where they ask for what the
            sandbox does not do.

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
        approval: Approval | None = None,
    ) -> None:
        if timeout < 1:
            raise ValueError("Timeout must be greater than or equal to 1.")
        if not functions_module.isidentifier():
            raise ValueError("Module name must be a valid Python identifier")
        _refuse(bind_dir, work_dir, extra_volumes, extra_hosts, kept=not (auto_remove and stop_container))
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
        )
        self._gpus = gpus_of(self._config.device_requests)
        self._functions = tuple(functions)
        self._functions_are_ready = not functions
        self._approval = approval
        self._sandbox: Sandbox | None = None
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self._turn = asyncio.Lock()
        self._trust = self._new_trust()
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

    async def start(self) -> None:
        """Open the sandbox. Raises `SandboxUnavailable` or one of its kinds with what to do."""
        if self._sandbox is not None:
            return
        self._sandbox = await open_sandbox(self._config.sandbox, trusted_source="model", docker=self._docker())
        if self._config.work_dir is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="move37-executor-")

    async def stop(self) -> None:
        """Kill whatever still runs and remove the temporary folder. Idempotent."""
        sandbox, self._sandbox = self._sandbox, None
        if sandbox is not None:
            await sandbox.close()
        if self._temporary is not None:
            self._temporary.cleanup()
            self._temporary = None

    async def restart(self) -> None:
        """Give the next block a container that no earlier one has seen. `work_dir` stays."""
        if self._sandbox is None:
            raise ValueError(NOT_STARTED)
        await self._sandbox.release(self._trust)
        self._trust = self._new_trust()

    async def execute_code_blocks(
        self, code_blocks: list[CodeBlock], cancellation_token: CancellationToken
    ) -> CommandLineCodeResult:
        """Run the blocks in order; the first that fails ends it.

        A time-out gives exit code 124, a kill for memory 137, a cancelled token 1, with AutoGen's words.
        Raises `ValueError` for no blocks or an unknown language, `SandboxError` when the sandbox itself broke.
        """
        if self._sandbox is None:
            raise ValueError(NOT_STARTED)
        if not code_blocks:
            raise ValueError("No code blocks to execute.")
        if (refusal := await self._ask(code_blocks)) is not None:
            return CommandLineCodeResult(exit_code=1, output=refusal, code_file=None)
        async with self._turn:
            if not self._functions_are_ready:
                await self._set_up_functions(cancellation_token)
            return await self._run_blocks(code_blocks, cancellation_token)

    async def _ask(self, code_blocks: list[CodeBlock]) -> str | None:
        """Why the code may not run, or None."""
        if self._approval is None:
            return None
        code = "\n\n".join(f"```{block.language}\n{block.code}\n```" for block in code_blocks)
        request = ApprovalRequest(code=code, context=[])
        if inspect.iscoroutinefunction(self._approval):
            answer = await self._approval(request)
        else:
            # In a thread: a person who thinks must not stop the agents.
            answer = await asyncio.to_thread(self._approval, request)
            if inspect.isawaitable(answer):
                answer = await answer
        if answer.approved:
            return None
        return f"Code execution was not approved. Reason: {answer.reason}"

    async def _run_blocks(self, code_blocks: list[CodeBlock], token: CancellationToken) -> CommandLineCodeResult:
        outputs: list[str] = []
        files: list[Path] = []
        exit_code = 0
        try:
            for block in code_blocks:
                try:
                    path, command = self._save(block)
                except ValueError as error:
                    if str(error) != OUTSIDE:
                        raise
                    outputs.append(OUTSIDE)
                    exit_code = 1
                    break
                files.append(path)
                output, exit_code = await self._run_block(path, command, token)
                outputs.append(output)
                if exit_code:
                    break
        finally:
            if self._config.delete_tmp_files:
                for path in files:
                    path.unlink(missing_ok=True)
        return CommandLineCodeResult(
            exit_code=exit_code, output="".join(outputs), code_file=str(files[0]) if files else None
        )

    def _save(self, block: CodeBlock) -> tuple[Path, str]:
        """The block's file in `work_dir`, and the command that runs it."""
        language = block.language.lower()
        code = silence_pip(block.code, language)
        command = lang_to_cmd(language)
        try:
            name = get_file_name_from_content(code, self.work_dir)
        except ValueError as error:
            raise ValueError(OUTSIDE) from error
        name = name or f"tmp_code_{sha256(code.encode()).hexdigest()}.{language}"
        workspace.unpack(self.work_dir, {}, {name: code.encode()})
        return self.work_dir / name, "python" if command.startswith("python") else command

    async def _run_block(self, path: Path, command: str, token: CancellationToken) -> tuple[str, int]:
        assert self._sandbox is not None
        before = await asyncio.to_thread(workspace.pack, self.work_dir, self._config.workspace_bytes)
        pieces: list[bytes] = []

        def hear(_: Stream, data: bytes) -> None:
            pieces.append(data)  # both streams in the order in which they came

        job = self._job(command, path.relative_to(self.work_dir).as_posix(), before)
        running = asyncio.ensure_future(self._sandbox.run(job, on_output=hear))
        token.link_future(running)
        try:
            outcome = await running
        except asyncio.CancelledError:
            if token.is_cancelled():
                return CANCELLED, 1
            running.cancel()
            raise
        return await asyncio.to_thread(self._conclude, outcome, before, harmless(b"".join(pieces)))

    def _job(self, command: str, name: str, files: Mapping[str, bytes]) -> Job:
        argv: tuple[str, ...] = (command, name)
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
            id=f"{self._trust}-{uuid4().hex[:8]}",
            trust=self._trust,
            argv=argv,
            files=files,
            collect=("*", "./*"),
            writable=True,
            limits=limits,
        )

    def _conclude(self, outcome: Outcome, before: Mapping[str, bytes], output: str) -> tuple[str, int]:
        if outcome.status is Status.RESULTS_REFUSED:
            return f"{output}\n{outcome.message}", outcome.exit_code or 1
        workspace.unpack(self.work_dir, before, outcome.files)
        if outcome.truncated:
            output += f"\nThe output was cut after {self._config.output_bytes} bytes."
        if outcome.status is Status.TIMED_OUT:
            output += TIMEOUT
        elif outcome.status is Status.OUT_OF_MEMORY:
            output += f"\n{outcome.message}"
        return output, outcome.exit_code

    async def _set_up_functions(self, token: CancellationToken) -> None:
        """As AutoGen's: write the module, see that its packages are there, load it once."""
        source = build_python_functions_file(list(self._functions))
        workspace.unpack(self.work_dir, {}, {f"{self._config.functions_module}.py": source.encode()})
        wanted = {
            name
            for function in self._functions
            if isinstance(function, FunctionWithRequirements)
            for name in function.python_packages
        }
        if wanted:
            check = "import importlib.metadata as m\n" + "".join(f"m.version({name!r})\n" for name in sorted(wanted))
            found = await self._run_blocks([CodeBlock(code=check, language="python")], token)
            if found.exit_code:
                raise ValueError(f"Pip install failed: the sandbox has no network and no {', '.join(sorted(wanted))}.")
        loaded = await self._run_blocks([CodeBlock(code=source, language="python")], token)
        if loaded.exit_code:
            raise ValueError(f"Functions failed to load: {loaded.output}")
        self._functions_are_ready = True

    def _docker(self) -> Any:
        image = self._config.image
        if image is None or image.split(":")[0] == "python":
            if image is not None:
                log.info("image_replaced", asked=image, why="ours has Python, NumPy, SciPy, PyTorch and the worker")
            return None
        from move37.sandbox.docker.settings import DockerSettings

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


def _refuse(
    bind_dir: Path | str | None,
    work_dir: Path | str | None,
    extra_volumes: Mapping[str, Mapping[str, str]] | None,
    extra_hosts: Mapping[str, str] | None,
    *,
    kept: bool,
) -> None:
    """What AutoGen's executor offers and a sandbox must not. Raises `RefusedRequest`."""
    if extra_volumes:
        raise RefusedRequest("extra_volumes is refused: no host folder is mounted; put files into work_dir instead")
    if extra_hosts:
        raise RefusedRequest("extra_hosts is refused: the sandbox has no network; fetch what the code needs before")
    if bind_dir is not None and (work_dir is None or Path(bind_dir).resolve() != Path(work_dir).resolve()):
        raise RefusedRequest("bind_dir is refused: no host folder is mounted; use work_dir, whose files are copied")
    if kept:
        raise RefusedRequest("auto_remove=False and stop_container=False are refused: nothing outlives the sandbox")


def gpus_of(requests: Sequence[Mapping[str, Any]] | None) -> int:
    """How many GPUs Docker's requests ask for; -1 there means all of this machine.

    Raises `RefusedRequest` for any other kind of device.
    """
    total = 0
    for request in requests or ():
        fields = {str(key).lower(): value for key, value in request.items()}
        capabilities = {name for group in fields.get("capabilities") or () for name in group}
        if "gpu" not in capabilities:
            raise RefusedRequest("device_requests may ask for GPUs only (capabilities=[['gpu']])")
        if ids := fields.get("deviceids") or fields.get("device_ids"):
            total += len(ids)
        elif (count := int(fields.get("count") or 0)) < 0:
            from move37.sandbox.gpus import list_gpus

            total += max(1, len(list_gpus()))
        else:
            total += count
    return total
