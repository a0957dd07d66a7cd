"""Run a command on this host and keep what it said."""

import errno
import subprocess
from collections.abc import Mapping, Sequence


class Failure(Exception):
    """Something on this host went wrong; the message is one sentence for the operator."""

    def __init__(self, message: str, detail: str = "") -> None:
        super().__init__(message)
        self.detail = detail


def sentence_of(error: OSError) -> str:
    """What the operating system refused, for the operator."""
    where = f" ({error.filename})" if error.filename else ""
    if error.errno == errno.ENOSPC:
        return f"the disk is full{where}: free some space and run again"
    return f"{error.strerror or error}{where}"


def run(
    command: Sequence[str],
    *,
    stdin: str = "",
    timeout: float = 60,
    environment: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run to the end, output captured, never raising for an exit code."""
    try:
        return subprocess.run(
            command,
            input=stdin,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            env=dict(environment) if environment is not None else None,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 124, "", f"no answer within {timeout:g} s")
    except FileNotFoundError:
        return subprocess.CompletedProcess(command, 127, "", f"{command[0]} is not installed")


def run_or_fail(command: Sequence[str], *, stdin: str = "", timeout: float = 60) -> str:
    """Run and return what was printed.

    Raises:
        Failure: the command exited with another code than 0.
    """
    result = run(command, stdin=stdin, timeout=timeout)
    if result.returncode:
        said = (result.stderr.strip() or result.stdout.strip()).splitlines()
        raise Failure(
            f"{' '.join(command)} failed: {said[-1] if said else f'exit {result.returncode}'}",
            "\n".join(said[-20:]),
        )
    return result.stdout
