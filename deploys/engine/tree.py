"""A release: a complete tree for a host's Python and machine, built once on the control machine.

A host only unpacks it: no index, no compiler and no installer there, and the same bytes on every
host. What goes into one is in `release` (the runtime) and `programs` (the users' services).
"""

import base64
import compileall
import gzip
import io
import os
import py_compile
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from gevent.lock import RLock
from uv import find_uv_bin

from stellwerk.settings import private_files

ROOT = Path(__file__).resolve().parent.parent.parent
BUILD = ROOT / "build" / "releases"
LAYOUT = "3"  # raised when a tree is laid out in another way
GLIBC = {"3.11": "2_36", "3.13": "2_40"}  # of the Debian with that python3; 2.40: uv's newest

# Where a package came from: it differs from build to build, and nothing on a host reads it.
_NOTES = frozenset({"direct_url.json", "uv_build.json", "uv_cache.json"})

_building = RLock()


class BuildError(Exception):
    """A release cannot be built; the message is one sentence with what the builder said."""


@dataclass(frozen=True)
class Release:
    """A release for hosts with one Python version and machine architecture.

    `store` is the folder its archive is kept in, here; `fill` puts into an empty tree what it is
    made of.
    """

    name: str
    python: str
    architecture: str
    prefix: str
    store: Path = field(repr=False)
    fill: "Callable[[Tree], None]" = field(repr=False, compare=False)

    @property
    def place(self) -> str:
        """Its folder on a host."""
        return f"{self.prefix}/releases/{self.name}"

    def beside(self, suffix: str) -> Path:
        """A file kept with its archive, which has the suffix `.tar.gz`."""
        return self.store / f"{self.name}-py{self.python}-{self.architecture}{suffix}"

    def build(self) -> Path:
        """Its archive, built unless it is there.

        Raises:
            BuildError: a dependency has no wheel for the host, or the index does not answer.
        """
        path = self.beside(".tar.gz")
        with _building:
            if not path.is_file():
                self.store.mkdir(parents=True, exist_ok=True)
                with private_files.locked(self.store):  # another run may build the same one
                    if not path.is_file():
                        _build(self, path)
        return path

    def archive(self) -> str:
        """Its archive in base64. Raises BuildError as `build` does."""
        return base64.b64encode(self.build().read_bytes()).decode()


@dataclass(frozen=True)
class Tree:
    """A tree in the making. `work` is a folder for whatever is needed on the way."""

    release: Release
    folder: Path
    work: Path

    @property
    def packages(self) -> Path:
        return self.folder / "lib" / f"python{self.release.python}" / "site-packages"

    @property
    def wheels(self) -> tuple[str, ...]:
        """The options that make uv choose wheels of the host's Python and machine, only them."""
        release = self.release
        glibc = GLIBC.get(release.python, "2_28")
        return ("--python", sys.executable, "--python-version", release.python,
                "--python-platform", f"{release.architecture}-manylinux_{glibc}",
                "--only-binary", ":all:")  # fmt: skip

    def install(self, *what: str, settings: Path) -> None:
        """Install requirements, given as options of uv, with uv's settings of a folder.

        Raises BuildError.
        """
        uv("pip", "install", "--target", str(self.packages), *self.wheels, *what, folder=settings)


def uv(*arguments: str, folder: Path) -> None:
    """Run uv in a folder: its settings apply, as do the user's and those of the environment.

    Raises:
        BuildError: it failed; the message is what it said.
    """
    command = [find_uv_bin(), "--quiet", *arguments]
    environment = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise BuildError(sentence_of(done.stderr))


def sentence_of(said: str) -> str:
    """What uv said, in one line: its error, causes and hints."""
    rows = (re.sub(r"^\W*(error|cause|hint):\s*", "", row).strip(" ×│╰─▶") for row in
            said.splitlines())  # fmt: skip
    return ": ".join(row.rstrip(":") for row in rows if row) or "the builder gave no reason"


def _build(release: Release, path: Path) -> None:
    # Outside of every project: uv would take settings from the folders above.
    with tempfile.TemporaryDirectory() as made:
        work, folder = Path(made) / "work", Path(made) / "tree"
        work.mkdir()
        folder.mkdir()
        tree = Tree(release, folder, work)
        release.fill(tree)
        _finish(tree)
        _compile(tree)
        partial = path.with_name(f".{path.name}.partial")
        partial.write_bytes(_pack(folder))
        partial.replace(path)


def _finish(tree: Tree) -> None:
    """Make the tree a virtual environment of the host's own python3."""
    tree.packages.mkdir(parents=True, exist_ok=True)
    (tree.packages / ".lock").unlink(missing_ok=True)
    for record in sorted(tree.packages.glob("*.dist-info/RECORD")):
        _forget_notes(record)
    _move_commands(tree)
    (tree.folder / "pyvenv.cfg").write_text(
        "home = /usr/bin\ninclude-system-site-packages = false\n"
    )


def _move_commands(tree: Tree) -> None:
    """Put the packages' commands where they will run; what is there already has the name."""
    commands = tree.folder / "bin"
    commands.mkdir(exist_ok=True)
    installed = tree.packages / "bin"
    for path in sorted(installed.iterdir()) if installed.is_dir() else []:
        target = commands / path.name
        if path.is_file() and not target.exists():
            target.write_bytes(_with_python(path.read_bytes(), f"{tree.release.place}/bin/python3"))
            target.chmod(0o755)
    shutil.rmtree(installed, ignore_errors=True)


def _with_python(script: bytes, python: str) -> bytes:
    """A command with its first line, in either of its forms, naming another Python."""
    first, _, rest = script.partition(b"\n")
    if first == b"#!/bin/sh" and rest.startswith(b"'''exec' "):
        # The form of a path that is too long or holds a space.
        return b"#!%b\n" % python.encode() + rest.split(b"\n", 2)[2]
    if first == b"#!" + sys.executable.encode():
        return b"#!%b\n" % python.encode() + rest
    return script


def _forget_notes(record: Path) -> None:
    """Remove what the installer notes, and its rows, as well as those of moved commands."""
    rows = []
    for row in record.read_text(encoding="utf-8").splitlines():
        path = row.partition(",")[0]
        if path.startswith("bin/"):
            rows.append(f"../../../{path},,")
        elif Path(path).parent.name != record.parent.name or Path(path).name not in _NOTES:
            rows.append(row)
    record.write_text("\n".join(rows) + "\n", encoding="utf-8")
    for note in _NOTES:
        (record.parent / note).unlink(missing_ok=True)


def _compile(tree: Tree) -> None:
    """Compile here what this Python can compile for the host; the host then has nothing to do."""
    if tree.release.python != f"{sys.version_info.major}.{sys.version_info.minor}":
        return
    compileall.compile_dir(
        tree.folder,
        ddir=tree.release.place,
        quiet=2,
        workers=0,
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )


def _pack(folder: Path) -> bytes:
    """The tree as tar.gz: owner, order, times and rights are fixed, so equal trees are equal."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(folder.rglob("*")):
            entry = tar.gettarinfo(str(path), str(path.relative_to(folder)))
            entry.uid = entry.gid = 0
            entry.uname = entry.gname = "root"
            entry.mtime = 0
            if path.is_symlink() or not path.is_file():
                entry.mode = 0o777 if path.is_symlink() else 0o755
                tar.addfile(entry)
                continue
            entry.mode = 0o755 if entry.mode & 0o100 else 0o644
            with path.open("rb") as stream:
                tar.addfile(entry, stream)
    return gzip.compress(buffer.getvalue(), compresslevel=6, mtime=0)
