"""Docker's stream of pieces, cut anywhere."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from move37.sandbox.docker.attach_stream import PIECE, AttachStream

PIECES = st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(max_size=200)), max_size=12)


@given(PIECES, st.data())
def test_pieces_come_out_whole_wherever_the_stream_is_cut(pieces: list[tuple[int, bytes]], data: st.DataObject):
    stream = b"".join(PIECE.pack(kind, len(content)) + content for kind, content in pieces)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=10)))
    found, reader, at = [], AttachStream(), 0
    for cut in [*cuts, len(stream)]:
        found += reader.feed(stream[at:cut])
        at = cut
    assert found == pieces
