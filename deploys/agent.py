"""The hosts in `apps` and `balancers`: the agent, which brings them to what the ledger says."""

from deploys.components import agent
from deploys.components.runtime import release
from deploys.engine.operations import install_configs
from deploys.engine.run import here

host = here()
runtime = release(host.settings, host.facts).name

install_configs(configs=agent.configs(host.run.cluster, host.declared, runtime), name="Agent")
