"""Loads the settings of a whole cluster: reads and checks all layers, gives each host its own.

Every problem is collected, and none of it needs a host to be contacted.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from pydantic import ValidationError

from stellwerk.settings import (
    addresses,
    checks,
    group_data,
    inventory,
    layers,
    overrides,
    secret_store,
    validation,
)
from stellwerk.settings.errors import SettingsError, did_you_mean
from stellwerk.settings.hosts import Cluster, ClusterHost
from stellwerk.settings.inventory import Inventory, InventoryHost
from stellwerk.settings.layers import Layer
from stellwerk.settings.schema import KeyPath, root
from stellwerk.settings.secrets import SecretSource

__all__ = ["Cluster", "ClusterHost", "SettingsError", "load_cluster"]

# What pyinfra and its connectors read from a host's data.
_CONNECTOR_PREFIXES: Final = (
    "_",
    "ssh_",
    "fake_",
    "local_",
    "docker_",
    "dockerssh_",
    "podman_",
    "chroot_",
)
_HOST_KEYS: Final = ("address", "lab_release")


def load_cluster(
    inventory: Path,
    group_data: Sequence[Path],
    overrides: Mapping[str, Any] | None = None,
    generate_secrets: bool = True,
    resolve: addresses.Resolve = addresses.resolve,
) -> Cluster:
    """Return all hosts of `inventory` with their settings.

    + inventory: the file pyinfra reads; secrets.yaml is looked for beside it
    + group_data: folders of settings files; later ones win
    + overrides: values by dotted key, as given with --data
    + generate_secrets: whether missing secrets are generated and kept in secrets.yaml
    + resolve: how a host's name becomes an address

    Raises SettingsError with every problem found. Nothing is generated then.
    """
    return _Loading(inventory, group_data, overrides or {}, resolve).cluster(generate_secrets)


class _Loading:
    """One load: the checked layers, and the problems so far."""

    def __init__(
        self,
        inventory_path: Path,
        folders: Sequence[Path],
        given: Mapping[str, Any],
        resolve: addresses.Resolve,
    ) -> None:
        self.folder = inventory_path.parent
        self.resolve = resolve
        self.inventory: Inventory = inventory.read(inventory_path)
        self.problems: list[str] = list(self.inventory.problems)
        names = [*self.inventory.groups, *(host.name for host in self.inventory.hosts)]
        read = group_data.read(folders, {*names, *inventory.KNOWN_GROUPS})
        self.problems += read.problems
        self.read = read
        self.packaged = layers.packaged()
        self.sections = self._check_all(read.sections)
        self.everyone = self._check_all([self.inventory.all_data, *read.everyone])
        self.overrides = self._check(overrides.layer(given))
        self.hosts = {
            host.key: self._check(host.data, _HOST_KEYS, whole_cluster=False)
            for host in self.inventory.hosts
        }
        self.named = {
            name: self._check_all(found, whole_cluster=False)
            for name, found in read.by_name.items()
        }
        self.groups = {
            name: self._check(group.data, whole_cluster=False)
            for name, group in self.inventory.groups.items()
        }

    def cluster(self, generate_secrets: bool) -> Cluster:
        command = self._secret_command()
        secrets = self._secrets(command)
        cluster = self._build(secrets)
        missing = secret_store.missing(secrets)
        if generate_secrets and missing and command:
            self.problems += [
                f"{secrets.source}: {'.'.join(path)}: is missing in what the command printed"
                for path in missing
            ]
        if cluster is None or self.problems:
            raise SettingsError(self.problems)
        if generate_secrets and missing:
            cluster = self._build(secret_store.complete(self.folder / secret_store.FILE_NAME))
        if cluster is None:
            raise SettingsError(self.problems)
        return cluster

    def _build(self, secrets: Layer) -> Cluster | None:
        """Return the cluster; None where some host's settings are not valid."""
        hosts: dict[str, ClusterHost] = {}
        for declared in self.inventory.hosts:
            host = self._host(declared, secrets)
            if host is not None:
                hosts[host.key] = host
        if len(hosts) < len(self.inventory.hosts):
            return None
        members = {name: group.hosts for name, group in self.inventory.groups.items()}
        cluster = Cluster(MappingProxyType(hosts), MappingProxyType(members))
        self.problems += checks.cluster_problems(cluster)
        return cluster

    def _host(self, declared: InventoryHost, secrets: Layer) -> ClusterHost | None:
        own = (*self._layers_of(declared), secrets)

        def where(path: KeyPath) -> str:
            return layers.locate(own, path) or f"host {declared.name}"

        address = self._address(declared)
        try:
            settings = validation.validate(layers.merged(own), where)
        except SettingsError as error:
            self.problems += error.sentences
            return None
        self.problems += [
            f"{where(path)}: {'.'.join(path)}: {problem}"
            for path, problem in checks.section_problems(settings)
        ]
        if address is None:
            return None
        return ClusterHost(
            declared.key,
            declared.name,
            declared.groups,
            address,
            settings,
            MappingProxyType(self._connection_of(declared)),
            own,
        )

    def _layers_of(self, host: InventoryHost) -> Iterator[Layer]:
        """Yield a host's layers but the secrets, lowest first: the order that explains values."""
        yield self.packaged
        yield from self.sections
        yield from self.everyone
        for group in host.groups:
            yield self.groups[group]
            yield from self.named.get(group, ())
        yield from self.named.get(host.name, ())
        yield self.hosts[host.key]
        yield self.overrides

    def _connection_of(self, host: InventoryHost) -> dict[str, Any]:
        """What pyinfra reads of a host: from the host, else its last group, else everyone."""
        layers = [self.inventory.all_data, *self.read.everyone]
        for group in host.groups:
            layers += [self.inventory.groups[group].data, *self.read.by_name.get(group, ())]
        return {
            key: value
            for layer in (*layers, host.data)
            for key, value in layer.values.items()
            if key.startswith(_CONNECTOR_PREFIXES)
        }

    def _address(self, host: InventoryHost) -> str | None:
        try:
            return addresses.address_of(host, self.resolve)
        except ValueError as error:
            self.problems.append(f"{host.data.where(('address',))}: host {host.name}: {error}")
            return None

    def _secret_command(self) -> list[str] | None:
        shared = (self.packaged, *self.sections, *self.everyone, self.overrides)
        try:
            return SecretSource.model_validate(layers.merged(shared)["secrets"]).command
        except ValidationError:
            return None  # every host's validation says so

    def _secrets(self, command: list[str] | None) -> Layer:
        path = self.folder / secret_store.FILE_NAME
        if command and path.exists():
            self.problems.append(
                f"{path}: secrets.command is set as well; keep one of them, so that it is clear"
                " which secrets count"
            )
        try:
            if command:
                return self._check(secret_store.read_command(command, self.folder))
            return self._check(secret_store.read_file(path))
        except SettingsError as error:
            self.problems += error.sentences
            return Layer(str(path), {}, secret=True)

    def _check_all(self, found: Iterable[Layer], whole_cluster: bool = True) -> list[Layer]:
        return [self._check(layer, whole_cluster=whole_cluster) for layer in found]

    def _check(
        self, layer: Layer, host_keys: Sequence[str] = (), whole_cluster: bool = True
    ) -> Layer:
        """Return the layer's settings, without what pyinfra reads and what cannot stand there."""
        values = {}
        for key, value in layer.values.items():
            if key.startswith(_CONNECTOR_PREFIXES) or key in host_keys:
                continue
            if key not in root().fields:
                known = (*root().fields, *host_keys)
                self.problems.append(
                    layer.sentence((key,), f"unknown key{did_you_mean(key, known)}")
                )
            elif key == "secrets" and not whole_cluster:
                self.problems.append(
                    layer.sentence(
                        (key,), "is for the whole cluster; set it in group_data/secrets.py"
                    )
                )
            else:
                values[key] = value
        clean, problems = layers.checked(Layer(layer.source, values, layer.lines, layer.secret))
        self.problems += problems
        return clean
