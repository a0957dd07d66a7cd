"""A service on one app host that writes behind, in a unit made from that of a deployed service."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stellwerk.caching.write_behind import SCHEMA
from tests.lab import cache_writer
from tests.lab.platform import Platform
from tests.lab.redis_cluster import RedisCluster
from tests.lab.waiting import wait_until

SECONDS = 120.0
_DEPLOYED = "/etc/systemd/system/aktienanalyse-core@.service"
_UNIT = "/run/systemd/system/writer@.service"
_PROGRAM = "/usr/local/lib/cache_writer.py"
_STATE = "/var/lib/writer"
_PYTHON = "/opt/stellwerk/current/bin/python3 -I"
_PSQL = "runuser -u postgres -- psql -qXAtd aktienanalyse"
_TABLES = (
    f"{SCHEMA}; CREATE TABLE kept (writer text, number bigint, times int, PRIMARY KEY (writer,"
    " number)); GRANT ALL ON cache_journals, kept TO stellwerk_app"
)
_HOLD = "BEGIN; LOCK TABLE kept IN EXCLUSIVE MODE; SELECT pg_sleep(3600)"
_HOLDERS = "FROM pg_locks WHERE granted AND mode = 'ExclusiveLock' AND relation = 'kept'::regclass"


class CacheService:
    """Its instances, by name. `host` is where they run and `database` where what they keep is."""

    def __init__(self, platform: Platform, host: str, database: str) -> None:
        self.platform = platform
        self._host = host
        self._database = database

    def install(self) -> None:
        """Put program and unit on the host, and the tables into the database."""
        program = Path(cache_writer.__file__).read_text()
        made = (
            f"s|^ExecStart=.*|ExecStart={_PYTHON} {_PROGRAM}|; s|^StateDirectory=.*|StateDirectory"
            "=writer|; s|^Type=.*|Type=exec|; /^NotifyAccess=/d; /^WorkingDirectory=/d"
        )
        self._shell(f"cat > {_PROGRAM} <<'END'\n{program}\nEND\nchmod 644 {_PROGRAM}")
        self._shell(f"sed '{made}' {_DEPLOYED} > {_UNIT}; systemctl daemon-reload")
        self.sql(_TABLES)

    def remove(self) -> None:
        """Leave nothing of it."""
        self._shell(f"systemctl stop 'writer@*'; rm -rf {_UNIT} {_PROGRAM} {_STATE}")
        self._shell("rm -rf /var/lib/private/writer; systemctl daemon-reload")
        self.sql("DROP TABLE IF EXISTS kept, cache_journals")

    def start(self, name: str) -> None:
        """Start an instance, and wait until its first many writes are acknowledged."""
        self._shell(f"systemctl start writer@{name}")
        self.wait_for(name, "kept", cache_writer.BURST)

    def stop(self, name: str) -> None:
        """Stop an instance as a scale-down does."""
        self._shell(f"systemctl stop writer@{name}")

    def kill(self, name: str) -> None:
        """Kill an instance, and wait until systemd has started it again."""
        before = self._shell(f"systemctl show -P NRestarts writer@{name}")
        self._shell(f"systemctl kill --signal=KILL writer@{name}")
        again = wait_until(
            lambda: self._shell(f"systemctl show -P NRestarts writer@{name}") > before, SECONDS
        )
        assert again, self.journal()

    def acknowledged(self, name: str, what: str) -> set[int]:
        """The numbers that an instance was acknowledged: `kept` behind, or `cached` alone."""
        return set(map(int, self._shell(f"cat {_STATE}/{name}.{what}", check=False).split()))

    def wait_for(self, name: str, what: str, count: int) -> None:
        """Wait until an instance was acknowledged so many."""
        there = wait_until(lambda: len(self.acknowledged(name, what)) >= count, SECONDS)
        assert there, self.journal()

    def applied(self, name: str) -> dict[int, int]:
        """How often each number of an instance came to the database."""
        rows = self.sql(f"SELECT number, times FROM kept WHERE writer = '{name}'")
        return {int(number): int(times) for number, times in map(_pair, rows.splitlines())}

    def cached(self, cluster: RedisCluster, name: str) -> set[int]:
        """The numbers of an instance that the present master has."""
        pattern = f"market:{name}:history:*"
        keys = cluster.redis(cluster.master(), f"--scan --count 10000 --pattern '{pattern}'")
        return {int(key.rpartition(":")[2]) for key in keys.split()}

    @contextmanager
    def database_held(self) -> Iterator[None]:
        """Nothing can be written into the table meanwhile."""
        self.platform.shell(
            self._database, f'systemd-run --quiet --collect --unit=hold-kept {_PSQL} -c "{_HOLD}"'
        )
        try:
            assert wait_until(lambda: self.sql(f"SELECT count(*) {_HOLDERS}") == "1", SECONDS)
            yield
        finally:
            # A server goes on sleeping when its client is gone.
            self.sql(f"SELECT pg_terminate_backend(pid) {_HOLDERS}")

    def sql(self, statement: str) -> str:
        """What a statement answers the database's administrator."""
        return self.platform.shell(self._database, f'{_PSQL} -c "{statement}"')

    def journal(self) -> str:
        """What the instances say, for the report of a failed test."""
        return self._shell("journalctl -u 'writer@*' -n 60 --no-pager -o cat", check=False)

    def _shell(self, command: str, check: bool = True) -> str:
        return self.platform.shell(self._host, command, check=check)


def _pair(row: str) -> list[str]:
    return row.split("|")
