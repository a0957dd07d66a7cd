"""What makes a host this host: its name, addresses and keys, put into its files before it boots."""

import secrets
from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address
from pathlib import Path

from tests.lab import files, image, namespace, package_proxy
from tests.lab.folders import HostFolders
from tests.lab.inventory import LabHost
from tests.lab.shell import run

# Written last: says which identity a file system has, and travels with it into saved layers.
STAMP = Path("var/lib/lab-identity")
# apt's own limit is 30 s, within which the proxy may still be fetching a large package.
APT_TIMEOUT_SECONDS = 300


def ensure_keys(folders: HostFolders, host: str) -> None:
    """Make the host's SSH key and machine id once; they stay the same after resets."""
    key = folders.identity / "ssh_host_ed25519_key"
    if not (folders.identity / "machine-id").exists():
        folders.identity.mkdir(parents=True, exist_ok=True)
        key.unlink(missing_ok=True)
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"root@{host}", "-f", key])
        files.write(folders.identity / "machine-id", f"{secrets.token_hex(16)}\n")


def public_host_key(folders: HostFolders) -> str:
    """Return the host's public key as it stands in a known_hosts file."""
    kind, key = (folders.identity / "ssh_host_ed25519_key.pub").read_text().split()[:2]
    return f"{kind} {key}"


def contents(
    host: LabHost,
    addresses: Iterable[IPv4Address],
    folders: HostFolders,
    authorized_key: str,
    date_settings: Mapping[str, str],
) -> dict[str, str]:
    """Return the files of a host, path to content, all owned by root.

    `addresses` are those of all hosts of the lab, `authorized_key` may log in, `date_settings`
    are the control machine's apt settings about the age of its mirror.
    """
    proxy = f"http://{namespace.GATEWAY.ip}:{package_proxy.PORT}"
    apt = {
        "Acquire::http::Proxy": proxy,
        "Acquire::http::Timeout": str(APT_TIMEOUT_SECONDS),
        **date_settings,
    }
    keys = folders.identity
    return {
        "etc/hostname": f"{host.name}\n",
        "etc/hosts": f"127.0.0.1 localhost\n::1 localhost\n127.0.1.1 {host.name}\n",
        "etc/machine-id": (keys / "machine-id").read_text(),
        "etc/ssh/ssh_host_ed25519_key": (keys / "ssh_host_ed25519_key").read_text(),
        "etc/ssh/ssh_host_ed25519_key.pub": (keys / "ssh_host_ed25519_key.pub").read_text(),
        "etc/systemd/network/10-host0.network": network_settings(host.address, addresses),
        "etc/apt/apt.conf.d/90package-proxy": "".join(
            f'{name} "{value}";\n' for name, value in apt.items()
        ),
        "root/.ssh/authorized_keys": authorized_key,
    }


def network_settings(address: IPv4Address, others: Iterable[IPv4Address]) -> str:
    """Return the systemd-networkd settings of a host: a static address and a dead-end gateway.

    Addresses outside the lab's own range, as in a rehearsal of somebody's production, are
    reached on the link too.
    """
    prefix = namespace.GATEWAY.network.prefixlen if address in namespace.GATEWAY.network else 32
    lines = [
        "[Match]",
        "Name=host0",
        "",
        "[Network]",
        f"Address={address}/{prefix}",
        "LinkLocalAddressing=no",
        "IPv6AcceptRA=no",
        "",
        "[Route]",
        f"Gateway={namespace.GATEWAY.ip}",
        "GatewayOnLink=yes",
    ]
    for other in others:
        if other != address and (prefix == 32 or other not in namespace.GATEWAY.network):
            lines += ["", "[Route]", f"Destination={other}/32", "Scope=link"]
    return "\n".join(lines) + "\n"


def is_current(root: Path, wanted: Mapping[str, str]) -> bool:
    """Tell whether a host's file system was given this identity."""
    stamp = root / STAMP
    return stamp.exists() and stamp.read_text() == _stamp(wanted)


def write(root: Path, wanted: Mapping[str, str]) -> None:
    """Give a host's file system its identity, unless it has it: later edits of the host stay."""
    if is_current(root, wanted):
        return
    for path, content in wanted.items():
        secret = path.endswith("_key") or path.startswith("root/")
        files.write(root / path, content, 0o600 if secret else 0o644)
    (root / "root/.ssh").chmod(0o700)
    for user in image.USERS:
        _write_authorized_keys(root / "home" / user, wanted["root/.ssh/authorized_keys"])
    files.write(root / STAMP, _stamp(wanted), 0o600)


def _stamp(wanted: Mapping[str, str]) -> str:
    return "\n".join(f"== {path}\n{content}" for path, content in wanted.items())


def _write_authorized_keys(home: Path, authorized_key: str) -> None:
    # Owned by root and readable by all, which sshd accepts and the user cannot change.
    files.write(home / ".ssh/authorized_keys", authorized_key)
