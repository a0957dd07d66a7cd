"""Where Stellwerk keeps its own state on a host."""

import contextlib
from pathlib import Path

STATE = Path("/var/lib/stellwerk")
STAMPS = STATE / "stamps"  # what is active now, one file per configuration
STAGING = STATE / "staging"  # candidate trees, root only
BACKUPS = STATE / "backups"  # the files a configuration replaced, outside any include glob
GENERATIONS = Path("/etc/stellwerk/generations")  # SERVICE/GENERATION/: what instances run
AGENT_CONFIGURATION = Path("/etc/stellwerk/agent.json")
UNITS = Path("/etc/systemd/system")
RUNTIME_UNITS = Path("/run/systemd/system")  # gone with a reboot
CREDENTIALS = Path("/etc/stellwerk/credentials")
COMMAND = Path("/usr/local/bin/stellwerk")  # names the command of the release in use
LOCK = Path("/run/stellwerk-host.lock")  # of a command
RUN_LOCK = Path("/run/stellwerk-run.lock")
RUNS = Path("/var/log/stellwerk/runs.jsonl")  # what runs changed here


def make_private(folder: Path) -> Path:
    """Create a folder that only root can read."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    return folder


def remove_if_empty(folder: Path) -> None:
    """A folder that holds anything is somebody else's too."""
    with contextlib.suppress(OSError):
        folder.rmdir()
