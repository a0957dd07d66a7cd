"""The hosts in `apps`: the releases of the users' programs, beside those that run."""

from deploys.components import programs
from deploys.engine.operations import install_programs
from deploys.engine.run import here

host = here()

install_programs(
    programs=programs.build(host.declared, host.facts),
    keep=host.settings.runtime.releases_kept,
    name="Programs",
)
