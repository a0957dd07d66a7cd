"""The hosts in `balancers`: HAProxy in front of the services."""

from deploys.components import haproxy
from deploys.engine.operations import install_configs
from deploys.engine.run import here

host = here()
concerned = "balancers" in host.groups

install_configs(
    configs=[haproxy.config(host.settings)] if concerned else [],
    name="HAProxy",
)
