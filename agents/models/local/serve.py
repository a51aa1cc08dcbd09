"""The process: `python -m move37.agents.models.local.serve FILE [--context N] [--threads N]`.

Prints one JSON line with its address when it serves OpenAI's chat completions, and ends with its stdin.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

CONTEXT_TOKENS = 12_288


def main() -> None:
    """Serve until stdin closes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("file", type=Path)
    parser.add_argument("--context", type=int, default=CONTEXT_TOKENS)
    parser.add_argument("--threads", type=int, default=0)
    wanted = parser.parse_args()
    if not wanted.file.is_file() or wanted.file.open("rb").read(4) != b"GGUF":
        sys.exit(f"{wanted.file} is no GGUF file")
    protocol = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # llama.cpp prints: stdout carries the address alone
    import xllamacpp

    options = xllamacpp.CommonParams()
    options.model.path = str(wanted.file)
    options.hostnames = ["127.0.0.1"]
    options.port = 0
    options.n_ctx = wanted.context
    options.n_parallel = 1
    threads = wanted.threads or max(1, len(os.sched_getaffinity(0)) - 1)
    options.cpuparams.n_threads = threads
    options.cpuparams_batch.n_threads = threads
    options.ui = False
    options.verbosity = 0
    server: Any = xllamacpp.Server(options)
    protocol.write(json.dumps({"address": server.listening_address}) + "\n")
    protocol.flush()
    sys.stdin.buffer.read()
    os._exit(0)  # the server's threads need no farewell


if __name__ == "__main__":
    main()
