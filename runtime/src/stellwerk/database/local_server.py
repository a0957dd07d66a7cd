"""Asks the PostgreSQL of this host as its superuser, through psql and the unix socket."""

import os
import subprocess
from typing import Final

SUPERUSER: Final = "postgres"
_ANSWER_SECONDS: Final = 20


class LocalServerError(Exception):
    """The server did not answer; one sentence that says what it said."""


def ask(script: str, port: int) -> str:
    """What psql prints for a script. Raises LocalServerError."""
    become = () if os.geteuid() else ("runuser", "-u", SUPERUSER, "--")
    command = [*become, "psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-p", str(port), "-d", "postgres"]
    try:
        ran = subprocess.run(
            command,
            input=script,
            capture_output=True,
            text=True,
            check=False,
            timeout=_ANSWER_SECONDS,
            cwd="/",
        )
    except FileNotFoundError as error:
        raise LocalServerError(
            f"{error.filename} is not on this host: run this on the host in databases."
        ) from None
    except subprocess.TimeoutExpired:
        raise LocalServerError(
            f"PostgreSQL on port {port} gave no answer within {_ANSWER_SECONDS} s."
        ) from None
    if ran.returncode:
        said = " ".join(ran.stderr.split()) or "no reason given"
        raise LocalServerError(
            f"PostgreSQL on port {port} cannot be asked as {SUPERUSER} ({said}): run this as root, "
            "with the server running."
        )
    return ran.stdout
