"""The edits of what every host has, and of figures that only daemons read when they need them."""

from collections.abc import Iterable

from tests.lab.edits import Edit, InForce
from tests.lab.edits_services import MONITORS

ALL = ("lb-1", "app-1", "app-2", "cache-1", "cache-2", "db-1")
_SETTINGS = "/etc/stellwerk/settings.yaml"


def _shows(command: str, output: str, hosts: Iterable[str] = ALL) -> tuple[InForce, ...]:
    return (InForce(tuple(hosts), command, output),)


QUIET = (
    Edit(
        "Every host: a kernel parameter",
        {"base.sysctl": '{"net.ipv4.tcp_keepalive_time": 600}'},
        _shows("sysctl -n net.ipv4.tcp_keepalive_time", "600"),
    ),
    Edit(
        "Every host: a package",
        {"base.packages": '["tree"]'},
        _shows("command -v tree", "/usr/bin/tree"),
    ),
    Edit(
        "Every host: the time zone",
        {"base.timezone": "Asia/Tokyo"},
        _shows("date +%Z", "JST"),
    ),
    Edit(
        "Scaling: a pause",
        {"scaling.services.aktienanalyse-core.cooldown_up_seconds": "240"},
        _shows(f"grep -c 'cooldown_up_seconds: 240' {_SETTINGS}", "2"),
    ),
    Edit(
        "Caching: a time to live",
        {"caching.caches.portfolio.ttl_seconds": "295"},
        _shows(f"grep -c 'ttl_seconds: 295' {_SETTINGS}", "1"),
    ),
    Edit(
        "Monitoring: a receiver",
        {"monitoring.receivers.email.to": '["night@aktienanalyse.local"]'},
        _shows(f"grep -c 'night@aktienanalyse.local' {_SETTINGS}", "1"),
        restarts=MONITORS,
    ),
)
JOURNAL = (
    Edit(
        "Every host: size of the journal",
        {"base.journal_max_use": "300MB"},
        _shows("systemd-analyze cat-config systemd/journald.conf | grep ^SystemMaxUse=",
               "SystemMaxUse=314572800"),
        restarts=frozenset(f"{host} systemd-journald.service" for host in ALL),
    ),
)  # fmt: skip
