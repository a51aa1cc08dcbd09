"""Becomes root, by call, by setuid file and by capability."""

import ctypes
import os
import shutil
import subprocess

from attack import attempt, call

libc = ctypes.CDLL(None, use_errno=True)


def become():
    os.setuid(0)
    if os.geteuid() != 0:
        raise OSError("not root")


attempt("setuid", become)
for name in ("su", "sudo", "pkexec", "newgrp", "mount"):
    if path := shutil.which(name):
        command = [path, "-c", "id -u"] if name == "su" else [path, "-n", "id", "-u"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, stdin=subprocess.DEVNULL)
        print(f"ESCAPED: {name}" if done.stdout.strip() == "0" else f"held: {name}")
header = (ctypes.c_uint32 * 2)(0x20080522, 0)
wanted = (ctypes.c_uint32 * 6)(*[0xFFFFFFFF] * 6)
attempt("capset", lambda: call(libc.capset, header, wanted))
