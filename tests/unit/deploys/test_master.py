"""The master is whom the Sentinels agree on; where that is not known nothing is touched (C3)."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploys.components.master import Endpoint, UnknownMasterError, confirm, find_master

NAME = "stock"
FIRST, SECOND = Endpoint("10.0.0.1", 6379), Endpoint("10.0.0.2", 6379)
SENTINELS = ("cache-1", "cache-2", "db-1")
STAMPED = {"sentinel": {"digest": "x"}, "redis-6379": {"digest": "x"}}


def sentinel(master: Endpoint) -> dict[str, Any]:
    watched = {NAME: {"ip": master.address, "port": str(master.port)}}
    return {"sentinel": {"26379": {"masters": watched}}, "stamps": STAMPED}


def silent_sentinel(stamps: dict[str, Any] = STAMPED) -> dict[str, Any]:
    return {"sentinel": {"26379": {"error": "cannot connect"}}, "stamps": stamps}


def redis(at: Endpoint, keys: int = 0, following: Endpoint | None = None) -> dict[str, Any]:
    replication = {"role": "master"}
    if following:
        port = str(following.port)
        replication = {"role": "slave", "master_host": following.address, "master_port": port}
    config = {"replica-announce-ip": at.address, "replica-announce-port": str(at.port)}
    instance = {"config": config, "replication": replication, "keys": keys}
    return {"redis": {str(at.port): instance}, "stamps": STAMPED}


def find(sentinels: tuple[str, ...] = SENTINELS, /, **facts: dict[str, Any]) -> Endpoint:
    named = {name.replace("_", "-"): found for name, found in facts.items()}
    return find_master(NAME, FIRST, sentinels, named)


def test_on_bare_hosts_it_is_the_inventorys_first_cache() -> None:
    assert find(cache_1={}, cache_2={}, db_1={}) == FIRST


def test_it_is_whom_all_sentinels_watch_whatever_the_inventory_says() -> None:
    assert find(cache_1=sentinel(SECOND), cache_2=sentinel(SECOND), db_1=sentinel(SECOND)) == SECOND


def test_a_majority_is_enough_when_one_disagrees_is_silent_or_is_away() -> None:
    two = {"cache_1": sentinel(SECOND), "cache_2": sentinel(SECOND)}
    assert find(**two, db_1=sentinel(FIRST)) == SECOND
    assert find(**two, db_1=silent_sentinel()) == SECOND
    assert find(**two) == SECOND


def test_one_voice_of_three_is_not_enough() -> None:
    with pytest.raises(UnknownMasterError, match=r"db-1 says cannot connect.*run again"):
        find(cache_1=sentinel(SECOND), cache_2=silent_sentinel(), db_1=silent_sentinel())
    with pytest.raises(UnknownMasterError, match=r"cache-1 says 10\.0\.0\.2:6379"):
        find(cache_1=sentinel(SECOND))


def test_sentinels_that_disagree_leave_it_unknown_and_are_named() -> None:
    with pytest.raises(UnknownMasterError, match=r"cache-1 says 10\.0\.0\.1:6379, cache-2 says"):
        find(SENTINELS[:2], cache_1=sentinel(FIRST), cache_2=sentinel(SECOND))


def test_sentinels_that_watch_another_master_leave_it_unknown() -> None:
    other = {"sentinel": {"26379": {"masters": {}}}, "stamps": STAMPED}
    with pytest.raises(UnknownMasterError, match=r"it does not watch stock"):
        find(cache_1=other, cache_2=other, db_1=other)


def test_sentinels_that_are_added_do_not_outvote_those_that_exist() -> None:
    assert find(cache_1=sentinel(SECOND), cache_2={}, db_1={}) == SECOND


def test_a_first_run_killed_while_the_sentinels_started_is_taken_up_by_the_next() -> None:
    assert find(cache_1=sentinel(FIRST), cache_2=silent_sentinel({}), db_1={}) == FIRST
    assert find(cache_1=silent_sentinel({}), cache_2={}, db_1={}) == FIRST


def test_a_first_run_killed_before_redis_started_is_taken_up_by_the_next() -> None:
    unstarted = {"redis": {"6379": {"error": "cannot connect"}}, "stamps": {}}
    assert find(cache_1=unstarted, cache_2={}) == FIRST


def test_without_sentinels_it_is_whom_the_others_follow() -> None:
    assert find(cache_1=redis(FIRST, following=SECOND), cache_2=redis(SECOND, keys=3)) == SECOND


def test_without_sentinels_it_is_the_only_one_with_data() -> None:
    assert find(cache_1=redis(FIRST), cache_2=redis(SECOND, keys=3)) == SECOND


def test_data_on_two_masters_leaves_it_unknown() -> None:
    with pytest.raises(UnknownMasterError, match=r"10\.0\.0\.1:6379, 10\.0\.0\.2:6379"):
        find(cache_1=redis(FIRST, keys=1), cache_2=redis(SECOND, keys=1))


def test_an_installed_redis_that_is_silent_leaves_it_unknown() -> None:
    silent = {"redis": {"6379": {"error": "cannot connect"}}, "stamps": STAMPED}
    with pytest.raises(UnknownMasterError, match=r"cache-2 \(cannot connect\)"):
        find(cache_1=redis(FIRST), cache_2=silent)


@given(st.lists(st.sampled_from([FIRST, SECOND, None]), min_size=1, max_size=7))
def test_two_runs_never_see_two_masters_whatever_they_can_reach(
    votes: list[Endpoint | None],
) -> None:
    hosts = [f"host-{number}" for number in range(len(votes))]
    facts = {
        host: sentinel(vote) for host, vote in zip(hosts, votes, strict=True) if vote is not None
    }
    try:
        found = find_master(NAME, FIRST, hosts, facts)
    except UnknownMasterError:
        return
    if facts:
        assert sum(vote == found for vote in votes) > len(votes) // 2


HOSTS = {"10.0.0.1": "cache-1", "10.0.0.2": "cache-2"}


def test_a_master_with_a_redis_on_it_is_taken_whatever_it_holds() -> None:
    confirm(NAME, FIRST, HOSTS, {"cache-1": redis(FIRST), "cache-2": redis(SECOND, keys=3)})
    silent = {"redis": {"6379": {"error": "cannot connect"}}, "stamps": STAMPED}
    confirm(NAME, FIRST, HOSTS, {"cache-1": silent, "cache-2": redis(SECOND, following=FIRST)})


def test_an_empty_machine_in_the_masters_place_does_not_become_the_master() -> None:
    for other in (redis(SECOND, following=FIRST), redis(SECOND, keys=3)):
        with pytest.raises(UnknownMasterError, match=r"no Redis on cache-1.*10\.0\.0\.2:6379"):
            confirm(NAME, FIRST, HOSTS, {"cache-1": {}, "cache-2": other})


def test_on_bare_hosts_and_with_a_host_that_is_away_there_is_nothing_to_lose() -> None:
    confirm(NAME, FIRST, HOSTS, {"cache-1": {}, "cache-2": {}})
    confirm(NAME, FIRST, HOSTS, {"cache-2": redis(SECOND, following=FIRST)})


def test_a_master_outside_the_inventory_is_left_alone() -> None:
    with pytest.raises(
        UnknownMasterError, match=r"10\.0\.0\.9:6379, which is not in the inventory"
    ):
        confirm(NAME, Endpoint("10.0.0.9", 6379), HOSTS, {"cache-2": redis(SECOND)})
