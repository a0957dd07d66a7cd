"""Every host: each unit is healthy, and the components work together. Changes nothing."""

from deploys.components import checks
from deploys.engine.operations import verify
from deploys.engine.run import here, placed_instances

host = here()

verify(
    checks=checks.wanted(host.run.cluster, host.declared, host.facts, placed_instances()),
    name="Verify",
)
