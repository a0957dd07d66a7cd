"""A throw-away Redis says what the real one would say, and leaves nothing behind."""

import shutil
import tempfile
from pathlib import Path

import pytest

from deploys.host import redis_candidate

pytestmark = [
    pytest.mark.programs,
    pytest.mark.skipif(
        shutil.which("redis-server") is None, reason="redis-server is not installed"
    ),
]


@pytest.fixture(autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where throw-away servers have their folders; the path of a socket may not be long."""
    folder = tmp_path_factory.mktemp("c")
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_a_configuration_that_redis_starts_with_is_not_refused(folder: Path) -> None:
    configuration = folder / "redis.conf"
    configuration.write_text("port 6379\nsave 900 1\ndatabases 32\n")
    assert redis_candidate.refusal(configuration) == ""
    assert list(folder.iterdir()) == [configuration]


def test_a_configuration_that_redis_refuses_is_refused_in_its_words(folder: Path) -> None:
    configuration = folder / "redis.conf"
    configuration.write_text("databases none\n")
    said = redis_candidate.refusal(configuration)
    assert "FATAL CONFIG FILE ERROR" in said
    assert "databases none" in said
    assert list(folder.iterdir()) == [configuration]


def test_redis_is_asked_for_its_own_values() -> None:
    asked = ["databases", "lazyfree-lazy-eviction", "unixsocket", "no-such-directive"]
    assert redis_candidate.defaults(asked) == {
        "databases": "16",
        "lazyfree-lazy-eviction": "no",
        "unixsocket": "",
    }
    assert redis_candidate.defaults([]) == {}
