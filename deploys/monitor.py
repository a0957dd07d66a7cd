"""Every host: the monitor, which measures what is there and raises alerts."""

from deploys.components import monitor
from deploys.components.runtime import release
from deploys.engine.operations import install_configs
from deploys.engine.run import here

host = here()
runtime = release(host.settings, host.facts).name

install_configs(
    configs=monitor.configs(host.run.cluster, host.declared, runtime, host.certificate),
    name="Monitor",
)
