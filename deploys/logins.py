"""The host in `databases`: logins of passwords of before are withdrawn once nobody uses them."""

from deploys.engine.logins import uses
from deploys.engine.operations import withdraw_logins
from deploys.engine.run import here

host = here()

withdraw_logins(
    uses=uses if "databases" in host.groups else None,
    name="PostgreSQL passwords of before",
)
