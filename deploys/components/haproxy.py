"""HAProxy: each service it balances on a port of its own inside the cluster."""

from collections.abc import Sequence

from deploys.components.instances import Placed, of
from deploys.engine.render import render
from deploys.engine.resources import Activation, Check, ConfigSet, File
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


def config(settings: Settings, placed: Sequence[Placed]) -> ConfigSet:
    backends = [
        {"name": name, "service": service, "servers": of(name, placed)}
        for name, service in balanced(settings).items()
    ]
    text = render("haproxy/haproxy.cfg.j2", haproxy=settings.haproxy, backends=backends)
    return ConfigSet(
        "haproxy",
        files=(File(PATH, text, mode=0o640, group="haproxy"),),
        check=(("haproxy", "-c", "-f", f"{{root}}{PATH}"),),
        activation=Activation(unit=UNIT, how="reload"),
        health=checks(settings),
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
    return ({"kind": "unit", "unit": UNIT}, *answers)
