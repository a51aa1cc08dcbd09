"""Makes a whole folder of its results a link."""

import os

os.symlink("/etc", os.environ["MOVE37_OUT"] + "/folder")
