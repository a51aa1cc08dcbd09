"""Opens devices of the machine."""

import os

from attack import attempt

for name in ("mem", "kmem", "port", "sda", "vda", "nvme0n1", "kmsg", "fuse", "kvm", "net/tun", "loop-control"):
    attempt(name, lambda name=name: os.open(f"/dev/{name}", os.O_RDWR))
