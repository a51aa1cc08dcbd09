"""Turns and answers as files, for `--model seat`: HOME/seat/ID-role.json waits, `move37 answer ID FILE` answers it.

A turn's file says what is asked (the role's prompt, as a language model would read it) and the JSON schema of the
answer; an answer lies beside it as ID-role.answer.json. Both are written whole and then renamed, so that nobody reads
half a file. `exchange` runs beside the campaign; the other functions are those of `move37 answer`. An answer is taken
away as it is read: a role that is asked once more is asked anew, and an answer of another form than the turn's answers
nothing. Of several people who answer one turn the first is heard and the others are told so: to answer, and to take an
answer, is done under a lock of the folder.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from pydantic import BaseModel, ValidationError

from move37.agents.edits import EditRefused, written
from move37.agents.errors import AgentError
from move37.agents.external.turns import PendingTurns, Turn
from move37.agents.replies import Code, Fix, Proposals
from move37.agents.roles import member

if os.name == "posix":
    import fcntl

log = structlog.get_logger()
FOLDER = "seat"
POLL_SECONDS = 0.5
LARGEST_ANSWER = 1_000_000  # bytes
FILE_ROLES = {"Engineer": "source", "Debugger": "source"}  # whose answer may be the Python file itself


class NoSuchTurn(AgentError):
    """Nothing waits under that id."""


class BadAnswer(AgentError):
    """The answer cannot be used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A turn that waits, as the command sees it."""

    experiment: str
    role: str
    stage: str
    prompt: str
    file: Path


async def exchange(
    pending: PendingTurns, home: Path, prompt_of: Callable[[Turn], str], tell: Callable[[str], None]
) -> None:
    """Write each new turn to a file, say so, and hand over the answers that are found; runs until it is cancelled."""
    folder = home / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    for stale in folder.glob("*.json"):
        stale.unlink(missing_ok=True)
    written: dict[Path, Turn] = {}
    try:
        while True:
            for turn in pending.turns:
                path = _path(folder, turn.experiment, turn.role)
                if written.get(path) is not turn:
                    record = _as_record(turn, prompt_of(turn))
                    with _alone(folder):
                        _answer_path(path).unlink(missing_ok=True)  # of an earlier turn of the role
                        _write(path, record)
                    written[path] = turn
                    tell(f"{turn.experiment} waits for its {turn.role}: `move37 answer` shows what is asked.")
            for path, turn in list(written.items()):
                if turn not in pending.turns:
                    _take_away(path)
                    del written[path]
                elif (reply := _taken(path, turn)) is not None:
                    del written[path]
                    pending.put(turn, reply)
            await pending.changed(POLL_SECONDS)
    finally:
        for path in written:
            path.unlink(missing_ok=True)


def _taken(path: Path, turn: Turn) -> BaseModel | None:
    """The turn's answer, if one lies there; both files are gone then. An answer of another form goes alone."""
    if (answer := _read(_answer_path(path))) is None:
        return None
    reply = _fitting(turn, answer)
    if reply is None:
        _answer_path(path).unlink(missing_ok=True)
    else:
        _take_away(path)
    return reply


def _take_away(path: Path) -> None:
    with _alone(path.parent):
        path.unlink(missing_ok=True)
        _answer_path(path).unlink(missing_ok=True)


def _fitting(turn: Turn, answer: Any) -> BaseModel | None:
    """The answer in the turn's form, or None: who writes the file past the command may write anything."""
    try:
        return turn.reply.model_validate(answer)
    except ValidationError as error:
        log.warning("answer_of_another_form", experiment=turn.experiment, role=turn.role, error=str(error))
        return None


def waiting(home: Path) -> tuple[Waiting, ...]:
    """What waits in a home, oldest first."""
    found = []
    folder = home / FOLDER
    files = [p for p in folder.glob("*.json") if not p.name.endswith(".answer.json")] if folder.is_dir() else []
    for path in sorted(files, key=lambda p: p.stat().st_mtime):
        record, named = _read(path), ("experiment", "role", "stage", "prompt")
        ours = isinstance(record, dict) and record.keys() >= {*named}  # people keep what they write in this folder too
        if ours and not _answer_path(path).exists():
            found.append(Waiting(**{name: str(record[name]) for name in named}, file=path))
    return tuple(found)


def answer(home: Path, experiment: str, file: Path) -> Waiting:
    """Hand over the answer to what waits for `experiment`. Raises `NoSuchTurn` or `BadAnswer`, with what to do."""
    turns = waiting(home)
    turn = next((t for t in turns if t.experiment == experiment), None)
    if turn is None:
        others = ", ".join(f"{t.experiment} ({t.role})" for t in turns) or "nothing"
        raise NoSuchTurn(f"{experiment} waits for no answer; {others} waits: see `move37 answer`")
    reply = _reply(turn, file)
    with _alone(turn.file.parent):
        if turn not in waiting(home):
            raise NoSuchTurn(f"{experiment} ({turn.role}) was answered in this moment by somebody else")
        _write(_answer_path(turn.file), json.loads(reply.model_dump_json()))
    return turn


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """No other process answers or takes an answer meanwhile; the kernel lets go when a process ends."""
    with (folder / ".lock").open("a") as handle:
        if os.name == "posix":
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _reply(turn: Waiting, file: Path) -> BaseModel:
    try:
        with file.open("rb") as stream:
            data = stream.read(LARGEST_ANSWER + 1)
    except OSError as error:
        raise BadAnswer(f"{file} cannot be read ({error.strerror})") from error
    if len(data) > LARGEST_ANSWER:
        raise BadAnswer(f"{file} is too large: an answer has at most {LARGEST_ANSWER} bytes")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadAnswer(f"{file} is not UTF-8 text") from error
    form = member(turn.role).reply
    try:
        if turn.role in FILE_ROLES and not text.lstrip().startswith("{"):
            extra = {"diagnosis": "answered from outside"} if "diagnosis" in form.model_fields else {}
            reply = form.model_validate({FILE_ROLES[turn.role]: text, **extra})
        else:
            reply = form.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the answer"
        raise BadAnswer(
            f"{file} is no {form.__name__} ({where}: {first['msg']}): its form is in {turn.file}"
        ) from error
    if why := lacking(reply):
        raise BadAnswer(f"{file} cannot be used: {why}")
    return reply


def lacking(reply: BaseModel) -> str:
    """What an answer that has the form would be sent back for at once; "" where nothing is. Pure."""
    if isinstance(reply, Proposals) and not (reply.ideas or reply.drop):
        return "there is no idea in `ideas`: propose one, or set `drop`"
    if isinstance(reply, Code | Fix) and not (reply.edits or getattr(reply, "give_up", False)):
        try:
            written(reply.source, (), "")
        except EditRefused as error:
            return str(error)
    return ""


def _as_record(turn: Turn, prompt: str) -> dict[str, Any]:
    return {
        "experiment": turn.experiment,
        "role": turn.role,
        "stage": turn.stage,
        "prompt": prompt,
        "schema": turn.reply.model_json_schema(),
    }


def _path(folder: Path, experiment: str, role: str) -> Path:
    return folder / f"{experiment}-{role.lower()}.json"


def _answer_path(path: Path) -> Path:
    return path.with_name(f"{path.stem}.answer.json")


def _write(path: Path, record: Any) -> None:
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    unfinished.write_text(json.dumps(record, ensure_ascii=False, indent=1), encoding="utf-8")
    unfinished.replace(path)


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
