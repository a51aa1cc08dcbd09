"""Which calls the candidate's process may not make, as a program for the kernel's packet filter (seccomp).

Those that touch, start or talk to another process, and those by which two processes of one candidate could exchange
information: checks need a process that knows nothing of the training's. Slow channels are left, such as the time that
reading a file takes, which depends on earlier reads.
"""

from __future__ import annotations

import os
import struct

# Calls that are refused: numbers on x86_64 and on aarch64 (None: it does not exist there).
_REFUSED = {
    "ptrace": (101, 117), "tkill": (200, 130), "setrlimit": (160, 164),
    "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "pidfd_open": (434, 434),
    "pidfd_send_signal": (424, 424), "pidfd_getfd": (438, 438), "fork": (57, None), "vfork": (58, None),
    "execve": (59, 221), "execveat": (322, 281), "socket": (41, 198), "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240), "setpriority": (141, 140), "kcmp": (312, 272), "userfaultfd": (323, 282),
    "shmget": (29, 194), "shmat": (30, 196), "msgget": (68, 186), "semget": (64, 190), "mq_open": (240, 180),
    "inotify_init": (253, None), "inotify_init1": (294, 26), "bpf": (321, 280), "unshare": (272, 97),
    "setns": (308, 268), "mount": (165, 40), "io_uring_setup": (425, 425), "process_madvise": (440, 440),
    "perf_event_open": (298, 241), "keyctl": (250, 219), "add_key": (248, 217), "flock": (73, 32),
    # By which one process of a candidate could signal another: marks on files, on processes, in the page cache.
    "fanotify_init": (300, 262), "get_robust_list": (274, 100), "ioprio_set": (251, 30), "preadv2": (327, 286),
    "mincore": (27, 232), "cachestat": (451, 451), "fadvise64": (221, 223), "readahead": (187, 213),
    "sched_setscheduler": (144, 119), "sched_setparam": (142, 118), "sched_setattr": (314, 274),
    "sched_setaffinity": (203, 122), "setpgid": (109, 154), "setsid": (112, 157),
}  # fmt: skip
# Second arguments that are refused: locks, owners, signals, leases and notices of files.
_REFUSED_COMMANDS = {
    "fcntl": ((72, 25), (5, 6, 7, 8, 10, 15, 36, 37, 38, 1024, 1026)),
    "ioctl": ((16, 29), (0x8901, 0x8902)),
}
_MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}  # column of the table, AUDIT_ARCH
_CLONE, _CLONE3 = (56, 220), (435, 435)
_OF_ITSELF = {"kill": (62, 129), "tgkill": (234, 131)}  # allowed on the process itself: abort() is one
_PRLIMIT = (302, 261)  # allowed on the process itself, which it calls 0
_CLONE_THREAD = 0x10000
_ALLOW, _EPERM, _ENOSYS, _KILL = 0x7FFF0000, 0x00050001, 0x00050026, 0x80000000


def refusing_filter(machine: str) -> bytes:
    """A program for the kernel's packet filter: arguments of a call in, what to do with it out.

    For this process, whose number stands in it. Raises `OSError` where the machine's calls are not in the table.
    """
    if machine not in _MACHINES:
        raise OSError(f"no table of calls for {machine}")
    column, architecture = _MACHINES[machine]
    load, equal, any_bit, at_least, leave = 0x20, 0x15, 0x45, 0x35, 0x06

    def line(code: int, value: int, yes: int = 0, no: int = 0) -> bytes:
        return struct.pack("=HBBI", code, yes, no, value)

    lines = [line(load, 4), line(equal, architecture, 1, 0), line(leave, _KILL), line(load, 0)]
    if column == 0:
        lines += [line(at_least, 0x40000000, 0, 1), line(leave, _KILL)]  # the x32 numbers of x86_64
    for numbers in _REFUSED.values():
        if (number := numbers[column]) is not None:
            lines += [line(equal, number, 0, 1), line(leave, _EPERM)]
    # The C library falls back to clone, whose flags a filter can read: threads may start, processes may not.
    lines += [line(equal, _CLONE3[column], 0, 1), line(leave, _ENOSYS)]
    lines += [line(equal, _CLONE[column], 0, 4), line(load, 16), line(any_bit, _CLONE_THREAD, 1, 0)]
    lines += [line(leave, _EPERM), line(leave, _ALLOW)]
    for numbers, commands in _REFUSED_COMMANDS.values():
        lines += [line(equal, numbers[column], 0, 2 * len(commands) + 2), line(load, 24)]
        lines += [code for command in commands for code in (line(equal, command, 0, 1), line(leave, _EPERM))]
        lines += [line(leave, _ALLOW)]
    own = {numbers[column]: os.getpid() for numbers in _OF_ITSELF.values()} | {_PRLIMIT[column]: 0}
    for number, itself in own.items():
        lines += [line(equal, number, 0, 4), line(load, 16), line(equal, itself, 1, 0)]
        lines += [line(leave, _EPERM), line(leave, _ALLOW)]
    return b"".join([*lines, line(leave, _ALLOW)])
