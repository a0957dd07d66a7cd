"""The monitors of a cluster: their sources, what they say of broken ones, and their values."""

import base64
import json
import math
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from stellwerk.metrics.histogram import Histogram
from tests.lab.edits_postgresql import DEBIAN_13
from tests.lab.edits_redis import SERVER
from tests.lab.inbox import Inbox, inbox
from tests.lab.platform import Platform
from tests.lab.redis_cluster import ASK_REDIS
from tests.lab.traffic import Traffic, doors
from tests.lab.waiting import wait_until

pytestmark = pytest.mark.lab

PORT = 8004
INTERVAL_SECONDS = 3
SOURCE_SECONDS = 2
# As shipped but for times: an outage of half a minute is long.
MONITORING = {
    "interval_seconds": INTERVAL_SECONDS,
    "source_timeout_seconds": SOURCE_SECONDS,
    "alerts": {"down_seconds": 6, "recovery_seconds": 6},
    "receivers": {"group_seconds": 1, "email": {"enabled": False}},
}
CORE = "aktienanalyse-core"
FRONTEND = "aktienanalyse-frontend"
OWN = {"host", "stellwerk-monitor"}
SUBJECTS = {
    "lb-1": {*OWN, "HAProxy", "nginx"},
    "app-1": {*OWN, "systemd", "cache daemon"},
    "app-2": {*OWN, "systemd", "cache daemon"},
    "cache-1": {*OWN, "Redis on port 6379", "Sentinel"},
    "cache-2": {*OWN, "Redis on port 6379", "Sentinel"},
    "db-1": {*OWN, "PostgreSQL", "PostgreSQL's sizes", "Sentinel", "scaler"},
}
SETTLE_SECONDS = 90.0
RATE = 20  # requests a second through each balancer
SLEEPERS = 3  # statements that take long
COLLECTIONS = 4


