"""The settings of this invocation of pyinfra, read and validated before any host is contacted."""

from collections.abc import Iterable
from datetime import UTC, datetime
from difflib import get_close_matches
from fnmatch import fnmatch
from pathlib import Path

import click
from pyinfra.api.exceptions import PyinfraError

from deploys.components.tls import HostCertificate
from deploys.engine import program_source
from deploys.engine.program_source import Source, SourceError
from stellwerk.settings.cluster import Cluster, SettingsError, load_cluster
from stellwerk.settings.layers import locate
from stellwerk.settings.program import Program

CONNECTOR_PREFIXES = ("ssh_", "_")

_loaded: list[Cluster] = []
_dry: list[bool] = []
_certificates: dict[str, HostCertificate] = {}
_sources: dict[Program, Source] = {}
_alertmanagers: dict[str, str] = {}


class Refused(PyinfraError):
    """The run cannot go on; the message says where and what to do."""


def load() -> None:
    """Read inventory, group_data, secrets and --data as pyinfra's command line names them.

    Called once from config.py, where the command line is at hand.

    Raises:
        Refused: settings are wrong; every problem is one line.
    """
    parameters = click.get_current_context().params
    inventory = Path(parameters["inventory"])
    if not inventory.is_file():
        return
    folders = [Path("group_data"), inventory.resolve().parent / "group_data"]
    folders += [Path(folder) for folder in parameters["group_data"] or ()]
    distinct = {folder.resolve(): folder for folder in folders if folder.is_dir()}
    pairs = [argument.partition("=") for argument in parameters["data"]]
    try:
        cluster = load_cluster(
            inventory=inventory,
            group_data=list(distinct.values()),
            overrides={
                key: value for key, _, value in pairs if not key.startswith(CONNECTOR_PREFIXES)
            },
            generate_secrets=True,
        )
    except SettingsError as error:
        raise Refused(f"nothing was changed, as the settings are wrong:\n{error}") from error
    if any(parameters[name] for name in ("dry", "debug_facts", "debug_operations")):
        _dry.append(True)
    _check_chosen(cluster, (*(parameters["limit"] or ()), *(parameters["exclude"] or ())))
    _check_connections(cluster)
    _check_ledger(cluster)
    _certificates.update(_certificates_of(cluster, inventory.resolve().parent))
    _sources.update(sources_of(cluster, inventory.parent, list(distinct.values())))
    _alertmanagers.update(_alertmanagers_of(cluster, inventory.parent))
    _loaded.append(cluster)


def _certificates_of(cluster: Cluster, folder: Path) -> dict[str, HostCertificate]:
    declared = [host for host in cluster.hosts.values() if host.settings.tls.enabled]
    if not declared:
        return {}
    # Loaded where it is needed only: X.509 takes 40 ms of each run.
    from deploys.engine import certificate_store
    from deploys.engine.certificates import Subject

    hosts = [
        (Subject(host.name, host.address), host.settings.tls.certificate_days) for host in declared
    ]
    try:
        return certificate_store.complete(folder, hosts, datetime.now(UTC))
    except certificate_store.CertificateError as error:
        raise Refused(f"nothing was changed: {error}") from error


def sources_of(
    cluster: Cluster, project: Path, settings_folders: Iterable[Path]
) -> dict[Program, Source]:
    """What the services' programs are made of; `project` is the inventory's folder.

    Raises:
        Refused: a program cannot be taken; every problem is one line.
    """
    found: dict[Program, Source] = {}
    problems: dict[str, None] = {}
    for app in cluster.group("apps"):
        for name, service in app.settings.services.items():
            if service.program is None or service.program in found:
                continue
            try:
                found[service.program] = program_source.read(
                    project, service.program, settings_folders
                )
            except SourceError as error:
                path = ("services", name, "program", error.key)
                where = locate(app.layers, path) or f"host {app.name}"
                problems[f"{where}: {'.'.join(path)}: {error}"] = None
    if problems:
        raise Refused("\n".join(("nothing was changed, as the settings are wrong:", *problems)))
    return found


def source_of(program: Program) -> Source:
    """What a service's program is made of."""
    return _sources[program]


def _alertmanagers_of(cluster: Cluster, project: Path) -> dict[str, str]:
    """The users' own configurations for Alertmanager, by host."""
    found = {}
    for one in cluster.group("monitors"):
        about = one.settings.monitoring.prometheus
        if about.enabled and about.alertmanager_file is not None:
            path = project / about.alertmanager_file
            try:
                found[one.name] = path.read_text()
            except (OSError, UnicodeDecodeError) as error:
                key = ("monitoring", "prometheus", "alertmanager_file")
                where = locate(one.layers, key) or f"host {one.name}"
                raise Refused(
                    f"nothing was changed: {where}: {'.'.join(key)}: {path} cannot be read:"
                    f" {getattr(error, 'strerror', None) or error}"
                ) from error
    return found


def _check_chosen(cluster: Cluster, patterns: Iterable[str]) -> None:
    """A misspelt --limit would make a run that does nothing and ends well."""
    hosts = cluster.hosts.values()
    names = {*cluster.hosts, "all", *(group for host in hosts for group in host.groups)}
    for pattern in patterns:
        if not any(fnmatch(name, pattern) for name in names):
            near = get_close_matches(pattern, names, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise Refused(f"{pattern} is no host and no group of the inventory{hint}")


def _check_ledger(cluster: Cluster) -> None:
    """Without PostgreSQL nothing says which instances are to run."""
    if cluster.group("apps") and not cluster.group("databases"):
        raise Refused(
            "nothing was changed: group databases has no host, and the ledger of the instances in"
            " apps is kept there; put one into it in the inventory"
        )


def _check_connections(cluster: Cluster) -> None:
    """A missing ssh_config would be passed over, and the bare address dialled instead."""
    for host in cluster.hosts.values():
        config = host.data.get("ssh_config_file")
        if config and not Path(config).expanduser().is_file():
            raise Refused(
                f"{host.name}: its ssh_config_file {config} does not exist, so there is no way to"
                " the host; is this the lab, run `make lab-up` first"
            )


def is_dry() -> bool:
    """Whether this invocation only shows what would change."""
    return bool(_dry)


def cluster() -> Cluster:
    """The settings of all hosts.

    Raises:
        Refused: pyinfra was started without an inventory file.
    """
    if not _loaded:
        raise Refused("Stellwerk needs an inventory file; see the shipped one, `inventory`")
    return _loaded[0]


def alertmanager_of(host: str) -> str | None:
    """What a host's Alertmanager is told; None where the settings name no file."""
    return _alertmanagers.get(host)


def certificate_of(host: str) -> HostCertificate | None:
    """A host's certificate by its name; None where TLS is off."""
    return _certificates.get(host)
