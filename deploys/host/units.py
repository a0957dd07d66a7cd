"""systemd units of this host: their state, and starting, reloading and enabling them."""

from collections.abc import Iterable

from .command import Failure, run, run_or_fail

PROPERTIES = (
    "Id",
    "LoadState",
    "ActiveState",
    "SubState",
    "UnitFileState",
    "InvocationID",
    "NRestarts",
    "Result",
    "NeedDaemonReload",
)
JOURNAL_LINES = 20
START_TIMEOUT_SECONDS = 180  # systemd's own start timeout ends a start before this


def states(units: Iterable[str]) -> dict[str, dict[str, str]]:
    """The properties of the named units and of all loaded ones that match a pattern."""
    names = sorted(set(units))
    if not names:
        return {}
    shown = run(["systemctl", "show", "--property", ",".join(PROPERTIES), "--", *names], timeout=20)
    found = {}
    for block in shown.stdout.split("\n\n"):
        properties = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        if "Id" in properties:
            found[properties["Id"]] = properties
    return found


def state(unit: str) -> dict[str, str]:
    """The properties of one unit; empty when systemd does not answer."""
    return states([unit]).get(unit, {})


def is_active(unit: str) -> bool:
    return state(unit).get("ActiveState") == "active"


def journal(unit: str, lines: int = JOURNAL_LINES) -> str:
    """The last journal lines of the unit's programs and of systemd about it.

    Not what it sends to syslog: a balancer's lines about requests would leave no room for others.
    """
    command = ["journalctl", "--no-pager", "-o", "short-iso", "-n", str(lines)]
    said = run([*command, "_TRANSPORT=stdout", "_TRANSPORT=journal", "-u", unit])
    return said.stdout.strip()


def activate(unit: str, how: str) -> None:
    """Bring a unit to its present configuration: `reload`, `restart` or `start`.

    A unit that does not run is started, whichever way was asked for.

    Raises:
        Failure: with the unit's last journal lines.
    """
    verb = how if how != "reload" or is_active(unit) else "start"
    run(["systemctl", "reset-failed", unit])
    result = run(["systemctl", verb, unit], timeout=START_TIMEOUT_SECONDS)
    if result.returncode:
        raise Failure(f"{unit} did not {verb}: {result.stderr.strip()}", journal(unit))


def enable(unit: str) -> None:
    """Have a unit started at boot, also one that was masked."""
    if state(unit).get("UnitFileState", "").startswith("masked"):
        run_or_fail(["systemctl", "unmask", "--quiet", unit])
        run_or_fail(["systemctl", "unmask", "--quiet", "--runtime", unit])
    run_or_fail(["systemctl", "enable", "--quiet", unit])


def daemon_reload() -> None:
    run_or_fail(["systemctl", "daemon-reload"])
