"""How fast the memory is: `python -m benchmarks.memory_speed [--points 1000,10000,100000] [--json]`.

Query p50 and p95 of the embedded engine, dense, filtered and hybrid, next to qdrant-client's local mode and a bare
numpy product in the same run; recall@10 against the exact answer; inserts a second; start-up; embedding. With
MOVE37_QDRANT_URL a server is measured too. The points imitate the cognition base: their vectors are mixtures of real
embeddings of its passages with noise, so that neighbours are as near as in texts, not as in a uniform cloud, and their
words follow Zipf's law. Local mode is measured up to 10,000 points unless --local-all is given: it needs minutes there.

Not here: whether what is found is right (`move37.benchmarks.memory_retrieval`).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from move37.memory import rank
from move37.memory.edge import EdgeStore
from move37.memory.embed import passages
from move37.memory.local import open_local
from move37.memory.minilm import MiniLM
from move37.memory.papers import builtin_entries
from move37.memory.server import connect
from move37.memory.store import Collection, FieldIndex, Hit, Nearest, Point, Sparse, Store, Where

QUERIES = 200
WORDS = 5000  # of the imitated vocabulary
SHAPE = Collection(
    name="bench", schema=1, model="bench", dimension=384, dense=("insight",), sparse=("insight_words",),
    indexes={"family": FieldIndex.KEYWORD},
)  # fmt: skip
ONE_FAMILY = Where(any_of={"family": ("f1",)})


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeedRow:
    """One backend at one size. Times in milliseconds."""

    backend: str
    points: int
    inserts_per_s: float
    settle_s: float  # building the graph, once
    open_s: float
    dense_p50: float
    dense_p95: float
    filtered_p50: float
    filtered_p95: float
    hybrid_p50: float
    hybrid_p95: float
    recall_at_10: float | None
    filtered_recall_at_10: float | None


class SpeedSample:
    """Points and questions, the same for every backend."""

    def __init__(self, size: int, base: NDArray[np.float32], seed: int = 37) -> None:
        draw = np.random.default_rng(seed)
        self._draw = draw
        self._base = base
        zipf = 1.0 / np.arange(1, WORDS + 1)
        self._zipf = zipf / zipf.sum()
        self.vectors = self.dense(size)
        self.family = np.arange(size) % 8
        self.questions = self.dense(QUERIES)
        self.words = [self.sparse(12) for _ in range(QUERIES)]

    def dense(self, count: int) -> NDArray[np.float32]:
        """Two real passages mixed, and noise of a third of their length: best cosines near those of real novelty."""
        one, two = (self._base[self._draw.integers(0, len(self._base), count)] for _ in range(2))
        share = self._draw.uniform(0.2, 0.8, (count, 1)).astype(np.float32)
        noise = self._draw.normal(size=one.shape).astype(np.float32) * np.float32(0.33 / one.shape[1] ** 0.5)
        mixed = share * one + (1 - share) * two + noise
        unit: NDArray[np.float32] = (mixed / np.linalg.norm(mixed, axis=1, keepdims=True)).astype(np.float32)
        return unit

    def sparse(self, count: int) -> Sparse:
        """Distinct words by Zipf's law."""
        ids = np.unique(self._draw.choice(WORDS, count, p=self._zipf))
        return Sparse(tuple(int(i) for i in ids), tuple(1.0 for _ in ids))

    def points(self) -> list[Point]:
        """As the engine takes them."""
        return [
            Point(
                id=str(uuid.UUID(int=number + 1)),
                dense={"insight": row[None, :]},
                sparse={"insight_words": self.sparse(40)},
                payload={"family": f"f{self.family[number]}", "title": f"point {number}"},
            )
            for number, row in enumerate(self.vectors)
        ]

    def exact(self, question: NDArray[np.float32], only: int | None = None) -> set[str]:
        """The true ten."""
        scores = self.vectors @ question
        if only is not None:
            scores = np.where(self.family == only, scores, -2.0)
        best = np.argpartition(-scores, 10)[:10]
        return {str(uuid.UUID(int=int(i) + 1)) for i in best}


def percentiles(call: Callable[[int], object], count: int) -> tuple[float, float]:
    """(p50, p95) in milliseconds over `count` calls, after a short warm-up."""
    for number in range(min(5, count)):
        call(number)
    times = []
    for number in range(count):
        start = time.perf_counter()
        call(number)
        times.append(1e3 * (time.perf_counter() - start))
    return float(np.percentile(times, 50)), float(np.percentile(times, 95))


def measure(name: str, make: Callable[[], Store], sample: SpeedSample, queries: int) -> SpeedRow:
    """Fill, settle, reopen, ask."""
    store = make()
    store.open(SHAPE)
    points = sample.points()
    start = time.perf_counter()
    for at in range(0, len(points), 500):
        store.upsert("bench", points[at : at + 500])
    inserted = time.perf_counter() - start
    start = time.perf_counter()
    store.flush("bench")
    settled = time.perf_counter() - start
    del points
    if name != "server":
        store.close()
    start = time.perf_counter()
    store = make() if name != "server" else store
    store.open(SHAPE)
    store.count("bench")
    opened = time.perf_counter() - start

    def dense(number: int, where: Where | None = None, limit: int = 10) -> list[Hit]:
        ask = Nearest(using="insight", vector=sample.questions[number : number + 1])
        return store.nearest("bench", [ask], limit=limit, where=where)[0]

    def hybrid(number: int) -> object:
        asks = [
            Nearest(using="insight", vector=sample.questions[number : number + 1]),
            Nearest(using="insight_words", vector=sample.words[number]),
        ]
        lists = store.nearest("bench", asks, limit=30, where=None)
        return rank.fuse({"insight": lists[0], "insight_words": lists[1]})[:10]

    plain, filtered, mixed = (percentiles(call, queries) for call in (dense, lambda n: dense(n, ONE_FAMILY), hybrid))
    hits = [len({h.id for h in dense(n)} & sample.exact(sample.questions[n])) / 10 for n in range(queries)]
    kept = [
        len({h.id for h in dense(n, ONE_FAMILY)} & sample.exact(sample.questions[n], 1)) / 10 for n in range(queries)
    ]
    store.drop("bench")
    store.close()
    return SpeedRow(
        backend=name, points=len(sample.vectors), inserts_per_s=len(sample.vectors) / inserted, settle_s=settled,
        open_s=opened, dense_p50=plain[0], dense_p95=plain[1], filtered_p50=filtered[0], filtered_p95=filtered[1],
        hybrid_p50=mixed[0], hybrid_p95=mixed[1], recall_at_10=float(np.mean(hits)),
        filtered_recall_at_10=float(np.mean(kept)),
    )  # fmt: skip