@dataclass(frozen=True)
class Monitored:
    """A cluster whose monitors tell a channel."""

    platform: Platform
    channel: Inbox

    def ask(self, host: str, path: str) -> dict[str, Any]:
        """A document of a host's monitor, as another host with the token gets it."""
        secrets = yaml.safe_load((self.platform.folder / "secrets.yaml").read_text())
        token = secrets["monitoring"]["token"]
        header = f"Authorization: Bearer {token}\n"
        return dict(json.loads(self.curl(host, path, "--header", "@-", given=header)))

    def curl(self, host: str, path: str, *options: str, given: str = "") -> str:
        address = next(one.address for one in self.platform.nodes if one.name == host)
        command = ["curl", "--silent", "--show-error", *options, f"http://{address}:{PORT}{path}"]
        done = subprocess.run(
            self.platform.lab.net_command(command),
            input=given,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr + self.journals()
        return done.stdout

    def sources(self, host: str) -> dict[str, dict[str, Any]]:
        """How a host's monitor found its sources at the last look, by subject."""
        return {one["subject"]: one for one in self.ask(host, "/health")["sources"]}

    def value(self, host: str, name: str, **labels: str) -> float | None:
        """The latest value of a metric, whose labels include these."""
        for one in self.ask(host, "/api/metrics")["metrics"]:
            if one["name"] == name and labels.items() <= one["labels"].items():
                return float(one["value"])
        return None

    def alerts(self) -> list[str]:
        """What is down, as an operator is told on a host: of all hosts."""
        command = "/opt/stellwerk/current/bin/stellwerk alerts --json"
        said = json.loads(self.platform.shell("db-1", command))
        assert said["problems"] == {}, said["problems"]
        hosts = said["hosts"].items()
        return [
            f"{host}: {one['summary']}"
            for host, about in hosts
            for one in about["alerts"]
            # The machine of the lab may well be busy.
            if one["metric"].endswith(".availability")
        ]

    def journals(self) -> str:
        """What all monitors say, for the report of a failed test."""
        said = self.platform.shells(
            SUBJECTS, "journalctl -u stellwerk-monitor -n 40 --no-pager -o cat", check=False
        )
        return "\n".join(f"--- {name}\n{lines}" for name, lines in said.items())

    def wait(self, condition: Callable[[], bool], what: str) -> None:
        assert wait_until(condition, SETTLE_SECONDS), f"{what}\n{self.channel.said}\n" + (
            self.journals()
        )

    def wait_told(self, sentences: Sequence[tuple[str, str]]) -> None:
        """Wait until each host has said its sentence."""

        def missing() -> list[tuple[str, str]]:
            return [one for one in sentences if not self.channel.times(*one)]

        self.wait(lambda: not missing(), f"Of {sentences} some are not told")


@pytest.fixture(scope="module")
def monitored(six: Platform) -> Iterator[Monitored]:
    """The six hosts with short times and a channel; the next module has them as they were."""
    settings = six.folder / "group_data" / "monitoring.py"
    secrets = six.folder / "secrets.yaml"
    before = {path: path.read_text() for path in (settings, secrets)}
    with inbox(six.lab.name) as channel:
        settings.write_text(f"monitoring = {MONITORING!r}\n")
        given = yaml.safe_load(before[secrets])
        given["monitoring"]["receivers"] = {"slack": {"webhook_url": channel.url}}
        secrets.write_text(yaml.safe_dump(given))
        six.deploy("--data", 'base.packages=["nftables"]')
        yield Monitored(six, channel)
        for path, text in before.items():
            path.write_text(text)
        six.deploy()


@pytest.fixture
def quiet(monitored: Monitored) -> Monitored:
    """The same with all well."""
    monitored.wait(lambda: monitored.alerts() == [], "Something is down to begin with")
    return monitored


def test_every_monitor_answers_with_all_its_sources_up(quiet: Monitored) -> None:
    for host, subjects in SUBJECTS.items():
        found = quiet.sources(host)
        instances = {name for name in found if name.startswith("aktienanalyse-")}
        assert set(found) - instances == subjects
        assert bool(instances) == host.startswith("app-")
        unwell = {name: one for name, one in found.items() if one["state"] != "up" or one["gaps"]}
        assert unwell == {}, quiet.journals()


def test_operators_and_programs_get_reports_on_the_whole_cluster(quiet: Monitored) -> None:
    command = "/opt/stellwerk/current/bin/stellwerk report --period 1h --json"
    told = json.loads(quiet.platform.shell("app-1", command))
    asked = quiet.ask("db-1", "/api/report?period=1h&cluster=1")
    assert told["hosts"] == asked["hosts"] == sorted(SUBJECTS), quiet.journals()
    assert told["problems"] == asked["problems"] == []
    assert {"system", "postgresql", "redis", "haproxy"} <= told["services"].keys()


def test_without_the_token_another_host_is_told_nothing(monitored: Monitored) -> None:
    for path in ("/health", "/api/metrics", "/api/alerts"):
        said = monitored.curl("db-1", path, "--write-out", "%{http_code}")
        assert said.endswith("401")
        assert "sources" not in said


@dataclass(frozen=True)
class Fault:
    """Something that breaks a source of one host, and mends it."""

    host: str
    subject: str
    alert: str
    breaks: str
    mends: str
    is_noticed: bool = True


def unit_faults(verb: str, mend: str, instance: str) -> tuple[Fault, ...]:
    """The same done to each unit. An agent would start another instance, so it is away."""
    units = (
        ("db-1", "PostgreSQL", "postgresql", DEBIAN_13.unit),
        ("cache-2", "Redis on port 6379", "redis 6379", SERVER),
        ("lb-1", "HAProxy", "haproxy", "haproxy.service"),
    )
    agent = "systemctl {} stellwerk-agent.service"
    return (
        *(
            Fault(host, subject, alert, f"{verb} {unit}", f"{mend} {unit}")
            for host, subject, alert, unit in units
        ),
        Fault(
            "app-1",
            instance,
            instance,
            f"{agent.format('stop')} && {verb} {instance}.service",
            f"{mend} {instance}.service && {agent.format('start')}",
        ),
    )


def walls(instance: str) -> tuple[Fault, ...]:
    """A firewall before each. PostgreSQL and HAProxy are asked by their sockets: it hides nothing
    of them.
    """
    ports = (
        ("db-1", "PostgreSQL", "postgresql", 5432, False),
        ("cache-2", "Redis on port 6379", "redis 6379", 6379, True),
        ("lb-1", "HAProxy", "haproxy", 9100, False),
        ("app-1", instance, instance, int(instance.partition("@")[2]), True),
    )
    table = (
        "nft 'add table inet wall; add chain inet wall input {{ type filter hook input priority 0;"
        " }}; add rule inet wall input tcp dport {} drop'"
    )
    return tuple(
        Fault(host, subject, alert, table.format(port), "nft delete table inet wall", noticed)
        for host, subject, alert, port, noticed in ports
    )


FAULTS: Mapping[str, Callable[[str], tuple[Fault, ...]]] = {
    "stopped": lambda one: unit_faults("systemctl stop", "systemctl start", one),
    "frozen": lambda one: unit_faults(
        "systemctl kill --kill-whom=all --signal=STOP",
        "systemctl kill --kill-whom=all --signal=CONT",
        one,
    ),
    "firewalled": walls,
}


def seconds(found: Mapping[str, Any]) -> float:
    """When a source was looked at, since the epoch."""
    return datetime.fromisoformat(found["time"]).timestamp()


def is_late(found: Mapping[str, Any]) -> bool:
    """Whether a source was looked at too long ago, or for too long."""
    return (
        time.time() - seconds(found) > 2 * INTERVAL_SECONDS + SOURCE_SECONDS + 1
        or found["duration_ms"] > 1000 * SOURCE_SECONDS
    )


def late_beside(monitored: Monitored, faults: Sequence[Fault]) -> set[tuple[str, str]]:
    """What is late of the same hosts' other sources."""
    return {
        (one.host, name)
        for one in faults
        for name, found in monitored.sources(one.host).items()
        if name != one.subject and is_late(found)
    }


@pytest.mark.parametrize(
    ("kind", "outage_seconds"),
    [
        ("frozen", 0),
        *(pytest.param(kind, 0, marks=pytest.mark.thorough) for kind in FAULTS if kind != "frozen"),
        *(pytest.param(kind, 60, marks=pytest.mark.thorough) for kind in FAULTS),
    ],
)
def test_a_broken_source_delays_no_other_and_is_told_once(
    quiet: Monitored, kind: str, outage_seconds: int
) -> None:
    instance = min(name for name in quiet.sources("app-1") if name.startswith(f"{CORE}@"))
    faults = FAULTS[kind](instance)
    told = len(quiet.channel.said)
    with ExitStack() as mending:
        for one in faults:
            mending.callback(quiet.platform.shell, one.host, one.mends)
            quiet.platform.shell(one.host, one.breaks)
        noticed = [one for one in faults if one.is_noticed]
        quiet.wait_told([(one.host, f"{one.alert} is down") for one in noticed])
        for one in faults:
            others = quiet.sources(one.host)
            state = others.pop(one.subject)["state"]
            assert (state == "up") != one.is_noticed, (one.subject, state)
            # The others on the host of an instance may need what is broken elsewhere.
            if one.host != "app-1":
                expected = {"PostgreSQL's sizes"} if one.is_noticed else set()
                unwell = {name for name, found in others.items() if found["state"] != "up"}
                assert unwell <= expected, quiet.journals()
        assert late_beside(quiet, faults) == set()
        assert not wait_until(lambda: late_beside(quiet, faults) != set(), outage_seconds)
    quiet.wait_told([(one.host, f"{one.alert} is up again") for one in noticed])
    quiet.wait(lambda: quiet.alerts() == [], "Something is down in the end")
    said = quiet.channel.said[told:]
    for one in faults:
        for sentence in (f"{one.alert} is down", f"{one.alert} is up again"):
            times = sum(host == one.host and sentence in line for host, line in said)
            assert times == int(one.is_noticed), (sentence, said)
    quiet.channel.said.clear()


@dataclass(frozen=True)
class Truth:
    """A value as a shell line on the host says it; of a counter the rate is meant."""

    host: str
    metric: str
    command: str
    labels: tuple[tuple[str, str], ...] = ()
    relative: float = 0.05
    absolute: float = 0.0
    is_counter: bool = False


_PSQL = "runuser -u postgres -- psql -XAtqc"
_STAT = (
    "python3 -c 'import csv, socket, sys; s = socket.socket(socket.AF_UNIX);"
    ' s.connect("/run/haproxy/admin.sock"); s.sendall(b"show stat -1 2 -1\\n");'
    ' print(*(row["{column}"] for row in csv.DictReader(s.makefile()) if row["# pxname"] =='
    ' "aktienanalyse_core_backend"))\''
)


def info(field: str) -> str:
    return f"{ASK_REDIS} INFO | sed -n 's/^{field}:\\([0-9]*\\).*/\\1/p'"


def truths(instance: str, cache: str) -> tuple[Truth, ...]:
    backend = (("backend", "aktienanalyse_core_backend"),)
    upstream = (("backend", "aktienanalyse_frontend_upstream"),)
    of_instance = (("instance", instance),)
    redis = (("port", "6379"),)
    cgroup = f"/sys/fs/cgroup$(systemctl show -P ControlGroup {instance})"
    return (
        Truth(
            "app-1",
            "system.memory_percent",
            "awk '/^MemTotal/ {t=$2} /^MemAvailable/ {print 100 * (1 - $2 / t)}' /proc/meminfo",
            absolute=3,
        ),
        Truth(
            "app-1",
            "system.filesystem_used_percent",
            "df --output=pcent / | tr -dc 0-9",
            (("mountpoint", "/"),),
            absolute=1,
        ),
        Truth(
            "app-1",
            "unit.cpu_percent",
            f"awk '/^usage_usec/ {{print $2 / 10000}}' {cgroup}/cpu.stat",
            of_instance,
            relative=0.4,
            absolute=1.5,
            is_counter=True,
        ),
        Truth(
            "lb-1",
            "haproxy.requests_per_second",
            _STAT.format(column="req_tot"),
            backend,
            relative=0.15,
            is_counter=True,
        ),
        Truth("lb-1", "haproxy.servers_up", _STAT.format(column="act"), backend),
        Truth(
            "lb-1",
            "nginx.requests_per_second",
            "grep -c aktienanalyse_frontend_upstream /var/log/nginx/access.log",
            upstream,
            relative=0.15,
            is_counter=True,
        ),
        Truth(
            "db-1",
            "postgresql.active_connections",
            f"{_PSQL} \"SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(%'"
            " AND state = 'active' AND pid <> pg_backend_pid()\"",
            absolute=2,
        ),
        Truth(
            "db-1",
            "postgresql.database_size_mb",
            f"{_PSQL} \"SELECT pg_database_size('aktienanalyse') / 1048576.0\"",
            (("database", "aktienanalyse"),),
        ),
        Truth(
            "db-1",
            "postgresql.transactions_per_second",
            f'{_PSQL} "SELECT sum(xact_commit + xact_rollback) FROM pg_stat_database"',
            relative=0.3,
            is_counter=True,
        ),
        Truth(
            cache,
            "redis.memory_used_mb",
            f"{info('used_memory')} | awk '{{print $1 / 1048576}}'",
            redis,
        ),
        Truth(cache, "redis.connected_clients", info("connected_clients"), redis, absolute=2),
        Truth(
            cache,
            "redis.operations_per_second",
            info("total_commands_processed"),
            redis,
            relative=0.15,
            is_counter=True,
        ),
    )


@pytest.fixture
def loaded(quiet: Monitored, tmp_path: Path) -> Iterator[Monitored]:
    """The cluster under a steady load of everything."""
    address = next(one.address for one in quiet.platform.nodes if one.name == "lb-1")
    ends_with_its_client = "PGOPTIONS='-c client_connection_check_interval=1s'"
    programs = {
        "db-1": (
            "echo 'SELECT 1 \\watch 0.05' | psql -X -o /dev/null",
            *[f"{ends_with_its_client} psql -XAtqc 'SELECT pg_sleep(900)'"] * SLEEPERS,
        ),
        "cache-1": (f"{ASK_REDIS} -r 100000 -i 0.01 PING >/dev/null",),
    }
    with ExitStack() as stack:
        for host, lines in programs.items():
            for number, line in enumerate(lines):
                user = "--uid=postgres" if "psql" in line else "--uid=root"
                command = ["systemd-run", "--quiet", "--collect", f"--unit=load-{number}", user]
                quiet.platform.lab.run(host, [*command, "sh", "-c", line])
            stack.callback(quiet.platform.shell, host, "systemctl stop 'load-*'")
        stack.enter_context(Traffic(quiet.platform, tmp_path, doors(address), RATE))
        # All rates are of the load alone once two collections lie in it.
        collections(quiet, 3)
        yield quiet


def collections(monitored: Monitored, number: int) -> None:
    """Wait for so many collections of every host."""

    def last() -> list[str]:
        return [monitored.sources(host)["stellwerk-monitor"]["time"] for host in SUBJECTS]

    for _ in range(number):
        before = last()

        def is_later(before: list[str] = before) -> bool:
            return all(map(str.__lt__, before, last()))

        monitored.wait(is_later, "Collections do not come")


def test_values_are_right_under_a_known_load(loaded: Monitored) -> None:
    instance = min(name for name in loaded.sources("app-1") if name.startswith(f"{CORE}@"))
    wanted = truths(instance, "cache-1")

    def read(one: Truth) -> tuple[float, float]:
        said = loaded.platform.shell(one.host, one.command)
        return time.time(), float(said)

    begun = {one: read(one) for one in wanted if one.is_counter}
    rates: dict[Truth, list[float]] = {one: [] for one in begun}
    for _ in range(COLLECTIONS):
        collections(loaded, 1)
        for one in begun:
            found = loaded.value(one.host, one.metric, **dict(one.labels))
            assert found is not None, one.metric
            rates[one].append(found)
    wrong = {}
    for one in wanted:
        at, true = read(one)
        if one.is_counter:
            start, before = begun[one]
            true = (true - before) / (at - start)
            measured = sum(rates[one]) / len(rates[one])
        else:
            measured = loaded.value(one.host, one.metric, **dict(one.labels)) or 0.0
        if measured != pytest.approx(true, rel=one.relative, abs=one.absolute):
            wrong[one.metric] = (measured, true)
    assert wrong == {}, loaded.journals()


def test_percentiles_are_those_of_the_balancers_log(loaded: Monitored) -> None:
    """Over a few collections, each with durations of its own, that are added up."""

    def looked_at() -> float:
        return seconds(loaded.sources("lb-1")["nginx"])

    merged, begun, taken = Histogram(), looked_at(), 0
    while taken < COLLECTIONS:
        before = looked_at()
        assert wait_until(partial(is_after, looked_at, before), SETTLE_SECONDS)
        last = looked_at()
        found = loaded.ask("lb-1", f"/api/metrics/service/{FRONTEND}")["distributions"]
        if looked_at() != last or last - before > 1.5 * INTERVAL_SECONDS:
            merged, begun, taken = Histogram(), looked_at(), 0  # one was missed: begin anew
            continue
        for one in (one for one in found if not one["labels"]):
            merged.merge(Histogram.unpacked(base64.b64decode(one["histogram"])))
        taken += 1
    said = loaded.platform.shell(
        "lb-1",
        f'awk \'$2 == "aktienanalyse_frontend_upstream" && $1 > {begun} && $1 <= {last}'
        " {print $7}' /var/log/nginx/access.log",
    )
    exact = sorted(map(float, said.splitlines()))
    assert merged.count == pytest.approx(len(exact), abs=3)
    for share in (0.5, 0.95):
        rank = math.ceil(share * len(exact)) - 1
        lowest, highest = exact[max(0, rank - 3)], exact[min(rank + 3, len(exact) - 1)]
        assert 0.98 * lowest - 0.001 <= (merged.quantile(share) or 0) <= 1.02 * highest + 0.001


def is_after(looked_at: Callable[[], float], before: float) -> bool:
    return looked_at() > before
