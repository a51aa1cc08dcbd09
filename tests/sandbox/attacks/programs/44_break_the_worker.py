"""Patches the modules that the worker itself is made of."""

import json
import os
import socket
import struct
import sys

json.dumps = lambda *a, **k: "{}"
struct.pack = lambda *a: b""
os.fork = os.wait4 = os.read = os.write = None
socket.socket.recv = None
sys.modules.clear()
