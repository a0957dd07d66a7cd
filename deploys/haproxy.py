"""The hosts in `balancers`: HAProxy in front of the services."""

from deploys.components import haproxy
from deploys.engine.instances import new_health_paths
from deploys.engine.operations import install_configs, try_health_paths
from deploys.engine.run import here

host = here()
concerned = "balancers" in host.groups

try_health_paths(checks=new_health_paths, name="Paths of health checks")
install_configs(
    configs=[*haproxy.configs(host.settings)] if concerned else [],
    name="HAProxy",
)
