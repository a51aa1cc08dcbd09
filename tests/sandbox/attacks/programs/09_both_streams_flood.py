"""Floods both streams at once, without a line break."""

import os
import threading


def flood(descriptor):
    for _ in range(64):
        os.write(descriptor, b"y" * (1 << 20))


threads = [threading.Thread(target=flood, args=(number,)) for number in (1, 2)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
