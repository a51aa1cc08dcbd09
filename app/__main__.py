"""`move37`: run the command, and turn whatever it raised into one line and an exit status.

Nothing heavy is imported here or in `app/cli.py`: `move37 --help` has to answer at once.
"""

from __future__ import annotations

import io
import os
import sys
import traceback
from collections.abc import Sequence

import typer

from move37.app.cli import command
from move37.app.exits import Exit, status_of
from move37.app.text import harmless
from move37.app.wrong_use import sentence

# Typer carries its own copy of click; its base class is found through the one that Typer publishes.
_CLICK_ERROR: type[Exception] = typer.BadParameter.__mro__[2]


def main() -> None:
    """The entry point."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command line; every way out passes here."""
    _speak_any_locale()
    _open_what_was_closed()
    try:
        answer = _called(arguments)
        sys.stdout.flush()
        return int(answer) if isinstance(answer, int) else Exit.DONE
    except (KeyboardInterrupt, typer.Abort):
        return Exit.INTERRUPTED
    except BrokenPipeError:
        return _reader_left()
    except SystemExit as leaving:
        # Typer turns a broken pipe into status 1, which here would mean that the answer is no.
        if isinstance(leaving.__context__, BrokenPipeError):
            return _reader_left()
        raise
    except typer.Exit as leaving:
        return leaving.exit_code
    except _CLICK_ERROR as error:
        _say(sentence(error, command(), arguments))
        return Exit.WRONG_USE
    except Exception as error:
        status = status_of(error)
        if status is None and _is_ctrl_c(error):
            return Exit.INTERRUPTED
        if status is None and isinstance(error, OSError) and error.strerror:  # a path or a disk, hardly a fault of ours
            where = f"{error.filename}: " if error.filename else "what was asked for cannot be written: "
            _say(f"{where}{error.strerror}: name another place, or see that it can be used")
            return Exit.ENVIRONMENT
        if status is None:
            traceback.print_exc()
            _say("this is a fault of move37 itself; nothing that was stored is lost, `move37 resume` goes on")
            return Exit.ENVIRONMENT
        _say(str(error) or type(error).__name__)
        return status


def _called(arguments: Sequence[str]) -> object:
    try:
        return command()(args=list(arguments), prog_name="move37", standalone_mode=False)
    except _CLICK_ERROR as error:
        if type(error).__name__ != "NoArgsIsHelpError":  # the command or a group of commands alone
            raise
        print(error.format_message())  # type: ignore[attr-defined]
        return Exit.DONE


def _is_ctrl_c(error: BaseException | None) -> bool:
    """Whether it came of Ctrl-C: in the middle of an import Python and packages wrap that in errors of their own."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, KeyboardInterrupt):
            return True
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return False


def _speak_any_locale() -> None:
    # A locale without UTF-8 shows question marks; it never ends a command.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.encoding.lower().replace("-", "") != "utf8":
            stream.reconfigure(errors="replace")


def _open_what_was_closed() -> None:
    """A standard stream that was closed (`<&-`) is empty, or heard by nobody, and whoever asks whether it is a terminal
    is answered. Its descriptor is taken, so that no file of ours gets it, and our own processes find it open.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, os.O_RDWR)  # the lowest that is free: its own
            os.set_inheritable(descriptor, True)
            setattr(sys, name, open(descriptor, mode, encoding="utf-8"))  # noqa: SIM115


def _reader_left() -> int:
    # The reader of our output has gone (`| head`): nothing is wrong, and Python must not complain at exit.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.__stdout__.fileno() if sys.__stdout__ else 1)
    return Exit.DONE


def _say(message: str) -> None:
    print(f"move37: {harmless(' '.join(message.split()))}", file=sys.stderr)


if __name__ == "__main__":
    main()
