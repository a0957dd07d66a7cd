"""The hosts in `apps`: what instances are to run; in `databases`: the sample's data."""

from deploys.components import generations, services
from deploys.components.runtime import release
from deploys.engine.instances import give_generations, wanted_generations
from deploys.engine.operations import install_configs
from deploys.engine.run import here

host = here()
cluster, declared = host.run.cluster, host.declared

configs = generations.config(
    cluster, declared, wanted_generations(), release(host.settings, host.facts).name
)

give_generations(configs)
install_configs(configs=services.data(declared), name="Sample data")
install_configs(configs=configs, name="Services")
