"""How often a model's plans are mixers of the grammar: the hybrid over a campaign whose numbers are drawn.

    python -m benchmarks.hybrid --model local:smollm2-135m [--budget 10] [--reply-tokens 900] [--json]

Everything but the training is real: context, schema, grammar-held decoding where the model is local, the lab's check,
the search as Critic, Engineer and Analyst. Counted are the Researcher's offers (invalid replies apart), what the lab
could not judge, and how many experiments got a file.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.society import campaign_of
from move37.agents.language_model import LanguageModel
from move37.agents.models import ModelOptions, open_model, signature
from move37.agents.roles import MEMBERS
from move37.agents.search.agent import Search
from move37.lab.archive.store import Archive
from move37.lab.records import Role


async def measured(home: Path, model: str, budget: int, reply_tokens: int) -> dict[str, Any]:
    """Counts of one campaign."""
    client = open_model(model, ModelOptions(reply_tokens=reply_tokens, reply_seconds=900.0))
    somebody = LanguageModel(client, signature=signature(client))
    try:
        scientists = {m.name: somebody if m.name == "Researcher" else Search() for m in MEMBERS}
        await campaign_of(home, budget, scientists, preset="quick")
    finally:
        await client.close()
    with Archive.open(home, readonly=True) as archive:
        candidates = [e for e in archive.experiments() if e.role is Role.CANDIDATE]
        said = Counter(m.source for e in candidates for m in archive.lines(e.id) if m.source in ("Researcher", "Lab"))
        calls = archive.calls(1)
    return {
        "model": model,
        "experiments": len(candidates),
        "with a file": sum(e.candidate is not None for e in candidates),
        "different plans": len({e.hypothesis.plan for e in candidates if e.hypothesis and e.candidate}),
        "offers": said["Researcher"],
        "complaints of the lab": said["Lab"],
        "calls": len(calls),
        "replies": sum(c.attempts for c in calls),
        "prompt tokens a call": round(sum(c.prompt_tokens for c in calls) / max(1, sum(c.attempts for c in calls))),
        "seconds a call": round(sum(c.seconds for c in calls) / max(1, len(calls)), 1),
        "reasons": sorted({e.reason for e in candidates if e.candidate is None}),
    }


def main() -> None:
    """Run it and print the counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="local:smollm2-135m")
    parser.add_argument("--budget", type=int, default=10)
    parser.add_argument("--reply-tokens", type=int, default=900)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(measured(Path(folder), given.model, given.budget, given.reply_tokens))
    if given.json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        print(f"{name:<22} {value}")


if __name__ == "__main__":
    main()
