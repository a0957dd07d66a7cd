"""The lab's network namespace: a bridge to which every host is attached, and no way out.

The namespace has no link to the outside, so no packet of a host can leave it. Packages come
through the package proxy, a process that listens inside and fetches outside.
"""

import ctypes
import os
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path

from tests.lab.errors import LabError
from tests.lab.shell import run

BRIDGE = "br0"
# The last address of the range kept for benchmarks (RFC 2544), which no inventory should need.
GATEWAY = IPv4Interface("198.19.255.254/15")
CLONE_NEWNET = 0x40000000


def path_of(lab: str) -> Path:
    """Return the file by which the namespace of a lab is entered."""
    return Path("/run/netns") / name_of(lab)


def name_of(lab: str) -> str:
    """Return the name of a lab's namespace, as `ip netns` lists it."""
    return f"lab-{lab}"


def enter_command(lab: str) -> list[str]:
    """Return the words to put before a command that is to run inside the namespace.

    `ip netns exec` would also hide the cgroup mounts, without which nspawn does not work.
    """
    return ["nsenter", f"--net={path_of(lab)}"]


def is_up(lab: str) -> bool:
    """Tell whether the namespace exists and has its bridge."""
    shown = run([*enter_command(lab), "ip", "-4", "address", "show", "dev", BRIDGE], check=False)
    return str(GATEWAY) in shown.stdout


def create(lab: str) -> None:
    """Make the namespace anew, in place of one that a killed run left half made."""
    delete(lab)
    run(["ip", "netns", "add", name_of(lab)])
    # Answers "unreachable" at once to hosts that try to reach the world; else they would wait.
    run([*enter_command(lab), "sysctl", "-qw", "net.ipv4.ip_forward=1"])
    # The address comes last: by it `is_up` knows that all is done.
    commands = [
        "link set lo up",
        f"link add {BRIDGE} type bridge forward_delay 0",
        f"link set {BRIDGE} up",
        f"address add {GATEWAY} dev {BRIDGE}",
    ]
    run(["ip", "-netns", name_of(lab), "-batch", "-"], stdin="\n".join(commands) + "\n")


def add_routes(lab: str, addresses: Iterable[IPv4Address]) -> None:
    """Make addresses outside the lab's own range reachable, as a rehearsal of production has."""
    for address in addresses:
        if address not in GATEWAY.network:
            target = ["route", "replace", str(address), "dev", BRIDGE]
            run(["ip", "-netns", name_of(lab), *target])


def delete(lab: str) -> None:
    """Remove the namespace and every link in it, whatever state it is in."""
    path = path_of(lab)
    if path.exists():
        run(["ip", "netns", "delete", name_of(lab)], check=False)
        # What `ip` refuses: a file whose mount a killed run never made.
        path.unlink(missing_ok=True)


@contextmanager
def inside(lab: str) -> Iterator[None]:
    """Let this thread make sockets inside the namespace; they stay there when it has left.

    Raises LabError when the lab is down.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        target = os.open(path_of(lab), os.O_RDONLY)
    except FileNotFoundError:
        raise LabError(f"The lab {lab} is down: boot it with `python -m tests.lab up`.") from None
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        _set_namespace(libc, target)
        yield
    finally:
        _set_namespace(libc, home)
        os.close(target)
        os.close(home)


def connect(lab: str, address: IPv4Address, port: int, seconds: float) -> socket.socket:
    """Return a TCP connection to an address of the lab.

    Raises OSError when there is none within `seconds`, which then limit every read and write.
    """
    with inside(lab):
        connection = socket.socket()
    connection.settimeout(seconds)
    try:
        connection.connect((str(address), port))
    except OSError:
        connection.close()
        raise
    return connection


def _set_namespace(libc: ctypes.CDLL, descriptor: int) -> None:
    if libc.setns(descriptor, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")
