"""Is the right insight found? `python -m benchmarks.memory_retrieval [--cognition FOLDER] [--tune] [--json]`.

(a) pairs: questions of benchmarks/data/pairs.jsonl, {"question", "key", "insight"}, each a paraphrased symptom that is
not in the index, against the built-in base; the target is that insight. (b) symptoms taken out: the symptoms of an
insight ask, the index holds the rest; the target is the paper. On the built-in base, on the same written as files of
the cognition JSON layout and imported (texts that a paper's insights share, labels in questions and files), and with
--cognition on a folder of such files. Recall@1, recall@5 and the mean reciprocal rank of dense, sparse and hybrid, with
95 % bootstrap intervals, and hybrid's paired difference to each half. --tune scans the weight of the halves on every
second question and reports the other half, so that the number is not of the questions that chose it.

Whether memory helps the campaign is not here: that is an ablation of whole runs (docs/figures/memory.md).
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from move37.memory import rank
from move37.memory.edge import EdgeStore
from move37.memory.index import Index
from move37.memory.ingest import FileRead, read_all
from move37.memory.minilm import MiniLM
from move37.memory.papers import builtin_entries
from move37.memory.prebuilt import Prebuilt
from move37.memory.records import Entry
from move37.memory.schema import COGNITION, entry_id

PAIRS = Path(__file__).parent / "data" / "pairs.jsonl"
DEPTH = 20  # places that are looked at
WAYS = {"dense": 1.0, "sparse": 0.0, "hybrid": rank.MEANING}
RESAMPLES = 4000
Question = tuple[str, Callable[[str, str], bool]]  # text, is (id, key) the target?


class Remembering(Prebuilt):
    """The shipped vectors, and each question embedded once however often it is asked."""

    def __init__(self) -> None:
        super().__init__(MiniLM())
        self._seen: dict[str, NDArray[np.float32]] = {}

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """As `Prebuilt`."""
        new = [text for text in dict.fromkeys(texts) if text not in self._seen]
        if new:
            self._seen.update(zip(new, super().embed(new), strict=True))
        return np.stack([self._seen[text] for text in texts])


@dataclass(frozen=True, slots=True)
class RetrievalAnswers:
    """The place of the target for each question; 0 when it is not among DEPTH."""

    places: NDArray[np.int64]

    def recall(self, k: int) -> NDArray[np.float64]:
        """1 where the target is among the first k."""
        return ((self.places > 0) & (self.places <= k)).astype(np.float64)

    def reciprocal(self) -> NDArray[np.float64]:
        """1 / place."""
        return np.where(self.places > 0, 1.0 / np.maximum(self.places, 1), 0.0)


def interval(values: NDArray[np.float64]) -> tuple[float, float, float]:
    """(mean, low, high): 95 % percentile bootstrap over novelty."""
    draw = np.random.default_rng(37)
    means = values[draw.integers(0, len(values), (RESAMPLES, len(values)))].mean(axis=1)
    low, high = np.percentile(means, (2.5, 97.5))
    return float(values.mean()), float(low), float(high)


def ask(index: Index, questions: Sequence[Question], meaning: float) -> RetrievalAnswers:
    """Search as agents do."""
    places = []
    for text, is_target in questions:
        hits = index.search(text, limit=DEPTH, where={COGNITION: None}, meaning=meaning)
        places.append(next((n for n, hit in enumerate(hits, 1) if is_target(hit.id, hit.key)), 0))
    return RetrievalAnswers(np.asarray(places))


def pairs(path: Path, entries: Sequence[Entry]) -> list[Question]:
    """The written questions; a pair whose insight is not in the base is a mistake of the file."""
    ids = {(entry.key, entry.number): entry_id(entry) for entry in entries}
    out: list[Question] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        item = json.loads(line)
        target = ids[(item["key"], item["insight"])]
        out.append((item["question"], lambda id, key, target=target: id == target))  # type: ignore[misc]
    return out


def symptoms_out(entries: Sequence[Entry]) -> tuple[list[Entry], list[Question]]:
    """The entries without their symptoms, and the symptoms as questions for their paper."""
    questions: list[Question] = [
        (" ".join(entry.symptoms), lambda id, key, target=entry.key: key == target)  # type: ignore[misc]
        for entry in entries
        if entry.symptoms
    ]
    return [replace(entry, symptoms=()) for entry in entries], questions


def as_layout(entries: Sequence[Entry], folder: Path) -> tuple[list[Entry], list[Question]]:
    """The same base as a person imports it: a JSON file a paper, triggers left out of the files and asked instead."""
    papers: dict[str, list[Entry]] = {}
    for entry in entries:
        papers.setdefault(entry.key, []).append(entry)
    questions: list[Question] = []
    for key, mine in papers.items():
        about = " ".join(f"{entry.name}. {entry.insight}" for entry in mine)
        items = [
            {
                "DESIGN_INSIGHT": f"### DESIGN_INSIGHT_{entry.number + 1}: {entry.name}\n{entry.insight}",
                "BACKGROUND": f"**Title**: {entry.title}\n\n**Paper_Concepts**: {about}",
                "ALGORITHMIC_INNOVATION": f"**Core_Algorithm**:\n- {entry.mechanism}\n{entry.equations}",
                "IMPLEMENTATION_GUIDANCE": f"**Integration_Strategy**:\n- {entry.remedy}\n{entry.complexity}",
            }
            for entry in mine
        ]
        (folder / f"{key}.json").write_text(json.dumps(items), encoding="utf-8")
        for entry in mine:
            first, *rest = entry.symptoms
            lines = ["**Task_Performance_Signatures**:", f"- {first}", "", "**Architectural_Symptoms**:"]
            text = "\n".join([*lines, *(f"- {symptom}" for symptom in rest)])
            questions.append((text, lambda id, key, target=entry.key: key == target))  # type: ignore[misc]
    return [entry for _, found in read_all(folder) if isinstance(found, FileRead) for entry in found.entries], questions


def report(title: str, entries: Sequence[Entry], questions: Sequence[Question], *, tune: bool) -> dict[str, object]:
    """Print one table."""
    folder = tempfile.TemporaryDirectory()
    index = Index(EdgeStore(Path(folder.name)), Remembering())
    index.put_entries(entries)
    answers = {way: ask(index, questions, meaning) for way, meaning in WAYS.items()}
    papers = len({entry.key for entry in entries})
    print(f"\n### {title}: {len(questions)} questions, {len(entries)} insights of {papers} papers\n")
    print("| | recall@1 | recall@5 | MRR |\n|---|---|---|---|")
    out: dict[str, object] = {"title": title, "questions": len(questions)}
    for way, answer in answers.items():
        numbers = [interval(values) for values in (answer.recall(1), answer.recall(5), answer.reciprocal())]
        print(f"| {way} | " + " | ".join(f"{m:.3f} [{low:.3f}, {high:.3f}]" for m, low, high in numbers) + " |")
        out[way] = dict(zip(("recall@1", "recall@5", "mrr"), numbers, strict=True))
    for other in ("dense", "sparse"):
        gains = [
            interval(answers["hybrid"].recall(1) - answers[other].recall(1)),
            interval(answers["hybrid"].recall(5) - answers[other].recall(5)),
            interval(answers["hybrid"].reciprocal() - answers[other].reciprocal()),
        ]
        print(
            f"| hybrid - {other} | "
            + " | ".join(f"{m:+.3f} [{low:+.3f}, {high:+.3f}]" for m, low, high in gains)
            + " |"
        )
        out[f"hybrid-{other}"] = dict(zip(("recall@1", "recall@5", "mrr"), gains, strict=True))
    if tune:
        scan = {m: ask(index, questions, m) for m in (0.0, 0.1, 0.2, 0.3, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8, 1.0)}
        best = max(scan, key=lambda m: float((scan[m].recall(5) + scan[m].reciprocal())[::2].mean()))
        print("\nmeaning: recall@5, MRR")
        for m, answer in scan.items():
            print(f"  {m:.2f}: {answer.recall(5).mean():.3f}, {answer.reciprocal().mean():.3f}")
        held = scan[best].recall(5)[1::2].mean()
        print(f"chosen on even questions: {best}; recall@5 of the odd ones {held:.3f}")
    index.store.close()
    folder.cleanup()
    return out


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables; with --json the last line holds the numbers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cognition", type=Path, help="a folder of cognition JSON files")
    parser.add_argument("--tune", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    base = builtin_entries()
    out = []
    if PAIRS.exists():
        out.append(report("(a) pairs", base, pairs(PAIRS, base), tune=options.tune))
    out.append(report("(b) built-in base, symptoms taken out", *symptoms_out(base), tune=options.tune))
    with tempfile.TemporaryDirectory() as folder:
        layout = as_layout(base, Path(folder))
    out.append(report("(b) built-in base as imported JSON, triggers taken out", *layout, tune=options.tune))
    if options.cognition:
        found = [e for _, file in read_all(options.cognition) if isinstance(file, FileRead) for e in file.entries]
        out.append(report(f"(b) {options.cognition.name}, symptoms taken out", *symptoms_out(found), tune=options.tune))
    if options.json:
        print(json.dumps(out))


if __name__ == "__main__":
    main()
