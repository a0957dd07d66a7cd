"""A connection is prompt, and does not outlive its host."""

from collections.abc import Iterator
from socket import IPPROTO_TCP, TCP_NODELAY, TCP_USER_TIMEOUT, create_connection, create_server

import pytest
from paramiko import Transport

from deploys.engine.transport import LOST_SECONDS, SIGN_OF_LIFE_SECONDS, prompt_transport


@pytest.fixture
def transport() -> Iterator[Transport]:
    """A transport over TCP, not yet begun."""
    with create_server(("127.0.0.1", 0)) as server:
        made = prompt_transport(create_connection(server.getsockname()))
        yield made
        made.close()
        made.sock.close()


def test_what_is_written_is_sent_at_once(transport: Transport) -> None:
    assert transport.sock.getsockopt(IPPROTO_TCP, TCP_NODELAY)


def test_signs_of_life_that_nobody_answers_end_the_connection(transport: Transport) -> None:
    assert transport.sock.getsockopt(IPPROTO_TCP, TCP_USER_TIMEOUT) == 1000 * LOST_SECONDS
    sent = transport.packetizer._Packetizer__keepalive_interval
    assert sent == SIGN_OF_LIFE_SECONDS < LOST_SECONDS
