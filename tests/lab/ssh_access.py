"""How the control machine reaches the hosts: the lab's key, its known hosts, its ssh_config."""

from collections.abc import Iterable
from ipaddress import IPv4Address

from tests.lab import files, folders, identity, namespace
from tests.lab.folders import LabFolders
from tests.lab.inventory import LabHost
from tests.lab.shell import run

DEFAULT_LAB = "stellwerk"
PROBE_SECONDS = 2.0


def ensure_key(lab: LabFolders) -> str:
    """Make the lab's SSH key once; return its public half."""
    public = lab.key.with_suffix(".pub")
    if not public.exists():
        lab.home.mkdir(parents=True, exist_ok=True)
        lab.key.unlink(missing_ok=True)
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "stellwerk-lab", "-f", lab.key])
    return public.read_text()


def write_files(name: str, lab: LabFolders, hosts: Iterable[LabHost]) -> None:
    """Write the known hosts and the ssh_config of a lab; the default lab's also where the shipped
    inventory expects it."""
    hosts = tuple(hosts)
    known = [
        f"{host.name},{host.address} {identity.public_host_key(lab.host(host.name))}\n"
        for host in hosts
    ]
    files.write(lab.known_hosts, "".join(known))
    files.write(lab.ssh_config, ssh_config(name, lab, hosts))
    if name == DEFAULT_LAB and not folders.DEFAULT_SSH_CONFIG.is_symlink():
        folders.DEFAULT_SSH_CONFIG.symlink_to(lab.ssh_config)


def answers(name: str, address: IPv4Address) -> bool:
    """Tell whether an SSH server answers at an address of the lab of that name."""
    try:
        with namespace.connect(name, address, 22, PROBE_SECONDS) as connection:
            # Without our half of the greeting the host's journal would note an error.
            connection.sendall(b"SSH-2.0-stellwerk-lab\r\n")
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def unreachable(host: str) -> str:
    """A name of a host by which only the lab's ssh_config leads to it: no resolver knows it
    (RFC 6761).
    """
    return f"{host}.invalid"


def ssh_config(name: str, lab: LabFolders, hosts: Iterable[LabHost]) -> str:
    """Return the ssh_config of a lab. With the lab down its namespace is missing, so a connection
    fails at once and no packet is sent anywhere."""
    enter = " ".join(namespace.enter_command(name))
    return "\n".join(
        f"Host {host.name} {host.address} {unreachable(host.name)}\n"
        f"    HostName {host.address}\n"
        "    User root\n"
        f"    IdentityFile {lab.key}\n"
        "    IdentitiesOnly yes\n"
        f"    UserKnownHostsFile {lab.known_hosts}\n"
        "    StrictHostKeyChecking yes\n"
        f"    ProxyCommand {enter} socat - TCP:%h:%p,nodelay\n"
        for host in hosts
    )
