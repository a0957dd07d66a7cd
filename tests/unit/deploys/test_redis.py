"""Redis and Sentinel start from a seed and are then told only what differs (C3)."""

import hashlib
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploys.components import redis, redis_users, sentinel
from deploys.components.master import Endpoint
from deploys.engine.resources import secret_digest
from stellwerk.settings.cluster import Cluster
from stellwerk.settings.types import Secret as SecretValue

from .conftest import Load, host_of

MASTER = Endpoint("198.18.0.31", 6379)
ROLES: tuple[redis.Role, ...] = ("slave", "master")
NASTY = 'ab"cd\\ef#gh\'"'


def live(cluster: Cluster, **changed: str) -> dict[str, Any]:
    """Facts of a Redis that runs as its settings say, but for what is changed."""
    settings = host_of(cluster, "caches").settings
    password = settings.redis.passwords.replication.get_secret_value()
    config = {
        **redis.directives(cluster, settings),
        "masterauth": hashlib.sha256(password.encode()).hexdigest(),
        **{name.replace("_", "-"): value for name, value in changed.items()},
    }
    parameters = sorted(settings.redis.parameters)
    server = {"config": config, "parameters": parameters, "replication": {"role": "slave"}}
    return {"redis": {"6379": server}}


def told(cluster: Cluster, facts: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    """The documents that go to the host for its servers, whatever their role."""
    host = host_of(cluster, "caches")
    return tuple(
        request.document
        for role in ROLES
        for request in redis.settings_requests(cluster, host, facts, role)
    )


def test_a_redis_that_runs_as_wanted_is_told_nothing(cluster: Cluster) -> None:
    assert told(cluster, live(cluster)) == ()


def test_a_redis_that_does_not_answer_is_told_nothing(cluster: Cluster) -> None:
    assert told(cluster, {}) == ()
    assert told(cluster, {"redis": {"6379": {"error": "cannot connect"}}}) == ()


def test_only_what_differs_is_set(cluster: Cluster) -> None:
    (found,) = told(cluster, live(cluster, maxmemory="1", timeout="0"))
    assert found["settings"] == {"maxmemory": str(1024**3), "timeout": "300"}


def test_a_secret_is_compared_by_digest_and_named_but_not_sent(cluster: Cluster) -> None:
    (found,) = told(cluster, live(cluster, masterauth="another digest"))
    assert found["settings"] == {"masterauth": {"secret": "redis.replication"}}


@pytest.mark.parametrize(
    ("name", "given_value", "shown"),
    [
        ("maxmemory", "1gb", "1073741824"),
        ("maxmemory", "1G", "1000000000"),
        ("maxmemory", "512MB", "536870912"),
        ("maxmemory", "64kb", "65536"),
        ("maxmemory", "100b", "100"),
        ("maxmemory", "100", "100"),
        ("appendfsync", "EverySec", "everysec"),
        ("notify-keyspace-events", "Ex", "xE"),
        (
            "client-output-buffer-limit",
            "normal 0 0 0 slave 256mb 64mb 60 pubsub 32mb 8mb 60",
            "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60",
        ),
    ],
)
def test_a_value_is_the_same_in_every_spelling(
    load: Load, name: str, given_value: str, shown: str
) -> None:
    wanted = load({f"redis.parameters.{name}": given_value})
    facts = live(wanted, **{name: shown})
    facts["redis"]["6379"]["config"][name] = shown
    assert told(wanted, facts) == ()


def test_a_directive_that_redis_does_not_know_is_sent_so_that_redis_refuses_it(load: Load) -> None:
    wanted = load({"redis.parameters.maxmemori": "1gb"})
    facts = live(wanted)
    del facts["redis"]["6379"]["config"]["maxmemori"]
    (found,) = told(wanted, facts)
    assert found["settings"] == {"maxmemori": "1gb"}


def test_a_further_directive_that_is_taken_back_gets_redis_own_value(cluster: Cluster) -> None:
    facts = live(cluster)
    facts["redis"]["6379"]["parameters"] = ["databases"]
    (found,) = told(cluster, facts)
    assert (found["settings"], found["parameters"]) == ({}, [])
    assert found["to_default"] == ["databases"]


def test_a_further_directive_that_became_a_setting_is_not_taken_back(cluster: Cluster) -> None:
    facts = live(cluster)
    facts["redis"]["6379"]["parameters"] = ["maxmemory"]
    (found,) = told(cluster, facts)
    assert found["to_default"] == []


def test_only_values_that_are_still_wanted_are_restarted_for(cluster: Cluster) -> None:
    facts = live(cluster)
    server = facts["redis"]["6379"]
    server["waits_for_restart"] = {"tcp-backlog": "600", "databases": "32"}
    (request,) = redis.restarts(cluster, host_of(cluster, "caches"), facts, "slave")
    assert request.document["directives"] == {"databases": "32"}
    assert redis.restarts(cluster, host_of(cluster, "caches"), facts, "master") == ()


def test_what_an_interrupted_run_has_restarted_for_is_not_restarted_for_again(
    cluster: Cluster,
) -> None:
    facts = live(cluster, databases="32")
    facts["redis"]["6379"]["waits_for_restart"] = {"databases": "32"}
    assert redis.restarts(cluster, host_of(cluster, "caches"), facts, "slave") == ()


def test_a_server_that_is_not_declared_is_removed_as_what_it_is(single: Cluster) -> None:
    host = host_of(single, "caches")
    running = {
        "6379": {"replication": {"role": "slave"}},
        "6390": {"replication": {"role": "master"}},
        "6391": {"error": "cannot connect"},
    }
    facts = {"redis": running}
    (silent,), (master,) = (
        [request.document for request in redis.removals(single, host, facts, role)]
        for role in ROLES
    )
    assert (silent["port"], master["port"]) == (6391, 6390)
    assert master["files"] == ["/etc/redis/redis-6390.conf"]
    assert master["stamps"] == ["redis-6390"]
    assert master["replicas"] == [["192.0.2.1", 6379], ["192.0.2.1", 6380]]


def test_what_was_set_but_not_kept_is_kept_by_the_next_run(cluster: Cluster) -> None:
    facts = live(cluster)
    facts["redis"]["6379"]["unsaved"] = True
    (found,) = told(cluster, facts)
    assert found["settings"] == {}


def test_the_users_stay_until_the_last_server_of_a_host_has_left(cluster: Cluster) -> None:
    leaving = host_of(cluster, "balancers")
    both = {
        "6379": {"replication": {"role": "slave"}},
        "6380": {"replication": {"role": "master"}},
    }
    (first,) = redis.removals(cluster, leaving, {"redis": both}, "slave")
    assert first.document["files"] == ["/etc/redis/redis-6379.conf"]
    del both["6379"]
    (last,) = redis.removals(cluster, leaving, {"redis": both}, "master")
    assert "/etc/redis/users.acl" in last.document["files"]


def test_a_host_that_leaves_keeps_no_users(cluster: Cluster) -> None:
    leaving = host_of(cluster, "balancers")
    facts = {"redis": {"6379": {"replication": {"role": "slave"}}}, "sentinel": {"26379": {}}}
    (server,) = redis.removals(cluster, leaving, facts, "slave")
    (watcher,) = sentinel.removals(leaving, facts)
    assert set(server.document["files"]) == {
        "/etc/redis/redis-6379.conf",
        "/etc/redis/users.acl",
    }
    assert set(watcher.document["files"]) == {
        "/etc/redis/sentinel-26379.conf",
        "/etc/stellwerk/credentials/redis.sentinel",
    }
    assert sentinel.removals(host_of(cluster, "sentinels"), facts) == ()


def test_one_cache_host_runs_a_replica_beside_its_master_that_writes_do_not_wait_for(
    single: Cluster,
) -> None:
    host = host_of(single, "caches")
    assert [one.port for one in redis.servers(single, host)] == [6379, 6380]
    assert redis.directives(single, host.settings)["min-replicas-to-write"] == "0"


def test_two_cache_hosts_run_one_server_each_and_a_lone_master_takes_no_writes(
    cluster: Cluster,
) -> None:
    assert [str(one.endpoint) for one in redis.all_servers(cluster)] == [
        "198.18.0.31:6379",
        "198.18.0.32:6379",
    ]
    assert redis.directives(cluster, host_of(cluster, "caches").settings)[
        "min-replicas-to-write"
    ] == "1"  # fmt: skip


def test_all_but_the_master_start_as_replicas_of_it(cluster: Cluster) -> None:
    first, second = cluster.group("caches")
    seeds = {
        one.name: redis.configs(cluster, one, MASTER)[0].files[0].content for one in (first, second)
    }
    assert "replicaof" not in seeds["cache-1"]
    assert "replicaof 198.18.0.31 6379" in seeds["cache-2"].splitlines()


def test_the_users_file_holds_digests_only_and_no_user_may_do_all_but_the_admin(
    cluster: Cluster,
) -> None:
    settings = host_of(cluster, "caches").settings
    text = redis_users.acl(settings, {})
    for name in ("admin", "app", "monitor", "replication", "sentinel"):
        value = getattr(settings.redis.passwords, name).get_secret_value()
        assert value not in text
        assert f"user {name} on sanitize-payload #{hashlib.sha256(value.encode()).hexdigest()}" in (
            text
        )
    assert text.splitlines()[0] == "user default off sanitize-payload resetchannels -@all"
    almighty = [line for line in text.splitlines() if " +@all" in line and "-@admin" not in line]
    assert [line.split()[1] for line in almighty] == ["admin"]


def words_of(line: str) -> list[str]:
    """A line of redis.conf as Redis splits it: words, or double quotes with escapes."""
    return list(_words(line.strip()))


def _words(line: str) -> Iterator[str]:
    while line:
        word = ""
        if line.startswith('"'):
            position = 1
            while line[position] != '"':
                position += line[position] == "\\"
                word += line[position]
                position += 1
            rest = line[position + 1 :]
            assert rest[:1] in ("", " ")
        else:
            word, _, rest = line.partition(" ")
        yield word
        line = rest.lstrip(" ")


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=8, max_size=40))
def test_any_secret_is_one_word_of_redis_conf(value: str) -> None:
    assert words_of(f"masterauth {redis.quoted(SecretValue(value))}") == ["masterauth", value]


