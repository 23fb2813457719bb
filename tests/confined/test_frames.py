"""Frames: what was sent is what is read, and bytes of an enemy are an error and nothing worse."""

from __future__ import annotations

import io
import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hilum.confined.frames import MAX_FRAME_BYTES, FrameError, frame_bytes, read_frame


def framed(text: bytes, *blobs: bytes) -> bytes:
    return struct.pack(">I", len(text)) + text + b"".join(blobs)


@given(
    st.dictionaries(st.text().filter(lambda key: key != "blobs"), st.integers() | st.text()),
    st.lists(st.binary()),
)
def test_what_was_sent_is_read(head: dict[str, object], blobs: list[bytes]) -> None:
    frame = read_frame(io.BytesIO(b"".join(frame_bytes(head, blobs))).read)
    assert (frame.head, frame.blobs) == (head, tuple(blobs))


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"nonsense",
        b"[]",
        b"{}",
        b"null",
        b'{"blobs":null}',
        b'{"blobs":3}',
        b'{"blobs":[-1]}',
        b'{"blobs":[1.0]}',
        b'{"blobs":[true]}',
        b'{"blobs":["1"]}',
        b'{"blobs":{"1":1}}',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"a":' + b"9" * 10_000 + b',"blobs":[]}',
        json.dumps({"blobs": [MAX_FRAME_BYTES, 1]}).encode(),
    ],
    ids=lambda text: repr(text[:20]),
)
def test_bytes_that_are_no_frame_are_an_error(text: bytes) -> None:
    with pytest.raises(FrameError):
        read_frame(io.BytesIO(framed(text)).read)


def test_a_header_that_claims_to_be_endless_is_not_waited_for() -> None:
    with pytest.raises(FrameError, match="longer than the longest message"):
        read_frame(io.BytesIO(b"\xff\xff\xff\xff").read)


def test_a_frame_cut_anywhere_says_that_the_other_side_has_gone() -> None:
    whole = b"".join(frame_bytes({"do": "read"}, [b"abc", b"", b"d"]))
    for size in range(len(whole)):
        with pytest.raises(EOFError):
            read_frame(io.BytesIO(whole[:size]).read)


@given(st.binary(max_size=300))
def test_no_bytes_do_anything_else(data: bytes) -> None:
    try:
        read_frame(io.BytesIO(data).read)
    except (EOFError, FrameError):
        return
    assert b'"blobs"' in data
