"""What a host has of before that its groups do not need any more. Pure.

Only what a stamp names is taken away, and a part only whole. Redis and Sentinel themselves are not
among the parts: they hand over and are forgotten first (`redis`, `sentinel`, `sentinel_peers`).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from deploys.components import (
    agent,
    cache,
    credentials,
    event_store,
    haproxy,
    nginx,
    prometheus,
    scaler,
    services,
)
from deploys.engine import programs
from deploys.engine.changes import Change, Effect, Left, Verb
from deploys.engine.resources import Facts
from stellwerk.instances import configuration
from stellwerk.settings.cluster import ClusterHost


@dataclass(frozen=True)
class Part:
    """Configurations that come and go together, by the names of their stamps.

    `drain`: units that end their requests on a signal, before they are stopped. `data`: where data
    lies that stays; with `keeps_files` also the files beside it stay, and the unit is masked.
    """

    name: str
    stamps: tuple[str, ...]
    is_needed: Callable[[ClusterHost], bool]
    drain: Mapping[str, str] = field(default_factory=dict)
    users: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    data: str = ""
    keeps_files: bool = False


def _by_groups(*groups: str) -> Callable[[ClusterHost], bool]:
    return lambda declared: bool({*groups}.intersection(declared.groups))


# In this order: who leads requests to others goes before them.
PARTS = (
    Part(
        "Prometheus",
        prometheus.STAMPS,
        prometheus.is_wanted,
        data=f"its history stays in {prometheus.DATA}",
    ),
    Part(
        "agent",
        ("agent", "agent-permissions", "agent-user"),
        lambda declared: bool(agent.roles(declared)),
        users=(agent.USER,),
        folders=(str(configuration.STATE),),
    ),
    Part(
        "scaler",
        ("scaler", "scaler-user"),
        _by_groups("monitors"),
        users=(scaler.USER,),
        folders=(scaler.STATE,),
    ),
    Part("scaling dashboard", ("scaling-dashboard",), scaler.has_dashboard),
    Part(
        "cache daemon",
        cache.STAMPS,
        cache.is_wanted,
        users=(cache.USER,),
        data=f"its record of requests stays in {cache.AUDIT}",
    ),
    Part(
        "nginx",
        ("nginx", "nginx-upstreams"),
        _by_groups("balancers"),
        drain={nginx.UNIT: "SIGQUIT"},
    ),
    Part(
        "HAProxy",
        ("haproxy", "haproxy-hand-over"),
        _by_groups("balancers"),
        drain={haproxy.UNIT: "SIGUSR1"},
    ),
    Part(
        "services",
        ("services",),
        _by_groups("apps"),
        data="what services kept in /var/lib/private stays",
    ),
    Part(
        "sample data",
        ("sample-seed",),
        lambda declared: bool(services.data(declared)),
        data="the data stays in the database",
    ),
    Part("views", ("views",), event_store.has_views, data="the views stay in the database"),
    Part(
        "event store",
        ("event-store",),
        event_store.has_store,
        data="the events stay in the database",
    ),
    Part("Redis' certificate", ("redis-tls",), _by_groups("caches")),
    Part("Sentinel's certificate", ("sentinel-tls",), _by_groups("sentinels")),
    Part(
        "PostgreSQL",
        ("postgresql", "postgresql-tls"),
        _by_groups("databases"),
        data="its data stays in /var/lib/postgresql, its configuration in /etc/postgresql",
        keeps_files=True,
    ),
)


@dataclass(frozen=True)
class Removal:
    """What goes, as changes and as a request to the host, and what stays for now."""

    changes: tuple[Change, ...] = ()
    left: tuple[Left, ...] = ()
    parts: tuple[Part, ...] = ()
    former: tuple[tuple[str, str], ...] = ()
    folders: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        """The request to the host."""
        return {
            "parts": [
                {
                    "stamps": part.stamps,
                    "drain": dict(part.drain),
                    "users": part.users,
                    "folders": part.folders,
                    "keeps_files": part.keeps_files,
                }
                for part in self.parts
            ],
            "former": self.former,
            "folders": self.folders,
        }


def plan(declared: ClusterHost, facts: Facts, waits_for: str) -> Removal:
    """What is to be taken off a host.

    + waits_for: hosts that are not in this run but have to know first; then everything stays
    """
    parts = tuple(_unneeded(declared, facts))
    former = tuple(_former(declared, facts))
    folders = tuple(_programs(declared, facts))
    changes = (
        *(_change(part, facts) for part in parts),
        *(Change("credentials", f"{path} is needed no more") for _, path in former),
        *(Change("programs", f"{folder} is of no service any more") for folder in folders),
    )
    if waits_for:
        left = tuple(
            Left(one.component, f"{one.reason}; it stays until a run includes {waits_for}")
            for one in changes
        )
        return Removal(left=left)
    return Removal(changes, (), parts, former, folders)


def _unneeded(declared: ClusterHost, facts: Facts) -> Iterator[Part]:
    for part in PARTS:
        present = facts.get("stamps", {}).keys() & {*part.stamps}
        if present and not part.is_needed(declared):
            yield part


def _former(declared: ClusterHost, facts: Facts) -> Iterator[tuple[str, str]]:
    """Passwords that the host needed before, with the configuration they are of.

    Those that services were given are the matter of their generations.
    """
    wanted = {file.path for one in credentials.configs(declared) for file in one.files}
    for name in credentials.STAMPS:
        stamp = facts.get("stamps", {}).get(name, {})
        for path in [*stamp.get("files", ()), *stamp.get("former", ())]:
            if path not in wanted:
                yield name, path


def _programs(declared: ClusterHost, facts: Facts) -> Iterator[str]:
    """Folders of programs whose service is gone, with its last instance."""
    settings = declared.settings
    running = {name.partition("@")[0] for name in facts.get("pins", {})}
    needed = {*settings.services, *running} if "apps" in declared.groups else running
    for name in sorted(facts.get("programs", {}).keys() - needed):
        yield programs.prefix_of(settings.runtime.prefix, name)


def _change(part: Part, facts: Facts) -> Change:
    stopped = tuple(
        Effect(Verb.STOP, unit)
        for name in part.stamps
        for unit in facts["stamps"].get(name, {}).get("units", ())
        if facts.get("units", {}).get(unit, {}).get("ActiveState") == "active"
    )
    reason = "is declared no more and goes" + (f"; {part.data}" if part.data else "")
    return Change(part.name, reason, stopped)
