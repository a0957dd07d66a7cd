"""Events over HTTP: what is asked, what is answered, and what is refused."""

import asyncio
import json
from typing import Any

import pytest

from stellwerk.endpoint import Endpoint
from stellwerk.eventstore.errors import ConflictError
from stellwerk.sample.availability import Reach, UnavailableError
from stellwerk.sample.configuration import DatabaseAddress
from stellwerk.sample.event_requests import EventAppend, EventQuery
from stellwerk.sample.store import PostgresStore
from tests.unit.database.postgres_server import find_binaries
from tests.unit.eventstore.store_server import make_database, make_store, running_with_roles
from tests.unit.sample.test_application import Running, run

OPENED: dict[str, Any] = {
    "aggregate_id": "depot-7",
    "expected_version": 0,
    "events": [{"type": "opened", "payload": {"eur": 1}}],
}


def test_events_of_an_aggregate_are_read_uncached() -> None:
    async def scenario(running: Running) -> None:
        path = "/api/events?aggregate_id=depot-7&after_version=3"
        status, body = await running.get(path)
        assert status == 200
        assert body == {"events": [{"aggregate_id": "depot-7", "after_version": 3, "limit": 100}]}
        assert running.cache.values == {}

    run(scenario)


def test_an_append_answers_with_the_new_version() -> None:
    async def scenario(running: Running) -> None:
        async with running.client.post("/api/events", json=OPENED) as answer:
            assert (answer.status, await answer.json()) == (201, {"version": 1})
        assert running.store.appended == [EventAppend("depot-7", 0, (("opened", {"eur": 1}),))]

    run(scenario)


def test_an_append_on_another_version_is_a_conflict() -> None:
    async def scenario(running: Running) -> None:
        running.store.failure = ConflictError("aggregate depot-7 is at version 2, not 0.")
        async with running.client.post("/api/events", json=OPENED) as answer:
            assert answer.status == 409
            assert "at version 2" in (await answer.json())["error"]

    run(scenario)


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"aggregate_id": ""}, "aggregate_id must be text of 1 to 200 characters"),
        ({"expected_version": None}, "expected_version must be"),
        ({"expected_version": True}, "expected_version must be"),
        ({"events": []}, "events must be a list of 1 to 100"),
        ({"events": ["opened"]}, "an object with type and payload"),
        ({"events": [{"type": 1, "payload": {}}]}, "type must be text"),
    ],
)
def test_a_wrong_append_gets_one_sentence(changed: dict[str, Any], sentence: str) -> None:
    async def scenario(running: Running) -> None:
        async with running.client.post("/api/events", json={**OPENED, **changed}) as answer:
            assert answer.status == 400
            assert sentence in (await answer.json())["error"]

    run(scenario)


@pytest.mark.parametrize(("body", "status"), [("{", 400), ("[]", 400), ("x" * 70_000, 413)])
def test_a_body_that_is_none_is_refused(body: str, status: int) -> None:
    async def scenario(running: Running) -> None:
        async with running.client.post("/api/events", data=body) as answer:
            assert answer.status == status
            assert (await answer.json())["error"]

    run(scenario)


@pytest.mark.programs
def test_postgresql_keeps_what_is_appended_and_the_connections_read_only_else() -> None:
    binaries = find_binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL server is installed here")

    async def scenario(store: PostgresStore) -> None:
        append = EventAppend("depot-7", 0, (("opened", {"eur": 1.5}), ("closed", None)))
        assert await store.append(append) == 2
        with pytest.raises(ConflictError, match="at version 2, not 0"):
            await store.append(append)
        (event,) = json.loads(await store.events(EventQuery("depot-7", after_version=1)))
        assert (event["version"], event["type"], event["payload"]) == (2, "closed", None)
        assert await store.events(EventQuery("nobody")) == b"[]"
        assert store.availability.reach is not Reach.AWAY
        await store.close()

    async def without(store: PostgresStore) -> None:
        with pytest.raises(UnavailableError, match="has no event store for app"):
            await store.events(EventQuery("depot-7"))
        await store.close()

    with running_with_roles(binaries) as server:
        make_store(make_database(server, "with_store"))
        make_database(server, "without_store")
        endpoint = Endpoint(str(server.data.parent), 5432)
        for name, body in (("with_store", scenario), ("without_store", without)):
            address = DatabaseAddress(endpoint, name, "app")

            async def work(body: Any = body, address: DatabaseAddress = address) -> None:
                await body(PostgresStore(address))

            asyncio.run(work())
