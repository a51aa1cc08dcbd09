"""Evidence from outside: `python -m benchmarks.published [--json]`. Published numbers, and what our code says to them.

Statistics: the results of modded-nanogpt's third track (a table of means and seeds, benchmarks/data/track3.tsv). Its
rule asks (loss gained + steps saved / 100 * .0045) / sqrt(1/n + 1/n') for .004 at a standard deviation of .0013. Our p
values are accepted where the range that rounding of the means leaves open covers the published one. Then: how many of
the successive records survive a correction for their number (Holm), by the track's own test.

State tracking is `python -m benchmarks.state_tracking`. Not here: memorisation, and anything at its published size.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from move37.lab.statistics.summaries import PValue, ValueSample, against, survivors

TABLE = Path(__file__).parent / "data" / "track3.tsv"
SD, LOSS_PER_100_STEPS = 0.0013, 0.0045
ROUNDING = 1e-4  # two means, each to four digits
PUBLISHED = {(11, 9): 0.69, (13, 11): 0.099, (16, 14): 0.34, (34, 30): 0.168}  # in the track's own README
DIGITS = {0.69: 0.01, 0.099: 0.001, 0.34: 0.01, 0.168: 0.001}
READER = (19, 10)  # successive records, and how many of them an outside reader found to survive


def track3() -> dict[str, Any]:
    """The comparisons, ours beside the published ones."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        rows = {int(r["number"]): r for r in csv.DictReader(file, delimiter="\t")}
    pairs = []
    for (new, old), published in PUBLISHED.items():
        found = _p(rows[new], rows[old])
        pairs.append(
            {
                "new": new, "old": old, "published": published, "p": found.value, "low": found.low, "high": found.high,
                "covered": found.covers(published, digits=DIGITS[published]),
            }
        )  # fmt: skip
    records = [r for r in rows.values() if r["record"] == "yes"]
    successive = [_p(new, old).value for old, new in itertools.pairwise(records)]
    return {
        "pairs": pairs,
        "successive": len(successive),
        "significant": sum(p < 0.05 for p in successive),
        "survive": sum(survivors(successive)),
    }


def _p(new: Mapping[str, str], old: Mapping[str, str]) -> PValue:
    saved = (int(old["steps"]) - int(new["steps"])) / 100
    return against(
        ValueSample(mean=float(new["mean_val_loss"]), n=int(new["n"])),
        ValueSample(mean=float(old["mean_val_loss"]), n=int(old["n"])),
        sd=SD,
        allowance=saved * LOSS_PER_100_STEPS,
        rounding=ROUNDING,
    )


def main() -> None:
    """Print ours beside theirs; status 1 where one is not covered."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    found = track3()
    if given.json:
        print(json.dumps({"track3": found}))
    else:
        print("track 3: p value, ours [range that rounding leaves], published")
        for pair in found["pairs"]:
            agrees = "covered" if pair["covered"] else "NOT covered"
            print(
                f"  #{pair['new']:<3} against #{pair['old']:<3} {pair['p']:.3f} [{pair['low']:.3f}, {pair['high']:.3f}]"
                f"  {pair['published']:<6} {agrees}"
            )
        print(
            f"{found['successive']} successive records: {found['significant']} have p < .05 against the one before, "
            f"{found['survive']} survive Holm's correction (an outside reader found {READER[1]} of {READER[0]})"
        )
    if not all(pair["covered"] for pair in found["pairs"]):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
