"""The scaler as it runs: on a real PostgreSQL, with instances and agents played by rows."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web

from stellwerk.database.logins import login_of
from stellwerk.instances.connection import Connection, open_connection
from stellwerk.instances.model import InstanceKey
from stellwerk.scaling.ledger import APPLICATION, ScalingLedger
from stellwerk.scaling.scaler import daemon
from stellwerk.scaling.scaler.daemon import Scaler
from stellwerk.scaling.scaler.figures import Figures, Standing
from stellwerk.scaling.scaler.notices import Kind, Notice
from stellwerk.scaling.scaler.settings_file import SettingsFile
from stellwerk.scaling.scaler.source import HealthAnswers, Target, numbers
from stellwerk.settings.scaling import Route
from tests.unit.instances.ledger_server import DATABASE, LEDGER, PASSWORD, LedgerServer
from tests.unit.instances.test_ledger_away import start, stop
from tests.unit.scaling.clusters import document, host_file

pytestmark = pytest.mark.programs

PORTS = (8101, 8102)


class Told:
    """Keeps what people would be told."""

    def __init__(self) -> None:
        self.notices: list[tuple[Notice, Route]] = []

    def tell(self, notice: Notice, route: Route) -> None:
        self.notices.append((notice, route))


class Silent:
    """A source that knows nothing."""

    async def metrics(self, targets: Iterable[Target]) -> Mapping[InstanceKey, Mapping[str, float]]:
        del targets
        return {}


class Unread(Figures):
    """Figures that no monitor reads: they keep what the scaler said of itself."""

    def __init__(self) -> None:
        super().__init__(Path("unread"))
        self.standings: list[Standing] = []

    def write(self, standing: Standing) -> None:
        self.standings.append(standing)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daemon, "PULSE_SECONDS", 0.05)
    monkeypatch.setattr(daemon, "FIRST_PAUSE_SECONDS", 0.05)
    monkeypatch.setattr(daemon, "LONGEST_PAUSE_SECONDS", 0.05)


@asynccontextmanager
async def scaling(
    server: LedgerServer, name: str, **parts: Any
) -> AsyncIterator[asyncio.Task[None]]:
    """A scaler that runs; the task is its own."""

    async def connect() -> Connection:
        return await open_connection(
            server.address(LEDGER), PASSWORD, f"{APPLICATION} {name}", lambda _: None
        )

    host = parts.pop("host", None) or host_file(check_interval_seconds=1)
    scaler = Scaler(
        lambda: host,
        connect,
        parts.get("source", Silent()),
        parts.get("outputs", []),
        parts.get("figures") or Unread(),
    )
    task = asyncio.ensure_future(scaler.run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])


def serve(server: LedgerServer, cpu: float) -> None:
    """Two instances that serve and have used so much CPU for a while; both hosts' agents live."""
    for port in PORTS:
        server.psql(
            "INSERT INTO stellwerk.instances (service, port, host, address, generation, state,"
            f" since) VALUES ('shop', {port}, 'app-{port - 8100}', '127.0.0.1', '1', 'ready',"
            " now() - interval '1 day')"
        )
        server.psql(
            "INSERT INTO stellwerk.sightings (service, port, balancer, seen)"
            f" VALUES ('shop', {port}, 'lb-1', 'up')"
        )
        server.psql(f"INSERT INTO stellwerk.desired VALUES ('shop', 'app-{port - 8100}', 1)")
        server.psql(
            "INSERT INTO stellwerk.samples"
            f" SELECT 'shop', {port}, now() - make_interval(secs => 10 * n), {cpu}, 1000000"
            " FROM generate_series(0, 100) AS n"
        )
    server.psql(
        "INSERT INTO stellwerk.agents (host, role)"
        " VALUES ('app-1', 'apps'), ('app-2', 'apps'), ('lb-1', 'balancers')"
    )


def wanted(server: LedgerServer) -> int:
    return int(server.psql("SELECT coalesce(sum(instances), 0) FROM stellwerk.desired"))


def decisions(server: LedgerServer) -> int:
    return int(server.psql("SELECT count(*) FROM stellwerk.scaling_decisions"))


def leader(server: LedgerServer) -> list[str]:
    async def ask() -> list[str]:
        connection = await open_connection(server.address(LEDGER), PASSWORD, "test", lambda _: None)
        try:
            signs = await ScalingLedger(connection).scalers()
        finally:
            await connection.close()
        return [one.host for one in signs if one.leads]

    return asyncio.run(ask())


