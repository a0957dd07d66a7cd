"""The runtime as a release: its sources and locked dependencies (C7)."""

import hashlib
import shutil
import tomllib
from functools import cache

from deploys.engine.tree import BUILD, LAYOUT, ROOT, BuildError, Release, Tree, uv

RUNTIME = ROOT / "runtime"
LOCK_FILE = ROOT / "uv.lock"


def release_for(python: str, architecture: str, prefix: str) -> Release:
    """The release of the present sources for a host."""
    name = f"{_version()}-{_source_digest()}"
    return Release(name, python, architecture, prefix, BUILD, _fill)


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


def _fill(tree: Tree) -> None:
    requirements = tree.work / "requirements.txt"
    try:
        uv("export", "--frozen", "--no-dev", "--no-emit-workspace", "--package", "stellwerk",
           "--output-file", str(requirements), folder=ROOT)  # fmt: skip
        uv("build", "--wheel", "--package", "stellwerk", "--out-dir", str(tree.work), folder=ROOT)
        wheel = next(tree.work.glob("stellwerk-*.whl"))
        tree.install("--require-hashes", "-r", str(requirements), settings=ROOT)
        tree.install("--no-deps", str(wheel), settings=ROOT)
    except BuildError as error:
        raise BuildError(f"the runtime cannot be built: {error}") from error
    shutil.rmtree(tree.packages / "bin", ignore_errors=True)
    # The only command, in isolation from what is set for a service or a shell.
    (tree.folder / "bin").mkdir()
    command = tree.folder / "bin" / "stellwerk"
    command.write_text(
        f"#!{tree.release.place}/bin/python3 -I\nfrom stellwerk.cli import main\n\nmain()\n"
    )
    command.chmod(0o755)
