"""Where the lab keeps its state. Only paths; nothing here touches the disk."""

from dataclasses import dataclass
from pathlib import Path

STATE = Path("/var/lib/stellwerk-lab")
IMAGES = STATE / "images"
PACKAGES = STATE / "packages"
DEFAULT_SSH_CONFIG = STATE / "ssh_config"


@dataclass(frozen=True)
class HostFolders:
    """One host: its file system on top of the image, its identity and its console."""

    home: Path

    @property
    def root(self) -> Path:
        """The mount point of the host's whole file system."""
        return self.home / "root"

    @property
    def upper(self) -> Path:
        """What the host has written since its layer."""
        return self.home / "upper"

    @property
    def work(self) -> Path:
        """The folder overlayfs needs beside `upper`."""
        return self.home / "work"

    @property
    def lowers(self) -> Path:
        """The read-only overlay folders of saved layers."""
        return self.home / "lowers"

    @property
    def layers(self) -> Path:
        """One file per saved layer, naming its overlay folders."""
        return self.home / "layers"

    @property
    def stack(self) -> Path:
        """The file that says which image and layer the host stands on."""
        return self.home / "stack.json"

    @property
    def identity(self) -> Path:
        """Host key and machine id: the same after every reset."""
        return self.home / "identity"

    @property
    def console(self) -> Path:
        """What the machine printed while it booted."""
        return self.home / "console.log"


@dataclass(frozen=True)
class LabFolders:
    """One lab: its hosts, its SSH files, its lock."""

    home: Path

    @classmethod
    def of(cls, name: str) -> "LabFolders":
        """Return the folders of the lab of that name."""
        return cls(STATE / "labs" / name)

    def host(self, name: str) -> HostFolders:
        """Return the folders of one host."""
        return HostFolders(self.home / "hosts" / name)

    @property
    def hosts(self) -> Path:
        """One folder per host that was ever booted."""
        return self.home / "hosts"

    @property
    def trash(self) -> Path:
        """What is renamed away first and deleted later, so that a kill leaves nothing half gone."""
        return self.home / "trash"

    @property
    def lock(self) -> Path:
        """Held while the lab is changed."""
        return self.home / "lock"

    @property
    def key(self) -> Path:
        """The private SSH key for all hosts of the lab."""
        return self.home / "id_ed25519"

    @property
    def known_hosts(self) -> Path:
        """The hosts' public keys."""
        return self.home / "known_hosts"

    @property
    def ssh_config(self) -> Path:
        """How to reach the hosts."""
        return self.home / "ssh_config"

    @property
    def package_log(self) -> Path:
        """What the package proxy printed."""
        return self.home / "package-proxy.log"
