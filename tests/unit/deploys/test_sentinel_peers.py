"""A Sentinel forgets who is gone for good, and nobody else."""

from typing import Any

import pytest

from deploys.components import sentinel_peers
from deploys.components.sentinel_peers import peers
from stellwerk.settings.cluster import Cluster, ClusterHost

from .conftest import host_of

ADDRESSES = {"cache-1": "198.18.0.31", "cache-2": "198.18.0.32", "db-1": "198.18.0.41"}
LEAVING, OUTSIDE = "198.18.0.21", "203.0.113.9"


def known(address: str, port: int, identity: str = "", flags: str = "sentinel") -> dict[str, str]:
    return {"ip": address, "port": str(port), "id": identity, "flags": flags}


@pytest.fixture
def asked(cluster: Cluster) -> ClusterHost:
    return host_of(cluster, "sentinels")


@pytest.fixture
def facts(cluster: Cluster, asked: ClusterHost) -> dict[str, Any]:
    """All hosts run what is declared, and cache-1 knows the others."""
    name = asked.settings.sentinel.master_name
    found: dict[str, Any] = {host.name: {} for host in cluster.hosts.values()}
    for host in ADDRESSES:
        found[host]["sentinel"] = {"26379": {"id": f"id of {host}", "known": {name: []}}}
    found["cache-1"]["sentinel"]["26379"]["known"][name] = [
        known(ADDRESSES["cache-2"], 26379, "id of cache-2"),
        known(ADDRESSES["db-1"], 26379, "id of db-1"),
        known(ADDRESSES["cache-2"], 6379, "a run", "slave"),
    ]
    return found


def meet(facts: dict[str, Any], asked: ClusterHost, *others: dict[str, str]) -> None:
    view = facts["cache-1"]["sentinel"]["26379"]["known"]
    view[asked.settings.sentinel.master_name] += others


def test_who_is_declared_is_neither_gone_nor_a_stranger(
    cluster: Cluster, asked: ClusterHost, facts: dict[str, Any]
) -> None:
    assert peers(cluster, asked, facts) == sentinel_peers.Peers((), ())
    assert sentinel_peers.requests(asked, peers(cluster, asked, facts)) == ()


def test_who_is_declared_but_down_is_kept(
    cluster: Cluster, asked: ClusterHost, facts: dict[str, Any]
) -> None:
    for one in facts["cache-1"]["sentinel"]["26379"]["known"].values():
        for other in one:
            other["flags"] += ",s_down"
    del facts["cache-2"]
    assert peers(cluster, asked, facts).gone == ()


@pytest.mark.parametrize(
    "silent",
    [
        known(OUTSIDE, 26379, "x", "s_down,sentinel"),
        known(OUTSIDE, 0, "x"),
        known(OUTSIDE, 6379, "x", "s_down,slave,disconnected"),
        known(LEAVING, 26379, "x"),
        known(ADDRESSES["cache-2"], 26379, "the id of the machine that was there before"),
    ],
)
def test_who_is_silent_or_was_removed_or_replaced_is_gone(
    cluster: Cluster, asked: ClusterHost, facts: dict[str, Any], silent: dict[str, str]
) -> None:
    meet(facts, asked, silent)
    found = peers(cluster, asked, facts)
    assert found == sentinel_peers.Peers(((silent["ip"], silent["port"], silent["id"]),), ())
    (request,) = sentinel_peers.requests(asked, found)
    assert request.document["gone"] == [(silent["ip"], silent["port"], silent["id"])]


def test_a_server_outside_the_inventory_that_lives_is_named_and_left(
    cluster: Cluster, asked: ClusterHost, facts: dict[str, Any]
) -> None:
    meet(facts, asked, known(OUTSIDE, 6379, "x", "slave"))
    found = peers(cluster, asked, facts)
    assert found.gone == ()
    assert list(map(str, found.strangers)) == [f"{OUTSIDE}:6379"]


def test_a_host_that_left_its_groups_counts_while_its_daemons_run(
    cluster: Cluster, asked: ClusterHost, facts: dict[str, Any]
) -> None:
    facts["app-1"]["redis"] = {"6379": {}}
    meet(facts, asked, known(LEAVING, 6379, "x", "slave"))
    assert peers(cluster, asked, facts).gone == ()


def test_a_sentinel_that_is_not_known_yet_makes_nobody_gone(
    cluster: Cluster, asked: ClusterHost, facts: dict[str, Any]
) -> None:
    facts["db-1"]["sentinel"]["26379"] = {"error": "cannot connect"}
    assert peers(cluster, asked, facts).gone == ()
