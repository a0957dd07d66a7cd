"""The host in `databases`: PostgreSQL tuned for it, its roles and the product's database."""

from deploys.components import postgresql
from deploys.engine.operations import converge_postgresql, install_configs, restart_postgresql
from deploys.engine.run import here

host = here()
settings = host.settings
concerned = "databases" in host.groups

install_configs(
    configs=[postgresql.config(host.run.cluster, host.declared, host.facts)] if concerned else [],
    name="PostgreSQL",
)
converge_postgresql(
    plan=lambda answer: postgresql.statements(settings, answer) if concerned else (),
    what="roles and database",
    name="PostgreSQL roles and database",
)
restart_postgresql(
    pending=lambda answer: postgresql.pending(answer) if concerned else (),
    unit=postgresql.unit(host.facts),
    allowed=bool(settings.postgresql.allow_restart),
    name="PostgreSQL restart, if one waits",
)
