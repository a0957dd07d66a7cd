"""The PostgreSQL side where no server is there; what it reads is tested on the lab's hosts."""

import asyncio
import socket

import pytest

from stellwerk.endpoint import Endpoint
from stellwerk.sample.availability import Reach, UnavailableError
from stellwerk.sample.configuration import DatabaseAddress, Password
from stellwerk.sample.query import AssetQuery
from stellwerk.sample.store import PostgresStore


def test_a_refused_connection_is_an_unavailable_answer_without_the_password(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def ask() -> tuple[Reach, str]:
        # Bound but not listening, so a connection is refused and nobody else can take the port.
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            endpoint = Endpoint("127.0.0.1", closed.getsockname()[1])
            address = DatabaseAddress(endpoint, "aktien", "reader", Password("planted-secret"))
            store = PostgresStore(address)
            await store.probe()
            with pytest.raises(UnavailableError) as raised:
                await store.read(AssetQuery())
            await store.close()
            return store.availability.reach, str(raised.value)

    reach, sentence = asyncio.run(ask())
    assert reach is Reach.AWAY
    assert "is away" in sentence
    assert "planted-secret" not in sentence + caplog.text
