"""The event store on a host with PostgreSQL 17, in thorough runs 15: crashes, killed builds,
refreshes that meet.
"""

import json
import shlex
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from stellwerk.database.quantities import MEBIBYTE
from stellwerk.database.tuning import HostResources, TuningInputs, tune
from stellwerk.metrics.model import Source
from tests.lab.conftest import lab_name, skip_without_lab
from tests.lab.platform import Node, Platform
from tests.lab.rows import rows
from tests.lab.waiting import wait_until
from tests.unit.database.test_tuning_on_postgresql import EVERY, GRID

pytestmark = pytest.mark.lab

HOST = "db-1"
VERSIONS = {"trixie": 17, "bookworm": 15}
VIEW = "mv_portfolio_performance_summary"
WAIT_SECONDS = 60.0
HELD = "/run/held-transaction"

# Appends as a service does until it is told to end; the file has what was acknowledged.
WRITER = """\
import asyncio, sys
from pathlib import Path
import psycopg
from stellwerk.eventstore.access import owner_address
from stellwerk.eventstore.errors import ConflictError
from stellwerk.eventstore.events import EventStore, NewEvent
from stellwerk.settings.files import read_settings

address = owner_address(read_settings(Path("/etc/stellwerk/settings.yaml")))
name, folder = sys.argv[1], Path(sys.argv[2])

async def main():
    done = 0
    while not (folder / "end").exists():
        try:
            async with await psycopg.AsyncConnection.connect(
                host=address.host, port=address.port, dbname=address.database,
                user=address.user, password=address.password, autocommit=True,
            ) as connection:
                store = EventStore(connection)
                while not (folder / "end").exists():
                    try:
                        await store.append(name, done, [NewEvent("counted", done + 1)])
                    except ConflictError:
                        assert len(await store.read(name, limit=10**6)) == done + 1
                    done += 1
                    (folder / "done").write_text(str(done))
        except psycopg.OperationalError:
            await asyncio.sleep(0.05)

asyncio.run(main())
(folder / "ended").touch()
"""


@pytest.fixture(scope="module", params=rows(VERSIONS, "trixie"))
def store(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Platform]:
    """A Debian host with a database and nothing else, after one complete run."""
    skip_without_lab()
    node = Node(HOST, "198.18.0.41", ("databases",), release=request.param)
    platform = Platform(lab_name("store"), (node,), tmp_path_factory.mktemp("store"))
    platform.lab.up()
    platform.lab.reset("bare")
    platform.deploy()
    yield platform
    platform.lab.down()


def stellwerk(platform: Platform, command: str, check: bool = True) -> str:
    return platform.shell(HOST, f"stellwerk database {command} 2>&1", check=check)


def sql(platform: Platform, statements: str) -> str:
    """What the server's administrator reads in the product's database."""
    quoted = statements.replace("'", "'\\''")
    return platform.shell(HOST, f"runuser -u postgres -- psql -XAtq -d aktienanalyse -c '{quoted}'")


def measured(platform: Platform) -> str:
    """What the monitor says of PostgreSQL."""
    ask = (
        "from urllib.request import urlopen;"
        f"print(urlopen('http://127.0.0.1:8004/api/metrics/service/{Source.POSTGRESQL}').read())"
    )
    return platform.shell(HOST, f'python3 -c "{ask}"')


def is_valid(platform: Platform, index: str) -> bool:
    return (
        sql(platform, f"SELECT indisvalid FROM pg_index WHERE indexrelid = '{index}'::regclass")
        == "t"
    )


@contextmanager
def open_transaction(platform: Platform, statement: str) -> Iterator[None]:
    """A transaction that has executed a statement and stays open."""
    platform.shell(
        HOST,
        f"cat >{HELD}.sql <<'END'\nBEGIN \\; {statement};\nEND\n"
        f"touch {HELD}; nohup sh -c '(cat {HELD}.sql; while [ -e {HELD} ]; do sleep 0.05; done)"
        " | PGAPPNAME=held runuser -u postgres -- psql -Xq -d aktienanalyse' >/dev/null 2>&1 &",
    )
    open_ones = (
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE application_name = 'held' AND state = 'idle in transaction'"
    )
    try:
        assert wait_until(lambda: sql(platform, open_ones) == "1", WAIT_SECONDS)
        yield
    finally:
        platform.shell(HOST, f"rm -f {HELD}")
        assert wait_until(lambda: sql(platform, open_ones) == "0", WAIT_SECONDS)


def waits_for_a_lock(platform: Platform, query: str) -> bool:
    return (
        sql(
            platform,
            "SELECT count(*) > 0 FROM pg_stat_activity"
            f" WHERE wait_event_type = 'Lock' AND query LIKE '{query}%'",
        )
        == "t"
    )


def test_a_deploy_leaves_nothing_to_do_and_a_view_that_is_refreshed(store: Platform) -> None:
    assert stellwerk(store, "schema") == "The event store is as it should be: nothing to do."
    assert store.deploy().totals["success"] == 0
    refreshed = f"SELECT refreshed_at IS NOT NULL FROM view_refreshes WHERE view = '{VIEW}'"
    assert wait_until(lambda: sql(store, refreshed) == "t", WAIT_SECONDS)
    units = "systemctl is-active stellwerk-views.timer stellwerk-indexes.timer"
    assert store.shell(HOST, units).split() == ["active", "active"]
    assert wait_until(lambda: "view_refresh_ms" in measured(store), 2 * WAIT_SECONDS)


