"""Does memory find, does it help, is it fast? `python -m benchmarks.memory [PART] [options of the part]`.

    retrieval   (the default) is the right insight found from a symptom in other words: recall@1, recall@5, MRR, with
                intervals, dense against words against hybrid; about ten minutes on two cores
    loop FOLDER equal-budget campaigns with cognition, with analyses, with both, with neither; about an hour
    product     what the product's own calls cost: search, import, remember; what situations recall
    speed       query p50 and p95 by number of points, embedded, local mode, a server, bare numpy

Each part is also a module of its own: benchmarks.memory_PART.
"""

from __future__ import annotations

import runpy
import sys

PARTS = ("retrieval", "loop", "speed", "product")


def main() -> None:
    """Hand over to the part that was named."""
    if sys.argv[1:2] and sys.argv[1] in ("-h", "--help"):
        print(__doc__)
        return
    part = sys.argv.pop(1) if len(sys.argv) > 1 and sys.argv[1] in PARTS else PARTS[0]
    runpy.run_module(f"move37.benchmarks.memory_{part}", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
