"""Leaves folders that nobody may look into, wherever it can write."""

import os

for place in ("/tmp", "/dev/shm", os.environ["TMPDIR"], os.environ["HOME"], os.environ["MOVE37_OUT"], "."):
    for mode in (0, 0o300, 0o100, 0o500):
        try:
            folder = f"{place}/stash{mode}"
            os.makedirs(f"{folder}/inner/deep")
            with open(f"{folder}/inner/deep/secret", "w") as stream:
                stream.write("remember")
            os.chmod(f"{folder}/inner/deep", mode)
            os.chmod(f"{folder}/inner", mode)
            os.chmod(folder, mode)
        except OSError as error:
            print(f"held: {place}: {error!r}")
print("held: tried")
