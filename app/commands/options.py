"""The options of commands that start or go on with a campaign, each declared once. Not a command.

Values are checked in `app/settings.py`, where the environment and move37.toml are checked too; what cannot be used gets
the same sentence from wherever it came.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from move37.app.choices import Approve as ApproveWhat
from move37.app.choices import Backend
from move37.app.choices import Device as DeviceName
from move37.app.choices import Preset as PresetName
from move37.app.choices import Runtime as RuntimeName
from move37.app.choices import ScaleName as ScaleWord
from move37.lab.tasks.registry import DEFAULT, usage

Task = Annotated[str | None, typer.Option(help=f"{usage()}.  [default: {DEFAULT}]", metavar="TASK")]
Model = Annotated[
    str | None,
    typer.Option(
        help="designer (a search, no language model), openai:NAME, anthropic:NAME, ollama:NAME, local:NAME, seat or "
        "replay:FILE; or role=URI,...,default=URI; or hybrid:URI, which proposes for the search.  "
        "[default: designer]",
        metavar="URI",
    ),
]
BaseUrl = Annotated[str | None, typer.Option(help="An OpenAI-compatible endpoint for openai:NAME.", metavar="URL")]
Budget = Annotated[str | None, typer.Option(help="Candidates to try.  [default: the preset's]", metavar="N")]
MaxTime = Annotated[str | None, typer.Option(help="End after this time: 90s, 10m, 1h30m.", metavar="TIME")]
MaxTokens = Annotated[str | None, typer.Option(help="End after this many tokens: 50k, 2m.", metavar="N")]
MaxCost = Annotated[str | None, typer.Option(help="End after this many US dollars.", metavar="DOLLARS")]
BriefFile = Annotated[Path | None, typer.Option("--brief", help="Your research direction, Markdown.", metavar="FILE")]
Seed = Annotated[int | None, typer.Option(help="Makes the search repeatable.  [default: 0]", metavar="N")]
SandboxName = Annotated[
    Backend | None,
    typer.Option("--sandbox", help="Where untrusted code runs.  [default: auto]"),
]
Preset = Annotated[
    PresetName | None, typer.Option(help="quick ends within ten minutes, or when --max-time does.  [default: quick]")
]
Corpus = Annotated[Path | None, typer.Option(help="Your own text to train on: a file or a folder.", metavar="PATH")]
Scale = Annotated[
    ScaleWord | None,
    typer.Option(help="Network, batch and steps; own: those under [scale].  [default: cpu]", show_default=False),
]
Device = Annotated[
    DeviceName | None,
    typer.Option(help="cuda leases a GPU a training; auto: where there is one, but for cpu.  [default: auto]"),
]
Approve = Annotated[
    ApproveWhat | None,
    typer.Option(help="What waits for your /approve; auto: what is contested or dear.  [default: never]"),
]
ApprovalTimeout = Annotated[
    str | None,
    typer.Option(help="After this time what nobody answered goes on: 90s, 10m.  [default: 10m]", metavar="TIME"),
]
Notify = Annotated[
    str | None,
    typer.Option(
        help="Told when it ends or waits for you: http://HOST/PATH (JSON by POST) or a command.", metavar="WHERE"
    ),
]
NegotiationRounds = Annotated[
    int | None, typer.Option(help="Objections the Researcher may answer.  [default: 2]", metavar="N")
]
DebugAttempts = Annotated[int | None, typer.Option(help="Files the Debugger may write.  [default: 3]", metavar="N")]


Workers = Annotated[
    int | None, typer.Option(help="Experiments at once.  [default: one a core, at most 8]", metavar="N")
]
Runtime = Annotated[
    RuntimeName | None, typer.Option(help="Of Docker; runsc is gVisor.  [default: the daemon's]", show_default=False)
]
Confirm = Annotated[
    bool | None,
    typer.Option(
        "--confirm/--no-confirm",
        help="At the end ask of who beat both baselines what `move37 confirm` asks.  [default: the full preset does]",
        show_default=False,
    ),
]
Image = Annotated[
    str | None, typer.Option(help="Of Docker.  [default: what `move37 sandbox build` made]", metavar="NAME")
]


def at_a_terminal() -> bool:
    """Whether a person can type and see what is drawn."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def given(values: Mapping[str, Any]) -> dict[str, Any]:
    """The flags that were given, by the names of the settings."""
    flags = {name: value for name, value in values.items() if value is not None}
    docker = {name: flags.pop(name) for name in ("runtime", "image") if name in flags}
    flags |= {"docker": docker} if docker else {}
    return flags | ({"scale": {"name": flags["scale"]}} if "scale" in flags else {})
