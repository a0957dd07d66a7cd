"""What every host has: users, folders, limits, kernel parameters, journal, clock, settings."""

import yaml

from deploys.engine import tools
from deploys.engine.resources import Activation, ConfigSet, Directory, File, lines
from stellwerk.settings import Settings
from stellwerk.settings.cluster import Cluster, ClusterHost
from stellwerk.settings.files import host_document

PACKAGES = ("ca-certificates", "dbus", "python3", "systemd-timesyncd", "tzdata")
MONITOR = "stellwerk-monitor"
"""The user of the monitor, and the name of its folder below /var/lib."""
HEADER = "# Written by Stellwerk; change group_data/ and deploy again."


def packages(settings: Settings) -> tuple[str, ...]:
    return (*PACKAGES, *settings.base.packages)


def configs(cluster: Cluster, declared: ClusterHost) -> tuple[ConfigSet, ...]:
    settings = declared.settings
    return (
        users(settings),
        folders(),
        kernel(settings, declared.groups),
        limits(settings),
        journal(settings),
        clock(settings),
        settings_file(cluster, declared),
    )


def users(settings: Settings) -> ConfigSet:
    """The users of the runtime and its monitor, for whom other daemons have sockets."""
    user = settings.runtime.user
    return ConfigSet(
        "users",
        files=(
            File(
                "/etc/sysusers.d/stellwerk.conf",
                lines(
                    HEADER,
                    f'u {user} - "Stellwerk" /var/lib/{user} /usr/sbin/nologin',
                    f'u {MONITOR} - "Stellwerk monitor" /var/lib/{MONITOR} /usr/sbin/nologin',
                ),
            ),
        ),
        activation=Activation(commands=(("systemd-sysusers", "stellwerk.conf"),)),
    )


def folders() -> ConfigSet:
    return ConfigSet(
        "folders",
        files=(),
        directories=(
            Directory("/etc/stellwerk"),
            Directory("/etc/stellwerk/credentials", mode=0o700),
        ),
    )


def kernel(settings: Settings, groups: tuple[str, ...]) -> ConfigSet:
    """Kernel parameters; memory overcommit follows Redis' need unless it is set."""
    values: dict[str, str | int] = {"net.core.somaxconn": 4096, **settings.base.sysctl}
    overcommit = settings.base.overcommit_memory
    if overcommit is None and "caches" in groups:
        overcommit = 1  # Redis forks to save; without it a save fails when memory is half used
    if overcommit is not None:
        values["vm.overcommit_memory"] = overcommit
    path = "/etc/sysctl.d/90-stellwerk.conf"
    rows = [f"{name} = {value}" for name, value in sorted(values.items())]
    return ConfigSet(
        "kernel",
        files=(File(path, lines(HEADER, rows)),),
        activation=Activation(commands=((*tools.RUN.split(), "kernel", path),)),
    )


def limits(settings: Settings) -> ConfigSet:
    count = settings.base.nofile_limit
    return ConfigSet(
        "limits",
        files=(
            File(
                "/etc/systemd/system.conf.d/90-stellwerk.conf",
                lines(HEADER, "[Manager]", f"DefaultLimitNOFILE={count}"),
            ),
            File(
                "/etc/security/limits.d/90-stellwerk.conf",
                lines(HEADER, f"* soft nofile {count}", f"* hard nofile {count}"),
            ),
        ),
        activation=Activation(daemon_reload=True),
    )


def journal(settings: Settings) -> ConfigSet:
    base = settings.base
    return ConfigSet(
        "journal",
        files=(
            File(
                "/etc/systemd/journald.conf.d/90-stellwerk.conf",
                lines(
                    HEADER,
                    "[Journal]",
                    "Storage=persistent",
                    f"SystemMaxUse={base.journal_max_use}",
                    f"MaxRetentionSec={base.journal_max_retention_days}day",
                ),
            ),
        ),
        activation=Activation(
            commands=(
                ("systemctl", "restart", "systemd-journald.service"),
                ("journalctl", "--flush"),
            )
        ),
    )


def clock(settings: Settings) -> ConfigSet:
    """Time zone and time servers; the daemon itself rests in a container, whose host keeps time."""
    zone = settings.base.timezone
    servers = " ".join(settings.base.ntp_servers)
    return ConfigSet(
        "clock",
        files=(
            File("/etc/timezone", f"{zone}\n"),
            File(
                "/etc/systemd/timesyncd.conf.d/90-stellwerk.conf",
                lines(HEADER, "[Time]", *([f"NTP={servers}"] if servers else [])),
            ),
        ),
        activation=Activation(
            commands=(
                ("ln", "-sfn", f"/usr/share/zoneinfo/{zone}", "/etc/localtime"),
                ("systemctl", "enable", "--quiet", "systemd-timesyncd.service"),
                ("systemctl", "restart", "systemd-timesyncd.service"),
            )
        ),
    )


def settings_file(cluster: Cluster, declared: ClusterHost) -> ConfigSet:
    """What the daemons of this host read; secrets are no part of it."""
    document = host_document(cluster, declared)
    return ConfigSet(
        "settings",
        files=(
            File(
                "/etc/stellwerk/settings.yaml",
                f"{HEADER}\n{yaml_document(document)}",
            ),
        ),
    )


def yaml_document(document: object) -> str:
    """A document as the daemons of a host read it."""
    # The C writer: six hosts' settings take 0.1 s instead of 1.3 s.
    return yaml.dump(document, Dumper=yaml.CSafeDumper, sort_keys=True, allow_unicode=True)
