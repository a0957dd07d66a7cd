"""Where Debian packages come from, read from the control machine's own apt configuration.

No mirror is named in the repository: the lab uses what the machine it runs on uses.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from tests.lab.errors import LabError
from tests.lab.shell import run

INDEX_LINE = re.compile(r"'(?P<mirror>.+?)/+dists/(?P<suite>[^']+)/InRelease'")
ALIASES = ("oldoldstable", "oldstable", "stable", "testing", "unstable")
POCKETS = ("", "-updates", "-security")
MIRROR_LIST = re.compile(r"mirror\+file:/*(?P<path>/.+)")


@dataclass(frozen=True)
class Mirror:
    """One archive: its address and, relative to a release's name, the suites taken from it."""

    address: str
    pockets: tuple[str, ...]

    @property
    def plain_address(self) -> str:
        """The address as hosts see it: plain HTTP, as the package proxy speaks to the mirror."""
        parts = urlsplit(self.address)
        return f"http://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}"


def configured_mirrors() -> tuple[Mirror, ...]:
    """Return the mirrors this machine's apt uses for Debian itself, the main archive first.

    Raises LabError when apt has no Debian archive over HTTP.
    """
    uris = run(["apt-get", "--print-uris", "update"]).stdout
    mirrors = parse_mirrors(uris.splitlines(), _codename())
    return tuple(Mirror(_resolve(mirror.address), mirror.pockets) for mirror in mirrors)


def parse_mirrors(lines: Iterable[str], codename: str) -> tuple[Mirror, ...]:
    """Return the mirrors among the index addresses apt prints on a machine of release `codename`.

    Other archives that the machine may have (of vendors, of backports) are left out.
    """
    names = "|".join(re.escape(name) for name in (codename, *ALIASES))
    suites = re.compile(rf"(?:{names})(?P<pocket>-updates|-security)?")
    pockets: dict[str, str] = {}
    for line in lines:
        index = INDEX_LINE.match(line)
        suite = suites.fullmatch(index["suite"]) if index else None
        if index and suite:
            pockets.setdefault(suite["pocket"] or "", index["mirror"])
    if "" not in pockets:
        raise LabError(
            f"apt on this machine has no archive for Debian {codename}, from which the lab would "
            "install its hosts: add one to /etc/apt/sources.list.d."
        )
    addresses = dict.fromkeys(pockets[pocket] for pocket in POCKETS if pocket in pockets)
    return tuple(
        Mirror(address, tuple(pocket for pocket in POCKETS if pockets.get(pocket) == address))
        for address in addresses
    )


def sources(mirrors: Iterable[Mirror], release: str) -> str:
    """Return the apt sources (deb822) with which a host of that release uses the mirrors."""
    return "\n".join(
        "Types: deb\n"
        f"URIs: {mirror.plain_address}\n"
        f"Suites: {' '.join(release + pocket for pocket in mirror.pockets)}\n"
        "Components: main\n"
        "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n"
        for mirror in mirrors
    )


def apt_settings() -> dict[str, str]:
    """Return the values of this machine's apt settings, for those that are set."""
    dump = run(["apt-config", "dump"]).stdout
    return dict(re.findall(r'^(\S+) "(.+)";$', dump, flags=re.MULTILINE))


def date_settings(settings: Mapping[str, str]) -> dict[str, str]:
    """Return the settings a host must share: a mirror that is a snapshot is older than allowed."""
    return {
        name: settings[name]
        for name in ("Acquire::Check-Valid-Until", "Acquire::Check-Date")
        if name in settings
    }


def _codename() -> str:
    release = Path("/etc/os-release").read_text(encoding="utf-8")
    found = re.search(r'^VERSION_CODENAME="?([^"\n]+)', release, flags=re.MULTILINE)
    return found[1] if found else "stable"


def _resolve(address: str) -> str:
    """Return the first mirror of a mirror list, as cloud images of Debian have it."""
    mirror_list = MIRROR_LIST.fullmatch(address)
    if mirror_list:
        lines = Path(mirror_list["path"]).read_text(encoding="utf-8").split("\n")
        address = next((line.split()[0] for line in lines if line.strip()), address)
    if not address.startswith(("http://", "https://")):
        raise LabError(
            f"The lab cannot install hosts from {address}, this machine's Debian archive: it needs "
            "one with http:// or https:// in /etc/apt/sources.list.d."
        )
    return address.rstrip("/")
