"""Monitors as other hosts reach them: with the token, and with TLS where the cluster has it."""

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploys.engine.certificates import Subject, authority, issue, new_key
from stellwerk.metrics.monitor import certificate
from stellwerk.metrics.monitor.http_server import HttpServer, Request, Response, document
from stellwerk.metrics.monitors import Answers, Monitors
from stellwerk.settings.errors import SettingsError
from stellwerk.settings.files import HostFile, read_host_file
from tests.unit.instances.programs import free_ports

TOKEN = "a-token-of-the-api"
HERE, OTHER = "127.0.0.1", "127.0.0.2"


async def echo(request: Request) -> Response:
    return document(HTTPStatus.OK, {"path": request.path})


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> HostFile:
    """What a host knows of a cluster with TLS; the certificate is of the other host."""
    now = datetime.now(UTC)
    signer = authority(new_key(), now)
    pair = issue(signer, Subject("other", OTHER), 30, now)
    (tmp_path / certificate.CERTIFICATE).write_text(pair.certificate)
    (tmp_path / certificate.KEY).write_text(pair.key)
    (tmp_path / "ca.pem").write_text(signer.certificate)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    members = {
        name: {"address": address, "groups": []}
        for name, address in (("here", HERE), ("other", OTHER))
    }
    settings = {"monitoring": {"port": free_ports(1)[0]}, "tls": {"enabled": True}}
    written: dict[str, Any] = {"host": "here", "members": members, "settings": settings}
    path = tmp_path / "settings.yaml"
    path.write_text(yaml.safe_dump(written))
    return read_host_file(path)


async def answers(
    host: HostFile, authority: Path, *, with_tls: bool = True, seconds: float = 5.0
) -> Answers:
    """What a monitor at loopback and one at the other address answer."""
    port = host.settings.monitoring.port
    async with AsyncExitStack() as stack:
        server = HttpServer(echo, TOKEN)
        stack.push_async_callback(server.close)
        await server.listen(HERE, port)
        await server.listen(OTHER, port, certificate.given() if with_tls else None)
        monitors = Monitors(host, TOKEN, authority)
        return await monitors.ask(host.members, "GET", "/health", seconds=seconds)


def asked(host: HostFile, authority: Path, **options: Any) -> Answers:
    return asyncio.run(answers(host, authority, **options))


def test_others_are_asked_over_tls_and_the_own_monitor_by_loopback(
    host: HostFile, tmp_path: Path
) -> None:
    found = asked(host, tmp_path / "ca.pem")
    assert found.problems == {}
    assert found.documents == {"here": {"path": "/health"}, "other": {"path": "/health"}}


def test_a_monitor_that_is_of_another_authority_is_told_nothing(
    host: HostFile, tmp_path: Path
) -> None:
    another = tmp_path / "another.pem"
    another.write_text(authority(new_key(), datetime.now(UTC)).certificate)
    assert set(asked(host, another).problems) == {"other"}


def test_a_monitor_without_tls_is_told_nothing(host: HostFile, tmp_path: Path) -> None:
    found = asked(host, tmp_path / "ca.pem", with_tls=False, seconds=2.0)
    assert set(found.problems) == {"other"}


def test_a_missing_authority_is_named(host: HostFile, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"gone\.pem: cannot be read"):
        asked(host, tmp_path / "gone.pem")
