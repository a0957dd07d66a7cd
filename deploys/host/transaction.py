"""Put a configuration live safely, or leave everything as it was (contract C2).

Check the whole candidate tree with the daemon's own checker -> keep the old files -> stage the new
ones beside them -> rename -> activate -> health check -> stamp; on any failure the old files are
restored and activated again. The stamp is voided first and written last, so an activation that was
lost with an interrupted run is made up by the next one.

The host's lock is held meanwhile: what another run left behind is nobody's and may be removed.
"""

import base64
import grp
import json
import os
import pwd
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import checks, stamps, units
from .command import Failure, run, sentence_of
from .paths import BACKUPS, STAGING, STAMPS, make_private

BACKUPS_KEPT = 3
# With a dot before the name and no usual suffix behind it, so that no include glob picks it up.
STAGED_SUFFIX = ".stellwerk-new"


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
    document = {**document, "absent": [*document["absent"], *_obsolete(document)]}
    # First, as a candidate may name a folder that its daemon wants to see.
    for folder in document["directories"]:
        _make_directory(folder)
    _check_candidate(document)
    wanted = [file for file in document["files"] if not _is_the_daemons(document, file)]
    before = [_as_it_was(Path(file["path"])) for file in wanted]
    before += [_as_it_was(Path(path)) for path in document["absent"]]
    stamp = _as_it_was(_stamp_path(document))
    _keep(name, before)
    with _staged(wanted) as staged:
        _void_stamp(document)
        try:
            for temporary, path in staged:
                temporary.replace(path)
            for path in document["absent"]:
                Path(path).unlink(missing_ok=True)
            _activate(document["activate"])
            _expect_health(document)
        except (Failure, OSError) as error:
            reason = error if isinstance(error, Failure) else Failure(sentence_of(error))
            restored = _restore(name, before, stamp, document["activate"])
            raise Failure(f"{name}: {reason}; {restored}", reason.detail) from error
    _stamp(document)


def _expect_health(document: dict[str, Any]) -> None:
    failure = checks.first_failure(document["health"], document["health_seconds"])
    if failure:
        check, problem = failure
        unit = check.get("unit") or document["activate"].get("unit") or ""
        raise Failure(problem, units.journal(unit) if unit else "")


def _is_the_daemons(document: dict[str, Any], file: dict[str, Any]) -> bool:
    """Whether a seed was taken over by its daemon, which has rewritten it since or soon will."""
    if not file.get("seed") or not Path(file["path"]).exists():
        return False
    unit = document["activate"].get("unit")
    return _stamp_path(document).exists() or bool(unit and units.is_active(unit))


def _check_candidate(document: dict[str, Any]) -> None:
    if not document["check"]:
        return
    # Candidates hold secrets: none outlives the next run, whatever became of the one it is from.
    shutil.rmtree(STAGING, ignore_errors=True)
    root = make_private(make_private(STAGING) / document["name"])
    try:
        tree = document.get("tree")
        if tree and Path(tree).is_dir():
            # A file that is being staged beside its place comes and goes meanwhile.
            staged = shutil.ignore_patterns(f".*{STAGED_SUFFIX}")
            shutil.copytree(tree, f"{root}{tree}", symlinks=True, ignore=staged)
        for path in document["absent"]:
            Path(f"{root}{path}").unlink(missing_ok=True)
        for file in document["files"]:
            path = Path(f"{root}{file['path']}")
            _stage(path, file).replace(path)
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


def keep(name: str, paths: Iterable[Path]) -> None:
    """Keep files that are about to be removed, as installing others in their place does."""
    _keep(name, [_as_it_was(path) for path in paths])


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


@contextmanager
def _staged(files: Iterable[dict[str, Any]]) -> Iterator[list[tuple[Path, Path]]]:
    """The new files, complete and beside their places, so that only renames are left to do.

    All that needs disk space is done here, before anything is changed.
    """
    pairs: list[tuple[Path, Path]] = []
    try:
        for file in files:
            path = Path(file["path"])
            pairs.append((_stage(path, file), path))
        yield pairs
    finally:
        for temporary, _ in pairs:
            temporary.unlink(missing_ok=True)


