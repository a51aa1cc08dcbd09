"""Where log events go: JSON lines in the home, readable lines on stderr. Events are in the past tense.

`to_console` is called for every command, so that nothing is ever logged to stdout; `to_file` once a campaign owns its
home. What other libraries log goes into the file alone: their tracebacks are of no use to the user at the screen.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import structlog

from move37.app.text import one_line

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
_SIGNS = {"debug": "·", "info": "·", "warning": "!", "error": "✗", "critical": "✗"}
# What a user may read of an event at the screen; the file keeps the event itself. Others are shown with their facts.
SENTENCES = {
    "container_not_removed": "a container of the sandbox stays behind ({error}): `move37 sandbox clean` removes it",
    "controls_not_read": "orders from outside cannot be read now ({error})",
    "gpu_leases_unreadable": "the table of GPU leases in {path} is damaged and begun anew",
    "item_unreadable": "an item of {collection} cannot be read and is left out ({id}: {error})",
    "job_retried": "the sandbox broke under a job, which is run again in {pause:.0f} s: {why}",
    "lesson_not_queued": "what {experiment} taught cannot be kept now ({error}); the archive has it",
    "lesson_waits": "what {experiment} taught waits for the memory ({error})",
    "live_view_not_stored": "the live view cannot be written ({error}); the campaign goes on without it",
    "manifest_restored": "the memory's {path} was gone and is restored from its twin",
    "memory_falls_back": "the memory runs without its engine: {reason}",
    "not_optimized": "the index of {collection} is built at the next close ({error})",
    "parcel_refused": "a part of an import is left in {path}: {error}",
    "parcel_unreadable": "a part of an import in {path} is damaged and left out ({error}): import it again",
    "queued_lesson_unreadable": "a waiting lesson in {path} is damaged and left out ({error})",
    "sandbox_without_docker": "the process sandbox is used: {why}",
    "shard_set_aside": "a part of the memory in {path} is set aside as {aside}: {reason}",
    "text_embedded_in_part": "of a long text {embedded} of {passages} passages are searchable; all of it is kept",
    "shard_unreadable": "a part of the memory in {path} cannot be read ({error})",
}
FILE = Path("logs") / "move37.jsonl"


class _Console:
    """A logger that looks for stderr when it writes, so that a live display may redirect it."""

    def msg(self, message: str) -> None:
        """One line; an empty one is kept silent."""
        if message:
            with suppress(OSError):  # stderr may be a file on a full disk
                print(message, file=sys.stderr, flush=True)

    debug = info = warning = error = critical = exception = log = msg


class _File(logging.Handler):
    """Whole lines at the end of a file. Never raises: what cannot be written is left out, and that is said once."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._stream = path.open("ab", buffering=0)
        self._torn = False  # the last line found room for its beginning alone
        self._told = False

    def append(self, line: str) -> None:
        data = ("\n" * self._torn + line + "\n").encode(errors="backslashreplace")
        try:
            self._torn = self._stream.write(data) < len(data)
        except OSError as error:
            if not self._told:
                self._told = True
                _Console().msg(f"! the log cannot be written now ({error.strerror}); the campaign goes on without it")

    def emit(self, record: logging.LogRecord) -> None:
        """What another library logs."""
        self.append(self.format(record))


def to_console(level: str) -> None:
    """Readable lines of at least `level` on stderr; no file."""
    _configure(level, None)
    logging.getLogger().handlers[:] = [logging.NullHandler()]
    logging.getLogger().setLevel(logging.WARNING)


def to_file(home: Path, level: str) -> Path:
    """JSON lines of everything from info up in `home`, besides the console. Returns the file.

    The file is opened here and written line by line, so that a killed process leaves whole lines.
    """
    path = home / FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    file = _File(path)
    file.setFormatter(_Foreign())
    _configure(level, file)
    root = logging.getLogger()
    root.handlers[:] = [file]
    root.setLevel(logging.WARNING)
    logging.captureWarnings(True)
    return path


def _configure(level: str, file: _File | None) -> None:
    threshold = _LEVELS[level]
    lowest = min(threshold, 20) if file else threshold

    def render(_: Any, name: str, event: MutableMapping[str, Any]) -> str:
        if file is not None:
            file.append(_as_json(dict(event), name))
        return _readable(event, name) if _LEVELS.get(name, 40) >= threshold else ""

    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
            structlog.processors.format_exc_info,
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(lowest),
        logger_factory=lambda *_: _Console(),
        cache_logger_on_first_use=False,
    )


def _as_json(event: Mapping[str, Any], level: str) -> str:
    import json

    return json.dumps({"at": event.get("at"), "level": level} | dict(event), ensure_ascii=False, default=str)


def _readable(event: Mapping[str, Any], level: str) -> str:
    if (sentence := SENTENCES.get(str(event.get("event", "")))) is not None:
        with suppress(KeyError, ValueError, TypeError):  # facts of another program's event of that name
            return f"{_SIGNS.get(level, '·')} {one_line(sentence.format_map(event), 300)}"
    facts = " ".join(f"{k}={one_line(str(v), 200)}" for k, v in event.items() if k not in ("event", "at", "exception"))
    name = one_line(str(event.get("event", "")).replace("_", " "))
    return f"{_SIGNS.get(level, '·')} {name}{': ' if facts else ''}{facts}"


class _Foreign(logging.Formatter):
    """Other libraries' records in the same form."""

    def format(self, record: logging.LogRecord) -> str:
        event = {"event": record.getMessage(), "logger": record.name, "at": self.formatTime(record)}
        if record.exc_info:
            event["exception"] = self.formatException(record.exc_info)
        return _as_json(event, record.levelname.lower())
