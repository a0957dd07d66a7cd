"""The host in `databases`: declares what is to run, and waits until the agents have done it.

Every host: instances whose service or port is gone, or that do not belong there, are stopped.
"""

from deploys.components import declaration
from deploys.engine.instances import (
    kept_generations,
    progress_of_services,
    strays,
    wanted_instances,
)
from deploys.engine.operations import converge_postgresql, remove_instances, wait_for_instances
from deploys.engine.run import here

host = here()
concerned = "databases" in host.groups and bool(host.run.cluster.group("apps"))

converge_postgresql(
    plan=(lambda answer: declaration.plan(wanted_instances(), answer)) if concerned else None,
    what="instances",
    name="Instances",
)
wait_for_instances(
    wanted=wanted_instances if concerned else None,
    progress=progress_of_services,
    name="Instances run as declared",
)
remove_instances(
    names=lambda facts: strays(host.declared, facts),
    keep=host.settings.runtime.releases_kept,
    kept=kept_generations(host.declared),
    name="Instances that are declared no more",
)
