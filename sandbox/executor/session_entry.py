"""Beside the code: run one block over the variables that earlier blocks left, and leave them to the next one.

Travels into the sandbox as a file and is started as `python session_entry.py STATE BLOCK`. What cannot be pickled (an
open file, a generator, a lock) does not live on, and a line on stderr names it. The pickle is read here alone, where
untrusted code runs anyway; the host never opens it.
"""

from __future__ import annotations

import linecache
import os
import sys
import types
from typing import Any

import cloudpickle

_OURS = {"__name__", "__doc__", "__package__", "__loader__", "__spec__", "__builtins__", "__file__", "__annotations__"}


def main(state: str, block: str) -> None:
    """Run `block`; the state is kept also when it raises, as in any interactive session."""
    module = types.ModuleType("__main__")  # not this one, whose own names the block must neither see nor leave
    sys.modules["__main__"] = module
    variables = vars(module)
    variables["__file__"] = block
    sys.argv[:] = [block]
    variables.update(_load(state))
    with open(block, encoding="utf-8-sig") as file:
        source = file.read()
    linecache.cache[block] = (len(source), None, source.splitlines(keepends=True), block)
    try:
        exec(compile(source, block, "exec", dont_inherit=True), variables)  # the block is not under our __future__
    finally:
        _save(state, {name: value for name, value in variables.items() if name not in _OURS})


def _load(state: str) -> dict[str, Any]:
    """What earlier blocks left; what cannot be read (a class of a file that is gone) must not stop every later one."""
    if not os.path.exists(state):
        return {}
    try:
        with open(state, "rb") as file:
            return dict(cloudpickle.load(file))
    except Exception as error:
        sys.stderr.write(f"the variables of earlier blocks are lost: {type(error).__name__}: {error}\n")
        return {}


def _save(state: str, variables: dict[str, Any]) -> None:
    """Whole or not at all: what stood there stays when the disk is full or the time is up in the middle."""
    kept, lost = {}, []
    for name, value in variables.items():
        try:
            cloudpickle.dumps(value)
        except Exception:
            lost.append(name)
        else:
            kept[name] = value
    try:
        with open(f"{state}.new", "wb") as file:
            cloudpickle.dump(kept, file)  # in one go: what two variables share stays shared
        os.replace(f"{state}.new", state)
    except OSError as error:
        sys.stderr.write(f"nothing of this block is kept for the next: {error.strerror}\n")
    if lost:
        sys.stderr.write(f"not kept for the next block: {', '.join(lost)}\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
