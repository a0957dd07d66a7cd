"""HAProxy: each service it balances on a port of its own inside the cluster.

Which instances are in rotation is the agent's business; here each possible one has a server.
"""

from deploys.components.base import HEADER, MONITOR
from deploys.engine import tools
from deploys.engine.render import render
from deploys.engine.resources import Activation, Check, ConfigSet, File, digest_of
from stellwerk.instances.agent.haproxy import BRIDGE, SOCKET, STATE_FILE
from stellwerk.instances.agent.runtime_api import BRIDGE_VARIABLE
from stellwerk.instances.configuration import STATE
from stellwerk.settings import Settings
from stellwerk.settings.services import Service

PACKAGES = ("haproxy",)
UNIT = "haproxy.service"
PATH = "/etc/haproxy/haproxy.cfg"
# A variable that the configuration sets in HAProxy's environment: it names the one that is in use,
# as a reload that HAProxy cannot carry out ends well and leaves the old one.
DIGEST = "STELLWERK_CONFIGURATION"
RELOAD_SECONDS = 10.0  # it takes a configuration of 64 instances within 0.2 s
HARD_STOP_SECONDS = 300  # for what an old process still serves after a reload or a restart
HAND_OVER = f"{tools.FOLDER}/haproxy-hand-over"
DROP_IN = f"/etc/systemd/system/{UNIT}.d/90-stellwerk.conf"


def balanced(settings: Settings) -> dict[str, Service]:
    """The services that HAProxy balances, by name."""
    found = {
        name: service
        for name, service in settings.services.items()
        if service.balancer == "haproxy"
    }
    return dict(sorted(found.items()))


def configs(settings: Settings) -> tuple[ConfigSet, ...]:
    """How it is restarted comes first: a reload then keeps the configuration for it."""
    return (_hand_over(), config(settings))


def config(settings: Settings) -> ConfigSet:
    """The services and their servers."""
    backends = [
        {"name": name, "service": service, "ports": settings.ports(name)}
        for name, service in balanced(settings).items()
    ]
    values = {
        "haproxy": settings.haproxy,
        "fast": settings.haproxy.fast_health_check_interval_seconds,
        "backends": backends,
        "state_file": STATE / STATE_FILE,
        "monitor": MONITOR,
        "hard_stop_seconds": HARD_STOP_SECONDS,
    }
    digest = digest_of(render("haproxy/haproxy.cfg.j2", **values, name=DIGEST, digest=""))
    text = render("haproxy/haproxy.cfg.j2", **values, name=DIGEST, digest=digest)
    return ConfigSet(
        "haproxy",
        files=(File(PATH, text, mode=0o640, group="haproxy", shown=True),),
        check=(("haproxy", "-c", "-f", f"{{root}}{PATH}"),),
        activation=Activation(unit=UNIT, how="reload"),
        health=(*_runs(), {"kind": "haproxy", "unit": UNIT, "name": DIGEST, "value": digest}),
        health_seconds=RELOAD_SECONDS,
    )


def _hand_over() -> ConfigSet:
    """What has a restart drop nothing; HAProxy itself is left alone by a change of it."""
    values = {
        "header": HEADER,
        "unit": UNIT,
        "bridge": BRIDGE,
        "variable": BRIDGE_VARIABLE,
        "program": HAND_OVER,
        "socket": SOCKET,
        "environment": "/run/haproxy-bridge.env",
        "served": "/run/haproxy-served.cfg",
        "stop_seconds": HARD_STOP_SECONDS + 10,
    }
    return ConfigSet(
        "haproxy-hand-over",
        files=(
            File(HAND_OVER, render("haproxy/hand-over.j2", **values), mode=0o755),
            File(f"/etc/systemd/system/{BRIDGE}", render("haproxy/bridge.service.j2", **values)),
            File(DROP_IN, render("haproxy/hand-over.conf.j2", **values)),
        ),
        activation=Activation(daemon_reload=True),
    )


def checks(settings: Settings) -> tuple[Check, ...]:
    """HAProxy runs, and every service answers through it."""
    answers = (
        {
            "kind": "http",
            "url": f"http://127.0.0.1:{service.listen_port}{service.health_path}",
            "unit": UNIT,
        }
        for service in balanced(settings).values()
    )
    return (*_runs(), *answers)


def _runs() -> tuple[Check, ...]:
    """All that can be asked of it before there are instances."""
    return ({"kind": "unit", "unit": UNIT},)
