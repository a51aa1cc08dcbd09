"""A Qdrant server's REST interface over loopback HTTP, before qdrant-client's own local mode.

No server binary comes with a package, so this stands in for one: what goes over the wire (JSON bodies, filters,
vectors, paging, metadata, status codes, the API key) is real; the own index of a server, its IDF and speed are not.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from qdrant_client import QdrantClient
from qdrant_client.http import models
from qdrant_client.local.qdrant_local import QdrantLocal

KEY = "secret"


class Rest:
    """The routes that a client of ours takes, each onto local mode."""

    def __init__(self) -> None:
        self.client = QdrantClient(location=":memory:")
        self.metadata: dict[str, Any] = {}
        self.indexes: dict[str, list[str]] = {}
        self._lock = threading.Lock()

    def answer(self, method: str, path: str, body: dict[str, Any]) -> Any:
        """The `result` of a request; raises KeyError for a route or a collection that is none."""
        with self._lock:
            found = re.fullmatch(r"/collections/([^/]+)(/.*)?", path)
            if found is None:
                raise KeyError(path)
            name, rest = found[1], found[2] or ""
            if (method, rest) == ("GET", "/exists"):
                return {"exists": self.client.collection_exists(name)}
            if (method, rest) == ("PUT", ""):
                return self._create(name, body)
            if not self.client.collection_exists(name):
                raise KeyError(f"Collection `{name}` doesn't exist!")
            return self._within(name, method, rest, body)

    def _create(self, name: str, body: dict[str, Any]) -> bool:
        asked = models.CreateCollection.model_validate(body)
        self.metadata[name] = dict(asked.metadata or {})
        return self.client.create_collection(
            name, vectors_config=asked.vectors, sparse_vectors_config=asked.sparse_vectors
        )

    def _within(self, name: str, method: str, rest: str, body: dict[str, Any]) -> Any:
        local = self.client._client
        assert isinstance(local, QdrantLocal)
        match method, rest:
            case "GET", "":
                info = plain(local.get_collection(name))
                info["config"]["metadata"] = self.metadata[name]
                return info
            case "PATCH", "":
                self.metadata[name] |= body.get("metadata") or {}
                return True
            case "DELETE", "":
                self.metadata.pop(name, None)
                return local.delete_collection(name)
            case "PUT", "/index":
                self.indexes.setdefault(name, []).append(body["field_name"])
                return {"operation_id": 0, "status": "completed"}
            case "PUT", "/points":
                points = models.PointsList.model_validate(body).points
                return plain(local.upsert(name, points))
            case "POST", "/points/query/batch":
                asked = models.QueryRequestBatch.model_validate(body).searches
                return [plain(one) for one in local.query_batch_points(name, asked)]
            case "POST", "/points":
                wanted = models.PointRequest.model_validate(body)
                records = local.retrieve(
                    name, wanted.ids, with_payload=wanted.with_payload or True, with_vectors=wanted.with_vector or False
                )
                return [plain(record) for record in records]
            case "POST", "/points/scroll":
                page = models.ScrollRequest.model_validate(body)
                records, following = local.scroll(
                    name,
                    scroll_filter=page.filter,
                    limit=page.limit or 10,
                    offset=page.offset,
                    with_payload=page.with_payload or False,
                    with_vectors=page.with_vector or False,
                )
                return {"points": [plain(record) for record in records], "next_page_offset": following}
            case "POST", "/points/count":
                counted = models.CountRequest.model_validate(body)
                return plain(local.count(name, count_filter=counted.filter))
            case "POST", "/points/delete":
                gone = models.PointIdsList.model_validate(body)
                return plain(local.delete(name, gone))
        raise KeyError(f"{method} {rest}")


def plain(value: Any) -> Any:
    """JSON of a model of the client."""
    return json.loads(value.model_dump_json(exclude_none=True))


@contextmanager
def served(key: str = KEY) -> Iterator[str]:
    """The URL of a server that accepts this API key."""
    rest = Rest()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _reply(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length) or b"{}")
            if self.headers.get("api-key") != key:
                return self._send(401, {"status": {"error": "Must provide an API key"}})
            parts = urlsplit(self.path)
            assert parse_qs(parts.query).get("wait", ["true"]) == ["true"], "writes must be waited for"
            try:
                return self._send(
                    200, {"result": rest.answer(self.command, parts.path, body), "status": "ok", "time": 0}
                )
            except KeyError as error:
                return self._send(404, {"status": {"error": f"Not found: {error}"}})
            except Exception as error:
                return self._send(400, {"status": {"error": f"{type(error).__name__}: {error}"}})

        def _send(self, status: int, body: Any) -> None:
            raw = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = _reply

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
