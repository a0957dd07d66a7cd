"""TLS between hosts: nothing answers in plain text, and certificates are renewed in operation."""

import hashlib
import json
import subprocess
import sys

import pytest

from tests.lab.encrypted import SERVING as HOST
from tests.lab.platform import Platform
from tests.lab.test_deploy import CREDENTIALS, MASTER_NAME, answer
from tests.lab.waiting import wait_until

pytestmark = pytest.mark.lab

AUTHORITY = "/etc/stellwerk/tls/ca.pem"
REDIS_PORTS, SENTINEL_PORT, POSTGRESQL_PORT = (6379, 6380), 26379, 5432
SETTLE_SECONDS = 60.0
PLAIN_CLIENT = """
import socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2])), 10) as connection:
    connection.sendall(b"PING\\r\\n")
    try:
        print(connection.recv(1000))
    except ConnectionResetError:
        print("reset")
"""


def certificates(platform: Platform) -> dict[str, str]:
    """Digests of all files of the control machine's folder."""
    folder = platform.folder / "certificates"
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def said_in_plain_text(platform: Platform, port: int) -> str:
    """What a Redis or Sentinel answers a client from another address without TLS.

    Fails where it cannot be connected to.
    """
    done = subprocess.run(
        platform.lab.net_command([sys.executable, "-c", PLAIN_CLIENT, HOST.address, str(port)]),
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def redis(platform: Platform, command: str, port: int = REDIS_PORTS[0]) -> str:
    """What the host's own client hears, which verifies the certificate against the authority."""
    client = f"redis-cli --tls --cacert {AUTHORITY} -h {HOST.address} -p {port}"
    password = f"REDISCLI_AUTH=$(cat {CREDENTIALS}/redis.admin)"
    return platform.shell(HOST.name, f"{password} {client} --user admin {command}")


def psql(platform: Platform, sslmode: str, query: str) -> subprocess.CompletedProcess[str]:
    target = (
        f"host={HOST.address} port={POSTGRESQL_PORT} dbname=$database user=$role"
        f" sslmode={sslmode} sslrootcert={AUTHORITY}"
    )
    names = (
        "set -a; . /etc/stellwerk/generations/aktienanalyse-core/*/environment;"
        f" . {CREDENTIALS}/postgresql.app.environment;"
        " database=$DATABASE_NAME role=$DATABASE_USER"
    )
    return platform.lab.run(
        HOST.name,
        f'{names}; PGPASSWORD=$(cat {CREDENTIALS}/postgresql.app) psql -XAtc "{query}" "{target}"',
        check=False,
    )


def shown_certificate(platform: Platform, port: int, *options: str) -> str:
    """The fingerprint of the certificate that a daemon shows to a new connection."""
    connect = ["openssl", "s_client", "-connect", f"{HOST.address}:{port}", *options]
    shown = subprocess.run(
        platform.lab.net_command(connect),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    fingerprint = subprocess.run(
        ["openssl", "x509", "-noout", "-fingerprint", "-sha256"],
        input=shown.stdout,
        capture_output=True,
        text=True,
        check=True,
    )
    return fingerprint.stdout.strip()


def shown_certificates(platform: Platform) -> set[str]:
    """The certificates that all daemons show: one, where all use the same."""
    return {
        *(shown_certificate(platform, port) for port in (*REDIS_PORTS, SENTINEL_PORT)),
        shown_certificate(platform, POSTGRESQL_PORT, "-starttls", "postgres"),
    }


def test_services_answer_from_a_database_and_a_cache_reached_by_tls(encrypted: Platform) -> None:
    assert '"portfolios"' in answer(encrypted, f"http://{HOST.address}/api/portfolios?limit=1")
    sessions = encrypted.shell(
        HOST.name,
        'runuser -u postgres -- psql -XAtc "SELECT DISTINCT ssl FROM pg_stat_ssl'
        " JOIN pg_stat_activity USING (pid) WHERE application_name = 'stellwerk-sample'\"",
    )
    assert sessions == "t"
    assert "user=app " in redis(encrypted, "CLIENT LIST")


def test_a_second_run_changes_nothing_and_makes_no_certificate(encrypted: Platform) -> None:
    invocations, made = encrypted.invocations(), certificates(encrypted)
    outcome = encrypted.deploy()
    assert outcome.totals["success"] == 0, outcome.output
    assert encrypted.invocations() == invocations
    assert certificates(encrypted) == made


@pytest.mark.parametrize("port", [*REDIS_PORTS, SENTINEL_PORT])
def test_redis_and_sentinel_answer_nothing_in_plain_text(encrypted: Platform, port: int) -> None:
    heard = said_in_plain_text(encrypted, port)
    assert "PONG" not in heard
    assert "NOAUTH" not in heard


def test_redis_and_its_replica_are_linked_by_tls(encrypted: Platform) -> None:
    assert redis(encrypted, "PING") == "PONG"
    assert "master_link_status:up" in redis(encrypted, "INFO replication", port=REDIS_PORTS[1])


def test_postgresql_takes_no_login_in_plain_text(encrypted: Platform) -> None:
    refused = psql(encrypted, "disable", "SELECT 1")
    assert refused.returncode != 0
    assert "no encryption" in refused.stderr
    # PostgreSQL shows a connection to its login, which is not the role that it takes on.
    own = "SET ROLE NONE; SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
    taken = psql(encrypted, "verify-full", own)
    assert taken.stdout.split() == ["SET", "t"], taken.stderr


def test_only_the_daemons_read_their_keys(encrypted: Platform) -> None:
    listed = encrypted.shell(HOST.name, "find /etc -name host.key -printf '%p %m %u\\n' | sort")
    assert listed.splitlines() == [
        "/etc/postgresql/tls/host.key 600 postgres",
        "/etc/redis/sentinel-tls/host.key 600 redis",
        "/etc/redis/tls/host.key 600 redis",
        "/etc/stellwerk/tls/host.key 600 root",
    ]


def test_the_monitor_has_all_its_sources_over_tls_and_answers_others_by_it(
    encrypted: Platform,
) -> None:
    token = encrypted.shell(HOST.name, f"cat {CREDENTIALS}/monitoring.token")
    asked = ["curl", "--silent", "--show-error", "--header", "@-", "--cacert"]
    authority = encrypted.folder / "certificates" / "ca.pem"

    def health() -> str:
        done = subprocess.run(
            encrypted.lab.net_command(
                [*asked, str(authority), f"https://{HOST.address}:8004/health"]
            ),
            input=f"Authorization: Bearer {token}\n",
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout or done.stderr

    def all_up() -> bool:
        found = json.loads(health())["sources"]
        return len(found) > 8 and {one["state"] for one in found} == {"up"}

    assert wait_until(all_up, SETTLE_SECONDS), health()


def test_switching_tls_off_is_refused_in_one_sentence(encrypted: Platform) -> None:
    before = encrypted.invocations()
    refused = encrypted.run("-y", "--data", "tls.enabled=False")
    assert refused.code != 0
    assert f"{HOST.name}: was set up with TLS" in refused.output
    assert encrypted.invocations() == before


def test_a_lost_folder_of_certificates_is_refused_in_one_sentence(encrypted: Platform) -> None:
    folder, copy = encrypted.folder / "certificates", encrypted.folder / "copy"
    folder.rename(copy)
    try:
        refused = encrypted.run("-y")
        assert refused.code != 0
        assert f"{HOST.name}: trusts another authority" in refused.output
    finally:
        subprocess.run(["rm", "-r", str(folder)], check=True)
        copy.rename(folder)
    assert encrypted.deploy().totals["success"] == 0


def test_a_renewed_certificate_is_in_use_without_a_restart_of_the_stores(
    encrypted: Platform,
) -> None:
    before, old = encrypted.invocations(), shown_certificates(encrypted)
    assert len(old) == 1
    (encrypted.folder / "certificates" / "hosts" / f"{HOST.name}.pem").unlink()
    encrypted.deploy()
    assert wait_until(lambda: len(shown_certificates(encrypted)) == 1, SETTLE_SECONDS)
    assert shown_certificates(encrypted) != old
    after = encrypted.invocations()
    assert {unit for unit in before if after.get(unit) != before[unit]} == {
        f"{HOST.name} redis-sentinel@{SENTINEL_PORT}.service",
        f"{HOST.name} stellwerk-monitor.service",
    }
    assert encrypted.deploy().totals["success"] == 0


def test_the_replica_takes_over_with_tls_and_a_further_run_changes_nothing(
    encrypted: Platform,
) -> None:
    sentinel = (
        f"REDISCLI_AUTH=$(cat {CREDENTIALS}/sentinel.password)"
        f" redis-cli --tls --cacert {AUTHORITY} -p {SENTINEL_PORT} SENTINEL"
    )
    named = f"{sentinel} GET-MASTER-ADDR-BY-NAME {MASTER_NAME} | tail -1"
    before = encrypted.shell(HOST.name, named)
    assert encrypted.shell(HOST.name, f"{sentinel} FAILOVER {MASTER_NAME}") == "OK"
    assert wait_until(lambda: encrypted.shell(HOST.name, named) != before, SETTLE_SECONDS)
    assert wait_until(
        lambda: "master_link_status:up" in redis(encrypted, "INFO replication", port=int(before)),
        SETTLE_SECONDS,
    )
    assert encrypted.deploy().totals["success"] == 0
