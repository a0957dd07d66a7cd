"""Where Stellwerk keeps its own state on a host."""

from pathlib import Path

STATE = Path("/var/lib/stellwerk")
STAMPS = STATE / "stamps"  # what is active now, one file per configuration
STAGING = STATE / "staging"  # candidate trees, root only
BACKUPS = STATE / "backups"  # the files a configuration replaced, outside any include glob
GENERATIONS = Path("/etc/stellwerk/generations")  # SERVICE/GENERATION/: what instances run
AGENT_CONFIGURATION = Path("/etc/stellwerk/agent.json")
UNITS = Path("/etc/systemd/system")
CREDENTIALS = Path("/etc/stellwerk/credentials")
COMMAND = Path("/usr/local/bin/stellwerk")  # names the command of the release in use
LOCK = Path("/run/stellwerk-host.lock")


def make_private(folder: Path) -> Path:
    """Create a folder that only root can read."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    return folder
