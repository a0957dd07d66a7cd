"""What is rehearsed: a user's inventory and settings, as the lab boots and deploys them.

The copy names every host in a way that no resolver knows: without the lab's SSH configuration a run
has no way to any host, and with it only into the lab's network.
"""

from ast import literal_eval
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import AddressValueError, IPv4Address, IPv4Network
from pathlib import Path
from secrets import token_urlsafe
from typing import Any

import yaml

from stellwerk.settings import addresses, inventory
from stellwerk.settings.cluster import Cluster, ClusterHost, load_cluster
from stellwerk.settings.inventory import Inventory, InventoryHost
from stellwerk.settings.secret_store import FILE_NAME
from stellwerk.settings.types import Secret
from tests.lab import files, ssh_access
from tests.lab.errors import LabError
from tests.lab.inventory import DEFAULT_RELEASE

# Of the lab's own range, for hosts that have no IPv4 address on this machine.
SUBSTITUTES = IPv4Network("198.18.200.0/24")
CONNECTION = ("ssh_", "_")  # what pyinfra reads of a host to reach it
TOKEN_BYTES = 32


@dataclass(frozen=True)
class Stage:
    """A cluster as it is rehearsed, and the files in `folder` that pyinfra and the lab read.

    + source: the user's inventory
    + addresses: of each host by its name; `substituted` have another one than in production
    + group_data: the folder of settings beside the user's inventory
    """

    source: Path
    folder: Path
    cluster: Cluster
    addresses: Mapping[str, str]
    substituted: tuple[str, ...]
    group_data: Path

    @property
    def inventory(self) -> Path:
        """The inventory that pyinfra gets."""
        return self.folder / "inventory"

    @property
    def booted(self) -> Path:
        """The inventory that the lab boots."""
        return self.folder / "booted"


@dataclass(frozen=True)
class Door:
    """What clients ask: a balancer's nginx or HAProxy, there or on another host."""

    name: str
    host: str
    url: str


@dataclass
class Substitutes:
    """Gives addresses to names that cannot be resolved here, or not to IPv4."""

    made_up: dict[str, str] = field(default_factory=dict)

    def resolve(self, name: str) -> str:
        """The IPv4 address of a name, or a made up one."""
        try:
            return self.of(addresses.resolve(name))
        except OSError:
            return self._make_up(name)

    def of(self, address: str) -> str:
        """The address itself where the lab can have it, or a made up one."""
        try:
            return str(IPv4Address(address))
        except AddressValueError:
            return self._make_up(address)

    def _make_up(self, name: str) -> str:
        if name not in self.made_up:
            self.made_up[name] = str(SUBSTITUTES[len(self.made_up) + 1])
        return self.made_up[name]


def prepare(path: Path, project: Path, folder: Path, ssh_config: Path) -> Stage:
    """Write all that a rehearsal of the inventory at `path` needs into `folder`.

    + project: where runs start, with a group_data of its own
    + ssh_config: how the lab's hosts are reached

    Raises:
        SettingsError: inventory or settings are wrong; every problem is one sentence.
        LabError: a value of the inventory cannot be written down.
    """
    home = path.resolve().parent
    substitutes = Substitutes()
    folders = {one: None for one in (project / "group_data", home / "group_data") if one.is_dir()}
    cluster = load_cluster(
        path, tuple(folders), generate_secrets=False, resolve=substitutes.resolve
    )
    given = {one.name: substitutes.of(one.address) for one in cluster.hosts.values()}
    made_up = substitutes.made_up.values()
    stage = Stage(
        path,
        folder,
        cluster,
        given,
        tuple(name for name, address in given.items() if address in made_up),
        home / "group_data",
    )
    read = inventory.read(path)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    files.write(stage.booted, booted(read, given))
    files.write(stage.inventory, deployed(read, cluster, given, ssh_config))
    given_secrets = next(iter(cluster.hosts.values())).layers[-1].values
    files.write(folder / FILE_NAME, yaml.safe_dump(replaced(given_secrets)), mode=0o600)
    return stage


