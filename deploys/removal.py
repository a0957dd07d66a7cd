"""Every host: what its groups do not need any more is taken off it, after instances have left."""

from deploys.components import removal
from deploys.engine.instances import removal_waits_for
from deploys.engine.operations import remove_parts
from deploys.engine.run import here

host = here()

remove_parts(
    plan=lambda facts: removal.plan(host.declared, facts, removal_waits_for()),
    name="What is declared no more",
)
