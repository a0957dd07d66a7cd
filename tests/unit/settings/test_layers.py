"""Which layer wins, and how an override reaches its key."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stellwerk.settings import layers, overrides, schema
from stellwerk.settings.layers import Layer

from .conftest import SERVICE, Site


def test_layers_win_in_the_documented_order(site: Site) -> None:
    site.write(
        "inventory",
        """
        caches = ([("a", {"address": "198.18.0.1", "redis": {"tcp_backlog": 6}})],
                  {"redis": {"timeout_seconds": 3}})
        berlin = ["a"]
        """,
    )
    every = ["port", "timeout_seconds", "maxmemory_samples", "tcp_keepalive_seconds", "tcp_backlog"]
    site.write("redis", f"redis = {dict.fromkeys([*every, 'replica_port'], 1)}")
    site.write("all", f"redis = {dict.fromkeys([*every], 2)}")
    site.write("caches", "redis = {'maxmemory_samples': 4}")
    site.write("berlin", "redis = {'maxmemory_samples': 5, 'tcp_keepalive_seconds': 5}")
    site.write("a", "redis = {'tcp_keepalive_seconds': 55}")
    redis = site.load({"redis.min_replicas_to_write": "7"}).host("a").settings.redis
    assert redis.replica_port == 1
    assert redis.port == 2
    assert redis.timeout_seconds == 3
    assert redis.maxmemory_samples == 5, "the group the inventory declares last wins"
    assert redis.tcp_keepalive_seconds == 55
    assert redis.tcp_backlog == 6
    assert redis.min_replicas_to_write == 7


def test_a_group_file_applies_to_its_hosts_only(site: Site) -> None:
    site.write("caches", 'redis = {"maxmemory": "2GB"}')
    cluster = site.load()
    assert cluster.host("cache-1").settings.redis.maxmemory.text == "2GB"
    assert cluster.host("app-1").settings.redis.maxmemory.text == "1GB"


def test_part_of_a_section_leaves_the_rest_at_its_defaults(site: Site) -> None:
    site.write("redis", 'redis = {"memory_use_percent": {"warning": 70}}')
    threshold = site.load().host("cache-1").settings.redis.memory_use_percent
    assert (threshold.baseline, threshold.warning, threshold.critical) == (65, 70, 95)


def test_lists_replace(site: Site) -> None:
    site.write("redis", 'redis = {"save": []}')
    assert site.load().host("cache-1").settings.redis.save == []


def test_none_removes_a_service_and_keeps_the_others(site: Site) -> None:
    site.write(
        "services", f'services = {{"shop": {SERVICE}, "blog": {SERVICE} | {{"port_base": 9}}}}'
    )
    site.write("app-1", 'services = {"shop": None}')
    cluster = site.load()
    assert list(cluster.host("app-1").settings.services) == ["blog"]
    assert list(cluster.host("app-2").settings.services) == ["shop", "blog"]


def test_an_override_reaches_a_key_with_dots_in_it(site: Site) -> None:
    base = site.load({"base.sysctl.vm.swappiness": 10}).host("app-1").settings.base
    assert base.sysctl == {"vm.swappiness": 10}


@pytest.mark.parametrize("value", ["[5, 6]", [5, 6]])
def test_an_override_may_be_a_list_as_text_or_parsed(site: Site, value: object) -> None:
    settings = site.load({"base.packages": value}).host("app-1").settings
    assert settings.base.packages == ["5", "6"]


def test_what_pyinfra_reads_from_data_is_left_alone(site: Site) -> None:
    site.write("all", '_sudo = True\nssh_user = "operator"\n')
    site.load({"ssh_port": 2222})


def test_what_pyinfra_reads_of_a_host_comes_from_the_host_else_its_groups_else_everyone(
    site: Site,
) -> None:
    site.write(
        "inventory",
        """
        _hosts = [("a", {"address": "198.18.0.1"}), ("b", {"address": "198.18.0.2"})]
        all = (_hosts, {"ssh_port": 7})
        apps = (["a"], {"ssh_key": "key"})
        databases = [("a", {"ssh_port": 8})]
        """,
    )
    site.write("all", 'ssh_user = "operator"\n')
    site.write("apps", 'ssh_user = "app"\n')
    cluster = site.load()
    assert cluster.host("b").data == {"ssh_user": "operator", "ssh_port": 7}
    assert cluster.host("a").data == {"ssh_user": "app", "ssh_port": 8, "ssh_key": "key"}


def test_imported_names_are_no_settings(site: Site) -> None:
    site.write("redis", "import os\nfrom pathlib import Path as P\nredis = {}\n")
    site.load()


_keys = st.sampled_from(sorted(schema.root().child("redis").fields))  # type: ignore[union-attr]
_values = st.dictionaries(_keys, st.integers() | st.text(max_size=3), max_size=5)


@given(st.lists(_values, max_size=4))
def test_the_last_layer_that_sets_a_key_wins(settings: list[dict[str, Any]]) -> None:
    merged = layers.merged(Layer(str(n), {"redis": v}) for n, v in enumerate(settings))
    expected: dict[str, Any] = {}
    for values in settings:
        expected.update(values)
    assert merged.get("redis", {}) == expected


def test_merging_does_not_change_the_layers(site: Site) -> None:
    site.write("all", f'_shared = {SERVICE}\nservices = {{"shop": _shared}}\n')
    site.write("app-1", 'services = {"shop": {"max_instances": 1}}')
    assert site.load().host("app-2").settings.services["shop"].max_instances == 4


def test_an_override_layer_nests_its_keys() -> None:
    layer = overrides.layer({"redis.port": 1, "redis.client.pool_max": 2, "nginx.port": 3})
    assert layer.values == {"redis": {"port": 1, "client": {"pool_max": 2}}, "nginx": {"port": 3}}
