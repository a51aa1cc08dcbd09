"""Opens raw, packet and exotic sockets."""

import socket

from attack import attempt

attempt("raw", lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP))
attempt("packet", lambda: socket.socket(17, socket.SOCK_RAW, 3))
attempt("vsock", lambda: socket.socket(40, socket.SOCK_STREAM))
attempt("kernel crypto", lambda: socket.socket(38, socket.SOCK_SEQPACKET))
attempt("netfilter", lambda: socket.socket(16, socket.SOCK_RAW, 12))
attempt("bluetooth", lambda: socket.socket(31, socket.SOCK_RAW, 1))
