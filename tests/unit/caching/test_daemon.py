"""The cache daemon and its commands, as processes on a real Redis."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from stellwerk.caching.daemon_configuration import (
    DATABASE_PASSWORD,
    REDIS_PASSWORD,
    SENTINEL_PASSWORD,
    TOKENS,
    ConfigurationError,
    read,
)
from stellwerk.cli import main
from tests.unit.caching.redis_server import PATIENCE_SECONDS, RedisServer, free_port
from tests.unit.caching.shipped import caching

pytestmark = pytest.mark.programs


def configured(redis: RedisServer, folder: Path, port: int) -> Path:
    """The configuration file of a daemon, with its credentials in a folder beside it."""
    credentials = folder / "credentials"
    credentials.mkdir()
    (credentials / TOKENS["token"]).write_text("some-token\n")
    rest = {"invalidation": {"admin": {"port": port}}}
    settings = caching(layer={"memory": "1MB"}, rest=rest).model_dump(mode="json")
    document = {
        "caching": _without_secrets(settings),
        "redis": {"server": {"host": "127.0.0.1", "port": redis.port}},
        "audit": str(folder / "record"),
    }
    path = folder / "cache.json"
    path.write_text(json.dumps(document))
    return path


def _without_secrets(settings: dict[str, object]) -> dict[str, object]:
    kept = {name: settings[name] for name in ("caches", "client")}
    admin = settings["invalidation"]["admin"]  # type: ignore[index]
    return kept | {"invalidation": {"admin": {"port": admin["port"]}}}


@contextmanager
def serving(path: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """The daemon, for the time of the context."""
    environment = os.environ | {"CREDENTIALS_DIRECTORY": str(path.parent / "credentials")}
    environment["PYTHONPATH"] = os.pathsep.join(sys.path)
    program = [sys.executable, "-c", "from stellwerk.cli import main; main()", "cache", "serve"]
    daemon = subprocess.Popen([*program, "--configuration", str(path)], env=environment)
    try:
        yield daemon
    finally:
        daemon.kill()
        daemon.wait()


def asked(port: int, command: str, *words: str, token: str = "some-token") -> Result:
    """What a command of the daemon's client answers, once the daemon listens."""
    url = f"http://127.0.0.1:{port}/admin/cache"
    limit = time.monotonic() + PATIENCE_SECONDS
    while True:
        ran = CliRunner(env={"STELLWERK_CACHE_TOKEN": token}).invoke(
            main, ["cache", command, "--url", url, *words]
        )
        if "does not answer" not in ran.output or time.monotonic() > limit:
            return ran
        time.sleep(0.05)


def test_the_daemon_serves_until_it_is_told_to_end(redis: RedisServer, tmp_path: Path) -> None:
    port = free_port()
    with serving(configured(redis, tmp_path, port)) as daemon:
        assert asked(port, "invalidate", "item:1:*").output == "Invalidated.\n"
        heading, row = asked(port, "stats").output.splitlines()
        assert heading.split()[:4] == ["layer", "hits", "misses", "hit"]
        assert row.split()[:5] == ["shop.item", "0", "0", "-", "-"]
        assert row.endswith(" 0 of 1,048,576 B, 0.0 %")
        assert json.loads(asked(port, "stats", "--json").output)["shop.item"]["bytes"] == 0
        refused = asked(port, "invalidate", "item:1:*", token="wrong")
        assert (refused.exit_code, refused.output) == (1, "Error: The token is not right.\n")
        assert "needs the token for that" in asked(port, "invalidate", "*").output
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(timeout=PATIENCE_SECONDS) == 0
    assert len((tmp_path / "record").read_text().splitlines()) == 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is no JSON document"),
        ("{}", "caching: Field required"),
        ('{"caching": {}, "redis": {}}', "give a server, or sentinels"),
        ('{"caching": {"cache": {}}, "redis": {}}', "caching.cache: Extra inputs"),
    ],
)
def test_a_wrong_configuration_is_said(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "cache.json"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=said):
        read(path, None)


def test_passwords_and_tokens_are_files(tmp_path: Path) -> None:
    names = (REDIS_PASSWORD, SENTINEL_PASSWORD, DATABASE_PASSWORD, *TOKENS.values())
    for name in names:
        (tmp_path / name).write_text(f"the {name}\n")
    path = tmp_path / "cache.json"
    document = {
        "caching": {},
        "redis": {"sentinels": [{"host": "db-1", "port": 26379}], "master": "m", "user": "app"},
        "database": "host=db-1 dbname=d",
    }
    path.write_text(json.dumps(document))
    found = read(path, tmp_path)
    assert found.redis.credentials.password == f"the {REDIS_PASSWORD}"
    assert found.database is not None
    assert f"the {DATABASE_PASSWORD}" in found.database
    admin = found.caching.invalidation.admin
    assert admin.token_for_all.get_secret_value() == f"the {TOKENS['token_for_all']}"
    assert "the " not in repr(found)
