"""The edits of services: what an instance is started with rolls, what only agents and balancers
need does not.
"""

from tests.lab.edits import Edit, InForce

CORE, BROKER, EVENTS, FRONTEND = (
    f"aktienanalyse-{name}" for name in ("core", "broker", "events", "frontend")
)
ALL = frozenset({CORE, BROKER, EVENTS, FRONTEND})
APPS = ("app-1", "app-2")
COMMAND = '["/opt/stellwerk/current/bin/stellwerk", "sample", "serve"]'
AGENTS = frozenset(f"{host} stellwerk-agent.service" for host in ("lb-1", *APPS))
HOSTS = ("lb-1", *APPS, "cache-1", "cache-2", "db-1")
HAPROXY = frozenset({"lb-1 haproxy.service"})
NGINX = frozenset({"lb-1 nginx.service"})  # its servers change with every instance that moves


def monitors(*hosts: str) -> frozenset[str]:
    """The monitors of these hosts."""
    return frozenset(f"{host} stellwerk-monitor.service" for host in hosts)


MONITORS = monitors(*HOSTS)
_UNITS = "systemctl list-units --state=running --plain --no-legend '{service}@*' | cut -d' ' -f1"
_ENVIRONMENT = (
    "for unit in $(" + _UNITS + ");"
    " do tr '\\0' '\\n' </proc/$(systemctl show -P MainPID $unit)/environ | grep '^{name}=';"
    " done | sort -u"
)
_PROPERTY = "systemctl show -P {name} $(" + _UNITS + ") | sort -u | grep ."


def environment(service: str, name: str, value: str) -> tuple[InForce, ...]:
    """What every instance of a service has in its environment."""
    command = _ENVIRONMENT.format(service=service, name=name)
    return (InForce(APPS, f"{command} | grep -vc '={value}$'", "0"),)


def unit_property(service: str, name: str, value: str) -> tuple[InForce, ...]:
    """What systemd says of every running instance of a service; a host may have none."""
    command = _PROPERTY.format(service=service, name=name)
    return (InForce(APPS, f"{command} | grep -vcx '{value}'", "0"),)


STARTED_WITH = (
    Edit(
        "A service: its environment",
        {f"services.{CORE}.environment": '{"LOG_LEVEL": "debug"}'},
        environment(CORE, "LOG_LEVEL", "debug"),
        rolls=frozenset({CORE}),
    ),
    Edit(
        "A service: memory of an instance",
        {f"services.{EVENTS}.memory": "320MB"},
        unit_property(EVENTS, "MemoryMax", str(320 * 1024**2)),
        restarts=MONITORS,  # they say how much of it is in use
        rolls=frozenset({EVENTS}),
    ),
    Edit(
        "A service: CPU of an instance",
        {f"services.{BROKER}.cpu_percent": "80"},
        unit_property(BROKER, "CPUQuotaPerSecUSec", "800ms"),
        rolls=frozenset({BROKER}),
    ),
    Edit(
        "A service: its command",
        {f"services.{FRONTEND}.command": COMMAND},
        (InForce(APPS, "grep -c /current/bin /etc/systemd/system/" + FRONTEND + "@.service", "1"),),
        reloads=NGINX,
        rolls=frozenset({FRONTEND}),
    ),
)  # fmt: skip
STOP = (
    Edit(
        "A service: time from SIGTERM to SIGKILL",
        {f"services.{BROKER}.stop_timeout_seconds": "35"},
        unit_property(BROKER, "TimeoutStopUSec", "35s"),
        restarts=AGENTS,
        rolls=frozenset({BROKER}),
    ),
)
AGENTS_FIGURES = (
    Edit(
        "A service: time to drain",
        {f"services.{CORE}.drain_timeout_seconds": "50"},
        restarts=AGENTS,
    ),
    Edit(
        "Agents: pause between two signs of life",
        {"agent.heartbeat_seconds": "9"},
        restarts=AGENTS,
    ),
)
BALANCED = (
    Edit(
        "A service: path of its health check",
        {f"services.{EVENTS}.health_path": "/health?checked=yes"},
        restarts=AGENTS | MONITORS,
        reloads=HAPROXY,
    ),
    Edit(
        "A service: more instances at most",
        {f"services.{EVENTS}.max_instances": "20"},  # above what an emergency takes
        restarts=AGENTS | MONITORS,
        reloads=HAPROXY,
    ),
    Edit(
        "A service: port inside the cluster",
        {f"services.{EVENTS}.listen_port": "9310"},
        restarts=AGENTS,
        reloads=HAPROXY,
    ),
)
FEWER = (
    Edit(
        "A service behind HAProxy: fewer instances at most than there are",
        {f"services.{CORE}.min_instances": "2", f"services.{CORE}.max_instances": "2"},
        restarts=MONITORS,
        counts={CORE: 2},
    ),
    Edit(
        "A service behind nginx: fewer instances at most than there are",
        {f"services.{FRONTEND}.min_instances": "1", f"services.{FRONTEND}.max_instances": "1"},
        restarts=MONITORS,
        reloads=NGINX,
        counts={FRONTEND: 1},
    ),
)
NEW = (
    Edit(
        "A new service",
        {
            "services.reports": '{"port_base": 8600, "min_instances": 2, "max_instances": 3,'
            ' "memory": "128MB", "balancer": "haproxy", "listen_port": 9600,'
            ' "backend_name": "reports_backend"}',
        },
        restarts=AGENTS | MONITORS,
        reloads=HAPROXY,
        counts={"reports": 2},
    ),
)
GONE = (
    Edit(
        "A service that is taken out",
        {"services.reports": "null"},
        restarts=AGENTS | MONITORS,
        reloads=HAPROXY,
        counts={"reports": 0},
    ),
)
FILES = (
    Edit(
        "Every host: open files of a daemon",
        {"base.nofile_limit": "70000"},
        unit_property(CORE, "LimitNOFILE", "70000"),
        reloads=NGINX,
        rolls=ALL,
    ),
)
# The frontend has a command of its own by then.
SAMPLES = ALL - {FRONTEND}
UPGRADE = (
    Edit(
        "The runtime: another release",
        runtime="\nEDITION = 2\n",
        restarts=AGENTS | MONITORS,
        rolls=SAMPLES,
    ),
)
DOWNGRADE = (
    Edit(
        "The runtime: back to the release of before",
        runtime="",
        restarts=AGENTS | MONITORS,
        rolls=SAMPLES,
    ),
)
