"""A host loses what its groups do not need any more, and nothing that is data or another's."""

from dataclasses import replace
from typing import Any

import pytest

from deploys.components import credentials
from deploys.components.removal import PARTS, plan
from deploys.engine.changes import Effect, Verb
from deploys.engine.resources import Facts
from stellwerk.settings.cluster import ClusterHost

from .conftest import Load

ALL = ("balancers", "apps", "caches", "sentinels", "databases", "monitors")


@pytest.fixture
def one(load: Load) -> ClusterHost:
    """A host in all groups, with all there is."""
    wanted = ("monitoring.prometheus.enabled", "scaling.export.grafana.enabled")
    cluster = load(dict.fromkeys(wanted, "true"), inventory="single")
    (host,) = cluster.hosts.values()
    return host


def without(host: ClusterHost, *groups: str) -> ClusterHost:
    return replace(host, groups=tuple(group for group in host.groups if group not in groups))


@pytest.fixture
def facts(one: ClusterHost) -> dict[str, Any]:
    """Everything is installed and runs."""
    units = {"haproxy": "haproxy.service", "nginx": "nginx.service", "postgresql": "pg.service"}
    stamps = {
        name: {"units": [units[name]] if name in units else [], "files": []}
        for part in PARTS
        for name in part.stamps
    }
    stamps |= {"redis-6379": {"units": ["redis-server@6379.service"]}, "somebody-elses": {}}
    for config in credentials.configs(one):
        stamps[config.name] = {"files": [file.path for file in config.files]}
    return {
        "stamps": stamps,
        "units": {unit: {"ActiveState": "active"} for unit in units.values()},
        "pins": {},
        "programs": {},
    }


def test_nothing_goes_from_a_host_that_needs_it_all(one: ClusterHost, facts: Facts) -> None:
    removal = plan(one, facts, "")
    assert (removal.changes, removal.parts) == ((), ())


@pytest.mark.parametrize(
    ("left", "parts"),
    [
        (("balancers",), {"nginx", "HAProxy"}),
        (("apps",), {"cache daemon", "services"}),
        (("apps", "balancers"), {"agent", "cache daemon", "nginx", "HAProxy", "services"}),
        (("databases",), {"PostgreSQL", "event store", "sample data", "views"}),
        (("caches", "sentinels"), {"Redis' certificate", "Sentinel's certificate"}),
        (ALL, {part.name for part in PARTS}),
    ],
)
def test_what_a_group_needs_goes_with_it(
    one: ClusterHost, facts: Facts, left: tuple[str, ...], parts: set[str]
) -> None:
    assert {part.name for part in plan(without(one, *left), facts, "").parts} == parts


def test_balancers_end_their_requests_before_they_stop(one: ClusterHost, facts: Facts) -> None:
    removal = plan(without(one, "balancers"), facts, "")
    assert {effect for change in removal.changes for effect in change.effects} == {
        Effect(Verb.STOP, "haproxy.service"),
        Effect(Verb.STOP, "nginx.service"),
    }
    drains = [part["drain"] for part in removal.document()["parts"]]
    assert drains == [{"nginx.service": "SIGQUIT"}, {"haproxy.service": "SIGUSR1"}]


def test_a_database_keeps_its_files_and_it_is_said_where_the_data_lies(
    one: ClusterHost, facts: Facts
) -> None:
    removal = plan(without(one, "databases"), facts, "")
    (part,) = [part for part in removal.parts if part.name == "PostgreSQL"]
    assert part.keeps_files
    (change,) = [change for change in removal.changes if change.component == "PostgreSQL"]
    assert "/var/lib/postgresql" in change.reason


def test_passwords_that_are_needed_no_more_go(one: ClusterHost, facts: Facts) -> None:
    for left, names in (
        (("caches",), {"redis.admin", "redis.replication"}),
        (("caches", "sentinels", "apps"), {"redis.app", "sentinel.password", "postgresql.app"}),
    ):
        former = plan(without(one, *left), facts, "").former
        assert {credentials.path(name) for name in names} <= {path for _, path in former}
        assert {name for name, _ in former} <= {*credentials.STAMPS}
    assert plan(one, facts, "").former == ()


def test_a_login_goes_with_its_password(one: ClusterHost, facts: Facts) -> None:
    former = {path for _, path in plan(without(one, "apps"), facts, "").former}
    assert credentials.login_path("postgresql.app") in former


def test_a_program_goes_with_its_service_but_not_before_its_last_instance(
    one: ClusterHost, facts: dict[str, Any]
) -> None:
    known = next(iter(one.settings.services))
    facts["programs"] = {known: ["1"], "gone": ["1"], "leaving": ["1"]}
    facts["pins"] = {"leaving@8900": "a"}
    assert plan(one, facts, "").folders == ("/opt/stellwerk/services/gone",)


def test_everything_stays_while_somebody_who_has_to_know_is_left_out(
    one: ClusterHost, facts: Facts
) -> None:
    removal = plan(without(one, "balancers"), facts, "db-1")
    assert (removal.changes, removal.parts, removal.former, removal.folders) == ((), (), (), ())
    assert all("until a run includes db-1" in left.sentence for left in removal.left)
    assert len(removal.left) == 2


def test_a_bare_host_has_nothing_to_lose(one: ClusterHost) -> None:
    assert plan(without(one, *ALL), {}, "").changes == ()
