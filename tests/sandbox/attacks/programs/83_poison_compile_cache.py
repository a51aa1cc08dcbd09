"""Leaves compiled code in the caches of torch, Triton and Python."""

import os

home = os.environ["HOME"]
for folder in (
    os.environ.get("TORCHINDUCTOR_CACHE_DIR", ""),
    "/tmp/torchinductor_nobody",
    home + "/.triton/cache",
    home + "/.cache/torch",
    home + "/.local/lib/python3.11/site-packages",
):
    try:
        os.makedirs(folder, exist_ok=True)
        with open(folder + "/poison.py", "w") as stream:
            stream.write("print('poisoned')")
    except OSError:
        pass
