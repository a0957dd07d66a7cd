"""Whom a Sentinel still knows though they are gone for good: they count for a majority. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from deploys.components import sentinel
from deploys.components.master import Endpoint
from deploys.components.redis import all_servers
from deploys.engine.resources import Facts, RedisRequest
from stellwerk.settings.cluster import Cluster, ClusterHost

DOWN = "down"  # in the flags s_down and o_down
INVALID_PORT = "0"  # of a Sentinel whose address another one has taken since


@dataclass(frozen=True)
class Peers:
    """`gone`: as a request to the host names them; `strangers`: live, but not in the inventory."""

    gone: tuple[tuple[str, str, str], ...]
    strangers: tuple[Endpoint, ...]


def peers(cluster: Cluster, declared: ClusterHost, facts: Mapping[str, Facts]) -> Peers:
    """Who, of all that the Sentinel of a host knows, should not be there.

    + facts: of all hosts that can be reached, by name
    """
    settings = declared.settings.sentinel
    found = facts[declared.name].get("sentinel", {}).get(str(settings.port), {})
    gone: list[tuple[str, str, str]] = []
    strangers: list[Endpoint] = []
    identities = _identities(cluster, facts)
    for one in found.get("known", {}).get(settings.master_name, ()):
        endpoint = Endpoint(one["ip"], int(one["port"]))
        if endpoint in identities:
            outdated = identities[endpoint] not in ("", one["id"])
        else:
            silent = DOWN in one["flags"] or one["port"] == INVALID_PORT
            outdated = silent or _was_removed(endpoint, cluster, facts)
            if not outdated:
                strangers.append(endpoint)
        if outdated:
            gone.append((one["ip"], one["port"], one["id"]))
    return Peers(tuple(gone), tuple(strangers))


def requests(declared: ClusterHost, found: Peers) -> tuple[RedisRequest, ...]:
    """What the host's Sentinel is to forget, where there is anybody."""
    if not found.gone:
        return ()
    settings = declared.settings.sentinel
    listed = ", ".join(dict.fromkeys(f"{address}:{port}" for address, port, _ in found.gone))
    document = {"port": settings.port, "name": settings.master_name, "gone": list(found.gone)}
    reason = f"forgetting {listed}"
    return (RedisRequest("forget", sentinel.component(settings.port), reason, document),)


def _identities(cluster: Cluster, facts: Mapping[str, Facts]) -> dict[Endpoint, str]:
    """All that are declared, with a Sentinel's id; empty where it does not matter or is unknown."""
    found = {server.endpoint: "" for server in all_servers(cluster)}
    for host in cluster.group("sentinels"):
        port = host.settings.sentinel.port
        present = facts.get(host.name, {}).get("sentinel", {}).get(str(port), {})
        found[Endpoint(host.address, port)] = present.get("id", "")
    return found


def _was_removed(endpoint: Endpoint, cluster: Cluster, facts: Mapping[str, Facts]) -> bool:
    """Whether its host is in the inventory and runs no such daemon any more."""
    for host in cluster.hosts.values():
        if host.address == endpoint.address and host.name in facts:
            present = facts[host.name]
            ports = {*present.get("redis", {}), *present.get("sentinel", {})}
            return str(endpoint.port) not in ports
    return False
