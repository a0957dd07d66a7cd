"""The host in `databases`: PostgreSQL tuned for it, its roles and the product's database."""

from deploys.components import postgresql
from deploys.engine.operations import converge_postgresql, install_configs
from deploys.engine.run import here

host = here()

if "databases" in host.groups:
    settings = host.settings
    install_configs(
        configs=[postgresql.config(host.run.cluster, host.declared, host.facts)], name="PostgreSQL"
    )
    # Extensions and privileges live inside the database, so it must exist before they are compared.
    for what in ("PostgreSQL roles and database", "PostgreSQL privileges"):
        converge_postgresql(
            plan=lambda answer: postgresql.statements(settings, answer), what=what, name=what
        )
