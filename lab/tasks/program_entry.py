"""The job of a program candidate: imports it, evaluates it, runs it, or scores its data. Standard library only.

Copied into the job as `main.py`, with `task/` (the task's folder) and `candidate.py`; it copies the folder to a
writable place first. Its argument is one of:

    import      import the candidate, so that its own exception reaches the Debugger
    evaluate    evaluator.evaluate(path) -> metrics       beside the candidate: self-reported
    run         evaluator.run(path) -> data.json          beside the candidate: self-reported
    score       evaluator.score(data) -> metrics          in a process that never met the candidate

Data crosses as JSON (floats exact, arrays as tagged bytes), never as a pickle.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import importlib.util
import inspect
import json
import os
import random
import shutil
import sys
import tempfile
from collections.abc import Mapping
from numbers import Number
from pathlib import Path
from types import ModuleType
from typing import Any

ARRAY = "__ndarray__"
SCORE = "combined_score"
MOST_METRICS = 64
LONGEST_NAME = 64  # characters of a metric's name
_ARRAY_KINDS = "biuf"  # booleans, integers, floats: kinds whose bytes carry no object


def main(arguments: list[str]) -> None:
    """Ends the process; the candidate's and the evaluator's own exceptions pass through as tracebacks."""
    mode, seed = arguments[0], int(arguments[1])
    here = Path.cwd()
    out = Path(os.environ["MOVE37_OUT"])
    folder = Path(tempfile.mkdtemp(prefix="task-"))
    shutil.copytree(here / "task", folder, dirs_exist_ok=True)
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o700)  # the job's own files are read-only, the copy must not be
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    _seed(seed)
    program = folder / "candidate_program.py"
    if mode != "score":
        program.write_bytes((here / "candidate.py").read_bytes())
    if mode == "import":
        sys.argv = [str(program)]
        _load("candidate_program", program)
    else:
        sys.argv = [str(folder / "evaluator.py")]
        try:
            _evaluate(mode, _load("evaluator", folder / "evaluator.py"), program, here=here, out=out)
        except SystemExit as leaving:  # or a status of 0 would count as success
            raise RuntimeError(f"sys.exit({leaving.code!r}) was called before there was a score") from leaving
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, OSError, ValueError):  # closed, or replaced by the code
            stream.flush()
    os._exit(0)  # the answer is there: threads or children that are left must not keep the job running


def _evaluate(mode: str, evaluator: ModuleType, program: Path, *, here: Path, out: Path) -> None:
    ours = os.getpid()
    if mode == "run":
        answer = encode(_awaited(evaluator.run(str(program))))
    elif mode == "evaluate":
        answer = metrics(_awaited(evaluator.evaluate(str(program))))
    else:
        answer = metrics(_awaited(evaluator.score(decode(json.loads((here / "data.json").read_text())))))
    if os.getpid() != ours:
        os._exit(0)  # a forked child that returned from the same call: only its parent writes the answer
    os.umask(0o077)  # whatever the code left: the file has to be read
    (out / ("data.json" if mode == "run" else "metrics.json")).write_text(json.dumps(answer))


def _awaited(answer: Any) -> Any:
    """The answer, of a coroutine function too."""
    return asyncio.run(answer) if inspect.iscoroutine(answer) else answer


def _seed(seed: int) -> None:
    random.seed(seed)
    if importlib.util.find_spec("numpy"):
        import numpy

        numpy.random.seed(seed % 2**32)


def _load(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"cannot import {path.name}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def metrics(answer: Any) -> dict[str, float]:
    """The real numbers among an evaluator's answer: a dict or its text as JSON, an object with fields, one of these
    under `metrics`, the score alone, or any of them first in a tuple.
    """
    if type(answer) is tuple and answer:
        answer = answer[0]
    if isinstance(answer, str) and answer.lstrip().startswith("{"):
        with contextlib.suppress(ValueError, RecursionError):
            answer = json.loads(answer)
    shape = getattr(answer, "shape", None)
    if isinstance(answer, Number) or (isinstance(shape, tuple) and set(shape) <= {1} and hasattr(answer, "item")):
        answer = {SCORE: answer}
    found = _fields(answer)
    if found is not None and SCORE not in found:
        found = _fields(found.get("metrics")) or found
    if found is None:
        raise TypeError(f"the evaluator returned {type(answer).__name__}, not a dict of metrics")
    found = {SCORE: found[SCORE], **found} if SCORE in found else found  # however many stand before it
    numbers: dict[str, float] = {}
    for name, value in found.items():
        if isinstance(value, (str, bytes, complex)) or len(numbers) >= MOST_METRICS:
            continue
        try:
            numbers[str(name)[:LONGEST_NAME]] = float(value.item() if hasattr(value, "item") else value)  # of an array
        except (TypeError, ValueError, OverflowError):
            continue
    return numbers


def _fields(answer: Any) -> dict[Any, Any] | None:
    if isinstance(answer, Mapping):
        return dict(answer)
    if hasattr(answer, "_asdict"):
        return dict(answer._asdict())
    named = {name: getattr(answer, name) for name in (SCORE, "metrics") if hasattr(answer, name)}
    return {**getattr(answer, "__dict__", {}), **named} if named else None


def encode(data: Any) -> Any:
    """Plain data as JSON-able data. Raises `TypeError` on anything that is not numbers, text, lists, dicts, arrays."""
    if data is None or isinstance(data, (bool, int, float, str)):
        return data
    if isinstance(data, (list, tuple)):
        return [encode(item) for item in data]
    if isinstance(data, dict) and ARRAY not in data and all(isinstance(key, str) for key in data):
        return {key: encode(value) for key, value in data.items()}
    dtype = getattr(data, "dtype", None)
    if getattr(dtype, "kind", "") in _ARRAY_KINDS and hasattr(data, "tobytes"):
        raw = base64.b64encode(data.tobytes()).decode()
        return {ARRAY: raw, "dtype": dtype.str, "shape": list(data.shape)}  # type: ignore[union-attr]
    raise TypeError(
        f"run() returned a {type(data).__name__}; give numbers, strings, lists, dicts with string keys, numeric arrays"
    )


def decode(data: Any) -> Any:
    """The inverse of `encode`, with lists for tuples. Raises `ValueError` on an array that does not fit its shape."""
    if isinstance(data, list):
        return [decode(item) for item in data]
    if isinstance(data, dict) and ARRAY in data:
        import numpy

        dtype = numpy.dtype(str(data["dtype"]))
        if dtype.kind not in _ARRAY_KINDS:
            raise ValueError("an array of objects is not data")
        flat = numpy.frombuffer(base64.b64decode(data[ARRAY]), dtype=dtype)
        return flat.reshape([int(n) for n in data["shape"]]).copy()
    if isinstance(data, dict):
        return {key: decode(value) for key, value in data.items()}
    return data


if __name__ == "__main__":
    main(sys.argv[1:])
