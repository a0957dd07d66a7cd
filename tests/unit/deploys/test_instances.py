"""The deploy repairs a number outside its bounds and otherwise leaves the scaler's alone (C5)."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploys.components.instances import Placed, of, on, place
from stellwerk.settings.cluster import Cluster, ClusterHost
from stellwerk.settings.services import Service


def app(name: str, address: str = "10.0.0.1") -> ClusterHost:
    return ClusterHost(name, name, ("apps",), address, None, {}, ())  # type: ignore[arg-type]


def service(least: int, most: int, base: int = 8100) -> Service:
    return Service.model_validate(
        {"port_base": base, "min_instances": least, "max_instances": most, "memory": "64MB"}
    )


def running(*names: str) -> dict[str, Any]:
    return {"instances": {name: {"generation": "1"} for name in names}}


APPS = (app("app-1"), app("app-2"), app("app-3"))


@st.composite
def clusters(draw: st.DrawFn) -> tuple[dict[str, Service], dict[str, dict[str, Any]]]:
    """Services with bounds, and any instances on the hosts, also impossible ones."""
    services = {}
    for number, name in enumerate(draw(st.sets(st.sampled_from(["a", "b", "c"])))):
        most = draw(st.integers(1, 8))
        services[name] = service(draw(st.integers(1, most)), most, 8100 + 100 * number)
    names = st.builds(
        "{}@{}".format, st.sampled_from(["a", "b", "c", "gone"]), st.integers(8100, 8110)
    )
    facts = {one.name: running(*draw(st.sets(names, max_size=6))) for one in APPS}
    return services, facts


@given(clusters())
def test_every_service_has_a_number_within_its_bounds_on_ports_of_its_own(
    given_cluster: tuple[dict[str, Service], dict[str, dict[str, Any]]],
) -> None:
    services, facts = given_cluster
    placed = place(services, APPS, facts)
    for name, wanted in services.items():
        found = of(name, placed)
        assert wanted.min_instances <= len(found) <= wanted.max_instances
        assert {one.port for one in found} <= set(wanted.ports())
    assert max(Counter(one.port for one in placed).values(), default=1) == 1


@given(clusters())
def test_a_number_within_its_bounds_is_left_where_it_is(
    given_cluster: tuple[dict[str, Service], dict[str, dict[str, Any]]],
) -> None:
    services, facts = given_cluster
    placed = place(services, APPS, facts)
    settled = {one.name: running(*(it.name for it in on(one, placed))) for one in APPS}
    assert place(services, APPS, settled) == placed


@given(clusters())
def test_what_is_placed_does_not_depend_on_the_order_of_what_is_found(
    given_cluster: tuple[dict[str, Service], dict[str, dict[str, Any]]],
) -> None:
    services, facts = given_cluster
    turned = {
        name: {"instances": dict(reversed(found["instances"].items()))}
        for name, found in reversed(facts.items())
    }
    assert place(dict(reversed(services.items())), APPS, turned) == place(services, APPS, facts)


@given(st.integers(1, 12), st.integers(1, 3))
def test_a_first_placement_is_spread_evenly(least: int, hosts: int) -> None:
    placed = place({"a": service(least, 12)}, APPS[:hosts], {})
    counts = [len(on(one, placed)) for one in APPS[:hosts]]
    assert max(counts) - min(counts) <= 1


def test_services_with_few_instances_do_not_all_land_on_one_host() -> None:
    services = {name: service(1, 2, 8100 + 100 * n) for n, name in enumerate("abc")}
    placed = place(services, APPS, {})
    assert [len(on(one, placed)) for one in APPS] == [1, 1, 1]


def test_an_added_instance_goes_to_the_host_with_the_fewest() -> None:
    facts = {"app-1": running("a@8101", "a@8102"), "app-2": running("a@8103")}
    placed = place({"a": service(4, 4)}, APPS[:2], facts)
    assert Placed("a", 8104, "app-2", "10.0.0.1") in placed


def test_a_scaled_up_service_keeps_what_the_scaler_started() -> None:
    facts = {"app-1": running("a@8101", "a@8104")}
    assert {one.port for one in place({"a": service(1, 4)}, APPS, facts)} == {8101, 8104}


def test_one_number_on_two_hosts_is_kept_on_one() -> None:
    facts = {"app-1": running("a@8101"), "app-2": running("a@8101")}
    assert [one.host for one in place({"a": service(1, 4)}, APPS, facts)] == ["app-1"]


@pytest.mark.parametrize(
    ("address", "endpoint"), [("10.0.0.1", "10.0.0.1:8101"), ("fd00::1", "[fd00::1]:8101")]
)
def test_an_endpoint_is_written_as_urls_and_balancers_take_it(address: str, endpoint: str) -> None:
    assert Placed("a", 8101, "app-1", address).endpoint == endpoint


def test_the_shipped_cluster_starts_the_least_instances(cluster: Cluster) -> None:
    apps = cluster.group("apps")
    services = apps[0].settings.services
    placed = place(services, apps, {})
    assert len(placed) == sum(one.min_instances for one in services.values())
    assert {len(on(one, placed)) for one in apps} == {3, 4}
