"""What can go wrong in the memory, as one tree.

    MemoryFault
    |- InvalidInput           what was given cannot be taken in; the caller can correct it
    |  |- EmptyFile           nothing to read in it
    |  |- TooLarge            over the size that is read
    |  |- Unreadable          damaged, encrypted, or it takes too long
    |  |- UnknownFormat       neither Markdown, text, PDF, BibTeX nor the cognition JSON layout
    |  '- InvalidPaper        a paper's file breaks the format of memory/cognition/README.md
    |- NotFound               no such item
    |- MemoryUnavailable      the store cannot be used now; nothing is lost, lessons are queued
    |  |- NoRoom              the disk is nearly full
    |  |- HomeLocked          another process holds this home
    |  |- ServerUnreachable   no Qdrant answers at the URL
    |  |- ServerRefused       the server wants another API key
    |  '- BackendMissing      a package is not installed
    |- Mismatch               the collection and what is asked of it do not fit
    |  |- WrongDimension      a vector of another length
    |  |- OtherModel          the collection was embedded with another model
    |  '- OtherSchema         written by a newer version of Move 37
    |- MigrationFailed        a copy does not agree with its source
    '- StoreBroken            the engine failed in a way that we do not know

Every message is one sentence that says what to do. Qdrant's own errors never leave memory/: `edge.py` and `client.py`
translate them, and tests/memory/test_errors.py finds one that slips through.
"""


class MemoryFault(Exception):
    """The memory could not do what was asked."""


class InvalidInput(MemoryFault):
    """What was given cannot be taken in."""


class EmptyFile(InvalidInput):
    """There is no text in the file."""


class TooLarge(InvalidInput):
    """The file is over the size that is read."""


class Unreadable(InvalidInput):
    """The file is damaged, encrypted, or takes too long to read."""


class UnknownFormat(InvalidInput):
    """The file is of no format that can be read."""


class InvalidPaper(InvalidInput):
    """A paper's file breaks the format."""


class NotFound(MemoryFault):
    """No item has this id or key."""


class MemoryUnavailable(MemoryFault):
    """The store cannot be used now."""


class NoRoom(MemoryUnavailable):
    """The disk is too full to write."""


class HomeLocked(MemoryUnavailable):
    """Another process holds this home's memory."""


class ServerUnreachable(MemoryUnavailable):
    """No server answers."""


class ServerRefused(MemoryUnavailable):
    """The server does not accept the API key."""


class BackendMissing(MemoryUnavailable):
    """A package that the backend needs is not installed."""


class Mismatch(MemoryFault):
    """The collection does not fit what is asked of it."""


class WrongDimension(Mismatch):
    """A vector has another length than the collection."""


class OtherModel(Mismatch):
    """The collection was embedded with another model."""


class OtherSchema(Mismatch):
    """The collection has a newer schema than this program."""


class MigrationFailed(MemoryFault):
    """The copy does not agree with its source."""


class StoreBroken(MemoryFault):
    """The engine failed in an unknown way."""
