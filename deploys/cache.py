"""The hosts in `apps`: the cache daemon, which invalidates and warms what services keep."""

from deploys.components import cache
from deploys.components.runtime import release
from deploys.engine.operations import install_configs
from deploys.engine.run import here

host = here()
runtime = release(host.settings, host.facts).name

install_configs(
    configs=cache.configs(host.run.cluster, host.declared, runtime, host.certificate),
    name="Cache daemon",
)
