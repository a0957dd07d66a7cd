"""What a service's program is made of, on the control machine: its form, version and digest.

Read before any host is contacted. How a release is made of it is in `programs`.
"""

import hashlib
import re
import tomllib
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from email.parser import Parser
from enum import Enum, auto
from pathlib import Path, PurePosixPath
from typing import Any

from deploys.engine import program_files
from deploys.engine.program_files import ARCHIVES, FilesError, Kind, Manifest
from deploys.engine.tree import LAYOUT
from stellwerk.settings.program import Program

_WHEEL = re.compile(r"(?P<name>[^-]+)-(?P<version>[^-]+)(-\d[^-]*)?-[^-]+-[^-]+-[^-]+\.whl")
_INCLUDED = re.compile(r"^\s*(?:-r|--requirement|-c|--constraint)[\s=]+(\S+)", re.MULTILINE)
_UNSAFE = re.compile(r"[^A-Za-z0-9.+]+")
_LONGEST_VERSION = 40  # it is part of paths
_OWN = ("pyvenv.cfg", "bin/python3")  # what a release brings itself


class SourceError(Exception):
    """A program cannot be taken as it is. `key` is the setting that the sentence is about."""

    def __init__(self, key: str, sentence: str) -> None:
        super().__init__(sentence)
        self.key = key


class Form(Enum):
    """How a release is made of a source."""

    WHEEL = auto()  # installed
    PACKAGE = auto()  # built into a wheel, then installed
    FILES = auto()  # taken as they are


@dataclass(frozen=True)
class Source:
    """A program on the control machine, with what else decides what its release holds."""

    path: Path
    form: Form
    version: str  # empty where it says none
    digest: str
    manifest: Manifest | None = field(repr=False)  # None for a wheel
    requirements: Path | None
    extras: tuple[str, ...]
    is_project: bool = False  # its pyproject.toml says what it depends on

    @property
    def release(self) -> str:
        """The name of the release that is made of it, on every host."""
        return f"{self.version}-{self.digest}" if self.version else self.digest


def read(project: Path, program: Program, settings_folders: Iterable[Path]) -> Source:
    """Look at a program; `project` is the inventory's folder.

    Raises:
        SourceError: no release can be made of it.
    """
    path = project / program.source
    requirements = _requirements(project, program)
    if not path.exists():
        raise SourceError("source", f"{path} does not exist")
    _refuse_settings(path.resolve(), project.resolve(), settings_folders)
    if path.suffix == ".whl":
        return _wheel(path, requirements, program)
    if not path.is_dir() and not path.name.endswith(ARCHIVES):
        known = ", ".join((".whl", *ARCHIVES))
        raise SourceError("source", f"{path} is neither a folder nor a file with {known}")
    return _files(path, requirements, program)


def _refuse_settings(path: Path, project: Path, settings_folders: Iterable[Path]) -> None:
    if project.is_relative_to(path):
        raise SourceError(
            "source",
            f"{path} holds the inventory, and with it the secrets; give a wheel, or a folder of"
            " the program's own",
        )
    for folder in settings_folders:
        if path.is_relative_to(folder.resolve()):
            raise SourceError("source", f"{path} is in {folder}, which holds settings; move it out")


def _requirements(project: Path, program: Program) -> Path | None:
    if program.requirements is None:
        return None
    path = project / program.requirements
    if not path.is_file():
        raise SourceError("requirements", f"{path} is no file")
    return path


def _wheel(path: Path, requirements: Path | None, program: Program) -> Source:
    name = _WHEEL.fullmatch(path.name)
    if name is None or not zipfile.is_zipfile(path):
        raise SourceError("source", f"{path} is no wheel; build it again")
    content = hashlib.sha256(path.name.encode() + path.read_bytes()).hexdigest()
    return Source(
        path,
        Form.WHEEL,
        _shortened(name["version"]),
        _digest(content, requirements, program),
        None,
        requirements,
        program.extras,
        is_project=True,
    )


def _files(path: Path, requirements: Path | None, program: Program) -> Source:
    try:
        manifest = program_files.read(path)
    except FilesError as error:
        raise SourceError("source", str(error)) from error
    described = _described(path, manifest)
    form = Form.PACKAGE if _is_package(described) else Form.FILES
    if form is Form.FILES:
        _refuse_own(path, manifest)
    is_project = "project" in described
    if program.extras and not is_project and form is Form.FILES:
        raise SourceError("extras", f"{path} has no pyproject.toml with a [project] to name extras")
    return Source(
        path,
        form,
        _version(described, manifest),
        _digest(manifest.digest, requirements, program),
        manifest,
        requirements,
        program.extras,
        is_project,
    )


def _described(path: Path, manifest: Manifest) -> Mapping[str, Any]:
    try:
        return tomllib.loads(manifest.texts.get("pyproject.toml", b"").decode())
    except ValueError as error:
        raise SourceError("source", f"{path}: its pyproject.toml is not valid: {error}") from error


def _is_package(described: Mapping[str, Any]) -> bool:
    """Whether a wheel is built of it; as uv sees it."""
    wanted = described.get("tool", {}).get("uv", {}).get("package")
    return bool(wanted) if wanted is not None else "build-system" in described


def _refuse_own(path: Path, manifest: Manifest) -> None:
    for name in _OWN:
        if PurePosixPath(name) in manifest.kinds:
            raise SourceError(
                "source", f"{path} has a {name}, which every release has its own of; leave it out"
            )
    for name in ("bin", "lib"):
        if manifest.kinds.get(PurePosixPath(name)) in (Kind.FILE, Kind.COMMAND, Kind.LINK):
            raise SourceError(
                "source", f"{path} has a file {name}, where every release has a folder; rename it"
            )


def _version(described: Mapping[str, Any], manifest: Manifest) -> str:
    version = described.get("project", {}).get("version")
    if not version and "PKG-INFO" in manifest.texts:
        text = manifest.texts["PKG-INFO"].decode(errors="replace")
        version = Parser().parsestr(text, headersonly=True)["Version"]
    return _shortened(str(version or ""))


def _shortened(version: str) -> str:
    return _UNSAFE.sub("_", version)[:_LONGEST_VERSION].strip("._")


def _digest(content: str, requirements: Path | None, program: Program) -> str:
    digest = hashlib.sha256(f"{LAYOUT}\0{content}\0{sorted(program.extras)}".encode())
    for path in _with_included(requirements) if requirements else ():
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _with_included(requirements: Path) -> Iterator[Path]:
    """A requirements file and those it names."""
    waiting, seen = [requirements], set()
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SourceError("requirements", f"{path} cannot be read: {error}") from error
        yield path
        waiting += [(path.parent / name).resolve() for name in _INCLUDED.findall(text)]
