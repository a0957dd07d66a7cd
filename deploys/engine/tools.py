"""The host side of a deploy (deploys/host) packed to be sent to hosts, named by its digest."""

import base64
import gzip
import hashlib
import io
import shlex
import tarfile
from functools import cache
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent / "host"
FOLDER = "/usr/local/lib/stellwerk"
RUN = f"/usr/bin/python3 -I {FOLDER}/host"


@cache
def archive() -> str:
    """The tools as a compressed tar archive in base64: the same bytes for the same sources."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(SOURCE.glob("*.py")):
            entry = tarfile.TarInfo(f"host/{path.name}")
            content = path.read_bytes()
            entry.size, entry.mode = len(content), 0o644
            tar.addfile(entry, io.BytesIO(content))
    return base64.b64encode(gzip.compress(buffer.getvalue(), mtime=0)).decode()


@cache
def digest() -> str:
    return hashlib.sha256(archive().encode()).hexdigest()[:16]


def install_command(record: str) -> str:
    """Shell that unpacks the archive from standard input beside the old tools, then switches.

    `record` is the document of what the host is to write down about it.
    """
    new = f"{FOLDER}/.host.new"
    return (
        f"set -e; umask 022; rm -rf {new}; mkdir -p {new}; base64 -d | tar -xz -C {new};"
        f" echo {digest()} >{new}/host/DIGEST; rm -rf {FOLDER}/host;"
        f" mv {new}/host {FOLDER}/host; rm -rf {new}; {RUN} record {shlex.quote(record)}"
    )


def facts_command() -> str:
    """Shell that runs the installed tools' `facts`, or says what the host has instead.

    The request is read from standard input by the tools.
    """
    return (
        'if [ "$(id -u)" != 0 ]; then echo not-root; exit; fi; '
        f'if [ "$(cat {FOLDER}/host/DIGEST 2>/dev/null)" = {digest()} ]; '
        f"then exec {RUN} facts; fi; "
        "if [ -x /usr/bin/python3 ]; then echo no-tools; exit; fi; "
        "cat >/dev/null; . /etc/os-release; "
        'echo bare "$ID" "$VERSION_ID" "$VERSION_CODENAME" "$(uname -m)" '
        '"$(awk \'/^MemTotal/ {printf "%.0f", $2 * 1024}\' /proc/meminfo)" "$(nproc)" '
        '"$(df -Pk / | awk \'NR == 2 {printf "%.0f", $4 * 1024}\')"'
    )


def borrowed_command(name: str) -> str:
    """Shell for a command of tools that are sent along and leave nothing behind.

    The archive is the first line of standard input, the request the rest.
    """
    return (
        "set -e; t=$(mktemp -d); trap 'rm -rf \"$t\"' EXIT; read -r tools; "
        f'printf %s "$tools" | base64 -d | tar -xz -C "$t"; /usr/bin/python3 -I -B "$t/host" {name}'
    )