def _stage(path: Path, file: dict[str, Any]) -> Path:
    return fill(path, base64.b64decode(file["content"]), _ids(file), file["mode"])


def fill(path: Path, content: bytes, owner: tuple[int, int], mode: int) -> Path:
    """Write beside `path`: a reader then sees the old or the new file, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary(path)
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fchown(descriptor, *owner)
            os.fchmod(descriptor, mode)
            os.fsync(descriptor)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return temporary


def _temporary(path: Path) -> Path:
    temporary = path.parent / f".{path.name}{STAGED_SUFFIX}"
    temporary.unlink(missing_ok=True)
    return temporary


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


def _restore(name: str, before: list[Replaced], stamp: Replaced, activation: dict[str, Any]) -> str:
    """Put everything back and make it active again; what came of it, in a few words."""
    if not before:
        return "none of its files was changed"
    try:
        for old in before:
            _put_back(old)
    except OSError as error:
        return (
            f"{old.path} could not be restored ({sentence_of(error)});"
            f" its content is kept in {BACKUPS / name}"
        )
    if not any(old.existed for old in before):
        _withdraw(activation)
        return "nothing was in its place before, so its files are gone again"
    try:
        _activate(activation)
    except Failure as error:
        return f"the old configuration was restored, but: {error}"
    _put_back(stamp)
    return "the old configuration was restored and serves on"


def _put_back(old: Replaced) -> None:
    if old.content is not None:
        fill(old.path, old.content, old.owner, old.mode).replace(old.path)
    elif old.link is not None:
        temporary = _temporary(old.path)
        temporary.symlink_to(old.link)
        temporary.replace(old.path)
    else:
        old.path.unlink(missing_ok=True)


def _withdraw(activation: dict[str, Any]) -> None:
    """Stop what was started without a predecessor: it must not run on files that are gone."""
    unit = activation.get("unit")
    if unit:
        run(["systemctl", "disable", "--quiet", "--now", unit], timeout=units.START_TIMEOUT_SECONDS)
    if activation.get("daemon_reload"):
        run(["systemctl", "daemon-reload"])


def _obsolete(document: dict[str, Any]) -> list[str]:
    """Files of the configuration as it was before that are no part of it, or of another, now."""
    wanted = {file["path"] for file in document["files"]}
    wanted |= {path for name in stamps.names() - {document["name"]} for path in stamps.files(name)}
    return [
        path
        for path in stamps.files(document["name"])
        if path not in wanted and not _is_lasting(document, path)
    ]


def _former(document: dict[str, Any]) -> list[str]:
    """Files of before that stay until the configuration's own commands remove them."""
    wanted = {file["path"] for file in document["files"]}
    return [
        path
        for path in stamps.files(document["name"], former=True)
        if path not in wanted and _is_lasting(document, path) and os.path.lexists(path)
    ]


def _is_lasting(document: dict[str, Any], path: str) -> bool:
    return any(Path(path).is_relative_to(folder) for folder in document["lasting"])


def _stamp_path(document: dict[str, Any]) -> Path:
    return STAMPS / f"{document['name']}.json"


def _stamp(document: dict[str, Any]) -> None:
    unit = document["activate"].get("unit")
    files = document["files"]
    write_stamp(
        document["name"],
        {
            "digest": document["digest"],
            "files": [file["path"] for file in files if not file.get("seed")],
            "seeds": [file["path"] for file in files if file.get("seed")],
            "former": _former(document),
            "directories": [folder["path"] for folder in document["directories"]],
            "units": [unit] if unit else [],
            "active_since": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        },
    )


def _void_stamp(document: dict[str, Any]) -> None:
    """Have an existing stamp say that nothing is known to be active, until this is over.

    It is not removed, as its presence tells that the seeds are their daemon's.
    """
    if stamp := stamps.read(document["name"]):
        write_stamp(document["name"], {**stamp, "digest": ""})


def write_stamp(name: str, stamp: dict[str, Any]) -> None:
    """Write a configuration's stamp, whole or not at all."""
    make_private(STAMPS)
    path = STAMPS / f"{name}.json"
    owner = (os.geteuid(), os.getegid())
    fill(path, json.dumps(stamp).encode(), owner, 0o600).replace(path)
