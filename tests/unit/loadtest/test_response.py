"""Answers as they come over the wire, in any pieces."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stellwerk.loadtest.response import ProtocolError, ResponseReader

PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = (
    b"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5;name=value\r\nhello\r\n1\r\n\r\r\n0\r\nTrailer: x\r\n\r\n"
)
INTERIM = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n"
CLOSING = b"HTTP/1.1 200 OK\r\nconnection: Close\r\nCONTENT-LENGTH: 0\r\n\r\n"
OLD = b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"
OLD_KEPT = b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize(
    ("answer", "status", "keep_alive"),
    [
        (PLAIN, 200, True),
        (CHUNKED, 404, True),
        (INTERIM, 204, True),
        (CLOSING, 200, False),
        (OLD, 200, False),
        (OLD_KEPT, 200, True),
    ],
)
@settings(deadline=None)
@given(data=st.data())
def test_an_answer_is_complete_with_its_last_byte_however_it_is_cut(
    answer: bytes, status: int, keep_alive: bool, data: st.DataObject
) -> None:
    cuts = data.draw(st.sets(st.integers(1, len(answer) - 1)))
    edges = [0, *sorted(cuts), len(answer)]
    reader = ResponseReader()
    complete = [reader.feed(answer[a:b]) for a, b in pairwise(edges)]
    assert complete == [False] * (len(complete) - 1) + [True]
    assert (reader.status, reader.keep_alive) == (status, keep_alive)


def test_an_answer_without_a_length_ends_with_the_connection() -> None:
    reader = ResponseReader()
    assert not reader.feed(b"HTTP/1.1 200 OK\r\n\r\nsome")
    assert reader.end()
    assert not reader.keep_alive


@pytest.mark.parametrize("cut", [0, 20, len(PLAIN) - 1])
def test_an_answer_cut_off_is_not_complete(cut: int) -> None:
    reader = ResponseReader()
    assert not reader.feed(PLAIN[:cut])
    assert not reader.end()


def test_the_answer_to_head_has_no_body() -> None:
    reader = ResponseReader()
    reader.expect(head_only=True)
    assert reader.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")


def test_more_than_was_announced_ends_the_use_of_the_connection() -> None:
    reader = ResponseReader()
    assert reader.feed(PLAIN + b"!")
    assert not reader.keep_alive


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x15\x03\x01\x00\x02\x02\x16",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000,
    ],
)
def test_what_is_not_http_is_said_to_be_so(answer: bytes) -> None:
    with pytest.raises(ProtocolError):
        ResponseReader().feed(answer)
