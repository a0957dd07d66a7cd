"""Programs as a user might have them, made without an index: wheels, packages, archives."""

import base64
import bz2
import gzip
import hashlib
import io
import lzma
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

MAIN = "import sys\n\ndef main() -> None:\n    print('{said}', sys.prefix)\n"
# Builds a wheel as hatchling or setuptools would, without being fetched from anywhere.
BACKEND = """
import sys
sys.path.insert(0, {helpers!r})
from pathlib import Path
from tests.unit.deploys.made_programs import wheel

def build_wheel(folder, config_settings=None, metadata_directory=None):
    return wheel(Path(folder), "{name}", "{version}", {{
        "{name}/__init__.py": Path("{name}/__init__.py").read_text()
    }}, {needs!r}).name
"""
REPOSITORY = Path(__file__).parents[3]
COMPRESS: Mapping[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".tgz": gzip.compress,
    ".xz": lzma.compress,
    ".bz2": bz2.compress,
}


def wheel(
    folder: Path,
    name: str,
    version: str,
    modules: Mapping[str, str] | None = None,
    needs: tuple[str, ...] = (),
    tag: str = "py3-none-any",
    extras: Mapping[str, str] | None = None,
) -> Path:
    """A wheel with a command named after it, which says its name, version and sys.prefix."""
    info = f"{name}-{version}.dist-info"
    head = [f"Name: {name}", f"Version: {version}", *(f"Requires-Dist: {one}" for one in needs)]
    for extra, need in (extras or {}).items():
        head += [f"Provides-Extra: {extra}", f"Requires-Dist: {need}; extra == '{extra}'"]
    files = {
        **(modules or {f"{name}/__init__.py": MAIN.format(said=f"{name} {version}")}),
        f"{info}/METADATA": "\n".join(("Metadata-Version: 2.1", *head)) + "\n",
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n",
        f"{info}/entry_points.txt": f"[console_scripts]\n{name} = {name}:main\n",
    }
    rows = [f"{path},sha256={_digest(text)},{len(text)}" for path, text in files.items()]
    files[f"{info}/RECORD"] = "\n".join((*rows, f"{info}/RECORD,,")) + "\n"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{version}-{tag}.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name_inside, text in files.items():
            archive.writestr(zipfile.ZipInfo(name_inside), text)
    return path


def _digest(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def folder(path: Path, files: Mapping[str, str]) -> Path:
    """A folder with these files; those below `bin` may be executed."""
    for name, text in files.items():
        file = path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(0o755 if name.startswith("bin/") else 0o644)
    return path


def package(path: Path, name: str, version: str, needs: tuple[str, ...] = ()) -> Path:
    """A folder with a pyproject.toml, which brings what builds it."""
    backend = BACKEND.format(helpers=str(REPOSITORY), name=name, version=version, needs=needs)
    described = (
        f'[project]\nname = "{name}"\nversion = "{version}"\nrequires-python = ">=3.11"\n'
        f"dependencies = {list(needs)!r}\n"
        f'[project.scripts]\n{name} = "{name}:main"\n'
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    )
    said = MAIN.format(said=f"{name} {version}")
    files = {"pyproject.toml": described, "backend.py": backend, f"{name}/__init__.py": said}
    return folder(path, files)


def archived(source: Path, path: Path, top: str = "") -> Path:
    """A folder as an archive, in a folder named `top` if that is given."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as packed:
            for file in sorted(source.rglob("*")):
                packed.write(file, Path(top) / file.relative_to(source))
        return path
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        tar.add(source, arcname=top or ".")
    path.write_bytes(COMPRESS[path.suffix](buffer.getvalue()))
    return path


def tar_of(path: Path, *members: tarfile.TarInfo) -> Path:
    """A tar archive with these members, of which files hold as many bytes as they say."""
    with tarfile.open(path, "w:gz") as tar:
        for member in members:
            tar.addfile(member, io.BytesIO(b"x" * member.size))
    return path
