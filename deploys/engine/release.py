"""The runtime as a release: a complete tree for a host's Python and machine, built once here (C7).

The tree is resolved from the lock file and installed on the control machine, so a host only
unpacks it: no index, no compiler and no installer there, and the same bytes on every host.
"""

import base64
import compileall
import hashlib
import io
import os
import py_compile
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from gevent.lock import RLock

ROOT = Path(__file__).resolve().parent.parent.parent
RUNTIME = ROOT / "runtime"
LOCK_FILE = ROOT / "uv.lock"
BUILD = ROOT / "build" / "releases"
LAYOUT = "2"  # raised when the tree is laid out in another way

_building = RLock()


class BuildError(Exception):
    """The release cannot be built; the message is what the builder said."""


@dataclass(frozen=True)
class Release:
    """A release for hosts with one Python version and machine architecture."""

    name: str
    python: str
    architecture: str
    prefix: str

    def archive(self) -> str:
        """The tree as a compressed tar archive in base64.

        Raises:
            BuildError: a dependency has no wheel for the host, or the index does not answer.
        """
        path = BUILD / f"{self.name}-py{self.python}-{self.architecture}.tar.gz"
        with _building:
            if not path.is_file():
                _build(self, path)
        return base64.b64encode(path.read_bytes()).decode()


def release_for(python: str, architecture: str, prefix: str) -> Release:
    """The release of the present sources for a host."""
    return Release(f"{_version()}-{_source_digest()}", python, architecture, prefix)


@cache
def _version() -> str:
    project = tomllib.loads((RUNTIME / "pyproject.toml").read_text())
    return str(project["project"]["version"])


@cache
def _source_digest() -> str:
    digest = hashlib.sha256(LAYOUT.encode())
    sources = [path for path in (RUNTIME / "src").rglob("*") if path.is_file()]
    for path in sorted([*sources, RUNTIME / "pyproject.toml", LOCK_FILE]):
        if "__pycache__" not in path.parts:
            digest.update(f"{path.relative_to(ROOT)}\0".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _build(release: Release, path: Path) -> None:
    BUILD.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=BUILD) as folder:
        tree = Path(folder) / "tree"
        packages = tree / "lib" / f"python{release.python}" / "site-packages"
        requirements = Path(folder) / "requirements.txt"
        _uv("export", "--frozen", "--no-dev", "--no-emit-workspace", "--package", "stellwerk",
            "--output-file", str(requirements))  # fmt: skip
        _uv("build", "--wheel", "--package", "stellwerk", "--out-dir", folder)
        wheel = next(Path(folder).glob("stellwerk-*.whl"))
        target = ["--target", str(packages), "--python-version", release.python,
                  "--python-platform", f"{release.architecture}-manylinux_2_28",
                  "--only-binary", ":all:"]  # fmt: skip
        _uv("pip", "install", *target, "--require-hashes", "-r", str(requirements))
        _uv("pip", "install", *target, "--no-deps", str(wheel))
        _finish(release, tree, packages)
        _compile(release, packages)
        partial = Path(folder) / "archive"
        partial.write_bytes(_pack(tree))
        partial.replace(path)


def _uv(*arguments: str) -> None:
    command = [shutil.which("uv") or "uv", "--quiet", "--project", str(ROOT), *arguments]
    environment = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise BuildError(f"the runtime cannot be built: {done.stderr.strip()}")


def _compile(release: Release, packages: Path) -> None:
    """Compile here what this Python can compile for the host; the host then has nothing to do."""
    if release.python != f"{sys.version_info.major}.{sys.version_info.minor}":
        return
    target = f"{release.prefix}/releases/{release.name}/lib/python{release.python}/site-packages"
    compileall.compile_dir(
        packages,
        ddir=target,
        quiet=2,
        workers=0,
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )


def _finish(release: Release, tree: Path, packages: Path) -> None:
    """Make the tree a virtual environment of the host's own python3 with one command in it."""
    shutil.rmtree(packages / "bin", ignore_errors=True)
    (packages / ".lock").unlink(missing_ok=True)
    (tree / "bin").mkdir()
    (tree / "pyvenv.cfg").write_text("home = /usr/bin\ninclude-system-site-packages = false\n")
    command = tree / "bin" / "stellwerk"
    command.write_text(
        f"#!{release.prefix}/releases/{release.name}/bin/python3 -I\n"
        "from stellwerk.cli import main\n\nmain()\n"
    )
    command.chmod(0o755)


def _pack(tree: Path) -> bytes:
    """The tree as tar.gz; owner, order and times are fixed."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=6) as tar:
        for path in sorted(tree.rglob("*")):
            if not path.is_file():
                continue
            entry = tar.gettarinfo(str(path), str(path.relative_to(tree)))
            entry.uid = entry.gid = 0
            entry.uname = entry.gname = "root"
            entry.mtime = 0
            with path.open("rb") as stream:
                tar.addfile(entry, stream)
    return buffer.getvalue()
