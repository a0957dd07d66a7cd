"""HAProxy: each service it balances on a port of its own inside the cluster.

Which instances are in rotation is the agent's business; here each possible one has a server.
"""

from deploys.engine.render import render
from deploys.engine.resources import Activation, Check, ConfigSet, File
from stellwerk.instances.agent.haproxy import STATE_FILE
from stellwerk.instances.configuration import STATE
from stellwerk.settings import Settings
from stellwerk.settings.services import Service

PACKAGES = ("haproxy",)
UNIT = "haproxy.service"
PATH = "/etc/haproxy/haproxy.cfg"


def balanced(settings: Settings) -> dict[str, Service]:
    """The services that HAProxy balances, by name."""
    found = {
        name: service
        for name, service in settings.services.items()
        if service.balancer == "haproxy"
    }
    return dict(sorted(found.items()))


def config(settings: Settings) -> ConfigSet:
    backends = [
        {"name": name, "service": service, "ports": settings.ports(name)}
        for name, service in balanced(settings).items()
    ]
    text = render(
        "haproxy/haproxy.cfg.j2",
        haproxy=settings.haproxy,
        fast=settings.haproxy.fast_health_check_interval_seconds,
        backends=backends,
        state_file=STATE / STATE_FILE,
    )
    return ConfigSet(
        "haproxy",
        files=(File(PATH, text, mode=0o640, group="haproxy"),),
        check=(("haproxy", "-c", "-f", f"{{root}}{PATH}"),),
        activation=Activation(unit=UNIT, how="reload"),
        health=_runs(),
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
