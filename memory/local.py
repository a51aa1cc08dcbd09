"""qdrant-client's local mode: the fallback where the embedded engine has no wheel; tests of the client path run on it.

It keeps everything in Python and in one SQLite file a collection: it loads all of it when it is opened and scans it all
for each question (its issue #510), so it is for thousands of points. Its lock file may outlive an unclean exit (#1018),
but the lock on it does not: the kernel drops that with the process, so nothing is removed here.
"""

from __future__ import annotations

import warnings
from pathlib import Path

from move37.memory import shared
from move37.memory.client import ClientStore, translate
from move37.memory.errors import BackendMissing


def open_local(folder: Path | None) -> ClientStore:
    """A store in a folder, or in memory alone when there is none.

    Raises:
        BackendMissing: qdrant-client is not installed.
        HomeLocked: another process has the folder open.
    """
    try:
        from qdrant_client import QdrantClient
    except ImportError as error:
        raise BackendMissing("qdrant-client is not installed; run: pip install qdrant-client") from error
    warnings.filterwarnings("ignore", message=".*Local mode is not recommended.*")
    warnings.filterwarnings("ignore", message=".*Local mode performs exact.*")
    warnings.filterwarnings("ignore", message=".*Payload indexes have no effect.*")
    if folder is None:
        return ClientStore(QdrantClient(location=":memory:"), where="this process")

    def make() -> QdrantClient:
        try:
            return QdrantClient(path=str(folder))
        except Exception as error:
            raise translate(error, str(folder)) from error

    client = shared.acquire(folder, make)
    return ClientStore(client, where=str(folder), release=lambda: shared.release(folder, lambda held: held.close()))
