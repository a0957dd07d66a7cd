"""Every host: packages of all its groups, users, limits, kernel, journal, clock, settings."""

from deploys.components import base, credentials, packages, tls
from deploys.engine.operations import install_configs, install_packages
from deploys.engine.run import here

host = here()

install_packages(
    packages=packages.wanted(host.declared, host.facts),
    masked=packages.masked(host.declared),
    lock_timeout_seconds=host.settings.base.apt_lock_timeout_seconds,
    name="Packages",
)
install_configs(
    configs=[
        *base.configs(host.run.cluster, host.declared),
        credentials.config(host.declared),
        *tls.config(host.certificate),
    ],
    name="Base",
)
