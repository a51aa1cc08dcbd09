"""Makes a device file for the disk."""

import os
import stat

from attack import attempt

for kind, name in ((stat.S_IFBLK, "block"), (stat.S_IFCHR, "character")):
    attempt(name, lambda kind=kind, name=name: os.mknod(name, kind | 0o666, os.makedev(1, 1)))