def bare_numpy(sample: SpeedSample, queries: int) -> SpeedRow:
    """One product and a partition: what there is without an engine (no filter index, no words, no disk)."""
    matrix = sample.vectors
    rows = np.flatnonzero(sample.family == 1)

    def dense(number: int) -> object:
        return np.argpartition(-(matrix @ sample.questions[number]), 10)[:10]

    def filtered(number: int) -> object:
        return rows[np.argpartition(-(matrix[rows] @ sample.questions[number]), 10)[:10]]

    plain, narrow = percentiles(dense, queries), percentiles(filtered, queries)
    nan = float("nan")
    return SpeedRow(
        backend="numpy", points=len(matrix), inserts_per_s=nan, settle_s=0.0, open_s=nan, dense_p50=plain[0],
        dense_p95=plain[1], filtered_p50=narrow[0], filtered_p95=narrow[1], hybrid_p50=nan, hybrid_p95=nan,
        recall_at_10=1.0, filtered_recall_at_10=1.0,
    )  # fmt: skip


def embedding() -> dict[str, float]:
    """Cold start of the model, one question, and passages a second."""
    entries = builtin_entries()
    texts = [p for e in entries for t in (e.insight, e.mechanism, *e.symptoms) for p in passages(t)]
    texts = (texts * (1 + 200 // len(texts)))[:200]
    start = time.perf_counter()
    model = MiniLM()
    model.embed(["warm"])
    cold = time.perf_counter() - start
    p50, p95 = percentiles(lambda n: model.embed([texts[n]]), 50)
    start = time.perf_counter()
    model.embed(texts)
    many = len(texts) / (time.perf_counter() - start)
    return {"model_load_s": cold, "question_p50_ms": p50, "question_p95_ms": p95, "passages_per_s": many}


def real_vectors() -> NDArray[np.float32]:
    """The passages of the built-in base, embedded."""
    entries = builtin_entries()
    texts = dict.fromkeys(p for e in entries for t in (e.insight, e.remedy, *e.symptoms) for p in passages(t))
    return MiniLM().embed(list(texts)[:600])


def table(rows: Sequence[SpeedRow]) -> str:
    """Markdown."""
    names = ("backend", "points", "dense p50 / p95 ms", "filtered", "hybrid", "recall@10", "filtered")
    head = f"| {' | '.join(names)} | inserts/s | graph s | open s |"
    lines = [head, "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|"]
    for row in rows:
        pair = [
            "–" if low != low else f"{low:.2f} / {high:.2f}"
            for low, high in (
                (row.dense_p50, row.dense_p95),
                (row.filtered_p50, row.filtered_p95),
                (row.hybrid_p50, row.hybrid_p95),
            )
        ]
        rest = [
            "–" if value is None or value != value else form.format(value)
            for value, form in (
                (row.recall_at_10, "{:.3f}"),
                (row.filtered_recall_at_10, "{:.3f}"),
                (row.inserts_per_s, "{:,.0f}"),
                (row.settle_s, "{:.1f}"),
                (row.open_s, "{:.2f}"),
            )
        ]
        lines.append(f"| {row.backend} | {row.points:,} | {' | '.join(pair)} | {' | '.join(rest)} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print; with --json the last line holds everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", default="1000,10000,100000", help="sizes, comma-separated")
    parser.add_argument("--local-all", action="store_true", help="local mode at every size")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    sizes = [int(part) for part in options.points.split(",")]
    base = real_vectors()
    rows: list[SpeedRow] = []
    with tempfile.TemporaryDirectory() as folder:
        for size in sizes:
            sample = SpeedSample(size, base)
            rows.append(measure("embedded", lambda s=size: EdgeStore(Path(folder) / f"edge{s}"), sample, QUERIES))  # type: ignore[misc]
            if url := os.environ.get("MOVE37_QDRANT_URL"):
                key = os.environ.get("QDRANT_API_KEY")
                rows.append(measure("server", lambda u=url, k=key: connect(u, k), sample, QUERIES))  # type: ignore[misc]
            if size <= 10_000 or options.local_all:
                few = QUERIES if size <= 1000 else 10
                rows.append(measure("local mode", lambda s=size: open_local(Path(folder) / f"local{s}"), sample, few))  # type: ignore[misc]
            rows.append(bare_numpy(sample, QUERIES))
            print(table(rows[-3:]), file=sys.stderr)
    speed = embedding()
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}\n")
    print(table(rows))
    print(
        f"\nmodel loads in {speed['model_load_s']:.2f} s; a question takes {speed['question_p50_ms']:.1f} ms (p50); "
        f"{speed['passages_per_s']:.0f} passages a second"
    )
    if options.json:
        print(json.dumps({"rows": [asdict(row) for row in rows], "embedding": speed}))


if __name__ == "__main__":
    main()
