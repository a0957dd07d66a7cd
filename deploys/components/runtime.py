"""The release of the runtime that suits a host."""

from deploys.engine.release import release_for
from deploys.engine.resources import Facts
from deploys.engine.tree import Release
from stellwerk.settings import Settings


def release(settings: Settings, facts: Facts) -> Release:
    system = facts["system"]
    return release_for(system["python"], system["architecture"], settings.runtime.prefix)
