"""Connects to a service that listens on the host's own loopback."""

import socket

from attack import TARGETS, attempt

attempt("loopback", lambda: socket.create_connection(("127.0.0.1", TARGETS["port"]), timeout=1))
for host in ("host.docker.internal", "172.17.0.1", "gateway.docker.internal"):
    attempt(host, lambda host=host: socket.create_connection((host, TARGETS["port"]), timeout=1))
