"""The system calls that code in a container may make: an allow list, written out as `image/seccomp.json`.

Docker's own profile asks what is dangerous for any program; this one asks what CPython, PyTorch and CUDA need, and
refuses the rest. What that takes away beyond Docker's default: io_uring, ptrace and its relatives (process_vm_*,
kcmp, pidfd_getfd), System V and POSIX message IPC (a mailbox between two jobs of one container), 32-bit system calls,
raw and packet sockets, netlink other than the reading of addresses, device nodes, limits of other processes.

The supervisor (PID 1) needs setresuid, setgroups, capset and chown to give each job a user of its own; to a job, which
has no capability, they are of no use.

Regenerate after a change: `python -m move37.sandbox.docker.seccomp`. A test keeps the file and this list equal.
gVisor answers system calls itself and does not read this profile.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

PROFILE_FILE = Path(__file__).parent.parent / "image" / "seccomp.json"

EPERM, ENOSYS, EAFNOSUPPORT = 1, 38, 97

# CLONE_NEWNS|NEWCGROUP|NEWUTS|NEWIPC|NEWUSER|NEWPID|NEWNET; NEWTIME shares its bit with the exit signal's byte and is
# only honoured by clone3 and unshare, which are both refused.
NAMESPACE_FLAGS = 0x7E020000

FILES = """
access faccessat faccessat2 open openat openat2 creat close close_range read readv pread64 preadv preadv2 write writev
pwrite64 pwritev pwritev2 lseek stat lstat fstat newfstatat statx statfs fstatfs readlink readlinkat getdents getdents64
getcwd chdir fchdir mkdir mkdirat rmdir unlink unlinkat rename renameat renameat2 link linkat symlink symlinkat
chown lchown fchownat
chmod fchmod fchmodat fchmodat2 umask utime utimes utimensat futimesat truncate ftruncate fallocate fadvise64 fsync
fdatasync sync_file_range flock fcntl dup dup2 dup3 pipe pipe2 sendfile splice tee copy_file_range ioctl
getxattr lgetxattr fgetxattr listxattr llistxattr flistxattr
inotify_init inotify_init1 inotify_add_watch inotify_rm_watch memfd_create
"""
MEMORY = """
brk mmap munmap mremap mprotect madvise msync mincore mlock mlock2 munlock membarrier
pkey_alloc pkey_free pkey_mprotect
"""
PROCESSES = """
fork vfork execve execveat exit exit_group wait4 waitid kill tkill tgkill pidfd_open pidfd_send_signal
getpid getppid gettid getpgid getpgrp setpgid getsid setsid getuid geteuid getgid getegid getresuid getresgid getgroups
prctl capset setresuid setresgid setgroups arch_prctl capget set_tid_address set_robust_list get_robust_list rseq
rt_sigaction rt_sigprocmask rt_sigreturn rt_sigpending rt_sigsuspend rt_sigtimedwait rt_sigqueueinfo rt_tgsigqueueinfo
sigaltstack signalfd signalfd4 restart_syscall pause alarm
getrlimit setrlimit getrusage times getpriority
sched_yield sched_getaffinity sched_getparam sched_getscheduler sched_get_priority_max
sched_get_priority_min sched_rr_get_interval sched_getattr getcpu
futex futex_waitv futex_wait futex_wake futex_requeue
landlock_create_ruleset landlock_add_rule landlock_restrict_self seccomp
"""
WAITING = """
select pselect6 poll ppoll epoll_create epoll_create1 epoll_ctl epoll_wait epoll_pwait epoll_pwait2 eventfd eventfd2
nanosleep clock_nanosleep clock_gettime clock_getres gettimeofday time getitimer setitimer
timer_create timer_settime timer_gettime timer_getoverrun timer_delete timerfd_create timerfd_settime timerfd_gettime
"""
SOCKETS = """
socketpair connect bind listen accept accept4 getsockname getpeername getsockopt setsockopt shutdown
sendto recvfrom sendmsg recvmsg sendmmsg recvmmsg
"""
MACHINE = "uname sysinfo getrandom"

AF_UNIX, AF_INET, AF_INET6, AF_NETLINK = 1, 2, 10, 16
SOCK_STREAM, SOCK_DGRAM, SOCK_TYPE_MASK = 1, 2, 0xF
TCP, UDP = 6, 17
NETLINK_ROUTE = 0
S_IFMT = 0o170000
MAKEABLE = (0o010000, 0o100000, 0o140000)  # FIFO, regular file, socket: no device node


def allowed() -> tuple[str, ...]:
    """The names that are allowed whatever their arguments."""
    return tuple(sorted({*" ".join((FILES, MEMORY, PROCESSES, WAITING, SOCKETS, MACHINE)).split()}))


def profile() -> dict[str, Any]:
    """The profile in the Docker engine's own schema."""
    rules: list[dict[str, Any]] = [{"names": list(allowed()), "action": "SCMP_ACT_ALLOW"}]
    rules.append(_when("clone", _masked(0, NAMESPACE_FLAGS, 0)))
    # glibc falls back to clone, whose flags can be looked at, only when clone3 seems not to exist.
    rules.append({"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": ENOSYS})
    # A process may change limits, priority and processors of itself (0) only.
    rules.append(_when("prlimit64", _equal(0, 0)))
    rules.append(_when("sched_setaffinity", _equal(0, 0)))
    rules.append(_when("setpriority", _equal(0, 0), _equal(1, 0)))
    for kind in (SOCK_STREAM, SOCK_DGRAM):
        rules.append(_when("socket", _equal(0, AF_UNIX), _masked(1, SOCK_TYPE_MASK, kind)))
    for family in (AF_INET, AF_INET6):
        for kind, protocol in ((SOCK_STREAM, TCP), (SOCK_DGRAM, UDP)):
            for asked in (0, protocol):
                of_kind = _masked(1, SOCK_TYPE_MASK, kind)
                rules.append(_when("socket", _equal(0, family), of_kind, _equal(2, asked)))
    # getifaddrs reads addresses this way; NCCL does not start without it.
    rules.append(_when("socket", _equal(0, AF_NETLINK), _equal(2, NETLINK_ROUTE)))
    for kind in MAKEABLE:
        rules.append(_when("mknod", _masked(1, S_IFMT, kind)))
        rules.append(_when("mknodat", _masked(2, S_IFMT, kind)))
    return {
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": EPERM,
        "archMap": [
            {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": []},
            {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": []},
        ],
        "syscalls": rules,
    }


def text() -> str:
    """The profile as it stands in the file."""
    return json.dumps(profile(), indent=1) + "\n"


def _when(name: str, *conditions: dict[str, Any]) -> dict[str, Any]:
    return {"names": [name], "action": "SCMP_ACT_ALLOW", "args": list(conditions)}


def _equal(index: int, value: int) -> dict[str, Any]:
    return {"index": index, "value": value, "op": "SCMP_CMP_EQ"}


def _masked(index: int, mask: int, value: int) -> dict[str, Any]:
    """(argument & mask) == value; the engine's schema calls the mask `value` and the value `valueTwo`."""
    return {"index": index, "value": mask, "valueTwo": value, "op": "SCMP_CMP_MASKED_EQ"}


if __name__ == "__main__":
    PROFILE_FILE.write_text(text())
