"""Every attack and the property that must hold, in one table.

A line names the program (programs/), says the property in one sentence, and gives the function that decides it. Three
things must hold of all of them besides: the host is unharmed, nothing is left running, and the sandbox serves on.
`report.py` prints what was found here for each backend.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from move37.sandbox.job import MIB, Limits, Status
from move37.sandbox.text import harmless
from tests.sandbox.attacks.trial import FOLDER, Trial

GVISOR = "docker with gVisor"
OWN_KERNEL = "granted by gVisor's own kernel, to nobody outside it; seccomp profiles are not read there"
# Seen with the runsc of Debian 12 (2022, ptrace). It also loses a container now and then, which ends the attack too.
GVISOR_GRANTS = {
    "02_thread_bomb": "the time ends it, later than it should",
    "11_locked_memory": OWN_KERNEL,
    "20_hold_the_pipe": "the answer comes late",
    "22_vfork_exec": "the answer comes late",
    "33_devices": OWN_KERNEL,
    "34_make_device": OWN_KERNEL,
    "37_memory_of_others": "maps and descriptor names of PID 1 can be read: it knows no PR_SET_DUMPABLE",
    "39_stop_first": "PID 1 can be stopped: the host's clock kills the container",
    "42_forge_result": "PID 1's channel can be written to; the job's id, which the program is not told, unmasks it",
    "48_unshare": OWN_KERNEL,
    "52_setuid_file": OWN_KERNEL,
    "55_io_uring": OWN_KERNEL,
    "59_personality": OWN_KERNEL,
}
Judge = Callable[[Trial], bool]
FOLDER_OF_PROGRAMS = FOLDER / "programs"
ENDS = (Status.DONE, Status.FAILED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    program: str
    holds: str  # the property
    judge: Judge
    change: Mapping[str, Any] = field(default_factory=dict)  # of the limits
    collect: tuple[str, ...] = ()
    then: str | None = None  # the program of another candidate that follows (afterwards/)
    same: bool = False  # what follows is of the same candidate
    not_stopped_by: Mapping[str, str] = field(default_factory=dict)  # backend -> why, for what is known and accepted
    secret_input: bool = False  # a secret is among the files of the attacking job

    def limits(self, limits: Limits) -> Limits:
        return replace(limits, **self.change)


def verdict(attack: Attack, trial: Trial) -> str:
    """Empty when everything holds; otherwise what does not."""
    faults = []
    if not attack.judge(trial):
        faults.append(f"the property does not hold: {trial.outcome}")
    if trial.secret in trial.text:
        faults.append("a secret of the host was printed")
    if trial.harm:
        faults.append(trial.harm)
    if trial.survivors:
        faults.append(f"{trial.survivors} processes were left")
    if trial.health.stdout != b"well\n":
        faults.append(f"the sandbox does not serve on: {trial.health}")
    if trial.after is not None and not trial.after.stdout.startswith(b"clean"):
        faults.append(f"the next job found something: {trial.after}")
    return "; ".join(faults)


def held(trial: Trial) -> bool:
    """It tried at least once, and nothing worked."""
    return "held:" in trial.text and "ESCAPED" not in trial.text


def in_time(trial: Trial) -> bool:
    """It ended within its time and what a busy machine needs to start and sweep."""
    return trial.seconds < trial.limits.wall_seconds + 6


def timed_out(trial: Trial) -> bool:
    return trial.outcome.status is Status.TIMED_OUT and trial.outcome.exit_code == 124 and in_time(trial)


def out_of_memory(trial: Trial) -> bool:
    return trial.outcome.status is Status.OUT_OF_MEMORY and trial.outcome.exit_code == 137 and in_time(trial)


def no_more_memory(trial: Trial) -> bool:
    """Either the kernel refused or it killed."""
    return "ESCAPED" not in trial.text and (held(trial) or out_of_memory(trial))


def cut(trial: Trial) -> bool:
    size = len(trial.outcome.stdout) + len(trial.outcome.stderr)
    return trial.outcome.truncated and size == trial.limits.output_bytes and in_time(trial)


def ended(trial: Trial) -> bool:
    return trial.outcome.status in ENDS and in_time(trial)


def left_out(trial: Trial) -> bool:
    """None of its results came back, and each is named with the reason."""
    return not trial.outcome.files and trial.outcome.left_out_count > 0 and all(trial.outcome.left_out.values())


def only_good(*names: str) -> Judge:
    """The good files came back, the bad ones are named, and nothing else happened to the job."""
    return lambda trial: (
        set(trial.outcome.files) == set(names)
        and trial.outcome.left_out_count > 0
        and trial.outcome.status is Status.DONE
    )


def all_of(count: int) -> Judge:
    return lambda trial: len(trial.outcome.files) == count and trial.outcome.status is Status.DONE


def counted(trial: Trial) -> bool:
    """The processor time of all its processes is in the account."""
    return held(trial) and trial.outcome.cpu_seconds >= 0.9


def failed_with(code: int) -> Judge:
    return lambda trial: trial.outcome.status is Status.FAILED and trial.outcome.exit_code == code


def only_bytes(name: str) -> Judge:
    """The result came back as it was written, and nobody opened it."""
    return lambda trial: set(trial.outcome.files) == {name} and trial.outcome.status is Status.DONE


def real_time_passed(trial: Trial) -> bool:
    return 0.7 <= trial.outcome.wall_seconds <= trial.seconds and trial.outcome.status is Status.DONE


def printable(trial: Trial) -> bool:
    shown = harmless(trial.outcome.stdout)
    return b"\x1b" in trial.outcome.stdout and all(
        letter in "\n\t" or unicodedata.category(letter) not in ("Cc", "Cf") for letter in shown
    )


def other_numbers(trial: Trial) -> bool:
    assert trial.after is not None
    return not set(trial.outcome.stdout.split()) & set(trial.after.stdout.split()[1:])


def small_or_left_out(trial: Trial) -> bool:
    outcome = trial.outcome
    return len(outcome.files) <= 4096 and (outcome.left_out_count > 0 or outcome.status is Status.FAILED)


def no_foreign_bytes(trial: Trial) -> bool:
    return b"root:" not in b"".join(trial.outcome.files.values())


def a(program: str, holds: str, judge: Judge = held, **more: Any) -> Attack:
    known = {GVISOR: GVISOR_GRANTS[program]} if program in GVISOR_GRANTS else {}
    return Attack(program=program, holds=holds, judge=judge, not_stopped_by=known, **more)


ALL = ("*",)
BRIEF = {"wall_seconds": 1.5}
NEXT: dict[str, Any] = {"then": "look_for_stash", "same": True}

ATTACKS = (
    a("01_fork_bomb", "ends with its time; the number of processes is limited", timed_out, change=BRIEF),
    a("02_thread_bomb", "ends with its time; threads count as processes", timed_out, change=BRIEF),
    a("03_memory_bomb", "is stopped by its memory limit", out_of_memory),
    a(
        "04_memory_of_many",
        "the limit is for all processes together",
        no_more_memory,
        change={"memory_bytes": 256 * MIB},
    ),
    a("05_memory_shared", "shared memory has a limit", no_more_memory),
    a("06_disk_fill", "all that can be written together has a limit", no_more_memory),
    a("07_inode_bomb", "the number of files has a limit", no_more_memory),
    a("08_output_flood", "output is cut at its limit, the program is not blocked", cut),
    a("09_both_streams_flood", "both streams share one limit", cut),
    a("10_descriptors", "the number of open files has a limit"),
    a("11_locked_memory", "no memory is locked, no priority raised"),
    a("12_core_dump", "no core file, and the signal is reported", lambda t: held(t) and t.outcome.exit_code == 139),
    a("13_sleep_past", "ends with its time", timed_out, change=BRIEF),
    a("14_ignore_signals", "ends with its time, whatever it ignores", timed_out, change=BRIEF),
    a("15_busy", "ends with its time, with all of its processes", timed_out, change=BRIEF),
    a("16_fake_clock", "time is measured outside", real_time_passed),
    a("17_set_clock", "the clock cannot be set"),
    a("18_double_fork", "grandchildren end with the job", lambda t: held(t) and ended(t)),
    a("19_daemon", "daemons end with the job", lambda t: held(t) and ended(t)),
    a("20_hold_the_pipe", "nobody waits for a pipe that a child holds", lambda t: failed_with(3)(t) and t.seconds < 5),
    a("21_stopped_children", "stopped processes end with the job", lambda t: held(t) and ended(t)),
    a("22_vfork_exec", "another program in the same process has the same time", timed_out, change=BRIEF),
    a("23_read_host_files", "no file of the host can be read"),
    a("24_environment", "no variable of the host is there"),
    a("25_command_lines", "no process of the host can be seen"),
    a("26_proc_roots", "/proc leads nowhere else"),
    a("27_file_handles", "file handles are refused"),
    a("28_inherited", "no descriptor is inherited"),
    a("29_write_system", "interpreter, packages and system are read-only"),
    a("30_write_host_file", "no file of the host can be written"),
    a("31_proc_writes", "no kernel setting can be written"),
    a("32_sys_writes", "neither devices nor control groups can be changed"),
    a("33_devices", "no device can be opened"),
    a("34_make_device", "no device can be made"),
    a("35_terminal", "there is no terminal to type into"),
    a("36_ptrace", "no process can be traced"),
    a("37_memory_of_others", "no process's memory can be read"),
    a("38_kill_first", "PID 1 cannot be killed", lambda t: held(t) and t.outcome.status is Status.DONE),
    a("39_stop_first", "PID 1 cannot be stopped", timed_out, change=BRIEF),
    a("40_kill_all", "to kill everybody kills nobody outside", lambda t: "ESCAPED" not in t.text and ended(t)),
    a("41_signal_host", "no process of the host can be signalled"),
    a("42_forge_result", "the end of a job cannot be forged", failed_with(7), collect=ALL),
    a("43_forge_by_exit", "the exit status is the kernel's, not the program's words", failed_with(9)),
    a("44_break_the_worker", "what it does to modules stays its own", ended, then="ask_torch"),
    a("45_patch_torch", "what it does to torch stays its own", ended, then="ask_torch"),
    a("46_overwrite_evaluator", "files that were sent are the next job's too", ended, then="ask_judge"),
    a("47_mount", "nothing can be mounted"),
    a("48_unshare", "no namespace can be made"),
    a("49_setns", "no namespace can be entered"),
    a("50_chroot", "there is no way out of the root"),
    a("51_become_root", "nobody becomes root"),
    a("52_setuid_file", "a setuid file is refused or means nothing"),
    a("53_keyctl", "key rings are refused"),
    a("54_bpf", "bpf is refused"),
    a("55_io_uring", "io_uring is refused"),
    a("56_perf", "performance counters are refused"),
    a("57_userfaultfd", "userfaultfd is refused"),
    a("58_modules", "modules, another kernel and reboot are refused"),
    a("59_personality", "address randomisation stays, the kernel's log is closed"),
    a("60_host_name", "the machine cannot be renamed"),
    a("61_raw_sockets", "raw and exotic sockets are refused"),
    a("62_metadata", "the metadata service cannot be reached"),
    a("63_internet", "there is no network and no DNS"),
    a("64_host_loopback", "the host's loopback is another one"),
    a("65_docker_socket", "no daemon can be reached"),
    a("66_abstract_socket", "abstract sockets of the host are not there"),
    a("67_unix_socket", "unix sockets of the host are not there"),
    a("68_result_symlink", "a link is no result", left_out, collect=ALL),
    a("69_result_folder_link", "a linked folder is no result", left_out, collect=ALL),
    a("70_result_hardlink", "a second name of a file is no result", left_out, collect=ALL),
    a("71_result_traversal", "names that lead elsewhere are left out", only_good("C:evil.txt"), collect=ALL),
    a("72_result_bytes_name", "names that are not UTF-8 are refused", left_out, collect=ALL),
    a("73_result_fifo", "a pipe is no result", left_out, collect=ALL),
    a("74_result_device", "a device is no result", left_out, collect=ALL),
    a("75_result_sparse", "the size counts, not the blocks", left_out, collect=ALL),
    a("76_result_many", "the number of results has a limit", small_or_left_out, collect=ALL),
    a("77_result_deep", "depth has a limit", small_or_left_out, collect=ALL),
    a("78_result_zip_bomb", "archives are bytes; nobody unpacks them", only_bytes("result.zip"), collect=ALL),
    a("79_result_pickle", "pickles are bytes; nobody loads them", only_bytes("weights.bin"), collect=ALL),
    a("80_result_swap", "nothing can change while results are read", no_foreign_bytes, collect=ALL),
    a("81_escape_sequences", "what is shown holds no control characters", printable),
    a("82_poison_temporary", "the next job finds no file", ended, then="look_around"),
    a("83_poison_compile_cache", "the next job finds no compiled code", ended, then="look_around"),
    a("84_poison_ipc", "the next job finds no shared memory, queue or semaphore", ended, then="look_for_ipc"),
    a("85_poison_process", "the next job meets no process of this one", ended, then="look_around"),
    a("86_remember", "the next job's memory holds nothing of this one", held, then="search_memory", secret_input=True),
    a("87_same_numbers", "two jobs draw different numbers", other_numbers, then="draw_numbers"),
    a("88_limits_of_others", "nobody touches limits, priority or processors of another process"),
    a("89_unreadable_leftovers", "the next job of the same candidate finds no closed folder", **NEXT),
    a("90_colliding_names", "the next job of the same candidate finds no name", **NEXT),
    a("91_close_own_folder", "the next job of the same candidate has folders of its own", **NEXT),
    a("92_close_tmp", "the next job of the same candidate can write", **NEXT),
    a("93_result_thousands", "two thousand results come back", all_of(2000), collect=ALL),
    a(
        "94_result_odd",
        "odd files are left out, the others come",
        only_good("model.pt", "run_11:22:33.json"),
        collect=ALL,
    ),
    a("95_result_names", "names have a size together", small_or_left_out, collect=ALL),
    a("96_hidden_cpu", "processor time of orphans is counted", counted),
    a("97_memory_of_sockets", "what sockets hold is memory", no_more_memory, change={"memory_bytes": 128 * MIB}),
)