async def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    """Wait for something of the server, asked in a thread."""
    async with asyncio.timeout(seconds):
        while not await asyncio.to_thread(condition):
            await asyncio.sleep(0.02)


def run(act: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(60):
            await act()

    asyncio.run(bounded())


def test_load_adds_an_instance_records_why_and_tells_people(shop: LedgerServer) -> None:
    serve(shop, cpu=90)
    told = Told()

    async def act() -> None:
        async with scaling(shop, "mon-1", outputs=[told]):
            await until(lambda: wanted(shop) == 3 and bool(told.notices))

    run(act)
    (notice, route), *_ = told.notices
    assert notice.kind is Kind.ACTION
    assert route.channels == ["slack", "email"]
    assert "goes from 2 to 3" in shop.psql("SELECT sentence FROM stellwerk.scaling_decisions")
    assert "3 wanted" not in shop.psql("SELECT detail FROM stellwerk.events")
    assert "wanted by scaler" in shop.psql("SELECT detail FROM stellwerk.events")


def test_of_two_one_judges_and_the_other_takes_over_when_it_ends(shop: LedgerServer) -> None:
    serve(shop, cpu=50)

    async def act() -> None:
        said = {"mon-1": Unread(), "mon-2": Unread()}
        async with (
            scaling(shop, "mon-1", figures=said["mon-1"]) as one,
            scaling(shop, "mon-2", figures=said["mon-2"]) as other,
        ):
            await until(lambda: decisions(shop) > 1)
            (first,) = await asyncio.to_thread(leader, shop)
            (second,) = said.keys() - {first}
            assert {*said[first].standings} == {Standing.LEADS}
            assert {*said[second].standings} == {Standing.STANDS_BY}
            leads = one if first == "mon-1" else other
            leads.cancel()
            await until(lambda: leader(shop) not in ([], [first]))
            before = decisions(shop)
            await until(lambda: decisions(shop) > before)

    run(act)


def test_a_ledger_that_goes_and_comes_back_changes_nothing(own_server: LedgerServer) -> None:
    serve(own_server, cpu=50)

    async def act() -> None:
        figures = Unread()
        async with scaling(own_server, "mon-1", figures=figures) as task:
            await until(lambda: decisions(own_server) > 0)
            await asyncio.to_thread(stop, own_server.server)
            await until(lambda: Standing.AWAY in figures.standings)
            await asyncio.to_thread(start, own_server.server)
            before = decisions(own_server)
            await until(lambda: decisions(own_server) > before)
            assert not task.done()

    run(act)
    assert wanted(own_server) == 2


STEPS = """
    CREATE SCHEMA stepped;
    CREATE TABLE stepped.clock AS SELECT interval '0' AS by;
    GRANT USAGE ON SCHEMA stepped TO PUBLIC;
    GRANT SELECT ON stepped.clock TO PUBLIC;
"""
STEPPED = """
    CREATE FUNCTION stepped.{name}() RETURNS timestamptz LANGUAGE sql VOLATILE
    AS 'SELECT pg_catalog.{name}() + by FROM stepped.clock';
"""


@pytest.fixture
def step(shop: LedgerServer) -> Iterator[Callable[[float], None]]:
    """Sets the clock of a ledger on by so many seconds, as its statements see it, and does what
    else is to happen at that moment: the clock of the machine is everybody's.
    """
    functions = (STEPPED.format(name=name) for name in ("now", "clock_timestamp"))
    shop.psql(STEPS + "".join(functions))
    shop.psql(f"ALTER DATABASE {DATABASE} SET search_path = stepped, pg_catalog, public")

    def set_on(seconds: float, also: str = "") -> None:
        shop.psql(f"BEGIN; UPDATE stepped.clock SET by = interval '{seconds} s'; {also} COMMIT")

    try:
        yield set_on
    finally:
        shop.psql(f"ALTER DATABASE {DATABASE} RESET search_path")
        shop.psql("DROP SCHEMA stepped CASCADE")


LOSE_THE_LEADER = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory';"


@pytest.mark.parametrize(("by", "also"), [(7200, ""), (-7200, ""), (7200, LOSE_THE_LEADER)])
def test_when_the_ledgers_clock_is_set_nothing_shrinks_and_orders_keep_their_length(
    shop: LedgerServer, step: Callable[..., None], by: float, also: str
) -> None:
    """Also where that costs the leader its connection, as timeouts of PostgreSQL's go by the clock
    that was set.
    """
    serve(shop, cpu=50)
    shop.psql(
        "INSERT INTO stellwerk.scaling_orders (service, instances, until)"
        " VALUES ('shop', 5, now() + interval '1 hour')"
    )
    left = "SELECT extract(epoch FROM until - now()) FROM stellwerk.scaling_orders"
    told = "SELECT count(*) FROM stellwerk.events WHERE kind = 'clock'"

    async def act() -> None:
        async with scaling(shop, "mon-1"), scaling(shop, "mon-2"):
            await until(lambda: wanted(shop) == 5)
            step(by, also)
            await until(lambda: shop.psql(told) == "1\n")
            before = decisions(shop)
            await until(lambda: decisions(shop) > before + 1)

    run(act)
    assert wanted(shop) == 5
    assert 3000 < float(shop.psql(left)) <= 3600
    assert shop.psql("SELECT count(*) FROM stellwerk.samples") == "0\n"


def test_an_order_is_followed_at_once_and_remembered_by_the_next_scaler(
    shop: LedgerServer,
) -> None:
    serve(shop, cpu=50)
    patient = host_file(check_interval_seconds=3600)

    async def act() -> None:
        async with scaling(shop, "mon-1", host=patient):
            await until(lambda: decisions(shop) == 1)
            shop.psql(
                "INSERT INTO stellwerk.scaling_orders (service, instances, until)"
                " VALUES ('shop', 5, now() + interval '1 hour')"
            )
            await until(lambda: wanted(shop) == 5)
        async with scaling(shop, "mon-2", host=patient):
            before = decisions(shop)
            await until(lambda: decisions(shop) > before)

    run(act)
    assert wanted(shop) == 5
    state = json.loads(shop.psql("SELECT state FROM stellwerk.scaling_states"))
    assert [(one["before"], one["after"]) for one in state["changes"]] == [(2, 5)]


def test_the_load_is_kept_and_what_forecasts_say_of_it_is_recorded(shop: LedgerServer) -> None:
    serve(shop, cpu=40)
    shop.psql(
        "INSERT INTO stellwerk.scaling_loads"
        " SELECT 'shop', date_bin('5 minutes', now() - n * interval '5 minutes', 'epoch'), 80, 1"
        " FROM generate_series(1, 20) AS n"
    )
    forecast = "SELECT inputs -> 'forecast' ->> 'reason' FROM stellwerk.scaling_decisions"

    async def act() -> None:
        async with scaling(shop, "mon-1"):
            await until(lambda: "a forecast takes 7 days" in shop.psql(forecast))

    run(act)
    newest = "SELECT cpu_percent / looks FROM stellwerk.scaling_loads ORDER BY at DESC LIMIT 1"
    assert float(shop.psql(newest)) == 80


def test_instances_are_there_before_a_load_that_comes_every_day_at_this_hour(
    shop: LedgerServer,
) -> None:
    serve(shop, cpu=40)
    # As much as 5 instances take in the six hours after this one.
    shop.psql(
        "INSERT INTO stellwerk.scaling_loads"
        " SELECT 'shop', date_bin('5 minutes', now() - n * interval '5 minutes', 'epoch'), 1, 1"
        " FROM generate_series(1, 29 * 288) AS n;"
        " UPDATE stellwerk.scaling_loads"
        " SET cpu_percent = (1 + 0.05 * sin(extract(epoch FROM at) ^ 2)) * CASE WHEN"
        " (24 + extract(hour FROM at) - extract(hour FROM now()))::integer % 24 BETWEEN 1 AND 6"
        " THEN 300 ELSE 80 END"
    )
    predictive = {
        "step_minutes": 60,
        "refresh_minutes": 60,
        "daily": {"ahead_minutes": 240},
        "prescale": {"lead_minutes": 60},
    }
    host = host_file(check_interval_seconds=1, predictive=predictive)

    async def act() -> None:
        async with scaling(shop, "mon-1", host=host):
            await until(lambda: wanted(shop) == 5)

    run(act)
    why = "SELECT sentence FROM stellwerk.scaling_decisions WHERE after > before"
    assert "shop goes from 2 to 5: 5 is what the daily forecast takes" in shop.psql(why)


def test_what_instances_say_of_themselves_is_kept(shop: LedgerServer) -> None:
    serve(shop, cpu=50)

    class Source(Silent):
        async def metrics(
            self, targets: Iterable[Target]
        ) -> Mapping[InstanceKey, Mapping[str, float]]:
            return {one.key: {"queue_length": 1.0} for one in targets}

    async def act() -> None:
        async with scaling(shop, "mon-1", source=Source()):
            await until(
                lambda: shop.psql("SELECT count(*) FROM stellwerk.scaling_samples") == "2\n"
            )

    run(act)


def test_health_answers_are_read_and_those_that_fail_are_left_out() -> None:
    async def act() -> None:
        async def health(request: web.Request) -> web.Response:
            del request
            return web.json_response({"metrics": {"queue_length": 3, "name": "x", "on": True}})

        application = web.Application()

        async def plain(request: web.Request) -> web.Response:
            del request
            return web.Response(text="ok")

        application.router.add_get("/health", health)
        application.router.add_get("/no-metrics", plain)
        runner = web.AppRunner(application)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        try:
            port = runner.addresses[0][1]
            key = InstanceKey("shop", port)
            targets = [
                Target(key, "127.0.0.1", "/health"),
                Target(InstanceKey("shop", 1), "127.0.0.1", "/health"),
                Target(InstanceKey("cart", port), "127.0.0.1", "/nothing"),
                Target(InstanceKey("wall", port), "127.0.0.1", "/no-metrics"),
            ]
            assert await HealthAnswers().metrics(targets) == {
                key: {"queue_length": 3.0},
                InstanceKey("wall", port): {},
            }
        finally:
            await runner.cleanup()

    run(act)


@pytest.mark.parametrize(
    "answer",
    [b"", b"[]", b"{", b'{"metrics": 3}', b'{"metrics": {"a": NaN, "b": "1"}}', b"[" * 9999],
)
def test_an_answer_without_metrics_has_none(answer: bytes) -> None:
    assert numbers(answer) == {}


def program(settings: Path, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [
            *(sys.executable, "-c", "from stellwerk.cli import main; main()"),
            *("scaler", "--settings", str(settings)),
        ],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )


def test_without_settings_or_a_password_it_ends_with_one_sentence(tmp_path: Path) -> None:
    settings = tmp_path / "settings.yaml"
    missing = program(settings)
    assert "settings.yaml: cannot be read" in missing.communicate()[1]
    settings.write_text(yaml.safe_dump(document("192.0.2.1")))
    unknown = program(settings, CREDENTIALS_DIRECTORY=str(tmp_path))
    assert "The credential postgresql.ledger cannot be read" in unknown.communicate()[1]
    assert (missing.returncode, unknown.returncode) == (1, 1)


def test_the_program_leads_says_so_to_systemd_and_ends_on_sigterm(
    shop: LedgerServer, tmp_path: Path
) -> None:
    login = login_of(LEDGER, PASSWORD)
    shop.psql(f"CREATE ROLE {login} LOGIN PASSWORD '{PASSWORD}' IN ROLE {LEDGER}")
    (tmp_path / "settings.yaml").write_text(yaml.safe_dump(document(shop.address(LEDGER).host)))
    (tmp_path / "postgresql.ledger").write_text(f"{PASSWORD}\n")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.bind(str(tmp_path / "notify"))
        told.settimeout(30)
        process = program(
            tmp_path / "settings.yaml",
            CREDENTIALS_DIRECTORY=str(tmp_path),
            RUNTIME_DIRECTORY=str(tmp_path),
            NOTIFY_SOCKET=str(tmp_path / "notify"),
        )
        try:
            said = [told.recv(4096).decode() for _ in range(2)]
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0, process.communicate()[1]
        finally:
            process.kill()
            process.communicate()
            shop.psql(f"DROP ROLE {login}")
    assert said == ["STATUS=Leads.", "READY=1"]


def test_changed_settings_are_followed_and_broken_ones_are_not(tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"

    def write(text: str) -> None:
        fresh = tmp_path / "fresh"
        fresh.write_text(text)
        fresh.replace(file)

    write(yaml.safe_dump(document("192.0.2.1")))
    settings = SettingsFile(file)
    first = settings()
    assert settings() is first
    changed = document("192.0.2.1")
    changed["settings"]["scaling"]["check_interval_seconds"] = 30
    write(yaml.safe_dump(changed))
    second = settings()
    assert second.settings.scaling.check_interval_seconds == 30
    write("{")
    assert settings() is second