def test_every_setting_is_in_force_and_explained_in_80_columns(store: Platform) -> None:
    found = json.loads(stellwerk(store, "tune --json"))
    assert {one["standing"] for one in found["settings"]} == {"in force"}
    assert found["worst_case_bytes"] <= 0.9 * found["ram_bytes"]
    assert max(map(len, stellwerk(store, "tune --explain").splitlines())) <= 80


def test_the_hosts_postgresql_accepts_every_tuning(store: Platform) -> None:
    version = VERSIONS[store.nodes[0].release]
    folder, program = "/tmp/any", f"/usr/lib/postgresql/{version}/bin/postgres"
    lines = [f"mkdir {folder}", f"touch {folder}/postgresql.conf"]
    for mebibytes, cpus, workload, disk in GRID[::EVERY]:
        tuning = tune(
            HostResources(mebibytes * MEBIBYTE, cpus),
            TuningInputs(workload=workload, disk=disk, version=version),
        )
        settings = [f"--{one.name}={one.value}" for one in tuning.settings]
        lines.append(shlex.join([program, "-D", folder, *settings, "-C", "max_connections"]))
    script = "\n".join([*lines, f"rm -r {folder}"])
    said = store.shell(HOST, f"runuser -u postgres -- sh -es <<'END'\n{script}\nEND")
    assert said.split() == ["100"] * len(GRID[::EVERY])


def test_a_setting_that_alter_system_shadows_is_told(store: Platform) -> None:
    sql(store, "ALTER SYSTEM SET work_mem = '1MB'")
    try:
        (warning,) = json.loads(stellwerk(store, "tune --json"))["warnings"]
        assert "ALTER SYSTEM RESET work_mem" in warning
    finally:
        sql(store, "ALTER SYSTEM RESET work_mem")


def test_no_acknowledged_event_is_lost_by_restarts_and_a_crash(store: Platform) -> None:
    folder = "/tmp/appends"
    store.shell(
        HOST, f"rm -rf {folder}; mkdir {folder}; cat >{folder}/writer.py <<'END'\n{WRITER}\nEND"
    )
    store.shell(
        HOST,
        f"nohup /opt/stellwerk/current/bin/python3 {folder}/writer.py depot {folder}"
        f" >{folder}/said 2>&1 &",
    )

    def acknowledged() -> int:
        said = store.shell(HOST, f"cat {folder}/done", check=False)
        return int(said) if said.isdecimal() else 0

    def goes_on(after: int) -> bool:
        return wait_until(lambda: acknowledged() > after + 20, WAIT_SECONDS)

    assert goes_on(0), store.shell(HOST, f"cat {folder}/said")
    unit = f"postgresql@{VERSIONS[store.nodes[0].release]}-main.service"
    for interruption in (f"systemctl restart {unit}", f"systemctl kill -s KILL {unit}"):
        before = acknowledged()
        store.shell(HOST, interruption)
        store.shell(HOST, f"systemctl reset-failed {unit}; systemctl start {unit}")
        assert goes_on(before), store.shell(HOST, f"cat {folder}/said")
    store.shell(HOST, f"touch {folder}/end")
    ended = f"test -e {folder}/ended && echo yes"
    assert wait_until(lambda: store.shell(HOST, ended, check=False) == "yes", WAIT_SECONDS)
    kept = sql(store, "SELECT count(*), max(version) FROM events WHERE aggregate_id = 'depot'")
    count, version = map(int, kept.split("|"))
    # One more where the writer was told to end before it learned of its last one.
    assert count == version >= acknowledged()


def test_an_index_build_that_was_killed_half_way_is_repaired(store: Platform) -> None:
    build = "stellwerk-indexes.service"
    sql(store, "DROP INDEX events_type_timestamp")
    older = "SELECT append_events('older', NULL, '{a}', ARRAY['{}'::jsonb])"
    with open_transaction(store, older):
        store.shell(HOST, f"systemctl start --no-block {build}")
        assert wait_until(lambda: waits_for_a_lock(store, "CREATE INDEX"), WAIT_SECONDS)
        appended = "SELECT append_events('quick', NULL, '{a}', ARRAY['{}'::jsonb])"
        sql(store, f"SET lock_timeout = '1s'; {appended}")
        store.shell(HOST, f"systemctl kill -s KILL {build}")
        sql(
            store,
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE query LIKE 'CREATE INDEX%'",
        )
        assert not is_valid(store, "events_type_timestamp")
    assert "was invalid" in stellwerk(store, "schema")
    assert is_valid(store, "events_type_timestamp")


def test_two_refreshes_at_once_and_one_behind_a_long_transaction(store: Platform) -> None:
    with open_transaction(store, "LOCK TABLE portfolio_snapshots"):
        store.shell(HOST, f"nohup stellwerk database refresh {VIEW} >/tmp/first 2>&1 &")
        assert wait_until(lambda: waits_for_a_lock(store, "REFRESH"), WAIT_SECONDS)
        assert "is being refreshed by another run" in stellwerk(store, f"refresh {VIEW}")
        # Readers go on, and the first one gives up its wait for the lock in its time.
        assert sql(store, f"SET statement_timeout = '1s'; SELECT count(*) FROM {VIEW}") == "0"
        ended = "cat /tmp/first"
        assert wait_until(lambda: "failed in" in store.shell(HOST, ended), WAIT_SECONDS)
    with open_transaction(store, f"SELECT FROM {VIEW}"):
        assert "refreshed in" in stellwerk(store, f"refresh {VIEW}")
