"""Returns a pipe, on which the reader would wait for ever."""

import os

os.mkfifo(os.environ["MOVE37_OUT"] + "/result.json")
