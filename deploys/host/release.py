"""Releases of the runtime and of services' programs: unpacked beside the old ones, tried (C7).

The runtime's is then switched to; a program's is named by the generations that run it.
"""

import base64
import io
import os
import shutil
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import generations
from .command import Failure, run, sentence_of
from .paths import COMMAND


def state(prefix: Path) -> dict[str, Any]:
    """The release in use and all complete ones, oldest first."""
    releases = prefix / "releases"
    current = prefix / "current"
    complete = [path for path in releases.glob("*") if not path.name.startswith(".")]
    return {
        "current": current.readlink().name if current.is_symlink() else "",
        "releases": [path.name for path in sorted(complete, key=lambda path: path.stat().st_mtime)],
    }


def programs(prefix: Path) -> dict[str, list[str]]:
    """The complete releases of each service's program, oldest first."""
    return {path.name: state(path)["releases"] for path in (prefix / "services").glob("*")}


def install(document: dict[str, Any]) -> None:
    """Unpack a release if absent, try it, switch `current` to it, keep the newest few.

    Raises:
        Failure: the release does not run here; `current` still names the old one.
    """
    prefix = Path(document["prefix"])
    target = _put(document, _try_runtime)
    before = state(prefix)["current"]
    _switch(prefix, target)
    _prune(prefix, document["keep"], {target.name, before})


def install_program(document: dict[str, Any]) -> None:
    """Unpack a release of a service's program if absent, keep the newest few.

    Raises:
        Failure: it has not the command it is to run; the releases that are there stay.
    """
    target = _put(document, lambda partial: _try_program(partial, document["command"]))
    _prune(Path(document["prefix"]), document["keep"], {target.name})


def _put(document: dict[str, Any], try_it: Callable[[Path], None]) -> Path:
    """Where the release is, unpacked and tried if it was not there."""
    target = Path(document["prefix"], "releases", document["name"])
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.is_dir():
        _unpack(document, target, try_it)
    return target


def _unpack(document: dict[str, Any], target: Path, try_it: Callable[[Path], None]) -> None:
    for left_behind in target.parent.glob(".*.partial"):
        shutil.rmtree(left_behind, ignore_errors=True)
    partial = target.parent / f".{target.name}.partial"
    partial.mkdir(mode=0o755)
    try:
        archive = io.BytesIO(base64.b64decode(document["archive"]))
        with tarfile.open(fileobj=archive, mode="r:*") as tar:
            # Packed by the deploy that sends it; Debian 12's Python knows no extraction filter yet.
            tar.extractall(partial)  # noqa: S202
        python = partial / "bin" / "python3"
        python.symlink_to("/usr/bin/python3")
        if next(partial.rglob("*.pyc"), None) is None:
            # What did not come compiled is compiled now: /opt is read-only to all services, so
            # each of their starts would compile it again.
            run([str(python), "-m", "compileall", "-q", "-j0", str(partial)], timeout=300)
        try_it(partial)
        partial.rename(target)
    except OSError as error:
        raise Failure(f"release {target.name} cannot be unpacked: {sentence_of(error)}") from error
    except (tarfile.TarError, EOFError, zlib.error, ValueError) as error:
        raise Failure(f"release {target.name} arrived incomplete; run again") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _try_runtime(partial: Path) -> None:
    # By its Python: the command's first line names the place it is about to be moved to.
    command = [str(partial / "bin" / "python3"), "-I", str(partial / "bin" / "stellwerk")]
    tried = run([*command, "--version"])
    if tried.returncode:
        raise Failure(
            f"release {_name(partial)} does not run on this host; the present one stays in use",
            tried.stderr,
        )


def _try_program(partial: Path, command: str) -> None:
    path = partial / command
    if command and not (path.is_file() and os.access(path, os.X_OK)):
        raise Failure(
            f"release {_name(partial)} has no command {command}; the present ones stay in use"
        )


def _name(partial: Path) -> str:
    return partial.name.removeprefix(".").removesuffix(".partial")


def _point(link: Path, release: str) -> None:
    temporary = link.parent / f".{link.name}.{os.getpid()}"
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(Path("releases") / release)
    temporary.replace(link)


def _switch(prefix: Path, target: Path) -> None:
    _point(prefix / "current", target.name)
    wanted = prefix / "current" / "bin" / "stellwerk"
    if not (COMMAND.is_symlink() and COMMAND.readlink() == wanted):
        COMMAND.unlink(missing_ok=True)
        COMMAND.symlink_to(wanted)


def _prune(prefix: Path, keep: int, current: set[str]) -> None:
    """Keep the newest few, and whatever the agent or an instance may be started with again."""
    kept = current | generations.releases()
    names = state(prefix)["releases"]
    for name in set(names[:-keep]) - kept:
        shutil.rmtree(prefix / "releases" / name, ignore_errors=True)
