"""What the product's own calls cost and bring: `python -m benchmarks.memory_product [--points 10000] [--json]`.

    search      `Index.search` as recall calls it: all collections, four lists, weights, diversity, explanations; CPU
                time of all threads and the clock, the embedding outside (a stand-in that knows every text)
    import      reading the same files again, by number of files
    remember    one lesson after 4,000 were put at once, and what closing costs
    situations  what twelve situations (a family, a failed probe) recall from the built-in base: shares with operators
                and with the parent's family, distinct papers in all, with and without a memory of what was shown

Take ratios inside one run when the machine is shared.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from move37.memory import Lesson, ProbeResult, Situation, open_memory
from move37.memory.edge import EdgeStore
from move37.memory.index import Index
from move37.memory.minilm import MiniLM
from move37.memory.papers import builtin_entries
from move37.memory.records import Entry

PARENTS = ("softmax", "linear", "retention", "ssd", "gla", "gated_delta")
PROBES = (
    ProbeResult(name="parity", value=0.56, chance=0.5),
    ProbeResult(name="overwrite_recall", value=0.6, chance=0.25),
)


class Known:
    """A stand-in embedder: a text's vector is the sum of its words' random ones, kept once made."""

    name, dimension, digest = "stand-in", 384, ""

    def __init__(self) -> None:
        self._words: dict[str, NDArray[np.float32]] = {}
        self._texts: dict[str, NDArray[np.float32]] = {}

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """[len(texts), 384], of length 1."""
        for text in texts:
            if text not in self._texts:
                total = np.sum([self._word(word) for word in text.lower().split()] or [self._word("")], axis=0)
                self._texts[text] = (total / np.linalg.norm(total)).astype(np.float32)
        return np.stack([self._texts[text] for text in texts])

    def _word(self, word: str) -> NDArray[np.float32]:
        if word not in self._words:
            draw = np.random.default_rng(zlib.crc32(word.encode()))
            self._words[word] = draw.standard_normal(384).astype(np.float32)
        return self._words[word]


def cpu_ms(work: Callable[[], object]) -> float:
    """CPU milliseconds of this process."""
    start = time.process_time()
    work()
    return (time.process_time() - start) * 1e3


def search(points: int, questions: int = 60) -> dict[str, float]:
    """p50 and p95 of `Index.search`: CPU ms, and ms on the clock."""
    draw = random.Random(37)
    base = builtin_entries()
    words = sorted({word for entry in base for word in entry.insight.split()})
    with tempfile.TemporaryDirectory() as folder:
        index = Index(EdgeStore(Path(folder)), Known())
        index.put_entries([_varied(draw.choice(base), number, words, draw) for number in range(points)])
        index.store.optimize("cognition")
        asked = [
            f"{' '.join(draw.choices(words, k=12))}. {draw.choice(draw.choice(base).symptoms)}"
            for _ in range(questions)
        ]
        for text in asked:
            index.search(text)  # embeds it
        times, clock = [], []
        for text in asked:
            start = time.perf_counter()
            times.append(cpu_ms(lambda t=text: index.search(t)))  # type: ignore[misc]
            clock.append((time.perf_counter() - start) * 1e3)
        index.store.close()
    out: dict[str, float] = {"points": points}
    for name, values in (("", sorted(times)), ("clock ", sorted(clock))):
        out |= {f"{name}p50": statistics.median(values), f"{name}p95": values[int(0.95 * len(values))]}
    return out


def _varied(entry: Entry, number: int, words: Sequence[str], draw: random.Random) -> Entry:
    def mixed(text: str) -> str:
        return " ".join(draw.choice(words) if draw.random() < 0.3 else word for word in text.split())

    return replace(
        entry,
        key=f"paper{number}",
        number=0,
        title=f"{entry.title} {number}",
        insight=mixed(entry.insight),
        remedy=mixed(entry.remedy),
        symptoms=tuple(mixed(symptom) for symptom in entry.symptoms[:1]),
        mechanism="",
        equations="",
        complexity="",
    )


def imports(counts: Sequence[int] = (500, 1000, 2000, 4000)) -> dict[int, float]:
    """Files -> CPU ms of importing them a second time."""
    out = {}
    for count in counts:
        files = [
            Entry(key=f"f{n}", number=0, origin="person", title=f"T{n}", insight=f"note {n}") for n in range(count)
        ]
        with tempfile.TemporaryDirectory() as folder:
            index = Index(EdgeStore(Path(folder)), Known())
            index.put_entries(files)
            out[count] = cpu_ms(lambda i=index, f=files: i.put_entries(f))  # type: ignore[misc]
            index.store.close()
    return out


def remember(count: int = 4000) -> dict[str, float]:
    """CPU ms of one lesson after `count` at once, the first and the median of the next five, and of closing."""
    with tempfile.TemporaryDirectory() as folder:
        memory = open_memory(Path(folder), embedder=Known())
        memory.index().put_lessons([_lesson(n) for n in range(count)])
        times = [cpu_ms(lambda n=n: asyncio.run(memory.remember(_lesson(count + n)))) for n in range(6)]  # type: ignore[misc]
        return {"first": times[0], "next": statistics.median(times[1:]), "close": cpu_ms(memory.close_now)}


def _lesson(number: int) -> Lesson:
    return Lesson(
        experiment=f"e{number}",
        task="mixers",
        name=f"candidate {number}",
        family="gla",
        parents=(),
        status="measured",
        rung=2,
        operators=(),
        expected="",
        seen=f"run {number} rose late",
        why="",
        next="",
        symptoms=(),
    )


def situations() -> dict[str, dict[str, float]]:
    """What each way of asking recalls over the same twelve situations, six items each."""
    asked = [Situation(families=(family,), probes=(probe,)) for family in PARENTS for probe in PROBES]
    ways: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        memory = open_memory(Path(folder), embedder=MiniLM())
        asyncio.run(memory.load_builtin())
        for name, remembers in (("nothing remembered", False), ("what was shown remembered", True)):
            shown: Counter[str] = Counter()
            items, near = [], 0
            for one in asked:
                found = asyncio.run(memory.recall(one, task="mixers", shown=shown if remembers else {}))
                items += found
                near += sum(one.families[0] in item.families for item in found)
                shown.update(item.key for item in found)
            ways[name] = {
                "items": len(items),
                "with operators": sum(bool(item.operators) for item in items) / len(items),
                "of the parent's family": near / len(items),
                "with a remedy": sum(bool(item.remedy) for item in items) / len(items),
                "distinct papers": len(shown),
                "most repeated": max(shown.values()),
            }
        memory.close_now()
    return ways


def main(arguments: Sequence[str] | None = None) -> None:
    """Print each part; with --json the last line holds all of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=10_000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    out: dict[str, object] = {}
    for name, work in (
        ("situations", situations),
        ("import", imports),
        ("remember", remember),
        ("search", lambda: search(options.points)),
    ):
        out[name] = work()
        print(f"{name}: {out[name]}", flush=True)
    if options.json:
        print(json.dumps(out))


if __name__ == "__main__":
    main()
