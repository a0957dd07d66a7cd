"""Kernel parameters from a sysctl.d file, set now; in a container only those it may set."""

from pathlib import Path

from .command import Failure, run

PROC = Path("/proc/sys")


def apply(file: Path) -> int:
    """Set each `name = value` of the file that is not in force.

    A container shares its host's kernel and may not set most of them: they are left alone there.

    Raises:
        Failure: the kernel refuses a value, or does not know the name.
    """
    contained = run(["systemd-detect-virt", "--quiet", "--container"]).returncode == 0
    for line in file.read_text().splitlines():
        name, separator, value = line.partition("=")
        if not separator or line.startswith("#"):
            continue
        target = PROC / name.strip().replace(".", "/")
        try:
            if target.read_text().split() != value.split():
                target.write_text(value.strip())
        except OSError as error:
            if not contained:
                raise Failure(f"the kernel does not take {line.strip()}: {error}") from error
    return 0
