"""Running commands of the control machine. Commands on hosts are in lab.py."""

import shlex
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.lab.errors import LabError

OUTPUT_LINES_SHOWN = 15


def run(
    command: Sequence[str | Path],
    *,
    stdin: str | None = None,
    environment: Mapping[str, str] | None = None,
    check: bool = True,
) -> subprocess.CompletedProcess[str]:
    """Run a command and return what it printed.

    Raises LabError with the command's last lines when it fails and `check` is set.
    """
    arguments = [str(word) for word in command]
    result = subprocess.run(
        arguments, input=stdin, env=environment, capture_output=True, text=True, check=False
    )
    if check and result.returncode != 0:
        raise LabError(
            f"`{shlex.join(arguments)}` failed with exit code {result.returncode}:\n"
            f"{last_lines(result.stdout + result.stderr, OUTPUT_LINES_SHOWN)}"
        )
    return result


def last_lines(text: str, count: int) -> str:
    """Return the last `count` lines of a text that are not blank."""
    return "\n".join([line for line in text.splitlines() if line.strip()][-count:])
