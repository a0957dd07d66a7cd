"""nginx: the public door, to instances directly or to a service behind HAProxy."""

from collections.abc import Sequence

from deploys.components.instances import Placed, of
from deploys.engine.render import render
from deploys.engine.resources import Activation, Check, ConfigSet, File
from stellwerk.settings import Settings

PACKAGES = ("nginx-light",)
UNIT = "nginx.service"
PATH = "/etc/nginx/nginx.conf"


def config(settings: Settings, placed: Sequence[Placed]) -> ConfigSet:
    locations, upstreams = [], {}
    for path, name in sorted(settings.nginx.locations.items()):
        service = settings.services[name]
        upstream = str(service.backend_name)
        if service.balancer == "haproxy":
            upstreams[upstream] = [f"127.0.0.1:{service.listen_port}"]
        else:
            upstreams[upstream] = [one.endpoint for one in of(name, placed)]
        locations.append({"path": path, "upstream": upstream})
    text = render(
        "nginx/nginx.conf.j2",
        nginx=settings.nginx,
        locations=locations,
        upstreams=upstreams,
        nofile_limit=settings.base.nofile_limit,
    )
    return ConfigSet(
        "nginx",
        files=(File(PATH, text),),
        # Includes are relative to nginx.conf, so the candidate's own tree is what is checked.
        tree="/etc/nginx",
        check=(("nginx", "-t", "-q", "-c", f"{{root}}{PATH}"),),
        activation=Activation(unit=UNIT, how="reload"),
        health=checks(settings),
    )


def checks(settings: Settings) -> tuple[Check, ...]:
    """nginx runs, and every service behind it answers through it."""
    answers = (
        {"kind": "http", "url": f"http://127.0.0.1:{settings.nginx.port}{path}", "unit": UNIT}
        for path in _health_paths(settings)
    )
    return ({"kind": "unit", "unit": UNIT}, *answers)


def _health_paths(settings: Settings) -> list[str]:
    """Below each location a path that its service answers with 200."""
    default = settings.nginx.default_service
    return [settings.services[default].health_path] if default else []
