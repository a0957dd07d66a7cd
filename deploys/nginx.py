"""The hosts in `balancers`: nginx, the public door."""

from deploys.components import nginx
from deploys.engine.operations import install_configs
from deploys.engine.run import here

host = here()
concerned = "balancers" in host.groups

install_configs(
    configs=nginx.configs(host.run.cluster, host.declared) if concerned else [],
    name="nginx",
)
