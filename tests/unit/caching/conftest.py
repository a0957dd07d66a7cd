"""A real Redis per module; its tests skip where none is installed."""

import shutil
from collections.abc import Iterator

import pytest

from tests.unit.caching.redis_server import RedisServer, running


@pytest.fixture(scope="module")
def module_redis() -> Iterator[RedisServer]:
    """One server for a module."""
    if shutil.which("redis-server") is None:
        pytest.skip("no redis-server is installed here")
    with running() as server:
        yield server


@pytest.fixture
def redis(module_redis: RedisServer) -> RedisServer:
    """The module's server, empty."""
    module_redis.command("FLUSHALL")
    return module_redis
