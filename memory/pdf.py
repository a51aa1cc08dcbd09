"""Text of a PDF, read in a process of its own with limits on time and memory: a foreign PDF may hang or bloat a reader.

    python -m move37.memory.pdf FILE   prints {"title": ..., "pages": [...], "lost": ...} as JSON

A page without a text layer (a scan) gives no text; there is no OCR here.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import unicodedata
from pathlib import Path

from move37.memory.errors import EmptyFile, Unreadable

LIMIT_S = 120
_PATH = Path(__file__).absolute().parents[2]  # where the package move37 lies
LIMIT_BYTES = 2 << 30  # address space of the reader
MAX_PAGES = 1000


def pdf_text(path: Path) -> tuple[str, tuple[str, ...], str]:
    """(title or "", the pages' texts, a sentence about pages that cannot be read or "").

    Raises:
        Unreadable: damaged, encrypted, over the limits.
        EmptyFile: no page has text.
    """
    with path.open("rb") as file:
        if b"%PDF-" not in (head := file.read(1_024)):
            what = "a web page" if b"<html" in head.lower() or b"<!doctype" in head.lower() else "no PDF"
            raise Unreadable(f"{path.name} is {what}, whatever its name says; get the paper itself.")
    command = [sys.executable, "-m", "move37.memory.pdf", str(path.resolve())]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            timeout=LIMIT_S,
            cwd=_PATH,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        raise Unreadable(f"{path.name} took longer than {LIMIT_S} s to read; convert it to text first.") from None
    if done.returncode != 0:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
        reason = lines[-1][:200] if lines else f"status {done.returncode}"
        raise Unreadable(f"{path.name} cannot be read as PDF ({reason}); convert it to text first.")
    found = json.loads(done.stdout)
    pages = tuple(page for page in map(_readable, found["pages"]) if page.strip())
    lost = f"{found['lost']} of {len(found['pages'])} pages cannot be read" if found["lost"] else ""
    if not pages and lost:
        raise Unreadable(f"{path.name}: {lost}, and the others have no text; convert it to text first.")
    if not pages:
        raise EmptyFile(f"{path.name} has no text layer; run it through OCR first.")
    return found["title"], pages, lost


def _readable(page: str) -> str:
    """Letters that were drawn as one, words that a line's end parted, and what no sign stands for."""
    page = _JOINED.sub(lambda found: unicodedata.normalize("NFKC", found[0]), page)
    page = _PARTED.sub(r"\1\2", page)
    return "".join(c if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cs", "Co") else " " for c in page)


_JOINED = re.compile("[\ufb00-\ufb06]")  # ff, fi, fl, ffi, ffl
_PARTED = re.compile(r"([^\W\d_]{2})[-\u00ad\u2010][ \t]*\n[ \t]*([a-z\u00e0-\u00ff]{2})")


def _main(path: str) -> None:
    import logging
    import resource

    from pypdf import PdfReader

    logging.disable(logging.CRITICAL)
    resource.setrlimit(resource.RLIMIT_AS, (LIMIT_BYTES, LIMIT_BYTES))
    reader = PdfReader(path)
    if reader.is_encrypted and not reader.decrypt(""):  # an empty user password opens everywhere
        sys.exit("it is encrypted with a password")
    if len(reader.pages) > MAX_PAGES:
        sys.exit(f"it has over {MAX_PAGES} pages")
    title = str((reader.metadata.title if reader.metadata else "") or "")
    pages, lost = [], 0
    for page in reader.pages:
        try:
            pages.append(page.extract_text() or "")
        except Exception:  # a font or a stream of this page alone: the reader's own errors are many
            pages.append("")
            lost += 1
    text = json.dumps({"title": title, "pages": pages, "lost": lost})  # ASCII: lone surrogates of broken fonts pass
    sys.stdout.write(text)


if __name__ == "__main__":
    _main(sys.argv[1])
