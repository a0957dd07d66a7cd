"""nginx: the public door, to instances directly or to a service behind HAProxy.

Which instances are in rotation is the agent's business: it has them written into files of their own
beside nginx.conf, by a unit of root's that is installed here.
"""

import json

from deploys.components.base import HEADER
from deploys.engine import tools
from deploys.engine.render import render
from deploys.engine.resources import Activation, Check, ConfigSet, Directory, File, lines
from stellwerk.instances.agent.nginx import APPLY_UNIT
from stellwerk.settings import Settings
from stellwerk.settings.cluster import Cluster, ClusterHost

PACKAGES = ("nginx-light",)
UNIT = "nginx.service"
PATH = "/etc/nginx/nginx.conf"
SERVERS = "/etc/nginx/stellwerk"
ALLOWED = "/etc/stellwerk/nginx-upstreams.json"
# nginx refuses an upstream without a server; one that is down is never asked.
NO_SERVER = "server 127.0.0.1:1 down;"


def configs(cluster: Cluster, declared: ClusterHost) -> tuple[ConfigSet, ...]:
    """What brings servers into nginx comes last: it needs nginx's files."""
    settings = declared.settings
    return (_nginx(settings), _upstreams(cluster, settings))


def balanced(settings: Settings) -> dict[str, str]:
    """The services that nginx balances, each with its upstream."""
    return {
        name: str(service.backend_name)
        for name, service in sorted(settings.services.items())
        if service.balancer == "nginx"
    }


def checks(settings: Settings) -> tuple[Check, ...]:
    """nginx runs, and every service behind it answers through it."""
    answers = (
        {"kind": "http", "url": f"http://127.0.0.1:{settings.nginx.port}{path}", "unit": UNIT}
        for path in _health_paths(settings)
    )
    return (*_runs(), *answers)


def _nginx(settings: Settings) -> ConfigSet:
    text = render(
        "nginx/nginx.conf.j2",
        nginx=settings.nginx,
        locations=_locations(settings),
        upstreams=_listen_ports(settings),
        nofile_limit=settings.base.nofile_limit,
    )
    seeds = (
        File(f"{SERVERS}/{upstream}.servers", lines(HEADER, NO_SERVER), seed=True)
        for upstream in balanced(settings).values()
    )
    return ConfigSet(
        "nginx",
        files=(File(PATH, text), *seeds),
        # Includes are relative to nginx.conf, so the candidate's own tree is what is checked.
        tree="/etc/nginx",
        check=(("nginx", "-t", "-q", "-c", f"{{root}}{PATH}"),),
        activation=Activation(
            unit=UNIT,
            how="start",
            commands=((*tools.RUN.split(), "reload-nginx"),),
            reloads=(UNIT,),
        ),
        health=_runs(),
    )


def _upstreams(cluster: Cluster, settings: Settings) -> ConfigSet:
    """The unit that writes servers into nginx's files, and which it may write."""
    allowed = {
        "addresses": sorted(one.address for one in cluster.group("apps")),
        "upstreams": {
            upstream: [settings.ports(name)[0], settings.ports(name)[-1]]
            for name, upstream in balanced(settings).items()
        },
    }
    unit = render("nginx/apply.service.j2", command=f"{tools.RUN} nginx-upstreams", servers=SERVERS)
    return ConfigSet(
        "nginx-upstreams",
        files=(
            File(ALLOWED, json.dumps(allowed, indent=1, sort_keys=True) + "\n"),
            File(f"/etc/systemd/system/{APPLY_UNIT}", unit),
        ),
        directories=(Directory(SERVERS),),
        activation=Activation(daemon_reload=True),
    )


def _locations(settings: Settings) -> list[dict[str, str]]:
    return [
        {"path": path, "upstream": str(settings.services[name].backend_name)}
        for path, name in sorted(settings.nginx.locations.items())
    ]


def _listen_ports(settings: Settings) -> dict[str, int | None]:
    """HAProxy's port for each upstream behind a location; None where nginx balances itself."""
    named = [settings.services[name] for name in settings.nginx.locations.values()]
    return {str(service.backend_name): service.listen_port for service in named}


def _health_paths(settings: Settings) -> list[str]:
    """Below each location a path that its service answers with 200."""
    default = settings.nginx.default_service
    return [settings.services[default].health_path] if default else []


def _runs() -> tuple[Check, ...]:
    """All that can be asked of it before there are instances."""
    return ({"kind": "unit", "unit": UNIT},)
