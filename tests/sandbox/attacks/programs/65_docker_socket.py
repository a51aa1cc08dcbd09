"""Talks to the Docker daemon, which would be root on the host."""

import socket

from attack import attempt


def connect(path):
    with socket.socket(socket.AF_UNIX) as probe:
        probe.connect(path)


for path in ("/var/run/docker.sock", "/run/docker.sock", "/run/containerd/containerd.sock", "/run/systemd/private"):
    attempt(path, lambda path=path: connect(path))
attempt("tcp", lambda: socket.create_connection(("127.0.0.1", 2375), timeout=1))
