"""Take off this host what is not declared any more: only what stamps name, and never data.

The stamp goes last, so that a removal which is cut off is completed by the next run. The files are
kept in the backups.
"""

import pwd
import shutil
from pathlib import Path
from typing import Any

from . import stamps, transaction, units
from .command import run, run_or_fail
from .paths import RUNTIME_UNITS, remove_if_empty

DRAIN_SECONDS = 30  # for requests in flight; then they are cut off
DROP_IN = "99-stellwerk-drain.conf"  # after those of the parts


def remove(document: dict[str, Any]) -> None:
    """Remove the given parts in order.

    Raises:
        Failure: a unit did not stop; what comes after it stays.
    """
    for part in document["parts"]:
        _remove(part)
    for name, path in document["former"]:
        _remove_former(name, path)
    for folder in document["folders"]:
        shutil.rmtree(folder, ignore_errors=True)


def _remove(part: dict[str, Any]) -> None:
    """Stop the units of a part, have them stay so, and remove its files, folders and users."""
    for name in part["stamps"]:
        for unit in stamps.read(name).get("units", ()):
            _stop(unit, part["drain"].get(unit, ""))
            run_or_fail(
                ["systemctl", "mask" if part["keeps_files"] else "disable", "--quiet", unit]
            )
    for name in part["stamps"]:
        if not part["keeps_files"]:
            _remove_files(name, stamps.files(name, former=True))
    units.daemon_reload()
    for user in part["users"]:
        _remove_user(user)
    for folder in part["folders"]:
        shutil.rmtree(folder, ignore_errors=True)
    for name in part["stamps"]:
        stamps.remove(name)


def _stop(unit: str, signal: str) -> None:
    """Stop a unit; with `signal`, which has it end its requests first, give it time for that."""
    if not units.is_active(unit):
        return
    drop_in = RUNTIME_UNITS / f"{unit}.d" / DROP_IN
    if signal:
        drop_in.parent.mkdir(parents=True, exist_ok=True)
        drop_in.write_text(
            f"[Service]\nExecStop=\nKillSignal={signal}\nKillMode=mixed\n"
            f"TimeoutStopSec={DRAIN_SECONDS}\nSuccessExitStatus=SIGKILL\n"
        )
        units.daemon_reload()
    try:
        run_or_fail(["systemctl", "stop", unit], timeout=units.START_TIMEOUT_SECONDS)
    finally:
        if signal:
            drop_in.unlink()
            remove_if_empty(drop_in.parent)
            units.daemon_reload()
    run(["systemctl", "reset-failed", unit])


def _remove_files(name: str, paths: list[str]) -> None:
    """Remove files of a configuration but those of another, and folders that are then empty."""
    others = {path for one in stamps.names() - {name} for path in stamps.files(one)}
    mine = [Path(path) for path in paths if path not in others]
    transaction.keep(name, mine)
    for path in mine:
        path.unlink(missing_ok=True)
    for folder in sorted(map(Path, stamps.read(name).get("directories", ())), reverse=True):
        for inner in sorted({path.parent for path in mine}, reverse=True):
            if inner.is_relative_to(folder):
                remove_if_empty(inner)
        remove_if_empty(folder)


def _remove_former(name: str, path: str) -> None:
    """Remove one file of a configuration; its stamp knows it no more."""
    stamp = stamps.read(name)
    if path not in stamps.files(name, former=True):
        return
    _remove_files(name, [path])
    lists = {key: [one for one in stamp.get(key, ()) if one != path] for key in ("files", "former")}
    transaction.write_stamp(name, {**stamp, **lists})


def _remove_user(user: str) -> None:
    try:
        pwd.getpwnam(user)
    except KeyError:
        return
    run_or_fail(["userdel", user])
