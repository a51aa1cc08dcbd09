"""What a campaign's time went into, from its own log and archive: `python -m benchmarks.loop HOME [--json]`.

Run a campaign first (`move37 --home HOME run`). Reported for its last campaign:
    wall_s               first to last event of the session
    experiments_an_hour  candidates, with everything that the preset does for them
    in_sandbox           share of the wall time in which at least one training, scoring or gate job ran
    busy_cores           mean number of such jobs at a time
    sandbox_added        share of the wall time for which callers waited on a job beyond what its program ran
    overhead_s           per candidate: hypothesis, code, verdict, analysis and memory, without any job (median)
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

from move37.lab.archive.store import Archive
from move37.lab.records import Role

TALK = ("hypothesis", "candidate", "analysis", "memory", "verdict")


def main() -> None:
    """Print the figures of one home."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("home", type=Path)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with Archive.open(given.home, readonly=True) as archive:
        campaign = archive.campaigns()[-1]
        candidates = [e.id for e in archive.experiments(campaign.id) if e.role is Role.CANDIDATE]
    events = [e for e in _events(given.home) if e["at"] >= campaign.started_at[:19]]
    figures = _figures(events, candidates)
    if given.json:
        print(json.dumps(figures))
        return
    for name, value in figures.items():
        print(f"{name:22}{value:10.3f}")


def _events(home: Path) -> Iterable[dict[str, Any]]:
    log = home / "logs" / "move37.jsonl"
    if not log.is_file():
        raise SystemExit(
            f"{home} has no log of its sessions ({log.name}): an archive alone does not say where time went"
        )
    for line in log.read_text(encoding="utf-8").splitlines():
        yield json.loads(line)


def _figures(events: list[dict[str, Any]], candidates: list[str]) -> dict[str, float]:
    times = [_seconds(e["at"]) for e in events]
    wall = max(times) - min(times)
    jobs = [(_seconds(e["at"]) - e["seconds"], _seconds(e["at"])) for e in events if e["event"] == "job_finished"]
    added = sum(e["seconds"] - e["inside_seconds"] for e in events if e["event"] == "job_finished")
    talk: dict[str, float] = defaultdict(float)
    for e in events:
        if e["event"] == "stage_finished" and e["experiment"] in candidates and e["stage"] in TALK:
            talk[e["experiment"]] += e["seconds"]
    return {
        "wall_s": wall,
        "experiments_an_hour": len(candidates) / wall * 3600,
        "in_sandbox": _covered(jobs) / wall,
        "busy_cores": sum(end - begin for begin, end in jobs) / wall,
        "sandbox_added": added / wall,
        "overhead_s": statistics.median(talk.values()) if talk else 0.0,
    }


def _covered(spans: list[tuple[float, float]]) -> float:
    total, reached = 0.0, float("-inf")
    for begin, end in sorted(spans):
        total += max(0.0, end - max(begin, reached))
        reached = max(reached, end)
    return total


def _seconds(at: str) -> float:
    return datetime.fromisoformat(at.replace("Z", "+00:00")).timestamp()


if __name__ == "__main__":
    main()
