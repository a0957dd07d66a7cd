"""A password of before counts until nobody uses it, and is told by its digest only."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploys.components import credentials, redis_users, rotation
from deploys.engine.resources import Facts, secret_digest
from stellwerk.settings import Settings
from stellwerk.settings.cluster import Cluster

from .conftest import host_of

OLD, OLDER = "0" * 64, "1" * 64


def settings_of(cluster: Cluster) -> Settings:
    return host_of(cluster, "caches").settings


def accepting(**users: list[str]) -> Facts:
    return {"passwords": {"accepted": users, "used": {}}}


def watching(accepts: list[str], tells: str = "") -> Facts:
    return {"sentinel": {"26379": {"accepts": accepts, "tells": tells}}}


def test_what_any_server_still_takes_is_kept_on_all(cluster: Cluster) -> None:
    settings = settings_of(cluster)
    present = redis_users.digests(settings)["app"]
    found = rotation.redis_before(
        settings, [accepting(app=[present, OLD]), accepting(app=[OLDER]), {}]
    )
    assert found == {"app": {OLD, OLDER}}
    (row,) = (
        line
        for line in redis_users.acl(settings, found).splitlines()
        if line.startswith("user app ")
    )
    assert f"#{present} #{OLD} #{OLDER} resetchannels" in row


def test_without_a_change_there_is_nothing_of_before(cluster: Cluster) -> None:
    settings = settings_of(cluster)
    present = {user: [digest] for user, digest in redis_users.digests(settings).items()}
    assert rotation.redis_before(settings, [accepting(**present, default=[])]) == {}
    own = secret_digest(settings.sentinel.password)
    assert rotation.sentinel_before(settings, [watching([own])]) == frozenset()


def test_a_sentinel_that_still_takes_the_password_of_before_is_seen(cluster: Cluster) -> None:
    own = secret_digest(settings_of(cluster).sentinel.password)
    facts = [watching([own, OLD]), watching([own]), {"sentinel": {"26379": {"error": "silent"}}}]
    assert rotation.sentinel_before(settings_of(cluster), facts) == {OLD}


def test_units_files_and_servers_that_use_a_password_are_named() -> None:
    facts: dict[str, Any] = {
        "app-1": {
            "passwords": {"accepted": {}, "used": {OLD: ["core@8101.service"], OLDER: ["x"]}}
        },
        "cache-1": {"redis": {"6379": {"config": {"masterauth": OLD}}}},
        "db-1": watching([], tells=OLD),
        "lb-1": {"redis": {"6379": {"error": "cannot connect"}}},
    }
    assert list(map(str, rotation.uses(facts, OLD))) == [
        "core@8101.service on app-1",
        "the Redis on port 6379 on cache-1",
        "the Sentinel on port 26379 on db-1",
    ]


@pytest.fixture
def taking(cluster: Cluster) -> dict[str, Facts]:
    """Hosts whose servers take the present passwords, but cache-1's Redis and db-1's Sentinel."""
    settings = settings_of(cluster)
    present = {user: [digest] for user, digest in redis_users.digests(settings).items()}
    own = secret_digest(settings.sentinel.password)
    return {
        "cache-1": {**accepting(**{**present, "app": [OLD]}), **watching([own])},
        "cache-2": {**accepting(**present), **watching([own])},
        "db-1": {**accepting(), **watching([OLD])},
    }


def test_only_servers_that_this_run_leaves_alone_stand_in_the_way(
    cluster: Cluster, taking: dict[str, Facts]
) -> None:
    assert rotation.refusing_redis(cluster, ["app", "admin"], [], taking) == ("cache-1",)
    assert rotation.refusing_redis(cluster, ["admin"], [], taking) == ()
    assert rotation.refusing_redis(cluster, ["app"], ["cache-1"], taking) == ()
    assert rotation.refusing_sentinels(cluster, ["cache-1"], taking) == ("db-1",)
    assert rotation.refusing_sentinels(cluster, ["db-1"], taking) == ()


def test_hosts_that_are_not_set_up_or_do_not_answer_do_not(cluster: Cluster) -> None:
    silent = {"sentinel": {"26379": {"error": "cannot connect"}}}
    facts = {"cache-1": accepting(), "db-1": silent}
    assert rotation.refusing_redis(cluster, ["app"], [], facts) == ()
    assert rotation.refusing_sentinels(cluster, [], facts) == ()


def test_a_password_is_new_where_another_one_is_in_its_place(cluster: Cluster) -> None:
    configs = credentials.passwords(host_of(cluster, "apps"), credentials.REDIS)
    files = {file.path: file.as_fact() for config in configs for file in config.files}
    assert not rotation.is_new(configs, {"files": files})
    assert not rotation.is_new(configs, {})
    assert rotation.is_new(configs, {"files": {path: {"sha256": OLD} for path in files}})


DIGESTS = st.lists(st.sampled_from([OLD, OLDER, "2" * 64]), max_size=3)


@given(st.lists(st.dictionaries(st.sampled_from(["app", "admin"]), DIGESTS), max_size=4))
def test_no_password_that_works_anywhere_is_lost_by_a_first_step(
    cluster: Cluster, hosts: list[dict[str, list[str]]]
) -> None:
    settings = settings_of(cluster)
    before = rotation.redis_before(settings, [accepting(**users) for users in hosts])
    text = redis_users.acl(settings, before)
    for users in hosts:
        for user, accepted in users.items():
            (row,) = (line for line in text.splitlines() if line.startswith(f"user {user} "))
            assert all(f"#{digest} " in row for digest in accepted)
