"""Put a configuration live safely, or leave everything as it was (contract C2).

Stage -> check the whole candidate tree with the daemon's own checker -> keep the old files ->
rename -> activate -> health check -> stamp; on any failure the old files are restored and
activated again. The stamp is written last, so an activation that was lost with an interrupted run
is made up by the next one.
"""

import base64
import grp
import json
import os
import pwd
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import checks, units
from .command import Failure, run
from .paths import BACKUPS, STAGING, STAMPS, make_private

BACKUPS_KEPT = 3


@dataclass(frozen=True)
class Replaced:
    """A path as it was before: its bytes, its link target, or nothing."""

    path: Path
    content: bytes | None
    link: str | None
    mode: int
    owner: tuple[int, int]

    @property
    def existed(self) -> bool:
        return self.content is not None or self.link is not None


def install_all(document: dict[str, Any]) -> None:
    """Install the configurations in order; the first that fails ends it."""
    for config in document["configs"]:
        install(config)


def install(document: dict[str, Any]) -> None:
    """Make the configuration described by `document` the active one.

    Raises:
        Failure: it was refused by its check, or unhealthy when active; the old one serves on.
    """
    name = document["name"]
    for folder in document["directories"]:
        _make_directory(folder)
    _check_candidate(document)
    wanted = [file for file in document["files"] if not _already_seeded(document, file)]
    before = [_as_it_was(Path(file["path"])) for file in wanted]
    before += [_as_it_was(Path(path)) for path in document["absent"]]
    _keep(name, before)
    try:
        for file in wanted:
            _write(file)
        for path in document["absent"]:
            Path(path).unlink(missing_ok=True)
        _activate(document["activate"])
        failure = checks.first_failure(document["health"], document["health_seconds"])
        if failure:
            check, problem = failure
            unit = check.get("unit") or document["activate"].get("unit") or ""
            raise Failure(problem, units.journal(unit) if unit else "")
    except (Failure, OSError) as error:
        restored = _restore(before, document["activate"])
        reason = error if isinstance(error, Failure) else Failure(f"{name}: {error}")
        raise Failure(f"{name}: {reason}; {restored}", reason.detail) from error
    _stamp(document)


def remove_stamp(name: str) -> None:
    (STAMPS / f"{name}.json").unlink(missing_ok=True)


def _already_seeded(document: dict[str, Any], file: dict[str, Any]) -> bool:
    return bool(file.get("seed")) and Path(file["path"]).exists() and _stamp_path(document).exists()


def _check_candidate(document: dict[str, Any]) -> None:
    if not document["check"]:
        return
    root = make_private(STAGING) / f"{document['name']}.{os.getpid()}"
    shutil.rmtree(root, ignore_errors=True)
    make_private(root)
    try:
        tree = document.get("tree")
        if tree and Path(tree).is_dir():
            shutil.copytree(tree, f"{root}{tree}", symlinks=True)
        for path in document["absent"]:
            Path(f"{root}{path}").unlink(missing_ok=True)
        for file in document["files"]:
            _write({**file, "path": f"{root}{file['path']}"})
        for command in document["check"]:
            result = run([word.replace("{root}", str(root)) for word in command])
            if result.returncode:
                said = (result.stderr.strip() or result.stdout.strip()).replace(str(root), "")
                raise Failure(
                    f"{document['name']}: refused by {Path(command[0]).name},"
                    " so the present configuration serves on",
                    said,
                )
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _make_directory(folder: dict[str, Any]) -> None:
    path = Path(folder["path"])
    path.mkdir(parents=True, exist_ok=True)
    os.chown(path, *_ids(folder))
    path.chmod(folder["mode"])


def _ids(entry: dict[str, Any]) -> tuple[int, int]:
    try:
        return pwd.getpwnam(entry["owner"]).pw_uid, grp.getgrnam(entry["group"]).gr_gid
    except KeyError as error:
        raise Failure(f"{entry['path']}: {error.args[0]}") from error


def _as_it_was(path: Path) -> Replaced:
    try:
        status = path.lstat()
    except FileNotFoundError:
        return Replaced(path, None, None, 0, (0, 0))
    owner = (status.st_uid, status.st_gid)
    if path.is_symlink():
        return Replaced(path, None, str(path.readlink()), 0, owner)
    return Replaced(path, path.read_bytes(), None, status.st_mode & 0o7777, owner)


def _keep(name: str, before: list[Replaced]) -> None:
    """Keep the files about to be replaced, outside any folder a daemon reads."""
    replaced = [old for old in before if old.content is not None]
    if not replaced:
        return
    folder = make_private(make_private(BACKUPS) / name)
    target = make_private(folder / time.strftime("%Y%m%dT%H%M%S", time.gmtime()))
    for old in replaced:
        copy = target / str(old.path).lstrip("/").replace("/", "_")
        copy.touch(mode=0o600)
        copy.write_bytes(old.content or b"")
    for outdated in sorted(folder.iterdir())[:-BACKUPS_KEPT]:
        shutil.rmtree(outdated, ignore_errors=True)


def _write(file: dict[str, Any]) -> None:
    """Replace one file at once: a reader sees the old or the new one, never a part."""
    path = Path(file["path"])
    path.parent.mkdir(parents=True, exist_ok=True)
    # Hidden and without the usual suffix, so that no include glob picks it up.
    temporary = path.parent / f".{path.name}.stellwerk-{os.getpid()}"
    temporary.unlink(missing_ok=True)
    try:
        if "link" in file:
            temporary.symlink_to(file["link"])
        else:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(base64.b64decode(file["content"]))
                os.fchown(descriptor, *_ids(file))
                os.fchmod(descriptor, file["mode"])
                stream.flush()
                os.fsync(descriptor)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _activate(activation: dict[str, Any]) -> None:
    if activation.get("daemon_reload"):
        units.daemon_reload()
    for command in activation.get("commands", []):
        result = run(command, timeout=120)
        if result.returncode:
            starts_unit = command[0] == "systemctl" and command[-1].endswith(".service")
            said = units.journal(command[-1]) if starts_unit else result.stderr or result.stdout
            raise Failure(f"{' '.join(command)} failed", said)
    unit = activation.get("unit")
    if unit:
        units.enable(unit)
        units.activate(unit, activation["how"])


def _restore(before: list[Replaced], activation: dict[str, Any]) -> str:
    for old in before:
        if old.content is not None:
            temporary = old.path.parent / f".{old.path.name}.stellwerk-{os.getpid()}"
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(old.content)
                os.fchown(descriptor, *old.owner)
                os.fchmod(descriptor, old.mode)
            temporary.replace(old.path)
        elif old.link is not None:
            _write({"path": str(old.path), "link": old.link})
        else:
            old.path.unlink(missing_ok=True)
    if not any(old.existed for old in before):
        return "nothing was in its place before"
    try:
        _activate(activation)
    except Failure as error:
        return f"the old configuration was restored, but: {error}"
    return "the old configuration was restored and serves on"


def _stamp_path(document: dict[str, Any]) -> Path:
    return STAMPS / f"{document['name']}.json"


def _stamp(document: dict[str, Any]) -> None:
    unit = document["activate"].get("unit")
    stamp = {
        "digest": document["digest"],
        "files": [file["path"] for file in document["files"] if not file.get("seed")],
        "units": [unit] if unit else [],
        "active_since": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    make_private(STAMPS)
    content = base64.b64encode(json.dumps(stamp).encode()).decode()
    _write(
        {
            "path": str(_stamp_path(document)),
            "content": content,
            "mode": 0o600,
            "owner": "root",
            "group": "root",
        }
    )
