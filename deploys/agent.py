"""The hosts in `apps` and `balancers`: the agent, which brings them to what the ledger says."""

from deploys.components import agent
from deploys.components.runtime import release
from deploys.engine.instances import new_health_paths
from deploys.engine.operations import install_configs, try_health_paths
from deploys.engine.run import here

host = here()
runtime = release(host.settings, host.facts).name

try_health_paths(checks=new_health_paths, name="Paths of health checks")
install_configs(configs=agent.configs(host.run.cluster, host.declared, runtime), name="Agent")
