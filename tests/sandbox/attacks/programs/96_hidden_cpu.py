"""Uses a second of processor in an orphan, whose end nobody waits for."""

import os
import signal
import time

signal.signal(signal.SIGCHLD, signal.SIG_IGN)
reader, writer = os.pipe()
if os.fork() == 0:
    if os.fork() == 0:
        os.setsid()
        started = time.process_time()
        while time.process_time() - started < 1.0:
            pass
        os.write(writer, b".")
        os._exit(0)
    os._exit(0)
os.read(reader, 1)
print("held: worked in hiding")
