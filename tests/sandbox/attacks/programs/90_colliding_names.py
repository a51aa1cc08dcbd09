"""Leaves names that whoever cleans up may want to use itself, in folders that nest."""

import os

for place in ("/tmp", "/dev/shm", os.environ["TMPDIR"], os.environ["MOVE37_OUT"]):
    for number in range(60):
        for name in (f"\x01{number}", f"{number:024x}"):
            try:
                os.makedirs(f"{place}/{name}/{name}/{name}")
                with open(f"{place}/{name}/{name}/secret", "w") as stream:
                    stream.write("remember")
                os.symlink(place, f"{place}/{name}/{name}/link")
            except OSError:
                pass
print("held: tried")
