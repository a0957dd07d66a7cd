"""HAProxy: each service it balances on a port of its own inside the cluster.

Which instances are in rotation is the agent's business; here each possible one has a server.
"""

from deploys.components.base import MONITOR
from deploys.engine.render import render
from deploys.engine.resources import Activation, Check, ConfigSet, File, digest_of
from stellwerk.instances.agent.haproxy import STATE_FILE
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
    values = {
        "haproxy": settings.haproxy,
        "fast": settings.haproxy.fast_health_check_interval_seconds,
        "backends": backends,
        "state_file": STATE / STATE_FILE,
        "monitor": MONITOR,
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
