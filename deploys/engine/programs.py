"""The users' programs as releases: each with its dependencies, for a host's Python and machine.

What a program is made of is read in `program_source`; the tree around it is made in `tree`.
"""

import hashlib
import re
import tarfile
from collections.abc import Mapping
from functools import cache, partial
from pathlib import Path, PurePosixPath

from deploys.engine import program_files
from deploys.engine.program_files import FilesError
from deploys.engine.program_source import Form, Source
from deploys.engine.tree import BUILD, BuildError, Release, Tree, uv
from stellwerk.settings.errors import did_you_mean

PYTHON = PurePosixPath("bin/python3")  # made on the host: a link to its own
_HASH = re.compile(rb"\s--hash=")


def prefix_of(prefix: str, service: str) -> str:
    """Where the releases of a service are on a host, below the runtime's prefix."""
    return f"{prefix}/services/{service}"


def release_for(
    source: Source, service: str, python: str, architecture: str, prefix: str
) -> Release:
    """The release of a program for a host; `prefix` is the runtime's."""
    fill = partial(_fill, source)
    own = prefix_of(prefix, service)
    return Release(source.release, python, architecture, own, BUILD / "services" / service, fill)


def problem_with(release: Release, command: str) -> str:
    """Why a release cannot run a command of its own, after building it; empty where it can.

    Raises:
        BuildError: it cannot be built.
    """
    held = _contents(release.build())
    path = PurePosixPath(command)
    if path == PYTHON or held.get(path):
        return ""
    if path in held:
        return f"{path} of its release may not be executed; chmod +x it"
    commands = [str(PYTHON), *(str(one) for one, runs in held.items() if runs and _is_command(one))]
    in_bin = f"bin/{path}"
    near = f"; did you mean {in_bin}?" if in_bin in commands else did_you_mean(command, commands)
    return f"its release has no {path}{near}"


def _is_command(path: PurePosixPath) -> bool:
    return path.parts[0] != "lib"


@cache
def _contents(archive: Path) -> Mapping[PurePosixPath, bool]:
    """The files of a release, and whether each may be executed."""
    with tarfile.open(archive) as tar:
        return {
            PurePosixPath(member.name): member.issym() or bool(member.mode & 0o100)
            for member in tar
            if not member.isdir()
        }


def _fill(source: Source, tree: Tree) -> None:
    files = tree.work / "source"
    files.mkdir()
    if source.manifest is not None:
        try:
            program_files.write(source.path, source.manifest, files)
            if source.form is Form.FILES:
                program_files.write(source.path, source.manifest, tree.folder)
        except FilesError as error:
            raise BuildError(str(error)) from error
    wheel = _wheel(source, tree, files)
    options = []
    if wheel is not None:
        own = tree.work / "own.txt"
        own.write_text(_pinned(wheel, source.extras))
        options += ["-r", str(own)]
    dependencies = _dependencies(source, tree, files, wheel)
    if dependencies is not None:
        options += ["-r", str(dependencies)]
    if options:
        tree.install("--require-hashes", *options, settings=files)


def _wheel(source: Source, tree: Tree, files: Path) -> Path | None:
    """The program as a wheel; None where its files are taken as they are."""
    if source.form is Form.FILES:
        return None
    if source.form is Form.WHEEL:
        return source.path.resolve()
    built = tree.work / "dist"
    uv("build", "--wheel", "--out-dir", str(built), folder=files)
    return next(built.glob("*.whl"))


def _pinned(wheel: Path, extras: tuple[str, ...]) -> str:
    """A wheel as a line of a requirements file that is checked like all others."""
    wanted = f"[{','.join(extras)}]" if extras else ""
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    return f"{_name(wheel)}{wanted} @ {wheel.as_uri()} --hash=sha256:{digest}\n"


def _name(wheel: Path) -> str:
    return wheel.name.partition("-")[0].lower().replace("_", "-")


def _dependencies(source: Source, tree: Tree, files: Path, wheel: Path | None) -> Path | None:
    """Everything the program needs as a requirements file with hashes; None where it needs none."""
    given = source.requirements
    if given is None and source.form is Form.FILES and not source.is_project:
        given = files / "requirements.txt"
        if not given.exists():
            return None
    if given is not None and _HASH.search(given.read_bytes()):
        return given
    extras = [word for extra in source.extras for word in ("--extra", extra)]
    if given is None and (files / "uv.lock").exists():
        locked = tree.work / "locked.txt"
        uv("export", "--frozen", "--no-dev", "--no-emit-project", "--no-header", "--no-annotate",
           *extras, "--output-file", str(locked), folder=files)  # fmt: skip
        return locked
    asked = [str(given)] if given else []
    if wheel is not None:
        asked.append(str(tree.work / "own.txt"))
        extras = ["--no-emit-package", _name(wheel)]
    elif source.is_project and given is None:
        asked.append(str(files / "pyproject.toml"))
    else:
        extras = []
    return _resolved(tree, [*asked, *extras], files)


def _resolved(tree: Tree, asked: list[str], files: Path) -> Path:
    """What the index offers, kept: built again, the same source gives the same release."""
    kept = tree.release.beside(".txt")
    if not kept.is_file():
        found = tree.work / "resolved.txt"
        uv("pip", "compile", "--generate-hashes", "--no-header", "--no-annotate", *tree.wheels,
           *asked, "--output-file", str(found), folder=files)  # fmt: skip
        partial = kept.with_name(f".{kept.name}.partial")
        partial.write_bytes(found.read_bytes())
        partial.replace(kept)
    return kept
