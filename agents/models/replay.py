"""Recorded replies: `RecordingClient` writes them while a run goes on, `replay:FILE` gives them back.

One JSON object a line:
    {"number": 3, "stage": "hypothesis", "role": "Researcher", "turn": 0, "signature": "openai:NAME", "reply": "{...}",
     "calls": [], "error": ""}
`number` is the experiment's, `turn` how often the role had been asked in that stage before: the key, so that
experiments may run side by side in any order, and a stage that was repeated after a crash overwrites its line (the
last one counts).
A reply that never became valid is recorded with `error` and raised again. Gates and trainings are not in the file:
they run anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from autogen_core import FunctionCall
from autogen_core.models import ChatCompletionClient, CreateResult, LLMMessage, ModelInfo
from pydantic import BaseModel, ValidationError

from move37.agents.errors import BadModel, ModelReplyInvalid, ModelUnavailable
from move37.agents.models.client import CALL, NOTHING, ClientWrapper, JsonOutput, LocalClient

WRITTEN = "name a file that `move37 run` wrote, HOME/recordings/cN.jsonl"
Key = tuple[int, str, str, int]  # experiment number, stage, role, turn


class RecordedLine(BaseModel):
    """One recorded reply."""

    number: int
    stage: str = ""
    role: str
    turn: int
    signature: str = ""
    reply: str = ""
    calls: list[FunctionCall] = []  # of tools, in place of a reply
    error: str = ""


class Replay(LocalClient):
    """Answers from a recording, and raises when it has no answer."""

    def __init__(self, lines: Mapping[Key, RecordedLine], *, name: str) -> None:
        self._lines = lines
        signers = sorted({line.signature for line in lines.values() if line.signature})
        self.signature = f"replay:{name} (recorded from {', '.join(signers) or 'an unnamed model'})"

    @classmethod
    def open(cls, path: Path) -> Replay:
        """Read a recording. Raises `BadModel`: it cannot be read, or a line is no recorded reply."""
        try:
            rows = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")  # JSON may hold other line ends
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text, or its name no path"
            raise BadModel(f"cannot read the recording {str(path)[:200]} ({why}): {WRITTEN}") from error
        lines: dict[Key, RecordedLine] = {}
        for place, row in enumerate(rows, start=1):
            try:
                line = RecordedLine.model_validate_json(row)
            except ValidationError as error:
                if place == len(rows):  # the run was killed while it wrote
                    break
                raise BadModel(f"line {place} of {path} is no recorded reply: {error.errors()[0]['msg']}") from error
            lines[line.number, line.stage, line.role, line.turn] = line
        if not lines:
            raise BadModel(f"{path} holds no recorded reply: {WRITTEN}")
        return cls(lines, name=path.name)

    async def create(self, messages: Sequence[LLMMessage], **arguments: Any) -> CreateResult:
        """The recorded reply, or the recorded calls of tools, which run anew."""
        calls = self._line().calls
        if calls:
            return CreateResult(finish_reason="function_calls", content=list(calls), usage=NOTHING, cached=False)
        return await super().create(messages, **arguments)

    async def answer(self, messages: Sequence[LLMMessage], json_output: JsonOutput) -> str:
        """The recorded reply. Raises `ModelReplyInvalid` where the model failed, `ModelUnavailable` past the end."""
        line = self._line()
        if line.error:
            raise ModelReplyInvalid(line.error, text=line.reply)
        return line.reply

    def _line(self) -> RecordedLine:
        number, stage, role, turn = _key()
        line = self._lines.get((number, stage, role, turn))
        if line is None:
            raise ModelUnavailable(
                f"the recording has no reply number {turn + 1} of {role or 'this role'} in stage {stage or 'none'} of "
                f"experiment {number}: replay it with the seed, brief and budget that it was made with"
            )
        return line

    @property
    def model_info(self) -> ModelInfo:
        """As the recorded model: structured replies, and tools."""
        return ModelInfo(**{**super().model_info, "function_calling": True})


class RecordingClient(ClientWrapper):
    """Appends every reply to a file before the agent sees it."""

    def __init__(self, inner: ChatCompletionClient, path: Path) -> None:
        """Open `path` for appending. A last line that a killed run left half-written is cut off."""
        super().__init__(inner)
        self._path = path
        if path.exists() and not (text := path.read_bytes()).endswith(b"\n"):
            path.write_bytes(text[: text.rfind(b"\n") + 1])

    async def create(self, messages: Sequence[LLMMessage], **arguments: Any) -> CreateResult:
        """The inner client's reply, written down."""
        key = _key()
        try:
            result = await self.inner.create(messages, **arguments)
        except ModelReplyInvalid as error:
            self._write(key, reply=error.text, error=str(error))
            raise
        if isinstance(result.content, str):
            self._write(key, reply=result.content)
        else:
            self._write(key, calls=result.content)
        return result

    def _write(self, key: Key, *, reply: str = "", calls: Sequence[FunctionCall] = (), error: str = "") -> None:
        number, stage, role, turn = key
        line = RecordedLine(
            number=number,
            stage=stage,
            role=role,
            turn=turn,
            signature=self.signature,
            reply=reply,
            calls=list(calls),
            error=error,
        )
        with self._path.open("a", encoding="utf-8") as file:  # a line of a few kilobytes: not worth a thread
            file.write(line.model_dump_json() + "\n")


def _key() -> Key:
    """Which call is made, as metering names it; number -1 for a call outside of any experiment."""
    call = CALL.get()
    return (call.number, call.stage, call.role, call.turn) if call is not None else (-1, "", "", 0)