@pytest.mark.skipif(shutil.which("redis-server") is None, reason="redis-server is not installed")
def test_redis_itself_reads_a_secret_full_of_quotes(tmp_path: Path) -> None:
    socket = tmp_path / "redis.sock"
    script = (
        'redis-server "$1/redis.conf" & server=$!; '
        'until redis-cli -s "$2" ping >/dev/null 2>&1; do kill -0 $server || exit 1; done; '
        'redis-cli -s "$2" config get masterauth | tail -n 1; kill $server; wait $server'
    )
    (tmp_path / "redis.conf").write_text(
        f"port 0\nunixsocket {socket}\nlogfile /dev/null\nsave \"\"\ndir {tmp_path}\n"
        f"masterauth {redis.quoted(SecretValue(NASTY))}\n"
    )  # fmt: skip
    command = ["sh", "-c", script, "sh", str(tmp_path), str(socket)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == NASTY


def watching(cluster: Cluster, **changed: str) -> dict[str, Any]:
    settings = host_of(cluster, "sentinels").settings
    options = {**sentinel.options(cluster, settings), **changed}
    password = secret_digest(settings.sentinel.password)
    found = {
        "masters": {settings.sentinel.master_name: options},
        "accepts": [password],
        "tells": password,
    }
    return {"sentinel": {"26379": found}}


def test_a_sentinel_that_runs_as_wanted_is_told_nothing(cluster: Cluster) -> None:
    host = host_of(cluster, "sentinels")
    assert sentinel.live_commands(cluster, host, watching(cluster)) == ()
    assert sentinel.live_commands(cluster, host, {}) == ()


def test_only_what_differs_is_set_on_a_sentinel_and_then_kept(cluster: Cluster) -> None:
    host = host_of(cluster, "sentinels")
    (found,) = sentinel.live_commands(cluster, host, watching(cluster, quorum="1"))
    name = host.settings.sentinel.master_name
    assert found.document["commands"] == [
        ["SENTINEL", "SET", name, "quorum", "2"],
        ["SENTINEL", "FLUSHCONFIG"],
    ]


def test_the_quorum_is_the_majority_unless_it_is_set(
    cluster: Cluster, single: Cluster, load: Load
) -> None:
    for found, quorum in ((cluster, 2), (single, 1), (load({"sentinel.quorum": "3"}), 3)):
        settings = host_of(found, "sentinels").settings
        assert sentinel.options(found, settings)["quorum"] == str(quorum)


def test_a_sentinel_starts_with_the_master_as_it_is_known(cluster: Cluster) -> None:
    host = host_of(cluster, "sentinels")
    (seed,) = sentinel.configs(cluster, host, MASTER)
    (password,) = sentinel.passwords(host)
    assert "sentinel monitor aktienanalyse-redis 198.18.0.31 6379 2" in seed.files[0].content
    assert seed.files[0].seed
    assert seed.files[0].mode == 0o640
    assert password.files[0].mode == 0o600
