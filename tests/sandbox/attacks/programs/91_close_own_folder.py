"""Prepares the next job's folder: removes what was sent, leaves a module in its place, and closes the folder."""

import os
import shutil

for name in os.listdir("."):
    try:
        shutil.rmtree(name) if os.path.isdir(name) else os.unlink(name)
    except OSError as error:
        print(f"held: {error!r}")
for name in ("later", "attack"):
    try:
        os.mkdir(name)
        with open(f"{name}/__init__.py", "w") as stream:
            stream.write("print('ESCAPED: code of the job before')\nTARGETS = {}\n")
    except OSError as error:
        print(f"held: {error!r}")
with open(os.environ["MOVE37_OUT"] + "/old_result", "w") as stream:
    stream.write("old")
for path in (
    os.environ["MOVE37_OUT"],
    os.environ["HOME"],
    os.environ["TMPDIR"],
    os.getcwd(),
    os.path.dirname(os.getcwd()),
):
    for mode in (0o300, 0):
        try:
            os.chmod(path, mode)
        except OSError as error:
            print(f"held: {error!r}")
print("held: tried")
