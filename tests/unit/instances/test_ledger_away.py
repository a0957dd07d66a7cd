"""With PostgreSQL stopped, frozen or not migrated every call ends with a sentence that says so."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import psutil
import pytest

from stellwerk.instances import connection, listener
from stellwerk.instances.configuration import LedgerAddress
from stellwerk.instances.store import Ledger, LedgerAwayError
from tests.unit.database.postgres_server import Binaries, Server, running
from tests.unit.instances.ledger_server import AGENT, DATABASE, KEY, LEDGER, LedgerServer, claim

pytestmark = pytest.mark.programs


def run_bounded(call: Coroutine[Any, Any, None]) -> None:
    """A call that hangs fails here in the end; how long it takes is no claim."""

    async def bounded() -> None:
        async with asyncio.timeout(60):
            await call

    asyncio.run(bounded())


async def everything_is_refused(ledger: Ledger, changes: AsyncIterator[None], said: str) -> None:
    for call in (
        anext(changes),
        ledger.snapshot(),
        ledger.beat("app-1", ["apps"], "", ""),
        ledger.events(1),
    ):
        with pytest.raises(LedgerAwayError, match=said):
            await call
    with pytest.raises(LedgerAwayError, match=said):
        async with ledger.locked("shop"):
            pytest.fail("the lock was given")


def test_a_server_that_stops_is_noticed_and_found_again(own_server: LedgerServer) -> None:
    async def lose() -> None:
        async with own_server.connected() as ledger:
            stop(own_server.server)
            await everything_is_refused(ledger, ledger.changes(), "closed the connection")
            with pytest.raises(LedgerAwayError, match="No such file"):
                await ledger.connect()
            with pytest.raises(LedgerAwayError, match="not connected"):
                await ledger.snapshot()
            start(own_server.server)
            await ledger.connect()
            assert set((await ledger.snapshot()).services) == {"shop"}

    run_bounded(lose())


def test_a_server_that_freezes_is_noticed_and_found_again(
    own_server: LedgerServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "ANSWER_SECONDS", 0.3)
    monkeypatch.setattr(connection, "_CONNECT_SECONDS", 2)
    monkeypatch.setattr(listener, "_PING_SECONDS", 0.1)

    async def freeze() -> None:
        async with own_server.connected() as ledger:
            with frozen(own_server.server):
                changes = ledger.changes()
                await everything_is_refused(ledger, changes, "no answer within 0.3 s")
                with pytest.raises(LedgerAwayError, match="timeout"):
                    await ledger.connect()
            await ledger.connect()
            await ledger.snapshot()

    run_bounded(freeze())


def test_a_call_to_a_frozen_server_can_be_cancelled_at_once(own_server: LedgerServer) -> None:
    async def cancel() -> None:
        async with own_server.connected() as ledger:
            with frozen(own_server.server):
                call = asyncio.create_task(ledger.snapshot())
                await asyncio.sleep(0)
                call.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await call
                await ledger.close()

    run_bounded(cancel())


def test_with_one_connection_the_other_is_given_up(own_server: LedgerServer) -> None:
    async def cut() -> None:
        async with own_server.connected() as ledger:
            own_server.psql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'test (listens)'"
            )
            await everything_is_refused(ledger, ledger.changes(), "closed the connection")

    run_bounded(cut())


def test_a_wrong_password_is_one_sentence_without_it(shop: LedgerServer) -> None:
    ledger = Ledger(shop.address(AGENT), "planted-secret", "test")
    with pytest.raises(LedgerAwayError, match="password authentication failed") as refused:
        asyncio.run(ledger.connect())
    assert "planted-secret" not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_host_where_no_postgresql_is_is_named() -> None:
    ledger = Ledger(LedgerAddress("127.0.0.1", 1, "product", "agent"), None, "test")
    with pytest.raises(LedgerAwayError, match=r"PostgreSQL at 127\.0\.0\.1:1 is away: Connection"):
        asyncio.run(ledger.connect())


def test_a_ledger_that_was_not_migrated_is_away_until_the_deploy_ran(binaries: Binaries) -> None:
    async def connect(server: LedgerServer, said: str) -> None:
        with pytest.raises(LedgerAwayError, match=f"{said}.*run the deploy"):
            await server.ledger("postgres").connect()

    with running(binaries) as server:
        server.psql(f"CREATE DATABASE {DATABASE}")
        bare = LedgerServer(server)
        asyncio.run(connect(bare, "does not exist"))
        bare.deploy()
        bare.psql("DELETE FROM stellwerk.migrations")
        asyncio.run(connect(bare, "version 0"))


def test_a_role_without_rights_is_told_to_run_the_deploy(shop: LedgerServer) -> None:
    async def write() -> None:
        async with shop.connected(LEDGER) as ledger:
            with pytest.raises(LedgerAwayError, match=r"permission denied.*run the deploy"):
                await claim(ledger, KEY.port)

    asyncio.run(write())


def stop(server: Server) -> None:
    ran = server.binaries.run("pg_ctl", "-D", str(server.data), "-m", "fast", "-w", "stop")
    assert ran.returncode == 0, ran.stderr


def start(server: Server) -> None:
    arguments = ("-D", str(server.data), "-l", str(server.data.parent / "log"), "-w", "start")
    assert server.binaries.run("pg_ctl", *arguments).returncode == 0


@contextmanager
def frozen(server: Server) -> Iterator[None]:
    """The server and all it has started get no CPU for the time of the context."""
    postmaster = psutil.Process(int((server.data / "postmaster.pid").read_text().split()[0]))
    processes = [postmaster, *postmaster.children(recursive=True)]
    for process in processes:
        os.kill(process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for process in processes:
            os.kill(process.pid, signal.SIGCONT)
