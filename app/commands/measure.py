"""`move37 measure FILE`: one mixer of the user's own through gates, training and scoring, beside a baseline."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from move37.app.commands.check import gate_records, read_source
from move37.app.commands.options import taking
from move37.app.exits import BadInput, Exit
from move37.app.reading import print_json
from move37.app.text import harmless, one_line

if TYPE_CHECKING:
    from move37.app.measuring import MeasuredMixer
    from move37.app.settings import Settings


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("measure", help=_HELP, short_help="Train and score one mixer beside the baselines.")(measure)


_HELP = """Train and score one mixer: a Python file that defines `class Mixer(torch.nn.Module)`.

It goes through every gate, then through the training and scoring that candidates of a campaign get, in the sandbox.
With `--steps 100 --seed 0` the number is that of the quick preset's screen. Runs are kept: asking again is free.
Exit status 0: measured; 1: a gate refuses it, or its training fails.

\b
  move37 measure my_mixer.py --steps 100
  move37 measure my_mixer.py --against gated_delta_net --seeds 3
  move37 measure my_mixer.py --no-gates --json
"""


@taking("task", "corpus", "scale", "device", "sandbox", "runtime", "image")
def measure(
    settings: Settings,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The mixer.")],
    against: Annotated[
        str | None, typer.Option(help="A baseline to train on the same seeds.", metavar="NAME", show_default=False)
    ] = None,
    steps: Annotated[
        int | None, typer.Option(help="Of the scale's.  [default: all]", metavar="N", show_default=False)
    ] = None,
    seed: Annotated[int | None, typer.Option(help="One seed.  [default: 0]", metavar="S", show_default=False)] = None,
    seeds: Annotated[
        int | None, typer.Option(help="The seeds 0 to K-1 instead.", metavar="K", show_default=False)
    ] = None,
    no_gates: Annotated[bool, typer.Option("--no-gates", help="Skip the gates.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Read, check the input, measure, print; the exit status is the answer."""
    if seed is not None and seeds is not None:
        raise BadInput("choose either --seed S or --seeds K")
    if seed is not None and not 0 <= seed < 2**31:
        raise BadInput(f"--seed {seed} is none: use 0 to {2**31 - 1}")
    if seeds is not None and not 1 <= seeds <= 100:
        raise BadInput(f"--seeds {seeds} cannot be run: use 1 to 100")
    source = read_source(file)
    chosen = range(seeds) if seeds is not None else range(seed or 0, (seed or 0) + 1)
    measured = asyncio.run(_measure(settings, file, source, against, steps, chosen, gated=not no_gates))
    if as_json:
        print_json(as_record(measured))
    else:
        _print(measured, file)
    if measured.passed is False or measured.failure:
        raise typer.Exit(Exit.NO)


def as_record(measured: MeasuredMixer) -> dict[str, Any]:
    """The JSON that other programs rely on; what was not there is named only where something was not."""
    verdict = measured.verdict
    return {
        "passed": measured.passed,
        "gates": gate_records(measured.gates),
        "failure": measured.failure or None,
        "measurements": [_measurement(m) for m in measured.measurements],
        "baselines": [
            {"name": b.name, "failure": b.failure or None, "measurements": [_measurement(m) for m in b.measurements]}
            for b in measured.baselines
        ],
        "verdict": None
        if verdict is None
        else {
            "baseline": verdict.baseline,
            "effect": verdict.effect,
            "low": verdict.low,
            "high": verdict.high,
            "tried": verdict.tried,
            "text": verdict.text,
        },
        **({"corpus_left_out": list(measured.left_out)} if measured.left_out else {}),
        **({"locks_missing": measured.locks_missing} if measured.locks_missing else {}),
    }


def _measurement(m: Any) -> dict[str, Any]:
    return {
        "metric": m.metric,
        "value": m.value if m.is_number else None,
        "steps": m.steps,
        "seed": m.seed,
        "self_reported": m.self_reported,
        **({"custom_backward": m.custom_backward} if m.custom_backward else {}),
        "diverged": m.diverged,
        "learning_rate": m.learning_rate,
        "cpu_seconds": m.cpu_seconds,
        "scale": m.scale,
        "device": m.device,
        "tokens_per_second": m.tokens_per_second,
        "flops_per_token": m.flops_per_token,
        "utilisation": m.utilisation,
    }


async def _measure(
    settings: Settings, file: Path, source: str | None, against: str | None, steps: int | None, seeds: range, *,
    gated: bool,
) -> MeasuredMixer:  # fmt: skip
    from move37.app.measuring import measure_file, unreadable

    if source is None:
        return unreadable()
    return await measure_file(settings, file.stem, source, against=against, steps=steps, seeds=seeds, gated=gated)


def _print(measured: MeasuredMixer, file: Path) -> None:
    from rich.text import Text

    from move37.app.fitting import table
    from move37.app.terminal import console
    from move37.app.views.experiment import gates_table, measurements_table
    from move37.app.views.missing import left_out_text, locks_text

    screen = console()
    for note in (left_out_text(measured.left_out), locks_text(measured.locks_missing)):
        if note:
            screen.print(Text(harmless(note), style="yellow"))
    if measured.gates:
        screen.print(table(gates_table(measured.gates)), "")
    if measured.measurements:
        screen.print(table(measurements_table(measured.measurements)), "")
    for baseline in measured.baselines:
        screen.print(Text(one_line(f"baseline {baseline.name}"), style="bold"))
        screen.print(table(measurements_table(baseline.measurements)), "")
    if measured.failure:
        screen.print(Text(harmless(f"{file.name}: {measured.failure}"), style="red"))
    elif measured.passed is False:
        shut = [g.name for g in measured.gates if g.passed is False]
        screen.print(Text(f"{file.name} fails {', '.join(shut)}; it was not trained", style="red"))
    elif measured.verdict is not None:
        screen.print(Text(harmless(measured.verdict.text)))
    else:
        screen.print(Text("beside a baseline on the same seeds: --against NAME", style="dim"))
