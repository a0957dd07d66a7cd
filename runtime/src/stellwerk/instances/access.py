"""How a command on a host of the cluster gets to the ledger: settings, role and password there."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from stellwerk.database.logins import login_of
from stellwerk.instances.availability import Cluster
from stellwerk.instances.configuration import LedgerAddress
from stellwerk.instances.model import Snapshot
from stellwerk.instances.store import Ledger
from stellwerk.remote import operator
from stellwerk.settings.errors import SettingsError, did_you_mean
from stellwerk.settings.files import HostFile, read_host_file
from stellwerk.settings.services import Service

FOLDER: Final = Path("/etc/stellwerk")
"""Where deploys put what this needs: settings.yaml, credentials, the authority's certificate."""
_AUTHORITY: Final = "tls/ca.pem"
_READING_GROUPS: Final = ("monitors", "databases", "apps", "balancers")
_CHANGING_GROUPS: Final = ("monitors", "databases")
_LEDGER: Final = "postgresql.ledger"
_AGENT: Final = "postgresql.agent"


class AccessError(Exception):
    """This user or host may not do what is asked; the message is one sentence."""


@dataclass(frozen=True)
class Access:
    """The ledger, what the host knows of the cluster, and who asks."""

    host: HostFile
    ledger: Ledger
    operator: str

    def cluster(self, snapshot: Snapshot) -> Cluster:
        """What the ledger says, with what the settings say of balancers and agents."""
        settings = self.host.settings
        return Cluster(
            snapshot,
            balancers=tuple(one.name for one in self.host.group("balancers")),
            balanced=frozenset(
                name for name, service in settings.services.items() if service.balancer
            ),
            lost_after=timedelta(seconds=settings.agent.lost_after_seconds),
            ports={name: settings.ports(name) for name in settings.services},
        )

    def service(self, name: str) -> Service:
        """The settings of a service. Raises SettingsError naming the nearest."""
        services = self.host.settings.services
        if name not in services:
            raise SettingsError([f"{name}: unknown service{did_you_mean(name, services)}"])
        return services[name]


def is_host() -> bool:
    """Whether this machine is a host of a cluster."""
    return _settings_file().exists()


def host_file() -> HostFile:
    """What this host knows of the cluster. Raises SettingsError for a wrong settings file."""
    return read_host_file(_settings_file())


def credential(name: str) -> str | None:
    """A password or token that this host was given; None if it was not.

    Raises AccessError where this user may not read it.
    """
    try:
        return (FOLDER / "credentials" / name).read_text(encoding="utf-8").rstrip("\n")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise AccessError(
            f"{error.filename}: cannot be read: {error.strerror}; run this as root:"
            " sudo stellwerk ..."
        ) from None


def opened(*, changes: bool) -> Access:
    """The way to the ledger, not yet connected.

    Raises AccessError where this user or host may not, SettingsError for a wrong settings file.
    """
    host = host_file()
    login, password = _credential(host, changes=changes)
    return Access(host, Ledger(_address(host, login), password, "stellwerk"), operator())


def _settings_file() -> Path:
    return FOLDER / "settings.yaml"


def _credential(host: HostFile, *, changes: bool) -> tuple[str, str]:
    """The login and password of this host."""
    roles = host.settings.postgresql.roles
    usable = {_LEDGER: roles.ledger} if changes else {_LEDGER: roles.ledger, _AGENT: roles.agent}
    for name, role in usable.items():
        if (password := credential(name)) is not None:
            return login_of(role, password), password
    groups = _CHANGING_GROUPS if changes else _READING_GROUPS
    what = "change" if changes else "read"
    raise AccessError(
        f"{host.name}: may not {what} the ledger of instances; run this on"
        f" {_either(_names(host, groups))}, or on the control machine"
    )


def _names(host: HostFile, groups: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(one.name for group in groups for one in host.group(group)))


def _either(names: list[str]) -> str:
    return " or ".join(names) if names else "a host in monitors or databases"


def _address(host: HostFile, login: str) -> LedgerAddress:
    databases = host.group("databases")
    if not databases:
        raise AccessError("the cluster has no host in databases, and so no ledger of instances")
    postgresql = host.settings.postgresql
    return LedgerAddress(
        host=databases[0].address,
        port=postgresql.port,
        database=postgresql.database,
        user=login,
        tls_authority=str(FOLDER / _AUTHORITY) if host.settings.tls.enabled else None,
    )
