"""Which instances of which service run on which app host. Pure; the scaler owns the count (C5)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from deploys.engine.resources import Facts
from stellwerk.settings.cluster import ClusterHost
from stellwerk.settings.services import Service


@dataclass(frozen=True, order=True)
class Placed:
    """An instance on a host. Its port is its number in the whole cluster, so it names it there."""

    service: str
    port: int
    host: str
    address: str

    @property
    def name(self) -> str:
        return f"{self.service}@{self.port}"

    @property
    def endpoint(self) -> str:
        """Address and port as URLs and balancers take them, IPv6 in brackets."""
        address = f"[{self.address}]" if ":" in self.address else self.address
        return f"{address}:{self.port}"


def place(
    services: Mapping[str, Service], apps: Sequence[ClusterHost], facts: Mapping[str, Facts]
) -> tuple[Placed, ...]:
    """Leave the number of instances as it is between a service's bounds, repair it outside them.

    What is added goes to the host with the fewest instances; the highest numbers go first.
    """
    placed: list[Placed] = []
    for name, service in sorted(services.items()):
        present = _present(name, service, apps, facts)[: service.max_instances]
        free = [port for port in service.ports() if port not in {one.port for one in present}]
        while len(present) < service.min_instances:
            host = min(apps, key=lambda app: _load(app, [*placed, *present], name))
            present.append(Placed(name, free.pop(0), host.name, host.address))
        placed += present
    return tuple(sorted(placed))


def on(host: ClusterHost, placed: Sequence[Placed]) -> tuple[Placed, ...]:
    return tuple(one for one in placed if one.host == host.name)


def of(service: str, placed: Sequence[Placed]) -> tuple[Placed, ...]:
    return tuple(one for one in placed if one.service == service)


def _present(
    name: str, service: Service, apps: Sequence[ClusterHost], facts: Mapping[str, Facts]
) -> list[Placed]:
    """Instances a deploy started, lowest number first; one number runs on one host only."""
    found: dict[int, Placed] = {}
    for app in apps:
        for instance in facts.get(app.name, {}).get("instances", {}):
            prefix, _, port = instance.partition("@")
            if prefix == name and port.isdigit() and int(port) in service.ports():
                found.setdefault(int(port), Placed(name, int(port), app.name, app.address))
    return [found[port] for port in sorted(found)]


def _load(app: ClusterHost, placed: Sequence[Placed], service: str) -> tuple[int, int]:
    here = on(app, placed)
    return len(of(service, here)), len(here)
