"""Which calls the candidate's process may not make, as a program for the kernel's packet filter (seccomp).

Those that touch, start or talk to another process, and those by which two processes of one candidate could exchange
information: checks need a process that knows nothing of the training's. Narrow channels are left, such as the time that
reading a file takes, or which threads of another process there are.
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
    # What is kept beside a file's content, which Landlock leaves alone: times, modes, owners, attributes. A job owns
    # its folders, and an attribute holds 64 kB.
    "chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452),
    "chown": (92, None), "fchown": (93, 55), "lchown": (94, None), "fchownat": (260, 54),
    "utime": (132, None), "utimes": (235, None), "futimesat": (261, None), "utimensat": (280, 88),
    "setxattr": (188, 5), "lsetxattr": (189, 6), "fsetxattr": (190, 7), "setxattrat": (463, 463),
    "removexattr": (197, 14), "lremovexattr": (198, 15), "fremovexattr": (199, 16), "removexattrat": (466, 466),
    "file_setattr": (469, 469),
}  # fmt: skip
# Values of one argument, by its place, that are refused: locks, owners, signals, leases, notices and hints of files;
# flags of files; whatever opens this process to others, which could then share its memory through /proc.
_REFUSED_COMMANDS = {
    "fcntl": ((72, 25), 1, (5, 6, 7, 8, 10, 15, 36, 37, 38, 1024, 1026, 1036, 1038)),
    "ioctl": ((16, 29), 1, (0x8901, 0x8902, 0x40086602, 0x40046602, 0x40087602, 0x401C5820)),
    "prctl": ((157, 167), 0, (4, 62, 0x59616D61)),  # PR_SET_DUMPABLE, PR_SCHED_CORE, PR_SET_PTRACER
}
# The first argument names a clock: below zero it is another process's, whose time is a message of that process.
_CLOCKS = ((228, 113), (229, 114), (230, 115), (222, 107))  # clock_gettime, clock_getres, clock_nanosleep, timer_create
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
    for numbers, place, commands in _REFUSED_COMMANDS.values():
        lines += [line(equal, numbers[column], 0, 2 * len(commands) + 2), line(load, 16 + 8 * place)]
        lines += [code for command in commands for code in (line(equal, command, 0, 1), line(leave, _EPERM))]
        lines += [line(leave, _ALLOW)]
    for numbers in _CLOCKS:
        lines += [line(equal, numbers[column], 0, 4), line(load, 16), line(at_least, 0x80000000, 0, 1)]
        lines += [line(leave, _EPERM), line(leave, _ALLOW)]
    own = {numbers[column]: os.getpid() for numbers in _OF_ITSELF.values()} | {_PRLIMIT[column]: 0}
    for number, itself in own.items():
        lines += [line(equal, number, 0, 4), line(load, 16), line(equal, itself, 1, 0)]
        lines += [line(leave, _EPERM), line(leave, _ALLOW)]
    return b"".join([*lines, line(leave, _ALLOW)])
