"""Releases of the runtime under its prefix: unpacked beside the old one, then switched (C7)."""

import base64
import io
import os
import shutil
import tarfile
import zlib
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


def install(document: dict[str, Any]) -> None:
    """Unpack a release if absent, try it, switch `current` to it, keep the newest few.

    Raises:
        Failure: the release does not run here; `current` still names the old one.
    """
    prefix = Path(document["prefix"])
    releases = prefix / "releases"
    releases.mkdir(parents=True, exist_ok=True)
    target = releases / document["name"]
    if not target.is_dir():
        _unpack(document, target)
    before = state(prefix)["current"]
    _switch(prefix, target)
    _prune(prefix, document["keep"], {target.name, before})


def _unpack(document: dict[str, Any], target: Path) -> None:
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
        # What did not come compiled is compiled now: /opt is read-only to the daemons, so each of
        # their starts would compile it again.
        run([str(python), "-m", "compileall", "-q", "-j0", str(partial / "lib")], timeout=300)
        # By its Python: the command's first line names the place it is about to be moved to.
        tried = run([str(python), "-I", str(partial / "bin" / "stellwerk"), "--version"])
        if tried.returncode:
            raise Failure(
                f"release {target.name} does not run on this host; the present one stays in use",
                tried.stderr,
            )
        partial.rename(target)
    except OSError as error:
        raise Failure(f"release {target.name} cannot be unpacked: {sentence_of(error)}") from error
    except (tarfile.TarError, EOFError, zlib.error, ValueError) as error:
        raise Failure(f"release {target.name} arrived incomplete; run again") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


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
