"""What the lab needs of the control machine, checked before anything is touched."""

import os
import shutil
from pathlib import Path

from tests.lab.errors import LabError

PACKAGES_BY_TOOL = {
    "systemd-nspawn": "systemd-container",
    "debootstrap": "debootstrap",
    "socat": "socat",
    "ip": "iproute2",
    "nsenter": "util-linux",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
}


def check() -> None:
    """Raise LabError with one sentence when the lab cannot work on this machine."""
    if os.geteuid() != 0:
        raise LabError(
            "The lab boots machines and mounts file systems, so it has to run as root: "
            "run it again with sudo."
        )
    missing = missing_packages()
    if missing:
        raise LabError(
            "The lab needs tools that are not installed: "
            f"run `apt-get install {' '.join(missing)}`."
        )


def missing_packages() -> list[str]:
    """Return the Debian packages whose tools are not on PATH, sorted, each once."""
    # A login shell of an ordinary user may leave out the system folders where some tools live.
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
    return sorted(
        {
            package
            for tool, package in PACKAGES_BY_TOOL.items()
            if shutil.which(tool, path=path) is None
        }
    )


def debootstrap_script(release: str) -> Path:
    """Return debootstrap's script for a release. Raises LabError when it knows no such release."""
    script = Path("/usr/share/debootstrap/scripts") / release
    if not script.exists():
        raise LabError(
            f"debootstrap on this machine does not know the Debian release {release!r}: "
            "correct lab_release in the inventory."
        )
    return script
