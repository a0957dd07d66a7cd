"""Which collectors a host has: what its groups have put on it."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from stellwerk.database.logins import login_of
from stellwerk.metrics.collectors.collector import Collector
from stellwerk.metrics.collectors.system import SystemCollector
from stellwerk.metrics.monitor.certificate import AUTHORITY

if TYPE_CHECKING:
    from stellwerk.settings.files import HostFile, Member
    from stellwerk.settings.root import Settings
    from stellwerk.settings.types import Secret

HAPROXY_SOCKET: Final = Path("/run/haproxy/statistics.sock")
NGINX_LOG: Final = Path("/var/log/nginx/access.log")
SCALER_FIGURES: Final = Path("/run/stellwerk-scaler/figures.json")
POSTGRESQL_SOCKETS: Final = "/var/run/postgresql"
REDIS_USER: Final = "monitor"


def collectors(host: "HostFile") -> list[Collector]:
    """All collectors of a host. What a host has not is not imported either."""
    (member,) = (one for one in host.members if one.name == host.name)
    found: list[Collector] = [SystemCollector()]
    if "apps" in member.groups:
        found += _instances(host.settings)
        found += _cache(host)
    if "balancers" in member.groups:
        found += _balancers(host.settings)
    if "databases" in member.groups:
        found += _postgresql(host.settings)
    if "caches" in member.groups:
        found += _redis(host, member)
    if "sentinels" in member.groups:
        found += _sentinel(host.settings, member)
    if "monitors" in member.groups:
        found += _scaler(host)
    return found


def _instances(settings: "Settings") -> Iterator[Collector]:
    from stellwerk.metrics.collectors.health import HealthCollector
    from stellwerk.metrics.collectors.instances import Instances
    from stellwerk.metrics.collectors.units import UnitCollector

    instances = Instances(settings.services)
    yield UnitCollector(
        instances, {name: int(service.memory) for name, service in settings.services.items()}
    )
    yield HealthCollector(
        instances, {name: service.health_path for name, service in settings.services.items()}
    )


def _cache(host: "HostFile") -> Iterator[Collector]:
    from stellwerk.metrics.collectors.cache import CacheCollector

    yield CacheCollector(host.settings.caching.invalidation.admin.port)


def _balancers(settings: "Settings") -> Iterator[Collector]:
    from stellwerk.metrics.collectors.haproxy import HaproxyCollector
    from stellwerk.metrics.collectors.nginx import NginxCollector
    from stellwerk.metrics.collectors.requests import Requests

    services = {
        service.backend_name: name
        for name, service in settings.services.items()
        if service.backend_name is not None
    }
    # What comes through nginx is in its log, whole; HAProxy sees it as well, and would count twice.
    public = set(settings.nginx.locations.values())
    seen_by_nginx, seen_by_haproxy = (
        Requests(
            {backend: name for backend, name in services.items() if (name in public) is by_nginx},
            _endpoints(settings),
        )
        for by_nginx in (True, False)
    )
    yield HaproxyCollector(HAPROXY_SOCKET, services, seen_by_haproxy)
    yield NginxCollector(settings.nginx.status_port, NGINX_LOG, services, seen_by_nginx)


def _postgresql(settings: "Settings") -> Iterator[Collector]:
    from stellwerk.metrics.collectors.postgresql import (
        Access,
        PostgresqlCollector,
        PostgresqlSizesCollector,
        Slow,
    )
    from stellwerk.metrics.collectors.postgresql_views import ViewRefreshes

    postgresql, monitoring = settings.postgresql, settings.monitoring
    role, password = postgresql.roles.monitor, _secret(postgresql.passwords.monitor)
    access = Access(
        POSTGRESQL_SOCKETS,
        postgresql.port,
        postgresql.database,
        role if password is None else login_of(role, password),
        password,
    )
    seconds = monitoring.source_timeout_seconds
    slow = monitoring.slow_queries
    views = settings.database.views
    yield PostgresqlCollector(
        access,
        seconds,
        Slow(slow.mean_over_ms, slow.average_of, slow.average_over_ms),
        ViewRefreshes(
            settings.database.event_store_schema,
            {name: view.refresh_interval_seconds for name, view in views.items()},
        ),
    )
    yield PostgresqlSizesCollector(access, seconds, monitoring.sizes_interval_seconds)


def _redis(host: "HostFile", member: "Member") -> Iterator[Collector]:
    from stellwerk.metrics.collectors.redis import RedisCollector
    from stellwerk.metrics.collectors.redis_connection import RedisAccess

    redis = host.settings.redis
    ports = [redis.port]
    if len([one for one in host.members if "caches" in one.groups]) == 1:
        ports.append(redis.replica_port)
    for port in ports:
        password = _secret(redis.passwords.monitor)
        yield RedisCollector(RedisAccess(port, REDIS_USER, password, **_tls(host.settings, member)))


def _sentinel(settings: "Settings", member: "Member") -> Iterator[Collector]:
    from stellwerk.metrics.collectors.redis import SentinelCollector
    from stellwerk.metrics.collectors.redis_connection import RedisAccess

    sentinel = settings.sentinel
    access = RedisAccess(sentinel.port, None, _secret(sentinel.password), **_tls(settings, member))
    yield SentinelCollector(access, sentinel.master_name)


def _scaler(host: "HostFile") -> Iterator[Collector]:
    from stellwerk.metrics.collectors.scaler import ScalerCollector

    groups = {group for one in host.members for group in one.groups}
    if {"databases", "apps"} <= groups:  # else there is nothing to scale, and no scaler
        yield ScalerCollector(SCALER_FIGURES)


def _tls(settings: "Settings", member: "Member") -> Mapping[str, str]:
    """With TLS a server is asked by the address that its certificate names."""
    if not settings.tls.enabled:
        return {}
    return {"tls_authority": str(AUTHORITY), "host": member.address}


def _endpoints(settings: "Settings") -> Mapping[str, list[str]]:
    """The endpoints of each service that have baselines."""
    return {
        service: [name for name in settings.baselines.measures.get(service, {}) if " /" in name]
        for service in settings.services
    }


def _secret(secret: "Secret") -> str | None:
    return secret.get_secret_value() if secret.given else None
