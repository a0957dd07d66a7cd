"""Every host: packages of all its groups, users, limits, kernel, journal, clock, settings."""

from functools import partial

from deploys.components import base, credentials, packages, postgresql, tls
from deploys.engine.logins import refuse_unknown_passwords
from deploys.engine.operations import converge_postgresql, install_configs, install_packages
from deploys.engine.run import here

host = here()
refuse_unknown_passwords()

install_packages(
    packages=packages.wanted(host.declared, host.facts),
    masked=packages.masked(host.declared, host.facts),
    lock_timeout_seconds=host.settings.base.apt_lock_timeout_seconds,
    name="Packages",
)
# Before any host is given them: whatever starts there can log in at any moment.
converge_postgresql(
    plan=partial(postgresql.new_logins, host.settings) if "databases" in host.groups else None,
    what="passwords",
    at_first=False,
    name="PostgreSQL passwords that are new",
)
install_configs(
    configs=[
        *base.configs(host.run.cluster, host.declared),
        credentials.config(host.declared),
        *tls.config(host.certificate),
    ],
    name="Base",
)
