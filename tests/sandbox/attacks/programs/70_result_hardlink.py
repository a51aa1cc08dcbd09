"""Returns a second name of a file that is not its own."""

import os

out = os.environ["MOVE37_OUT"]
with open("mine", "w") as stream:
    stream.write("x")
os.link("mine", out + "/result.json")
