"""What waits in sockets counts as memory; a namespace without sockets is not searched for it."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest

from move37.sandbox.worker.accounting import SOCKETS, socket_bytes

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue\n"
WAITING = HEAD + "   0: 0100007F:1F90 0100007F:C350 01 00000010:00000020 00:00000000\n"


def a_namespace(folder: Path, sums: dict[str, str]) -> Path:
    """Every table holds 48 bytes."""
    for kind in SOCKETS:
        (folder / kind).write_text(WAITING)
    for name, text in sums.items():
        (folder / name).write_text(text)
    return folder


@pytest.mark.parametrize(
    ("sums", "counted"),
    [
        ({"sockstat": "sockets: used 3\nTCP: inuse 0 orphan 0 tw 0 alloc 0 mem 0\nUDP: inuse 0 mem 0\n",
          "sockstat6": "TCP6: inuse 0\nUDP6: inuse 0\n"}, 0),
        ({"sockstat": "TCP: inuse 1 orphan 0\nUDP: inuse 0\n", "sockstat6": "TCP6: inuse 0\n"}, 48 * len(SOCKETS)),
        ({"sockstat": "TCP: inuse 0\nRAW: inuse 0\n", "sockstat6": "UDP6: inuse 2\n"}, 48 * len(SOCKETS)),
        ({"sockstat": "TCP: inuse 0\n"}, 48 * len(SOCKETS)),
        ({"sockstat": "", "sockstat6": ""}, 48 * len(SOCKETS)),
        ({}, 48 * len(SOCKETS)),
    ],
)  # fmt: skip
def test_tables_are_read_unless_the_kernels_sums_say_that_there_is_no_socket(
    tmp_path: Path, sums: dict[str, str], counted: int
) -> None:
    assert socket_bytes(a_namespace(tmp_path, sums)) == counted


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the tables are Linux's")
@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_bytes_that_nobody_reads_are_found_for_real(family: socket.AddressFamily) -> None:
    with socket.socket(family, socket.SOCK_STREAM) as server, socket.socket(family, socket.SOCK_STREAM) as client:
        try:
            server.bind(("localhost", 0))
        except OSError:
            pytest.skip("this machine has no loopback of this family")
        server.listen()
        client.connect(server.getsockname())
        reader, _ = server.accept()
        with reader:
            before = socket_bytes(Path("/proc/self/net"))
            client.sendall(b"x" * 30_000)
            assert socket_bytes(Path("/proc/self/net")) >= before + 30_000
