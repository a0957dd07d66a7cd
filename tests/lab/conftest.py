"""Clusters that several test modules share, each deployed once in a session."""

import os
import random
from collections.abc import Iterator

import pytest

from tests.lab import requirements
from tests.lab.encrypted import encrypted_cluster
from tests.lab.errors import LabError
from tests.lab.platform import Node, Platform
from tests.lab.redis_cluster import CACHES, RedisCluster
from tests.lab.scaled import declare_quick_rules, with_two_monitors
from tests.lab.traffic import allow_slow_requests

# Debian 13 but for one app host: its versions are proved here, those of Debian 12 by the one host.
# The caches are alike, as a Redis of Debian 12 cannot follow one of Debian 13.
SIX = (
    Node("lb-1", "198.18.0.11", ("balancers",), release="trixie"),
    Node("app-1", "198.18.0.21", ("apps",)),
    Node("app-2", "198.18.0.22", ("apps",), release="trixie"),
    Node("cache-1", "198.18.0.31", ("caches", "sentinels"), release="trixie"),
    Node("cache-2", "198.18.0.32", ("caches", "sentinels"), release="trixie"),
    Node("db-1", "198.18.0.41", ("databases", "monitors", "sentinels"), release="trixie"),
)
GROUPS = ("balancers", "apps", "caches", "sentinels", "databases", "monitors")
KILLED_RUNS = 10
FIRST_LINE, LAST_LINE = 4, 60  # of what a run prints, after which it is killed
ONE = (
    Node(
        "solo",
        "198.18.0.61",
        GROUPS,
        data={"ssh_user": "deploy", "_sudo": True},
    ),
)


def lab_name(name: str) -> str:
    """The name of a lab of the tests, so that other runs and pytest's workers stand beside it."""
    words = (os.environ.get("STELLWERK_LAB", "test"), os.environ.get("PYTEST_XDIST_WORKER"), name)
    return "-".join(word for word in words if word)


def skip_without_lab() -> None:
    """Skip where the lab cannot run, with the reason."""
    try:
        requirements.check()
    except LabError as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="session")
def bare_six(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """Six freshly booted hosts, Debian 12 and 13, with nothing on them yet."""
    skip_without_lab()
    platform = Platform(lab_name("six"), SIX, tmp_path_factory.mktemp("six"))
    platform.lab.up()
    platform.lab.reset("bare")
    yield platform
    platform.lab.down()


@pytest.fixture(scope="session")
def six(bare_six: Platform) -> Platform:
    """The six hosts after one complete run; services take slow requests, canaries end soon."""
    allow_slow_requests(bare_six, canary_seconds=1)
    bare_six.deploy()
    return bare_six


@pytest.fixture(scope="session")
def solo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """One Debian 12 host in every group, deployed by a user with sudo; it takes slow requests too.

    From a bare host on, run after run was killed at some point; the last one was complete.
    """
    skip_without_lab()
    platform = Platform(lab_name("solo"), ONE, tmp_path_factory.mktemp("solo"))
    allow_slow_requests(platform, canary_seconds=1)
    platform.lab.up()
    platform.lab.reset("bare")
    points = random.Random(20240115)
    for _ in range(KILLED_RUNS):
        run = platform.begin(points.randint(FIRST_LINE, LAST_LINE))
        run.kill()
        run.wait()
    platform.deploy()
    yield platform
    platform.lab.down()


@pytest.fixture(scope="session")
def caches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisCluster]:
    """Three Debian 12 hosts with a Redis and a Sentinel each after one complete run."""
    skip_without_lab()
    platform = Platform(lab_name("caches"), CACHES, tmp_path_factory.mktemp("caches"))
    platform.lab.up()
    platform.lab.reset("bare")
    platform.deploy()
    yield RedisCluster(platform)
    platform.lab.down()


@pytest.fixture(scope="session")
def encrypted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """Debian 12 with all services and, with Prometheus, Debian 13; TLS between them."""
    skip_without_lab()
    with encrypted_cluster(lab_name("tls"), tmp_path_factory.mktemp("tls")) as platform:
        yield platform


@pytest.fixture(scope="session")
def swapped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """The same with Debian 12 in the place of 13."""
    skip_without_lab()
    folder = tmp_path_factory.mktemp("swapped")
    with encrypted_cluster(lab_name("swapped"), folder, swapped=True) as platform:
        yield platform


@pytest.fixture(scope="session")
def scaled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """The six hosts, two of them monitors, after one complete run; two services are scaled by what
    they are asked, within seconds.
    """
    skip_without_lab()
    platform = Platform(
        lab_name("scaled"), with_two_monitors(SIX), tmp_path_factory.mktemp("scaled")
    )
    declare_quick_rules(platform)
    platform.lab.up()
    platform.lab.reset("bare")
    platform.deploy()
    yield platform
    platform.lab.down()
