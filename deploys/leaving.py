"""The host in `databases`: services that are declared no more end their requests and leave.

Before anything else of them goes: only balancers and agents that still know them can see to it.
"""

from deploys.engine.instances import leave, progress_of_leaving
from deploys.engine.operations import converge_postgresql, wait_for_leaving
from deploys.engine.run import here

host = here()
concerned = "databases" in host.groups and bool(host.run.cluster.group("apps"))

converge_postgresql(
    plan=leave if concerned else None,
    what="instances",
    at_first=False,
    name="Instances that are to leave",
)
wait_for_leaving(
    progress=progress_of_leaving if concerned else None,
    name="Instances have left",
)
