"""Programs of Debian's packages, unpacked into a folder without being installed."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

_SECONDS = 120


@dataclass(frozen=True)
class Programs:
    """Programs with the libraries they need."""

    root: Path | None

    def path(self, name: str) -> str:
        """Where a program is. Raises FileNotFoundError."""
        folders = [self.root / place for place in ("usr/sbin", "usr/bin")] if self.root else []
        found = next((str(one / name) for one in folders if (one / name).exists()), None)
        found = found or shutil.which(name)
        if found is None:
            raise FileNotFoundError(name)
        return found

    @property
    def environment(self) -> dict[str, str]:
        """What the programs need to find their libraries."""
        libraries = sorted(self.root.glob("usr/lib/*-linux-gnu")) if self.root else []
        return {**os.environ, "LD_LIBRARY_PATH": ":".join(map(str, libraries))}


def programs(package: str, folder: Path, *, alone: bool = False) -> Programs | None:
    """The programs of a package with all it needs that is not installed; None without apt, or
    without a mirror that answers.

    + alone: without what it needs, where the programs that are wanted need no library
    """
    try:
        needed = _run("apt-get", "install", "--simulate", "--no-install-recommends", package)
        missing = [line.split()[1] for line in needed.splitlines() if line.startswith("Inst ")]
        if package not in missing:
            return Programs(None)
        missing = [package] if alone else missing
        folder.mkdir(parents=True, exist_ok=True)
        _run("apt-get", "download", *missing, cwd=folder)
        root = folder / "root"
        for archive in folder.glob("*.deb"):
            _run("dpkg-deb", "--extract", str(archive), str(root))
    except (OSError, subprocess.SubprocessError):
        return None
    return Programs(root)


def _run(*command: str, cwd: Path | None = None) -> str:
    return subprocess.run(
        command, capture_output=True, text=True, check=True, cwd=cwd, timeout=_SECONDS
    ).stdout
