"""The hosts in `apps`: the services' units and instances; in `databases`: the sample's data."""

from deploys.components import instances, services
from deploys.components.runtime import release
from deploys.engine.operations import install_configs, roll_instances, start_instances
from deploys.engine.run import here, placed_instances

host = here()
cluster, declared = host.run.cluster, host.declared
placed = placed_instances()
mine = {one.name for one in instances.on(declared, placed)}

install_configs(configs=services.data(declared), name="Sample data")
install_configs(configs=services.configs(cluster, declared), name="Services")
wanted = services.instances(cluster, declared, placed, release(host.settings, host.facts).name)
start_instances(
    wanted=wanted,
    absent=lambda present: present.keys() - mine,
    concerned="apps" in host.groups,
    name="Instances that do not run",
)
roll_instances(
    wanted=wanted,
    prefix=host.settings.runtime.prefix,
    concerned="apps" in host.groups,
    name="Instances of an old generation",
    _serial=True,
)