def doors(stage: Stage) -> tuple[Door, ...]:
    """Every balancer's public door, and HAProxy's of each service."""
    return tuple(_doors(stage))


def _doors(stage: Stage) -> Iterator[Door]:
    for one in stage.cluster.group("balancers"):
        settings, address = one.settings, stage.addresses[one.name]
        if settings.nginx.default_service:
            url = f"http://{address}:{settings.nginx.port}/"
            yield Door(f"{one.name}:nginx", one.name, url)
        for name, service in settings.services.items():
            if service.listen_port is not None:
                url = f"http://{address}:{service.listen_port}{service.health_path}"
                yield Door(f"{one.name}:{name}", one.name, url)


def booted(read: Inventory, given: Mapping[str, str]) -> str:
    """The inventory of the lab: names, addresses and Debian releases."""
    hosts = [
        (
            one.name,
            {
                "ssh_hostname": given[one.name],
                "lab_release": one.data.values.get("lab_release", DEFAULT_RELEASE),
            },
        )
        for one in read.hosts
    ]
    return f"hosts = {hosts!r}\n"


def deployed(read: Inventory, cluster: Cluster, given: Mapping[str, str], ssh_config: Path) -> str:
    """The inventory of pyinfra: groups and settings as they are, connections into the lab.

    Raises LabError where the data of host or group is not made of plain values.
    """
    names = {one.key: one.name for one in read.hosts}
    hosts = [
        (
            one.name,
            {
                **_settings_of(one.data.values),
                "services": _services(one, cluster, Path(read.source).resolve().parent),
                **_connection(cluster.hosts[one.key], given[one.name], ssh_config),
            },
        )
        for one in read.hosts
    ]
    lines = [_assignment("all", hosts, _settings_of(read.all_data.values))]
    for name, group in read.groups.items():
        members = [names[key] for key in group.hosts]
        lines.append(_assignment(name, members, _settings_of(group.data.values)))
    return "".join(lines)


def replaced(secrets: Mapping[str, Any]) -> dict[str, Any]:
    """Secrets of the same shape with other values: those of production stay out of the lab."""
    return {key: _replaced(value) for key, value in secrets.items()}


def _replaced(value: Any) -> Any:
    if isinstance(value, Mapping):
        return replaced(value)
    return token_urlsafe(TOKEN_BYTES) if isinstance(value, Secret | str) else value


def _settings_of(data: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in data.items() if not key.startswith(CONNECTION)}


def _services(host: InventoryHost, cluster: Cluster, home: Path) -> dict[str, Any]:
    """The host's own settings of services, and where programs lie: theirs may be relative."""
    services = {name: dict(one) for name, one in host.data.values.get("services", {}).items()}
    for name, service in cluster.hosts[host.key].settings.services.items():
        if service.program is not None:
            own = services.setdefault(name, {})
            program = {**own.get("program", {}), "source": str(home / service.program.source)}
            if service.program.requirements is not None:
                program["requirements"] = str(home / service.program.requirements)
            own["program"] = program
    return services


def _connection(host: ClusterHost, address: str, ssh_config: Path) -> dict[str, Any]:
    """How the host is reached in the lab, and nothing left of how it is reached in production."""
    return {
        **{key: False if key == "_sudo" else None for key in host.data},
        "address": address,
        "ssh_hostname": ssh_access.unreachable(host.name),
        "ssh_user": "root",
        "ssh_config_file": str(ssh_config),
        "ssh_strict_host_key_checking": "yes",
    }


def _assignment(name: str, members: Sequence[Any], data: Mapping[str, Any]) -> str:
    line = f"{name} = {(list(members), dict(data))!r}\n"
    try:
        literal_eval(line.partition(" = ")[2])
    except (ValueError, SyntaxError):
        raise LabError(
            f"The group {name} cannot be rehearsed: the settings in the inventory have to be plain"
            " values; put what is computed into a file in group_data."
        ) from None
    return line
