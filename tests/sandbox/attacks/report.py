"""`python -m tests.sandbox.attacks.report`: all attacks on all backends of this machine, into docs/sandbox/attacks.md.

`--only NAME` runs one backend; the columns of the others are kept as they were (docs/sandbox/attacks.json).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import platform
from pathlib import Path

import structlog

from move37.sandbox.errors import SandboxError
from tests.sandbox.attacks.backends import NAMES, missing, open_target
from tests.sandbox.attacks.table import ATTACKS, verdict
from tests.sandbox.attacks.trial import try_attack

DOCS = Path(__file__).resolve().parents[3] / "docs" / "sandbox"
BROKE = "the sandbox broke"
STORE = DOCS / "attacks.json"
PAGE = DOCS / "attacks.md"
HEAD = """# What each backend stops

Made by `python -m tests.sandbox.attacks.report`; the programs and the properties are in `tests/sandbox/attacks/`.
"stopped": the property held, the host was unharmed, no process was left, and the sandbox served the next job.
"sandbox lost": the program brought its own sandbox down and ended with it; the host was unharmed, the job is an error.

"""


async def run_backend(name: str) -> dict[str, str]:
    """Attack -> empty when it was stopped, else what happened."""
    target = await open_target(name)
    found: dict[str, str] = {}
    try:
        for attack in ATTACKS:
            try:
                found[attack.program] = verdict(attack, await try_attack(attack, target.sandbox, target.count))
            except SandboxError as error:
                found[attack.program] = f"{BROKE}: {error}"
            print(f"{name}: {attack.program}: {found[attack.program] or 'stopped'}", flush=True)
    finally:
        await target.sandbox.close()
    return found


def page(results: dict[str, dict[str, str]], absent: dict[str, str], machine: str) -> str:
    """The table as Markdown; pure."""
    columns = [name for name in NAMES if name in results]
    lines = [HEAD, f"Machine: {machine}.\n"]
    lines += [f"Not run here: {name} ({why}).\n" for name, why in absent.items()]
    lines += ["| attack | what must hold | " + " | ".join(columns) + " |", "|---|---|" + "---|" * len(columns)]
    for attack in ATTACKS:
        cells = [cell(results[n].get(attack.program), attack.not_stopped_by.get(n, "")) for n in columns]
        title = attack.program.partition("_")[2].replace("_", " ")
        lines.append(f"| {title} | {attack.holds} | " + " | ".join(cells) + " |")
    totals = [f"{sum(not fault for fault in results[name].values())} of {len(results[name])}" for name in columns]
    lines.append("| **stopped** | | " + " | ".join(totals) + " |")
    return "\n".join(lines) + "\n"


def cell(fault: str | None, reason: str) -> str:
    """One backend's word about one attack."""
    if fault is None:
        return "not run"
    if not fault:
        return "stopped"
    return f"**not stopped**: {reason}" if reason else "sandbox lost" if fault.startswith(BROKE) else "**not stopped**"


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", choices=NAMES)
    only = parser.parse_args().only
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    stored = json.loads(STORE.read_text()) if STORE.exists() and only else {}
    results: dict[str, dict[str, str]] = stored.get("results", {})
    absent: dict[str, str] = stored.get("absent", {})
    for name in [only] if only else NAMES:
        if why := await missing(name):
            absent[name] = why
            continue
        absent.pop(name, None)
        results[name] = await run_backend(name)
    DOCS.mkdir(parents=True, exist_ok=True)
    STORE.write_text(json.dumps({"results": results, "absent": absent}, indent=1, sort_keys=True) + "\n")
    machine = f"Linux {platform.release()}, {platform.machine()}, Python {platform.python_version()}"
    PAGE.write_text(page(results, absent, machine))


if __name__ == "__main__":
    asyncio.run(main())
