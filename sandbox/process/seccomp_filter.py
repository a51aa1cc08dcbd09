"""The system calls that a job is refused, compiled by libseccomp to a filter that the child loads.

A list of what is refused, not of what is allowed: a job may be any scientific program, and most of what is dangerous
needs a capability that it has lost already. What stands here is the kernel's large and rarely audited surface
(io_uring, bpf, keys, perf, user namespaces), what would lead out of the namespaces, and setuid bits and devices.
Not covered: speculation attacks, and what ordinary calls do with a bug in the kernel; gVisor is for that.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from typing import Any

# Namespaces and mounts.
OUTWARD = "mount umount umount2 pivot_root chroot unshare setns move_mount open_tree open_tree_attr fsopen fsconfig"
OUTWARD += " fsmount fspick mount_setattr statmount listmount"
# Files by handle reach outside a mount namespace.
OUTWARD += " name_to_handle_at open_by_handle_at"
OTHER_PROCESSES = "ptrace process_vm_readv process_vm_writev process_madvise pidfd_getfd kcmp"
KERNEL = "bpf perf_event_open io_uring_setup io_uring_enter io_uring_register userfaultfd keyctl add_key request_key"
KERNEL += " fanotify_init fanotify_mark lookup_dcookie modify_ldt iopl ioperm personality vhangup uselib"
KERNEL += " remap_file_pages move_pages migrate_pages vmsplice"
MACHINE = "init_module finit_module delete_module create_module kexec_load kexec_file_load reboot swapon swapoff"
MACHINE += " syslog acct quotactl quotactl_fd nfsservctl sethostname setdomainname settimeofday clock_settime adjtimex"
MACHINE += " clock_adjtime stime"
REFUSED = tuple(" ".join((OUTWARD, OTHER_PROCESSES, KERNEL, MACHINE)).split())

ALLOWED_FAMILIES = (1, 2, 10)  # unix, inet, inet6
NETLINK, NETLINK_ROUTE = 16, 0  # getifaddrs asks it
STREAM, DGRAM = 1, 2
TCP, UDP = 6, 17
TYPE_MASK = 0xF
NAMESPACE_FLAGS = (0x20000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000)
TIOCSTI, TIOCLINUX = 0x5412, 0x541C


# Calls that change the limits or the share of some process, and the argument that names it: 0 is the caller itself.
OF_A_PROCESS = {
    "prlimit64": 0,
    "sched_setaffinity": 0,
    "sched_setscheduler": 0,
    "sched_setparam": 0,
    "sched_setattr": 0,
    "setpriority": 1,
    "ioprio_set": 1,
}
# Where two candidates see the same file, these tell one what the other does to it.
WATCHES = ("inotify_init", "inotify_init1", "inotify_add_watch", "inotify_rm_watch")
F_SETLEASE, F_NOTIFY = 1024, 1026


def compile_filter(*, sockets: bool, shared: bool) -> bytes:
    """The filter as instructions of 8 bytes each.

    `sockets`: False refuses every socket but pairs, for a job that has no network namespace of its own.
    `shared`: the job sees files that other processes see too, so it may not watch or lock them.
    Raises `OSError` with what to install when libseccomp is not there.
    """
    try:
        import pyseccomp as seccomp
    except (ImportError, RuntimeError) as error:
        raise OSError(errno.ENOENT, "libseccomp is not installed (Debian: apt install libseccomp2)") from error
    rules = seccomp.SyscallFilter(seccomp.ALLOW)
    refuse = seccomp.ERRNO(errno.EPERM)
    for name in REFUSED:
        _add(rules, refuse, name)
    # glibc falls back to clone(), whose flags a filter can see.
    _add(rules, seccomp.ERRNO(errno.ENOSYS), "clone3")
    for flag in NAMESPACE_FLAGS:
        _add(rules, refuse, "clone", seccomp.Arg(0, seccomp.MASKED_EQ, flag, flag))
    _refuse_sockets(rules, refuse, seccomp, sockets)
    _refuse_others(rules, refuse, seccomp)
    for command in (F_SETLEASE, F_NOTIFY):
        _add(rules, refuse, "fcntl", seccomp.Arg(1, seccomp.MASKED_EQ, 0xFFFFFFFF, command))
    if shared:
        for name in WATCHES:
            _add(rules, refuse, name)
        # As on a file system without locks: programs know what to do about that.
        _add(rules, seccomp.ERRNO(errno.ENOSYS), "flock")
    _refuse_modes(rules, refuse, seccomp)
    for request in (TIOCSTI, TIOCLINUX):
        _add(rules, refuse, "ioctl", seccomp.Arg(1, seccomp.MASKED_EQ, 0xFFFFFFFF, request))
    with os.fdopen(os.memfd_create("filter"), "w+b") as stream:
        rules.export_bpf(stream)
        stream.seek(0)
        return stream.read()


def _add(rules: Any, action: Any, name: str, *arguments: Any) -> None:
    # A name that this libseccomp or this processor does not know is no loss.
    with contextlib.suppress(OSError, ValueError, RuntimeError):
        rules.add_rule(action, name, *arguments)


def _refuse_sockets(rules: Any, refuse: Any, seccomp: Any, sockets: bool) -> None:
    if not sockets:
        _add(rules, refuse, "socket")
        return
    highest = max(*ALLOWED_FAMILIES, NETLINK)
    for family in set(range(highest)) - set(ALLOWED_FAMILIES) - {NETLINK}:
        _add(rules, refuse, "socket", seccomp.Arg(0, seccomp.EQ, family))
    _add(rules, refuse, "socket", seccomp.Arg(0, seccomp.GT, highest))
    netlink = seccomp.Arg(0, seccomp.EQ, NETLINK)
    _add(rules, refuse, "socket", netlink, seccomp.Arg(2, seccomp.NE, NETLINK_ROUTE))
    for family in (2, 10):
        for kind in set(range(TYPE_MASK + 1)) - {STREAM, DGRAM}:  # sequenced packets are SCTP
            arguments = (seccomp.Arg(0, seccomp.EQ, family), seccomp.Arg(1, seccomp.MASKED_EQ, TYPE_MASK, kind))
            _add(rules, refuse, "socket", *arguments)
        for protocol in set(range(UDP)) - {0, TCP}:
            of_protocol = seccomp.Arg(2, seccomp.EQ, protocol)
            _add(rules, refuse, "socket", seccomp.Arg(0, seccomp.EQ, family), of_protocol)
        _add(rules, refuse, "socket", seccomp.Arg(0, seccomp.EQ, family), seccomp.Arg(2, seccomp.GT, UDP))


def _refuse_others(rules: Any, refuse: Any, seccomp: Any) -> None:
    """Limits, priorities and processors of any process but the caller."""
    for name, place in OF_A_PROCESS.items():
        _add(rules, refuse, name, seccomp.Arg(place, seccomp.NE, 0))
    _add(rules, refuse, "setpriority", seccomp.Arg(0, seccomp.NE, 0))  # a group's, a user's
    _add(rules, refuse, "ioprio_set", seccomp.Arg(0, seccomp.NE, 1))


def _refuse_modes(rules: Any, refuse: Any, seccomp: Any) -> None:
    """setuid and setgid bits, and device files."""
    for name, mode in (("chmod", 1), ("fchmod", 1), ("fchmodat", 2), ("fchmodat2", 2), ("mkdir", 1), ("creat", 1)):
        for bit in (stat.S_ISUID, stat.S_ISGID):
            _add(rules, refuse, name, seccomp.Arg(mode, seccomp.MASKED_EQ, bit, bit))
    for name, mode in (("open", 2), ("openat", 3)):
        at = mode - 1
        for bit in (stat.S_ISUID, stat.S_ISGID):
            made = seccomp.Arg(at, seccomp.MASKED_EQ, os.O_CREAT, os.O_CREAT)
            _add(rules, refuse, name, made, seccomp.Arg(mode, seccomp.MASKED_EQ, bit, bit))
    for name, mode in (("mknod", 1), ("mknodat", 2)):
        for kind in (stat.S_IFBLK, stat.S_IFCHR):
            _add(rules, refuse, name, seccomp.Arg(mode, seccomp.MASKED_EQ, 0o170000, kind))


def instructions(program: bytes) -> int:
    return len(program) // 8
