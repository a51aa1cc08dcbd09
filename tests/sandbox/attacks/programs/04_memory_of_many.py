"""Eight processes, each below the limit, all together far above it."""

import os
import time

children = []
for _ in range(8):
    pid = os.fork()
    if pid == 0:
        held = os.urandom(1 << 20) * 60
        time.sleep(3)
        os._exit(0)
    children.append(pid)
killed = [os.WIFSIGNALED(os.waitpid(pid, 0)[1]) for pid in children]
print("held: killed" if any(killed) else "ESCAPED: 480 MiB was held")
