"""The host in `databases`: PostgreSQL tuned for it, its roles and the product's database."""

from functools import partial

from deploys.components import postgresql
from deploys.engine.operations import converge_postgresql, install_configs, restart_postgresql
from deploys.engine.run import here

host = here()
settings = host.settings
concerned = "databases" in host.groups

install_configs(
    configs=(
        *postgresql.certificates(host.facts, host.certificate),
        postgresql.config(host.run.cluster, host.declared, host.facts),
    )
    if concerned
    else (),
    name="PostgreSQL",
)
converge_postgresql(
    plan=partial(postgresql.statements, settings) if concerned else None,
    what="roles and database",
    name="PostgreSQL roles and database",
)
restart_postgresql(
    pending=postgresql.pending if concerned else None,
    unit=postgresql.unit(host.facts),
    allowed=bool(settings.postgresql.allow_restart),
    name="PostgreSQL restart, if one waits",
)
