"""The options that commands share, each declared once; a command says which it takes (`taking`). Not a command.

Values are checked in `app/settings.py`, where the environment and move37.toml are checked too; what cannot be used gets
the same sentence from wherever it came.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping
from inspect import Parameter, Signature
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from move37.app.choices import Approve, Backend, Device, Preset, Runtime, ScaleName
from move37.lab.tasks.registry import DEFAULT, usage

T = TypeVar("T")
# Under the names of the settings (`app/sources.py`), in the order of the help pages.
OPTIONS: dict[str, Any] = {
    "task": Annotated[str | None, typer.Option(help=f"{usage()}.  [default: {DEFAULT}]", metavar="TASK")],
    "model": Annotated[
        str | None,
        typer.Option(
            help="designer (a search, no language model), openai:NAME, anthropic:NAME, ollama:NAME, local:NAME, seat "
            "or replay:FILE; or role=URI,...,default=URI; or hybrid:URI, which proposes for the search.  "
            "[default: designer]",
            metavar="URI",
        ),
    ],
    "base_url": Annotated[
        str | None, typer.Option(help="An OpenAI-compatible endpoint for openai:NAME.", metavar="URL")
    ],
    "budget": Annotated[str | None, typer.Option(help="Candidates to try.  [default: the preset's]", metavar="N")],
    "max_time": Annotated[
        str | None, typer.Option(help="End at this time, whatever runs then: 90s, 10m, 1h30m.", metavar="TIME")
    ],
    "max_tokens": Annotated[str | None, typer.Option(help="End after this many tokens: 50k, 2m.", metavar="N")],
    "max_cost": Annotated[str | None, typer.Option(help="End after this many US dollars.", metavar="DOLLARS")],
    "brief": Annotated[Path | None, typer.Option("--brief", help="Your research direction, Markdown.", metavar="FILE")],
    "seed": Annotated[int | None, typer.Option(help="Makes the search repeatable.  [default: 0]", metavar="N")],
    "preset": Annotated[
        Preset | None, typer.Option(help="quick plans for ten minutes, or for --max-time.  [default: quick]")
    ],
    "corpus": Annotated[
        Path | None, typer.Option(help="Your own text to train on: a file or a folder.", metavar="PATH")
    ],
    "scale": Annotated[
        ScaleName | None,
        typer.Option(help="Network, batch and steps; own: those under [scale].  [default: cpu]", show_default=False),
    ],
    "device": Annotated[
        Device | None,
        typer.Option(help="cuda leases a GPU a training; auto: where there is one, but for cpu.  [default: auto]"),
    ],
    "approve": Annotated[
        Approve | None,
        typer.Option(help="What waits for your /approve; auto: what is contested, close or dear.  [default: never]"),
    ],
    "approval_timeout": Annotated[
        str | None,
        typer.Option(
            help="After this time what nobody answered goes on, and nothing waits until you say something: 90s, 10m.  "
            "[default: 10m]",
            metavar="TIME",
        ),
    ],
    "notify": Annotated[
        str | None,
        typer.Option(
            help="Told when it ends or waits for you: http://HOST/PATH (JSON by POST) or a command.", metavar="WHERE"
        ),
    ],
    "confirm": Annotated[
        bool | None,
        typer.Option(
            "--confirm/--no-confirm",
            help="At the end ask of who beat both baselines what `move37 confirm` asks.  "
            "[default: the full preset does]",
            show_default=False,
        ),
    ],
    "negotiation_rounds": Annotated[
        int | None, typer.Option(help="Objections the Researcher may answer.  [default: 2]", metavar="N")
    ],
    "debug_attempts": Annotated[
        int | None, typer.Option(help="Files the Debugger may write.  [default: 3]", metavar="N")
    ],
    "workers": Annotated[
        int | None, typer.Option(help="Experiments at once.  [default: one a core, at most 8]", metavar="N")
    ],
    "sandbox": Annotated[
        Backend | None,
        typer.Option("--sandbox", help="Where untrusted code runs.  [default: auto]"),
    ],
    "runtime": Annotated[
        Runtime | None, typer.Option(help="Of Docker; runsc is gVisor.  [default: the daemon's]", show_default=False)
    ],
    "image": Annotated[
        str | None, typer.Option(help="Of Docker.  [default: what `move37 sandbox build` made]", metavar="NAME")
    ],
}


# Which seconds are promises: in the help of whatever runs a campaign.
PROMISES = """
Two times are promises, kept to the second but for pauses: --max-time, counted from the first training, at which
whatever runs is ended (table and report come after it), and --approval-timeout. The quick preset's ten minutes are a
plan for two idle cores, as is every "about" in these pages: on a busy machine first trainings of baselines and
candidates end all the same, what trains beyond them is ended.
"""


def at_a_terminal() -> bool:
    """Whether a user can type and see what is drawn."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def taking(*names: str) -> Callable[[Callable[..., T]], Callable[..., T]]:
    """For a command whose first parameter is the settings: it gets them read again under these flags of its call."""

    def declared(command: Callable[..., T]) -> Callable[..., T]:
        command.__annotations__.pop("settings", None)  # imported for types alone
        _, *own = inspect.signature(command, eval_str=True).parameters.values()
        flags = [
            Parameter(n, Parameter.KEYWORD_ONLY, default=None, annotation=OPTIONS[n]) for n in OPTIONS if n in names
        ]
        assert len(flags) == len(names)

        def called(context: typer.Context, **values: Any) -> T:
            given = {name: values.pop(name) for name in names}
            return command(context.obj.with_flags(**_as_settings(given)), **values)

        context = Parameter("context", Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
        called.__signature__ = Signature([context, *own, *flags])  # type: ignore[attr-defined]
        called.__annotations__ = {p.name: p.annotation for p in (context, *own, *flags)}
        called.__name__, called.__doc__ = command.__name__, command.__doc__
        return called

    return declared


def _as_settings(values: Mapping[str, Any]) -> dict[str, Any]:
    """The flags that were given, by the names of the settings."""
    flags = {name: value for name, value in values.items() if value is not None}
    docker = {name: flags.pop(name) for name in ("runtime", "image") if name in flags}
    flags |= {"docker": docker} if docker else {}
    return flags | ({"scale": {"name": flags["scale"]}} if "scale" in flags else {})
