"""The one line of a failed program's errors that says why."""

from __future__ import annotations

import subprocess
import sys

import pytest

from move37.lab.training.outcomes import last_useful_line

RAISED = {
    "alone": ("raise ValueError('why')", "ValueError: why"),
    "without words": ("assert 1 == 2", "AssertionError"),
    "of several lines": ("raise ValueError('why\\n\\n  and more')", "ValueError: why"),
    "with a note": ("e = ValueError('why'); e.add_note('a note'); raise e", "ValueError: why"),
    "from another": ("try: 1 / 0\nexcept Exception as e: raise ValueError('why') from e", "ValueError: why"),
    "a group": (
        "raise ExceptionGroup('why', [KeyError('a'), TypeError('b')])",
        "ExceptionGroup: why (2 sub-exceptions)",
    ),
    "a group of groups": (
        "raise ExceptionGroup('why', [ExceptionGroup('in', [KeyError('a')])])",
        "ExceptionGroup: why (1 sub-exception)",
    ),
    "with something said at exit": (
        "import atexit, sys\natexit.register(lambda: sys.stderr.write('bye\\n'))\nraise ValueError('why')",
        "ValueError: why",
    ),
    "with output before it": (
        "import sys\nsys.stderr.write('[INFO] go\\n' * 9)\nraise ValueError('why')",
        "ValueError: why",
    ),
    "a syntax error": ("exec('x = = 1')", "SyntaxError: invalid syntax"),
}


@pytest.mark.parametrize("kind", RAISED)
def test_the_reason_is_the_exceptions_own_line(kind: str) -> None:
    """As the interpreter itself writes it."""
    code, line = RAISED[kind]
    errors = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False).stderr
    assert last_useful_line(errors) == line
