"""Generations: everything an instance of a service is started with, named by its digest.

A host has several side by side. Which instance runs which is the agents' business; which is wanted
is declared in `declaration`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from deploys.components import credentials, services
from deploys.components.services import ServiceRelease
from deploys.engine import tools
from deploys.engine.resources import Activation, ConfigSet, Directory, Facts, File, digest_of
from stellwerk.settings.cluster import Cluster, ClusterHost

FOLDER = "/etc/stellwerk/generations"
_ANY_ADDRESS = "ADDRESS"  # stands for the host's own, as a generation is one for all hosts


@dataclass(frozen=True)
class Generation:
    """What the instances of a service are to run, on whichever host."""

    service: str
    digest: str
    release: str

    @property
    def folder(self) -> str:
        return f"{FOLDER}/{self.service}/{self.digest}"

    @property
    def unit(self) -> str:
        """The path of its template unit."""
        return f"{self.folder}/{self.service}@.service"


def wanted(cluster: Cluster, runtime: str) -> Mapping[str, Generation]:
    """The generation of each service that the settings come to, by name.

    Where app hosts have settings of their own, a change of any of them is a new generation of all.
    """
    apps = cluster.group("apps")
    if not apps:
        return {}
    found = {}
    for name in sorted(apps[0].settings.services):
        digests = {app.name: _digest(cluster, app, name, runtime) for app in apps}
        alike = len(set(digests.values())) == 1
        digest = digests[apps[0].name] if alike else digest_of(sorted(digests.items()))
        release = services.release_of(apps[0].settings, name, runtime)
        found[name] = Generation(name, digest, release.name)
    return found


def config(
    cluster: Cluster, declared: ClusterHost, generations: Mapping[str, Generation], runtime: str
) -> tuple[ConfigSet, ...]:
    """The folders of the wanted generations, beside those that are there; old ones are pruned."""
    if "apps" not in declared.groups:
        return ()
    settings = declared.settings
    known = [one for one in generations.values() if one.service in settings.services]
    files = [services.slice_file(), *services.own_credentials(declared)]
    for one in known:
        release = services.release_of(settings, one.service, runtime)
        files += _files(cluster, declared, one, release)
    folders = (FOLDER, *(path for one in known for path in (f"{FOLDER}/{one.service}", one.folder)))
    kept = [f"{one.service}:{one.digest}" for one in known]
    prune = (*tools.RUN.split(), "prune-generations", str(settings.runtime.releases_kept), *kept)
    return (
        ConfigSet(
            "services",
            files=tuple(files),
            directories=tuple(Directory(path) for path in folders),
            activation=Activation(daemon_reload=True, commands=(prune,)),
            lasting=(FOLDER, credentials.FOLDER),
        ),
    )


def is_on(facts: Facts, generation: Generation) -> bool:
    """Whether a host had the generation when its facts were read."""
    return facts.get("files", {}).get(generation.unit) is not None


def _files(
    cluster: Cluster, declared: ClusterHost, generation: Generation, release: ServiceRelease
) -> Iterator[File]:
    settings, name, folder = declared.settings, generation.service, generation.folder
    unit = services.unit(settings, name, settings.services[name], release, folder)
    environment = services.environment(cluster, declared, name, declared.address)
    yield File(f"{folder}/release", f"{release.name}\n")
    yield File(f"{folder}/environment", environment, mode=0o600)
    yield File(generation.unit, unit)
    # The template that a unit of this name is an instance of, for an instance without a pin.
    yield File(f"{services.UNITS}/{name}@.service", unit)


def _digest(cluster: Cluster, declared: ClusterHost, name: str, runtime: str) -> str:
    settings = declared.settings
    if name not in settings.services:
        return ""
    service = settings.services[name]
    passwords = credentials.wanted(declared)
    shared = [passwords[path.rpartition("/")[2]] for path in services.shared_credentials().values()]
    own = {key: secret.get_secret_value() for key, secret in service.credentials.items()}
    release = services.release_of(settings, name, runtime)
    return digest_of(
        services.unit(settings, name, service, release, FOLDER),
        services.environment(cluster, declared, name, _ANY_ADDRESS),
        shared,
        own,
        release.name,
    )
