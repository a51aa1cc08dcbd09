"""The next job of the same candidate: whatever it can open, it looks into."""

import contextlib
import os
import sys

EXPECTED = {"main.py", "attack.py", "targets.json", "judge.py", "__pycache__"}
found = []


def look(path):
    try:
        names = os.listdir(path)
    except OSError:
        try:
            os.chmod(path, 0o700)
            names = os.listdir(path)
        except OSError as error:
            found.append(f"{path}: {error!r}")
            return
    for name in names:
        full = f"{path}/{name}"
        if os.path.realpath(full) in OWN or f"{INSTALLED}/".startswith(f"/tmp{full.partition('/tmp')[2]}/"):
            continue
        found.append(full)
        if os.path.isdir(full) and not os.path.islink(full):
            look(full)


folders = [os.getcwd(), *(os.environ[name] for name in ("MOVE37_OUT", "HOME", "TMPDIR"))]
OWN = {os.path.realpath(path) for path in (*folders, os.path.dirname(folders[0]))}
OWN |= {os.path.realpath(f"{folders[0]}/{name}") for name in EXPECTED}
INSTALLED = os.path.realpath(sys.prefix)  # shown to every job, and nobody's leftover, where it lies below /tmp
for path in ("/tmp", "/dev/shm", *folders):
    look(path)
with contextlib.suppress(ImportError):
    import later  # noqa: F401
print("clean" if not found else f"ESCAPED: {found[:5]}")
sys.exit(0)
