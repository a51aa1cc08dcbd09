"""A Qdrant server by URL (compose.yaml starts one on loopback, with a key from the environment)."""

from __future__ import annotations

from urllib.parse import urlsplit

from move37.memory.client import ClientStore
from move37.memory.errors import BackendMissing, InvalidInput

TIMEOUT_S = 15


def connect(url: str, api_key: str | None = None) -> ClientStore:
    """A store on the server. Nothing is sent before the first call.

    Raises:
        BadInput: the URL is none.
        BackendMissing: qdrant-client is not installed.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InvalidInput(f"{url!r} is no server URL; write for example http://127.0.0.1:6333")
    try:
        from qdrant_client import QdrantClient
    except ImportError as error:
        raise BackendMissing("qdrant-client is not installed; run: pip install qdrant-client") from error
    import warnings

    with warnings.catch_warnings():
        # On loopback a key over plain HTTP is how compose.yaml runs it.
        warnings.filterwarnings("ignore", message=".*insecure connection.*")
        port = parts.port or (443 if parts.scheme == "https" else 6333)
        client = QdrantClient(url=url, port=port, api_key=api_key, timeout=TIMEOUT_S, check_compatibility=False)
    return ClientStore(client, where=url)
