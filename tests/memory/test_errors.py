"""No engine's error leaves the room: each is one of ours, and each message is one line that says what to do."""

from __future__ import annotations

import http.server
import inspect
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from move37.memory import errors
from move37.memory.edge import EdgeStore
from move37.memory.errors import InvalidInput, MemoryFault, ServerRefused, ServerUnreachable, StoreBroken
from move37.memory.index import Index
from move37.memory.minilm import MiniLM
from move37.memory.server import connect
from move37.memory.store import Nearest, Sparse, Store
from tests.memory.conftest import SHAPE, a_point, point_id


def misuses(store: Store) -> list:
    """Calls that no engine can answer."""
    nan = np.full((1, 4), np.nan, dtype=np.float32)
    return [
        lambda: store.count("nothing"),
        lambda: store.upsert("nothing", [a_point(0)]),
        lambda: store.nearest("things", [Nearest(using="zz", vector=nan)], limit=1),
        lambda: store.nearest("things", [Nearest(using="w", vector=np.ones((1, 4), np.float32))], limit=1),
        lambda: store.nearest("things", [Nearest(using="a", vector=Sparse((1,), (1.0,)))], limit=1),
        lambda: store.upsert("things", [replace(a_point(0), id="no uuid")]),
        lambda: store.upsert("things", [replace(a_point(0), dense={"zz": np.ones((1, 4), np.float32)})]),
        lambda: store.upsert("things", [replace(a_point(0), payload={"x": object()})]),
        lambda: store.fetch("things", ["no uuid"]),
    ]


def test_every_misuse_gives_an_error_of_ours_or_none(store: Store):
    for call in misuses(store):
        with suppress(MemoryFault):
            call()  # anything else fails the test


def test_a_closed_store_gives_an_error_of_ours(tmp_path: Path):
    store = EdgeStore(tmp_path)
    store.open(SHAPE)
    store.close()
    store.close()
    with pytest.raises(MemoryFault):
        store.fetch("things", [point_id(0)])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_gives_an_error_of_ours(tmp_path: Path):
    tmp_path.chmod(0o500)
    with pytest.raises(MemoryFault):
        EdgeStore(tmp_path / "x").open(SHAPE)


def test_a_home_that_is_a_file_gives_an_error_of_ours(tmp_path: Path):
    (tmp_path / "edge").write_text("")
    with pytest.raises(MemoryFault):
        EdgeStore(tmp_path / "edge").open(SHAPE)


def test_a_damaged_shard_gives_an_error_of_ours(tmp_path: Path):
    store = EdgeStore(tmp_path)
    store.open(SHAPE)
    store.upsert("things", [a_point(0)])
    store.close()
    (tmp_path / "things" / "edge_config.json").write_text("{")
    with pytest.raises(MemoryFault, match="memory"):
        EdgeStore(tmp_path).open(SHAPE)


def test_a_damaged_manifest_is_named_with_a_way_out(tmp_path: Path):
    EdgeStore(tmp_path).open(SHAPE)
    for path in (tmp_path / "things" / "move37.json", tmp_path / "things.move37.json"):
        path.write_text("garbage")
    with pytest.raises(StoreBroken, match=r"move37\.json.*move it away"):
        EdgeStore(tmp_path).open(SHAPE)


@contextmanager
def answering(status: int) -> Iterator[str]:
    """A server on loopback that answers everything with one status."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = b'{"status": {"error": "no"}}'
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_PUT = do_POST = do_DELETE = do_PATCH = do_GET

        def log_message(self, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("status", "error"), ((401, ServerRefused), (403, ServerRefused), (503, ServerUnreachable), (500, MemoryFault))
)
def test_what_a_server_answers_becomes_an_error_of_ours(status: int, error: type[MemoryFault], embedder: MiniLM):
    with answering(status) as url:
        store = connect(url, "wrong")
        with pytest.raises(error) as caught:
            Index(store, embedder)
        assert url in str(caught.value) and "\n" not in str(caught.value)
        store.close()


def test_a_server_that_is_not_there_is_unreachable(embedder: MiniLM):
    store = connect("http://127.0.0.1:9")
    with pytest.raises(ServerUnreachable, match="is the server up"):
        Index(store, embedder)


@pytest.mark.parametrize("url", ("", "localhost:6333", "ftp://x", "http://"))
def test_what_is_no_url_is_bad_input(url: str):
    with pytest.raises(InvalidInput, match="no server URL"):
        connect(url)


def test_the_drawn_tree_is_the_real_one():
    drawing = errors.__doc__ or ""
    for name, kind in inspect.getmembers(errors, inspect.isclass):
        assert issubclass(kind, MemoryFault) and kind.__doc__
        assert name in drawing
