"""The host's tools speak to Redis as its configuration says, and trust the cluster's authority."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from deploys.components.tls import HostCertificate
from deploys.engine.certificate_store import complete
from deploys.engine.certificates import AUTHORITY_DAYS, Subject
from deploys.host import redis_tls
from deploys.host.resp import Connection, RedisError


def made_in(folder: Path, age: timedelta = timedelta()) -> HostCertificate:
    folder.mkdir(exist_ok=True)
    hosts = [(Subject("cache-1", "198.18.0.31"), 365)]
    return complete(folder, hosts, datetime.now(UTC) - age)["cache-1"]


@contextmanager
def server(certificate: HostCertificate, folder: Path) -> Iterator[tuple[str, int]]:
    """A server on loopback that answers one TLS connection with PONG."""
    pair = folder / "pair.pem"
    pair.write_text(certificate.certificate + certificate.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair)

    def serve() -> None:
        plain, _ = listener.accept()
        try:
            with context.wrap_socket(plain, server_side=True) as connection:
                connection.recv(65536)
                connection.sendall(b"+PONG\r\n")
        except OSError:
            plain.close()  # the client went away, which is its test's concern

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()
        thread.join()


@pytest.fixture
def configurations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of Redis' own files."""
    folder = tmp_path / "redis"
    folder.mkdir()
    monkeypatch.setattr(redis_tls, "_CONFIGURATIONS", folder)
    return folder


def test_a_server_of_the_clusters_authority_is_taken(tmp_path: Path) -> None:
    certificate = made_in(tmp_path)
    trust = ssl.create_default_context(cadata=certificate.authority)
    with (
        server(certificate, tmp_path) as address,
        Connection(address, tls=trust) as connection,
    ):
        assert connection.call("PING") == "PONG"


def test_a_server_of_another_authority_is_refused_before_a_password_is_sent(
    tmp_path: Path,
) -> None:
    certificate, other = made_in(tmp_path), made_in(tmp_path / "other")
    trust = ssl.create_default_context(cadata=other.authority)
    with (
        server(certificate, tmp_path) as address,
        pytest.raises(RedisError, match=r"cannot connect: .*CERTIFICATE_VERIFY_FAILED"),
    ):
        Connection(address, tls=trust)


@pytest.mark.parametrize(
    ("rows", "spoken"),
    [
        ("port 6379\n", False),
        ("port 0\ntls-port 6379\n", True),
        ("port 6379\ntls-port 0\n", False),
        ("# tls-port 6379\nport 6379\n", False),
    ],
)
def test_redis_own_file_tells_whether_it_takes_tls(
    configurations: Path, rows: str, spoken: bool
) -> None:
    file = configurations / "redis-6379.conf"
    file.write_text(rows)
    assert redis_tls.is_spoken_by(file) == spoken


def test_without_a_redis_of_ours_connections_are_plain(configurations: Path) -> None:
    (configurations / "redis.conf").write_text("tls-port 6379\n")
    assert redis_tls.context() is None
    assert not redis_tls.is_spoken_by(configurations / "redis-6379.conf")


def test_with_tls_every_connection_verifies_authority_and_address(
    configurations: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = tmp_path / "ca.pem"
    authority.write_text(made_in(tmp_path).authority)
    monkeypatch.setattr(redis_tls, "AUTHORITY", authority)
    (configurations / "sentinel-26379.conf").write_text("port 0\ntls-port 26379\n")
    context = redis_tls.context()
    assert context is not None
    assert context.check_hostname
    assert context.verify_mode == ssl.CERT_REQUIRED


def test_a_certificate_that_has_ended_is_taken_so_that_it_can_be_renewed(
    configurations: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = made_in(tmp_path, age=timedelta(days=AUTHORITY_DAYS + 400))
    authority = tmp_path / "ca.pem"
    authority.write_text(certificate.authority)
    monkeypatch.setattr(redis_tls, "AUTHORITY", authority)
    (configurations / "redis-6379.conf").write_text("port 0\ntls-port 6379\n")
    with (
        server(certificate, tmp_path) as address,
        Connection(address, tls=redis_tls.context()) as connection,
    ):
        assert connection.call("PING") == "PONG"
