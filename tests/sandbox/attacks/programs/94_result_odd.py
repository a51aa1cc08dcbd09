"""Returns one good file among every kind of bad ones."""

import os
import socket

out = os.environ["MOVE37_OUT"]
with open(f"{out}/model.pt", "w") as stream:
    stream.write("weights")
with open(f"{out}/run_11:22:33.json", "w") as stream:
    stream.write("{}")
os.symlink("model.pt", f"{out}/last.ckpt")
os.symlink(".", f"{out}/latest")
os.link(f"{out}/run_11:22:33.json", f"{out}/second")
os.mkfifo(f"{out}/pipe")
socket.socket(socket.AF_UNIX).bind(f"{out}/socket")
for name in ("a\nb", "back\\slash", "\x1b[2J", "x" * 250):
    open(f"{out}/{name}", "w").close()
open(os.fsencode(out) + b"/\xff\xfe", "w").close()
os.mkdir(f"{out}/closed")
os.chmod(f"{out}/closed", 0)
os.unlink(f"{out}/second")
os.link(f"{out}/pipe", f"{out}/pipe2")
