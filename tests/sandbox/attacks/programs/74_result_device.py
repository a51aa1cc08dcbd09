"""Returns a device as its result."""

import os
import stat

try:
    os.mknod(os.environ["MOVE37_OUT"] + "/result.json", stat.S_IFCHR | 0o666, os.makedev(1, 5))
except OSError:
    os.symlink("/dev/zero", os.environ["MOVE37_OUT"] + "/result.json")
