"""Every host: the release of the stellwerk runtime."""

from deploys.components.runtime import release
from deploys.engine.operations import install_release
from deploys.engine.run import here

host = here()

install_release(
    release=release(host.settings, host.facts),
    keep=host.settings.runtime.releases_kept,
    name="Runtime",
)
