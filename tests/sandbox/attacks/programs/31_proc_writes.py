"""Writes into /proc."""

from attack import attempt


def write(path, text=None):
    # To open it is enough where the write itself would hurt the machine that this is tested on.
    with open(path, "w" if text else "r+") as stream:
        if text:
            stream.write(text)


attempt("core pattern", lambda: write("/proc/sys/kernel/core_pattern"))
attempt("sysrq", lambda: write("/proc/sysrq-trigger"))
attempt("modprobe", lambda: write("/proc/sys/kernel/modprobe"))
attempt("overcommit", lambda: write("/proc/sys/vm/drop_caches"))
attempt("oom score of PID 1", lambda: write("/proc/1/oom_score_adj", "1000"))
attempt("own oom score", lambda: write("/proc/self/oom_score_adj", "-1000"))
attempt("uid map", lambda: write("/proc/self/uid_map", "0 0 1"))
attempt("host name", lambda: write("/proc/sys/kernel/hostname", "attack"))
