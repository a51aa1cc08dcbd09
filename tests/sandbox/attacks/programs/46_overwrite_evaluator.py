"""Overwrites the evaluator that lies beside it."""

import os

from attack import attempt


def overwrite():
    with open("judge.py", "w") as stream:
        stream.write("def score():\n    return 1.0\n")


def replace():
    with open("other.py", "w") as stream:
        stream.write("def score():\n    return 1.0\n")
    os.replace("other.py", "judge.py")


attempt("write", overwrite)
attempt("replace", replace)
attempt("remove", lambda: os.unlink("judge.py"))
