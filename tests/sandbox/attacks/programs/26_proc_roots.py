"""Goes out through /proc/PID/root and cwd."""

import glob

from attack import TARGETS, attempt


def through(kind):
    for path in [*glob.glob(f"/proc/[0-9]*/{kind}"), f"/proc/self/{kind}"]:
        try:
            with open(path + TARGETS["secret"]) as stream:
                return stream.read()
        except OSError:
            pass
    raise OSError("no way out")


attempt("root", lambda: through("root"))
attempt("cwd", lambda: through("cwd"))
