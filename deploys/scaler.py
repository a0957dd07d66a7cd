"""The hosts in `monitors`: the scaler, which writes how many instances each service is to have."""

from deploys.components import scaler
from deploys.components.runtime import release
from deploys.engine.operations import install_configs
from deploys.engine.run import here

host = here()
runtime = release(host.settings, host.facts).name

install_configs(configs=scaler.configs(host.run.cluster, host.declared, runtime), name="Scaler")
