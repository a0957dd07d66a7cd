"""The first packages on a host that has nothing yet, not even python3: plain shell."""

from collections.abc import Iterable
from shlex import quote

LOG = "/var/log/stellwerk-packages.log"


def install_command(packages: Iterable[str], masked: Iterable[str], lock_timeout: int) -> str:
    """Shell that installs the packages; what apt says goes to a log, its last words to stderr.

    With its output in a file apt ends its work even when the connection is lost.
    """
    options = f"-q -y -o DPkg::Lock::Timeout={lock_timeout} -o Acquire::Languages=none"
    steps = [
        *(f"ln -sfn /dev/null /etc/systemd/system/{quote(unit)}" for unit in masked),
        "dpkg --configure -a",
        f"apt-get {options} update",
        f"apt-get {options} install --no-install-recommends {' '.join(map(quote, packages))}",
    ]
    return (
        f"{{ export DEBIAN_FRONTEND=noninteractive; {' && '.join(steps)}; }} >>{LOG} 2>&1"
        f" || {{ tail -n 5 {LOG} >&2; exit 1; }}"
    )
