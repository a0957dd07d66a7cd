"""How much of a host's memory its settings give away, before PostgreSQL takes its share. Pure."""

from collections.abc import Callable, Collection

from stellwerk.settings.root import Settings


def committed_memory(
    settings: Settings, groups: Collection[str], members: Callable[[str], int]
) -> dict[str, int]:
    """Bytes by what takes them on a host in `groups`: Redis, and the least number of instances.

    `members` says how many hosts a group has.
    """
    claims: dict[str, int] = {}
    if "caches" in groups:
        servers = 2 if members("caches") == 1 else 1
        claims["redis.maxmemory"] = servers * settings.redis.maxmemory
    if "apps" in groups:
        for name, service in settings.services.items():
            least = -(-service.min_instances // members("apps"))
            claims[f"services.{name}"] = least * service.memory
    return claims
