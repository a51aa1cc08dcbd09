"""Asks the cloud's metadata service for credentials."""

import socket

from attack import attempt

for address in (("169.254.169.254", 80), ("100.100.100.200", 80), ("fd00:ec2::254", 80)):
    attempt(address[0], lambda address=address: socket.create_connection(address, timeout=1))
