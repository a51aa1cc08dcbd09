"""Leaves a setuid file behind."""

import os
import shutil

from attack import attempt

shutil.copy("/bin/sh", "shell")
attempt("setuid", lambda: os.chmod("shell", 0o4755))
attempt("setgid", lambda: os.chmod("shell", 0o2755))
attempt("created so", lambda: os.open("other", os.O_CREAT | os.O_WRONLY, 0o4755))
