"""A connection is prompt, and does not outlive its host."""

from collections.abc import Iterator
from socket import (
    IPPROTO_TCP,
    TCP_NODELAY,
    TCP_USER_TIMEOUT,
    create_connection,
    create_server,
    socket,
)

import pytest
from paramiko import Transport

from deploys.engine.transport import LOST_SECONDS, SIGN_OF_LIFE_SECONDS, prompt_transport


@pytest.fixture
def connection() -> Iterator[socket]:
    """A connection over TCP."""
    with create_server(("127.0.0.1", 0)) as server, create_connection(server.getsockname()) as made:
        yield made


@pytest.fixture
def transport(connection: socket) -> Iterator[Transport]:
    """A transport over the connection, not yet begun."""
    made = prompt_transport(connection)
    yield made
    made.close()


@pytest.mark.usefixtures("transport")
def test_what_is_written_is_sent_at_once(connection: socket) -> None:
    assert connection.getsockopt(IPPROTO_TCP, TCP_NODELAY)


def test_signs_of_life_that_nobody_answers_end_the_connection(
    connection: socket, transport: Transport
) -> None:
    assert connection.getsockopt(IPPROTO_TCP, TCP_USER_TIMEOUT) == 1000 * LOST_SECONDS
    sent = vars(transport.packetizer)["_Packetizer__keepalive_interval"]
    assert sent == SIGN_OF_LIFE_SECONDS < LOST_SECONDS
