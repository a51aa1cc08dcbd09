"""Reads and writes the memory of PID 1 and its parent."""

import ctypes
import os

from attack import attempt, call


def maps(pid):
    with open(f"/proc/{pid}/maps") as stream:
        if not (text := stream.read(10)):
            raise OSError("empty")
    return text


libc = ctypes.CDLL(None, use_errno=True)
for pid in {1, os.getppid()} - {0}:
    attempt(f"mem {pid}", lambda pid=pid: os.open(f"/proc/{pid}/mem", os.O_RDWR))
    attempt(f"maps {pid}", lambda pid=pid: maps(pid))
    attempt(f"descriptors {pid}", lambda pid=pid: os.listdir(f"/proc/{pid}/fd"))
    piece = (ctypes.c_size_t * 2)(ctypes.addressof(ctypes.create_string_buffer(8)), 8)
    attempt(f"vm_readv {pid}", lambda pid=pid, piece=piece: call(libc.process_vm_readv, pid, piece, 1, piece, 1, 0))
