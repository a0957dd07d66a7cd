"""Is a host fit for what its settings ask of it? Answered before anything is changed. Pure."""

from collections.abc import Iterable, Iterator, Mapping

from deploys.components.tls import HostCertificate, trusts_another
from deploys.engine.resources import Facts
from stellwerk.instances.migrations import NewerLedgerError, migration_statements
from stellwerk.settings import memory
from stellwerk.settings.cluster import Cluster, ClusterHost

PYTHONS = {"12": "3.11", "13": "3.13"}  # Debian's release and its python3
MEGABYTE = 1024**2
# What Debian and the daemons need beside the memory that settings give away; measured on the lab.
SYSTEM_MEMORY_BYTES = 256 * MEGABYTE


def problems_of(
    cluster: Cluster,
    declared: ClusterHost,
    facts: Facts,
    certificate: HostCertificate | None = None,
) -> list[str]:
    """One sentence for each reason why this host cannot be deployed as declared."""
    found = [
        _unknown_debian(facts),
        _full_disk(declared, facts),
        _too_little_memory(cluster, declared, facts),
        _tls_switched(declared, facts),
        _another_authority(certificate, facts),
        _newer_ledger(declared, facts),
    ]
    return [f"{declared.name}: {sentence}" for sentence in found if sentence]


def warnings_of(cluster: Cluster, facts: Mapping[str, Facts]) -> list[str]:
    """What works today and may not later: one sentence each, of the hosts that have facts."""
    present = [one for one in cluster.hosts.values() if one.name in facts]
    return [*_mixed_caches(present, facts), *_shared_memory(present)]


def _mixed_caches(hosts: Iterable[ClusterHost], facts: Mapping[str, Facts]) -> Iterator[str]:
    releases = {
        one.name: facts[one.name]["system"]["version"] for one in hosts if "caches" in one.groups
    }
    if len(set(releases.values())) > 1:
        listed = ", ".join(f"{name} Debian {version}" for name, version in releases.items())
        yield (
            f"the cache hosts run different releases ({listed}): after a failover to the newer"
            " Redis the older ones cannot follow it; bring them to one release soon"
        )


def _shared_memory(hosts: Iterable[ClusterHost]) -> Iterator[str]:
    """Redis wants vm.overcommit_memory to be 1, guides for PostgreSQL want 2."""
    for one in hosts:
        chosen = one.settings.base.overcommit_memory is not None
        if {"caches", "databases"} <= set(one.groups) and not chosen:
            yield (
                f"{one.name} has Redis and PostgreSQL: vm.overcommit_memory is 1, as Redis needs it"
                " to save, so the kernel may kill PostgreSQL when memory runs out; set"
                " base.overcommit_memory to 1 or 2 to choose"
            )


def _unknown_debian(facts: Facts) -> str:
    system = facts["system"]
    if system["id"] == "debian" and system["version"] in PYTHONS:
        return ""
    return f"runs {system['id']} {system['version']}; Stellwerk needs Debian {' or '.join(PYTHONS)}"


def _full_disk(declared: ClusterHost, facts: Facts) -> str:
    needed = declared.settings.base.minimum_free_disk
    for path, free in facts["system"]["disk_free_bytes"].items():
        if free < needed:
            return (
                f"{path} has {free // MEGABYTE} MB free, less than the {needed // MEGABYTE} MB of"
                " base.minimum_free_disk; free some space or lower it"
            )
    return ""


def _too_little_memory(cluster: Cluster, declared: ClusterHost, facts: Facts) -> str:
    """Redis and the least instances must fit; PostgreSQL then takes its share of what is left."""
    claims = committed_memory(cluster, declared)
    needed = sum(claims.values()) + SYSTEM_MEMORY_BYTES
    present = facts["system"]["memory_bytes"]
    if needed <= present:
        return ""
    listed = ", ".join(f"{name} {size // MEGABYTE} MB" for name, size in claims.items())
    return (
        f"has {present // MEGABYTE} MB of memory, but its settings need {needed // MEGABYTE} MB"
        f" ({listed}, system {SYSTEM_MEMORY_BYTES // MEGABYTE} MB); lower them or add memory"
    )


def _tls_switched(declared: ClusterHost, facts: Facts) -> str:
    """Between plain and TLS, replicas lose their master and clients their cache."""
    if not declared.settings.tls.enabled:
        if "tls" not in facts.get("stamps", {}):
            return ""
        return "was set up with TLS, which is not taken off again; set tls.enabled to True"
    plain = [
        f"{name} on port {port}"
        for section, name in (("redis", "Redis"), ("sentinel", "Sentinel"))
        for port, instance in facts.get(section, {}).items()
        if not instance["tls"]
    ]
    if not plain:
        return ""
    return (
        f"has {' and '.join(plain)} without TLS, which is not switched while there is data; set"
        " tls.enabled to False, or set the cluster up anew"
    )


def _another_authority(certificate: HostCertificate | None, facts: Facts) -> str:
    if not trusts_another(certificate, facts):
        return ""
    return (
        "trusts another authority than the one in certificates/, so its daemons would refuse the"
        " others; put the folder back from your copy"
    )


def _newer_ledger(declared: ClusterHost, facts: Facts) -> str:
    present = facts.get("postgresql", {}).get("ledger", {}).get("version", 0)
    try:
        migration_statements(present, declared.settings.postgresql.database)
    except NewerLedgerError as error:
        return str(error)
    return ""


def committed_memory(cluster: Cluster, declared: ClusterHost) -> dict[str, int]:
    """Bytes that settings give away on a host, by what takes them: Redis, least instances."""
    return memory.committed_memory(
        declared.settings, declared.groups, lambda group: len(cluster.group(group))
    )
