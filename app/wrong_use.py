"""What the command answers to wrong use: click's own words, and the nearest thing that would have worked.

`sentence` is all: an option that other commands have, an id where a command stands, a command of a group without its
group, a word that other tools use. Pure, but for the tree of commands that the error carries.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from move37.app.ids import looks_like_id

if TYPE_CHECKING:
    from collections.abc import Sequence

# What other tools call it. The values stand after "try".
ELSEWHERE: Mapping[str, str] = {
    "help": "`move37 --help`",
    "version": "`move37 --version`",
    "start": "`move37 run`",
    "new": "`move37 run`",
    "init": "`move37 run`",
    "status": "`move37 list`",
    "ls": "`move37 list`",
    "leaderboard": "`move37 list`",
    "log": "`move37 list`",
    "diff": "`move37 show ID --diff`",
    "web": "`move37 serve`",
    "ui": "`move37 serve`",
    "page": "`move37 serve`",
    "dashboard": "`move37 serve`",
    "html": "`move37 report`",
    "stop": "Ctrl-C where it runs, or /stop in `move37 attach`",
    "pause": "/pause in `move37 attach`",
    "approve": "/approve ID in `move37 attach`",
    "veto": "/veto ID in `move37 attach`",
    "continue": "`move37 resume`",
    "clean": "`move37 tidy`",
    "test": "`move37 check FILE`",
}


def sentence(error: Any, group: Any = None, words: Sequence[str] = ()) -> str:
    """The one line that a person reads; `error` is any of click's errors of use.

    Where it does not know its command, that is looked up in `group` by the `words` that were typed.
    """
    if type(error).__name__ == "NoSuchOption":
        return _option(error.option_name, error.ctx)
    message = plain(error.format_message())
    context = getattr(error, "ctx", None)
    if context is None:
        known = [opt for param in getattr(group, "params", ()) for opt in param.opts]  # those may stand everywhere
        everywhere = getattr(error, "option_name", "") in known
        return f"{message}: see `{'move37' if everywhere else _typed(group, words)} --help`"
    remedy = ""
    if message.startswith("No such command"):
        word, _, near = message.removeprefix("No such command '").partition("'")
        if word.lower() in ELSEWHERE or not near:
            message, remedy = f"No such command '{word}'", _command(word, context)
    elif message.startswith("Got unexpected extra argument"):
        remedy = _extra(message.rpartition("(")[2].rstrip(")"), context)
    return f"{message}: {remedy or f'see `{context.command_path} --help`'}"


def _typed(group: Any, words: Sequence[str]) -> str:
    """The command that the words begin with: "move37 memory add"."""
    path = ["move37"]
    for word in words:
        if word in getattr(group, "commands", {}):
            path.append(word)
            group = group.commands[word]
    return " ".join(path)


def _option(name: str, context: Any) -> str:
    path, message = context.command_path, f"No such option: {name}"
    known = [opt for param in context.command.params for opt in (*param.opts, *param.secondary_opts)]
    near = get_close_matches(name, [opt for opt in known if opt.startswith("--")], n=1, cutoff=0.7)
    if path == "move37 exec":
        meant = f". Did you mean {near[0]}?" if near else ""
        return f"{message}{meant}: a program's own arguments come after --, as in `move37 exec FILE -- --epochs 3`"
    having = [
        where
        for where, command in _commands(context.find_root().command, "")
        if any(name in param.opts and not getattr(param, "hidden", False) for param in command.params)
    ]
    if near and not having:
        return f"{message}. Did you mean {near[0]}?: see `{path} --help`"
    if having:
        return f"{message}: {_listed(having)} {'have' if len(having) > 1 else 'has'} it, see `{path} --help`"
    return f"{message}: see `{path} --help`"


def plain(message: str) -> str:
    """The words of a complaint without the vocabulary of the library that checks values."""
    for theirs, ours in _WORDS:
        message = re.sub(theirs, ours, message)
    return message.rstrip(".")


_WORDS = (
    (r"Value error, ", ""),
    (r"Got unexpected extra argument\(s\)", "Got unexpected extra argument"),
    (r"Input should be a valid integer.*", "it has to be a whole number"),
    (r"Input should be a valid number.*", "it has to be a number"),
    (r"Input should be greater than or equal to ", "it has to be at least "),
    (r"Input should be less than or equal to ", "it has to be at most "),
    (r"Input should be ", "it has to be "),
)


def _command(word: str, context: Any) -> str:
    asked = word.lower()
    if context.parent is None and looks_like_id(word):
        return f"try `move37 show {word}`"
    if context.parent is None and asked in ELSEWHERE:
        return f"try {ELSEWHERE[asked]}"
    elsewhere = [where for where, _ in _commands(context.find_root().command, "") if where.split()[-1] == asked]
    return "try " + " or ".join(f"`move37 {where}`" for where in elsewhere) if elsewhere else ""


def _extra(words: str, context: Any) -> str:
    word = words.split()[0] if words.split() else ""
    takes_campaign = any("--campaign" in param.opts for param in context.command.params)
    if takes_campaign and re.fullmatch(r"\d{1,4}", word):
        return f"try `{context.command_path} --campaign {int(word)}`"
    if context.command_path == "move37 list" and looks_like_id(word):
        return f"try `move37 show {word}`"
    return ""


def _commands(group: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    """Every command below `group` with the words that call it."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}", command


def _listed(names: Sequence[str]) -> str:
    shown = [f"`{name}`" for name in names[:4]] + (["others"] if len(names) > 4 else [])
    return ", ".join(shown[:-1]) + " and " + shown[-1] if len(shown) > 1 else shown[0]
