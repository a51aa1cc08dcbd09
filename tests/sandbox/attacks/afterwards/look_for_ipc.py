"""The next job: are there memory, queues or semaphores of somebody else?"""

import ctypes

libc = ctypes.CDLL(None, use_errno=True)
found = [libc.shmget(0x37, 0, 0), libc.msgget(0x37, 0), libc.semget(0x37, 0, 0)]
print("POISONED:" if max(found) >= 0 else "clean", *found)
