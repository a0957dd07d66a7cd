"""Every host: each unit is healthy, and the components work together. Changes nothing."""

from deploys.components import checks
from deploys.engine.instances import ledger
from deploys.engine.operations import verify
from deploys.engine.run import here, redis_facts

host = here()

verify(
    checks=lambda: checks.wanted(
        host.run.cluster, host.declared, host.facts, ledger(), reachable=redis_facts().keys()
    ),
    name="Verify",
)
