"""The profile: an allow list, kept equal to its file."""

from __future__ import annotations

import json

import pytest

from move37.sandbox.docker.seccomp import NAMESPACE_FLAGS, PROFILE_FILE, allowed, profile, text

DENIED = """
io_uring_setup io_uring_enter io_uring_register bpf keyctl add_key request_key ptrace process_vm_readv
process_vm_writev userfaultfd mount umount2 move_mount open_tree fsopen fsmount pivot_root unshare setns kexec_load
kexec_file_load init_module finit_module delete_module perf_event_open open_by_handle_at name_to_handle_at
clock_settime settimeofday adjtimex swapon reboot acct quotactl syslog iopl ioperm modify_ldt personality chroot
sethostname setdomainname setuid setgid setreuid setregid setfsuid kcmp pidfd_getfd vmsplice shmget shmat
semget msgget mq_open fanotify_init lookup_dcookie mbind migrate_pages move_pages
"""


def test_the_file_is_what_the_list_makes():
    assert PROFILE_FILE.read_text() == text(), "run `python -m move37.sandbox.docker.seccomp`"


@pytest.mark.parametrize("name", DENIED.split())
def test_is_refused_whatever_its_arguments(name: str):
    assert not [rule for rule in profile()["syscalls"] if name in rule["names"]]


def test_whatever_is_not_listed_is_refused():
    assert profile()["defaultAction"] == "SCMP_ACT_ERRNO"


def test_clone_makes_no_namespaces_and_clone3_does_not_exist():
    by_name = {rule["names"][0]: rule for rule in profile()["syscalls"][1:]}
    (condition,) = by_name["clone"]["args"]
    assert (condition["value"], condition["valueTwo"]) == (NAMESPACE_FLAGS, 0)
    assert by_name["clone3"]["action"] == "SCMP_ACT_ERRNO" and by_name["clone3"]["errnoRet"] == 38


def test_no_socket_but_streams_and_datagrams_and_reading_addresses():
    rules = [rule["args"] for rule in profile()["syscalls"] if rule["names"] == ["socket"]]
    families = sorted(args[0]["value"] for args in rules)
    assert families == [1, 1, 2, 2, 2, 2, 10, 10, 10, 10, 16]
    raw = 3
    for args in rules:
        if args[0]["value"] != 16:
            assert args[1]["valueTwo"] != raw
        if args[0]["value"] in (2, 10):
            assert args[2]["value"] in (0, 6, 17)  # plain TCP and UDP


@pytest.mark.parametrize("name, argument", [("prlimit64", 0), ("sched_setaffinity", 0), ("setpriority", 1)])
def test_limits_can_be_changed_of_the_caller_alone(name: str, argument: int):
    rules = [rule for rule in profile()["syscalls"] if name in rule["names"]]
    assert rules and all({"index": argument, "value": 0, "op": "SCMP_CMP_EQ"} in rule["args"] for rule in rules)


def test_32_bit_system_calls_are_no_way_around_it():
    assert all(one["subArchitectures"] == [] for one in profile()["archMap"])


def test_names_are_listed_once():
    assert len(allowed()) == len(set(allowed())) and json.loads(text()) == profile()
