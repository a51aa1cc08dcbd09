"""A random word kept in the home, readable for its owner alone: the tokens of MCP and of the page, the cookie's key."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from move37.app.exits import EnvironmentFault


def secret(home: Path, name: str) -> str:
    """The word in that file, made at first use; never empty. Raises `EnvironmentFault` when it cannot be kept.

    It is written beside and then linked into place, so that no file is found without its word: an empty one, of a
    crash or a full disk, is no secret and is replaced. Of several processes at once the first one's word stays.
    """
    path = home / name
    try:
        return _read(path) or _made(path)
    except OSError as error:
        raise EnvironmentFault(f"{path} cannot be kept ({error.strerror or error}): correct {home}") from error


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except (FileNotFoundError, UnicodeDecodeError):
        return ""


def _made(path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as out:
            out.write(secrets.token_urlsafe(32))
            out.flush()
            os.fsync(out.fileno())
        try:
            os.link(beside, path)
        except FileExistsError:
            if not _read(path):
                beside.replace(path)
        except OSError:  # a file system without links
            beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    return path.read_text(encoding="ascii").strip()
