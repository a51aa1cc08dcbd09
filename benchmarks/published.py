"""Evidence from outside, ours beside what was published: `python -m benchmarks.published [STUDY ...] [--out FILE]`.

    statistics      (seconds; what runs when no study is named) the results of modded-nanogpt's third track
    parity          (minutes of CPU) parity beyond the trained length, benchmarks/parity.py
    memorisation    (an hour of CPU) facts in the weights after 400 steps, benchmarks/memorisation.py

Trainings are rows of FILE: what stands in it is not run again, so a study may be stopped and gone on with. Each
published value is covered by our 95 % interval, or lies with its own spread within it, or the disagreement is shown.

Statistics: the track's rule asks (loss gained + steps saved / 100 * .0045) / sqrt(1/n + 1/n') for .004 at a standard
deviation of .0013; from the means and seeds of benchmarks/data/track3.tsv. Our p values are accepted where the range
that rounding of the means leaves open covers the published one. Then: how many of the successive records survive a
correction for their number (Holm), by the track's own test.

The S3 word problem is `python -m benchmarks.state_tracking`. Not here: anything at its published size.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from move37.benchmarks import studies
from move37.lab.statistics.summaries import PValue, ValueSample, against, survivors

TABLE = Path(__file__).parent / "data" / "track3.tsv"
SD, LOSS_PER_100_STEPS = 0.0013, 0.0045
ROUNDING = 1e-4  # two means, each to four digits
PUBLISHED = {(11, 9): 0.69, (13, 11): 0.099, (16, 14): 0.34, (34, 30): 0.168}  # in the track's own README
DIGITS = {0.69: 0.01, 0.099: 0.001, 0.34: 0.01, 0.168: 0.001}
READER = (19, 10)  # successive records, and how many of them an outside reader found to survive
STUDIES = ("statistics", "parity", "memorisation")


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


def _statistics() -> tuple[dict[str, Any], bool]:
    found = track3()
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
    return found, all(pair["covered"] for pair in found["pairs"])


def main() -> None:
    """Print ours beside theirs; status 1 where one of the statistics is not covered (trainings may well disagree)."""
    parser, given = _options()
    runs = studies.StudyRuns(given.out)
    found: dict[str, Any] = {}
    holds = True
    if "statistics" in given.studies:
        found["track3"], holds = _statistics()
    if len([*given.studies]) > ("statistics" in given.studies):
        import torch

        from move37.benchmarks import memorisation, parity

        torch.set_num_threads(1)
        try:
            if "parity" in given.studies:
                found["parity"] = parity.study(runs, seeds=given.seeds, arms=given.arms, rates=given.rates)
                print(parity.table(found["parity"]))
            if "memorisation" in given.studies:
                found["memorisation"] = memorisation.study(
                    runs, seeds=given.seeds, arms=given.arms, vocabularies=given.vocabularies
                )
                print(memorisation.table(found["memorisation"]))
        except ValueError as wrong:  # an arm or a vocabulary that there is not
            parser.error(str(wrong))
    if given.json:
        print(json.dumps(found))
    if not holds:
        raise SystemExit(1)


def _options() -> tuple[argparse.ArgumentParser, argparse.Namespace]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("studies", nargs="*", metavar="STUDY", help=f"of {', '.join(STUDIES)}")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of an arm at a rate")
    parser.add_argument("--arms", default="", help="comma between them; without it all of a study")
    parser.add_argument("--rates", type=float, nargs="+", default=(1e-2, 3e-3), help="of parity")
    parser.add_argument("--vocabularies", default="256,1024", help="of memorisation, comma between them")
    parser.add_argument("--out", type=Path, help="JSON lines; trainings that stand in it are not run again")
    parser.add_argument("--json", action="store_true", help="the last line is JSON")
    given = parser.parse_args()
    given.studies = given.studies or ["statistics"]
    if wrong := [name for name in given.studies if name not in STUDIES]:
        parser.error(f"no study {', '.join(wrong)}: there are {', '.join(STUDIES)}")
    if given.seeds < 1:
        parser.error("at least one seed is needed")
    given.arms = [part for part in given.arms.split(",") if part]
    try:
        given.vocabularies = [int(part) for part in given.vocabularies.split(",")]
    except ValueError:
        parser.error("--vocabularies: whole numbers with commas between them")
    return parser, given


if __name__ == "__main__":
    main()
