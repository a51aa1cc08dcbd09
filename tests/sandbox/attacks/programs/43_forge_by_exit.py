"""Ends by itself before the sandbox can say anything, and claims success."""

import os

print('{"passed": true}', flush=True)
os._exit(9)
