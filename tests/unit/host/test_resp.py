"""The parser of Redis' protocol takes whole answers and nothing else."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploys.host.resp import Connection, RedisError

TEXT = st.text().filter(lambda text: text.isprintable())
ANSWERS = st.recursive(
    st.none() | st.integers(-(2**63), 2**63 - 1) | TEXT,
    lambda below: st.lists(below, max_size=4),
    max_leaves=8,
)


def encoded(answer: Any) -> bytes:
    """As Redis sends it (RESP2)."""
    if answer is None:
        return b"$-1\r\n"
    if isinstance(answer, int):
        return b":%d\r\n" % answer
    if isinstance(answer, list):
        return b"*%d\r\n" % len(answer) + b"".join(map(encoded, answer))
    content = str(answer).encode()
    return b"$%d\r\n%s\r\n" % (len(content), content)


@contextmanager
def server(*answers: bytes) -> Iterator[tuple[tuple[str, int], list[bytes]]]:
    """A server on loopback that gives each connection one answer and closes it."""
    received: list[bytes] = []

    def serve() -> None:
        for answer in answers:
            connection, _ = listener.accept()
            with connection:
                received.append(connection.recv(65536))
                connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname(), received
        thread.join()


def ask(answer: bytes, *words: str | int) -> Any:
    with server(answer) as (address, _), Connection(address) as connection:
        return connection.call(*(words or ("PING",)))


@given(st.lists(ANSWERS, max_size=4))
def test_every_answer_is_read_as_it_was_sent(answers: list[Any]) -> None:
    assert ask(encoded(answers)) == answers


@given(ANSWERS, st.data())
def test_an_answer_that_is_cut_off_is_an_error_and_no_shorter_answer(
    answer: Any, data: st.DataObject
) -> None:
    whole = encoded([answer])
    cut = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(RedisError, match=r"closed"):
        ask(whole[:cut])


@given(st.binary(min_size=1, max_size=40))
def test_what_is_not_redis_is_an_answer_or_an_error_but_never_a_crash(said: bytes) -> None:
    try:
        ask(said + b"\r\n")
    except RedisError:
        return


def test_a_command_goes_out_word_by_word_whatever_is_in_the_words() -> None:
    with server(b"+OK\r\n") as (address, received), Connection(address) as connection:
        assert connection.call("CONFIG", "SET", 'a b"\r\n', 7) == "OK"
    assert received == [b'*4\r\n$6\r\nCONFIG\r\n$3\r\nSET\r\n$6\r\na b"\r\n\r\n$1\r\n7\r\n']


def test_an_error_is_raised_with_redis_words() -> None:
    with pytest.raises(RedisError, match=r"^NOAUTH Authentication required\.$"):
        ask(b"-NOAUTH Authentication required.\r\n")


def test_an_absent_list_is_none() -> None:
    assert ask(b"*-1\r\n", "SENTINEL", "GET-MASTER-ADDR-BY-NAME", "unknown") is None


def test_names_and_values_in_turn_become_a_mapping() -> None:
    answer = encoded(["maxmemory", "1", "save", ""])
    with server(answer) as (address, _), Connection(address) as connection:
        assert connection.pairs("CONFIG", "GET", "*") == {"maxmemory": "1", "save": ""}


def test_a_server_that_says_nothing_does_not_hold_us_up() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        Connection(listener.getsockname(), timeout=0.05) as connection,
        pytest.raises(RedisError, match=r"no answer to PING"),
    ):
        connection.call("PING")


def test_a_port_without_a_server_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
    with pytest.raises(RedisError, match=r"cannot connect"):
        Connection(address)
