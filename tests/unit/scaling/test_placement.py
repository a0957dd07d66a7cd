"""Where instances are added and removed."""

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from stellwerk.instances.store import Capacity
from stellwerk.scaling.limits import Size
from stellwerk.scaling.placement import AppHost, Floorplan, Placement, Present

GIGABYTE = 1024**3
SIZES = {"shop": Size(100, GIGABYTE), "cart": Size(100, GIGABYTE)}
HOSTS = ("app-1", "app-2", "app-3")


def big(name: str, *, cores: int = 8, free: int = 64, lost: bool = False) -> AppHost:
    return AppHost(name, Capacity(cores, 64 * GIGABYTE, free * GIGABYTE), lost)


def place(
    total: int,
    desired: Mapping[str, int],
    *hosts: AppHost,
    present: Mapping[str, Present] | None = None,
    others: Mapping[str, int] | None = None,
) -> Placement:
    """The shop on hosts, where other services' instances serve already."""
    serving = {host: Present(serving=count) for host, count in desired.items()}
    serving |= present or {}
    plan = Floorplan(
        hosts or [big(name) for name in HOSTS],
        SIZES,
        {
            **{("shop", host): count for host, count in desired.items()},
            **{("cart", host): count for host, count in (others or {}).items()},
        },
        {
            **{("shop", host): one for host, one in serving.items()},
            **{("cart", host): Present(serving=n) for host, n in (others or {}).items()},
        },
    )
    return plan.place("shop", total)


def test_instances_are_spread_over_the_hosts() -> None:
    assert place(6, {}).counts == {"app-1": 2, "app-2": 2, "app-3": 2}


def test_of_hosts_with_as_many_the_one_with_more_to_spare_gets_the_next() -> None:
    assert place(1, {}, others={"app-1": 3, "app-2": 1, "app-3": 2}).counts == {"app-2": 1}
    assert place(1, {}, big("app-1", cores=2), big("app-2", cores=16)).counts == {"app-2": 1}


def test_a_host_without_free_memory_gets_nothing() -> None:
    full = place(4, {"app-1": 1, "app-2": 1}, big("app-1", free=0), big("app-2"))
    assert full.counts == {"app-1": 1, "app-2": 3}


def test_instances_that_are_still_to_come_have_their_memory_kept_free() -> None:
    found = place(4, {"app-1": 1}, big("app-1", free=2), present={"app-1": Present(starting=1)})
    assert (found.counts, found.unplaced) == ({"app-1": 2}, 2)


def test_a_host_that_says_nothing_of_its_memory_is_taken_to_have_room() -> None:
    assert place(3, {}, AppHost("app-1")).counts == {"app-1": 3}


def test_what_a_lost_host_had_is_made_up_for_elsewhere() -> None:
    hosts = [big("app-1"), big("app-2", lost=True), big("app-3")]
    gone = {"app-2": Present()}
    found = place(4, {"app-1": 1, "app-2": 2, "app-3": 1}, *hosts, present=gone)
    assert found.counts == {"app-1": 2, "app-2": 0, "app-3": 2}


def test_what_still_serves_on_a_host_without_an_agent_stays() -> None:
    hosts = [big("app-1"), big("app-2", lost=True)]
    assert place(2, {"app-1": 1, "app-2": 1}, *hosts).counts == {"app-1": 1, "app-2": 1}
    assert place(3, {"app-1": 1, "app-2": 1}, *hosts).counts == {"app-1": 2, "app-2": 1}
    assert place(1, {"app-1": 1, "app-2": 1}, *hosts).counts == {"app-1": 1, "app-2": 0}


def test_with_every_host_lost_nothing_moves() -> None:
    hosts = [big(name, lost=True) for name in HOSTS]
    found = place(4, {"app-1": 1, "app-2": 2}, *hosts, present={"app-1": Present()})
    assert (found.counts, found.unplaced) == ({"app-1": 1, "app-2": 2}, 1)


def test_on_the_way_down_what_does_not_serve_goes_first() -> None:
    failed = {"app-1": Present(serving=0, failed=1)}
    assert place(3, {"app-1": 1, "app-2": 3}, present=failed).counts == {"app-1": 0, "app-2": 3}


def test_on_the_way_down_the_fullest_host_goes_first_and_then_an_idle_one() -> None:
    assert place(3, {"app-1": 1, "app-2": 3}).counts == {"app-1": 1, "app-2": 2}
    idle = {"app-1": Present(serving=2, idle=1)}
    assert place(3, {"app-1": 2, "app-2": 2}, present=idle).counts == {"app-1": 1, "app-2": 2}


def test_an_instance_that_leaves_is_had_back_before_a_new_one_starts() -> None:
    leaving = {"app-1": Present(serving=2, leaving=1)}
    assert place(4, {"app-1": 2, "app-2": 1}, present=leaving).counts == {"app-1": 3, "app-2": 1}
    assert place(5, {"app-1": 2, "app-2": 1}, present=leaving).counts["app-1"] == 3


def test_instances_go_over_to_a_host_with_two_fewer_one_at_a_time() -> None:
    hosts = [big("app-1"), big("app-2"), big("app-3", lost=True)]
    plan = Floorplan(hosts, SIZES, {("shop", "app-1"): 4}, {})
    assert plan.even_out("shop") == ("app-1", "app-2")
    assert plan.even_out("shop") == ("app-1", "app-2")
    assert plan.even_out("shop") is None
    assert plan.counts("shop") == {"app-1": 2, "app-2": 2}


counts = st.dictionaries(st.sampled_from((*HOSTS, "gone")), st.integers(0, 5))


@given(st.integers(0, 12), counts, st.sets(st.sampled_from(HOSTS)), st.integers(0, 8))
def test_the_number_is_met_unless_there_is_no_room(
    total: int, desired: dict[str, int], lost: set[str], free: int
) -> None:
    hosts = [big(name, free=free, lost=name in lost) for name in HOSTS]
    found = place(total, desired, *hosts, present={"gone": Present()})
    assert sum(found.counts.values()) + found.unplaced == total
    assert all(count >= 0 for count in found.counts.values())
    for name in lost:
        assert found.counts.get(name, 0) <= desired.get(name, 0)


@given(st.integers(0, 12), counts)
def test_a_number_that_is_met_is_left_where_it_is(total: int, desired: dict[str, int]) -> None:
    first = place(total, desired, present={"gone": Present()}).counts
    assert place(total, first).counts == first
