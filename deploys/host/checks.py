"""Health checks: is a unit active, does a URL answer, is a Redis in its role.

A check is a JSON object with its `kind` and arguments. Each is tried until it holds or its time is
up, so a daemon may take its time to start.
"""

import http.client
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import postgresql, redis, units
from .command import run

Check = dict[str, Any]
PAUSE_SECONDS = 0.1
HAPROXY = Path("/run/haproxy/admin.sock")
# Hosts of the cluster are asked directly, also where the environment names a proxy.
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def first_failure(checks: list[Check], within_seconds: float) -> tuple[Check, str] | None:
    """Try every check until it holds; the first that does not in time, and why, or None."""
    deadline = time.monotonic() + within_seconds
    for check in checks:
        problem = _hold(check, deadline)
        if problem:
            return check, problem
    return None


def all_failures(checks: list[Check], within_seconds: float) -> list[dict[str, str]]:
    """Every check that does not hold in time, with the reason and its unit's last journal lines."""
    deadline = time.monotonic() + within_seconds
    failures = []
    for check in checks:
        problem = _hold(check, deadline)
        if problem:
            unit = check.get("unit", "")
            failures.append(
                {"problem": problem, "unit": unit, "journal": units.journal(unit) if unit else ""}
            )
    return failures


def _hold(check: Check, deadline: float) -> str:
    probe = _KINDS[check["kind"]]
    while True:
        problem = probe(check)
        if not problem or time.monotonic() >= deadline:
            return problem
        time.sleep(PAUSE_SECONDS)


def _unit(check: Check) -> str:
    state = units.state(check["unit"])
    if state.get("ActiveState") == "active":
        return ""
    return (
        f"{check['unit']} is {state.get('ActiveState', 'unknown')}"
        f" ({state.get('SubState', '')}, result {state.get('Result', '')})"
    )


def _http(check: Check) -> str:
    request = urllib.request.Request(check["url"], headers={"User-Agent": "stellwerk-deploy"})
    try:
        with _DIRECT.open(request, timeout=5) as answer:
            status = answer.status
    except urllib.error.HTTPError as error:
        status = error.code
    except (OSError, http.client.HTTPException) as error:
        return f"{check['url']} does not answer: {getattr(error, 'reason', error)}"
    expected = check.get("status", 200)
    return "" if status == expected else f"{check['url']} answers {status}, not {expected}"


def _command(check: Check) -> str:
    result = run(check["command"], timeout=check.get("timeout", 20))
    if not result.returncode:
        return ""
    said = result.stderr.strip() or result.stdout.strip() or f"exit {result.returncode}"
    return f"{' '.join(check['command'])}: {said.splitlines()[-1]}"


def _haproxy(check: Check) -> str:
    """HAProxy runs with the configuration that sets this variable to this value."""
    try:
        with socket.socket(socket.AF_UNIX) as admin:
            admin.settimeout(5)
            admin.connect(str(HAPROXY))
            admin.sendall(f"show env {check['name']}\n".encode())
            answer = admin.makefile().read()
    except OSError as error:
        return f"HAProxy does not answer at {HAPROXY}: {error.strerror or error}"
    present = answer.strip().partition("=")[2]
    return "" if present == check["value"] else "HAProxy did not take its new configuration"


def _reloaded(check: Check) -> str:
    """A daemon read its configuration after the files were written, by its own metric of when."""
    try:
        with _DIRECT.open(check["url"], timeout=5) as answer:
            said = answer.read().decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        return f"{check['url']} does not answer: {getattr(error, 'reason', error)}"
    read_at = next(
        (line.split()[1] for line in said.splitlines() if line.split()[:1] == [check["metric"]]),
        "0",
    )
    for path in map(Path, check["files"]):
        if not path.exists() or path.stat().st_mtime > float(read_at):
            return f"{check['unit']} did not read {path} as it is now"
    return ""


_KINDS: dict[str, Callable[[Check], str]] = {
    "unit": _unit,
    "http": _http,
    "command": _command,
    "haproxy": _haproxy,
    "reloaded": _reloaded,
    "redis": redis.check_instance,
    "sentinel": redis.check_sentinel,
    "postgresql": postgresql.check,
}
