"""The files of a user's program, from a folder or an archive: which count, and none leads out.

What is made of them is in `programs`.
"""

import hashlib
import os
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from functools import partial
from lzma import LZMAError
from pathlib import Path, PurePosixPath

ARCHIVES = (".tar.gz", ".tgz", ".tar.xz", ".tar.bz2", ".zip")
IGNORED = frozenset({".git", "__pycache__", ".venv"})
_IGNORED_ENDINGS = (".pyc", ".pyo")
_READ = frozenset({"pyproject.toml", "uv.lock", "requirements.txt", "PKG-INFO"})
# RuntimeError: zipfile's for what is encrypted, or packed in a way it does not know.
_DAMAGED = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    LZMAError,
    EOFError,
    RuntimeError,
    ValueError,
)


class FilesError(Exception):
    """The files cannot be taken; the message is one sentence that names the one in the way."""


class Kind(Enum):
    FILE = "file"
    COMMAND = "command"  # a file that may be executed
    LINK = "link"


@dataclass(frozen=True)
class Entry:
    """A file or link. `content` reads it, a link's target; only until the next entry is taken."""

    path: PurePosixPath
    kind: Kind
    content: Callable[[], bytes]


@dataclass(frozen=True)
class Manifest:
    """What files a program has: a digest of all, the kind of each, the text of what describes it.

    `top` is the one folder that everything in an archive is in, which does not count.
    """

    digest: str
    kinds: Mapping[PurePosixPath, Kind]
    texts: Mapping[str, bytes]
    top: PurePosixPath


def read(path: Path) -> Manifest:
    """Look through a folder or an archive.

    Raises:
        FilesError: it cannot be read, or holds what would lead out of it.
    """
    found: dict[PurePosixPath, tuple[Kind, str]] = {}
    links: dict[PurePosixPath, str] = {}
    texts: dict[PurePosixPath, bytes] = {}
    with _one_sentence(path):
        for entry in _entries(path):
            if entry.path in found:
                raise FilesError(f"{entry.path} is in {path} twice")
            content = entry.content()
            found[entry.path] = (entry.kind, hashlib.sha256(content).hexdigest())
            if entry.kind is Kind.LINK:
                links[entry.path] = os.fsdecode(content)
            elif entry.path.name in _READ:
                texts[entry.path] = content
    if not found:
        raise FilesError(f"{path} holds no files")
    _refuse_ways_out(found, links)
    top = PurePosixPath() if path.is_dir() else _top(found)
    rows = sorted(
        f"{one.relative_to(top)}\0{kind.value}\0{digest}" for one, (kind, digest) in found.items()
    )
    return Manifest(
        hashlib.sha256("\n".join(rows).encode(errors="surrogateescape")).hexdigest(),
        {one.relative_to(top): kind for one, (kind, _) in found.items()},
        {one.name: text for one, text in texts.items() if one.parent == top},
        top,
    )


def write(path: Path, manifest: Manifest, folder: Path) -> None:
    """Put the files of a folder or an archive that was read into an empty folder.

    Raises:
        FilesError: it is not what was read, or there is no room.
    """
    expected = {manifest.top / relative: kind for relative, kind in manifest.kinds.items()}
    with _one_sentence(path):
        for entry in _entries(path):
            if expected.get(entry.path) is not entry.kind:
                raise FilesError(f"{path} was changed while it was read; run again")
            place = folder / entry.path.relative_to(manifest.top)
            place.parent.mkdir(parents=True, exist_ok=True)
            if entry.kind is Kind.LINK:
                place.symlink_to(os.fsdecode(entry.content()))
            else:
                place.write_bytes(entry.content())
                place.chmod(0o755 if entry.kind is Kind.COMMAND else 0o644)


def _entries(path: Path) -> Iterator[Entry]:
    """The files and links that count."""
    read_them = _of_folder if path.is_dir() else _of_zip if path.suffix == ".zip" else _of_tar
    for entry in read_them(path):
        parts = entry.path.parts
        if entry.path.is_absolute() or ".." in parts:
            raise FilesError(f"{entry.path} would be written outside of the release")
        if not IGNORED.intersection(parts) and not entry.path.name.endswith(_IGNORED_ENDINGS):
            yield entry


@contextmanager
def _one_sentence(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise FilesError(f"{error.filename or path}: {error.strerror or error}") from error
    except _DAMAGED as error:
        raise FilesError(f"{path} is damaged, or no archive: {error}") from error


def _of_folder(path: Path) -> Iterator[Entry]:
    for parent, folders, files in os.walk(path, onerror=_raise):
        folders[:] = sorted(set(folders) - IGNORED)
        for name in sorted([*files, *folders]):
            found = Path(parent, name)
            mode = found.lstat().st_mode
            relative = PurePosixPath(found.relative_to(path))
            if stat.S_ISLNK(mode):
                yield Entry(relative, Kind.LINK, partial(_target, found))
            elif stat.S_ISREG(mode):
                yield Entry(relative, _kind(mode), found.read_bytes)
            elif not stat.S_ISDIR(mode):
                raise FilesError(f"{relative} is neither a file, a folder nor a link")


def _raise(error: OSError) -> None:
    raise error


def _target(link: Path) -> bytes:
    return os.fsencode(link.readlink())


def _of_tar(path: Path) -> Iterator[Entry]:
    with tarfile.open(path) as tar:
        for member in tar:
            found = PurePosixPath(member.name)
            if member.issym():
                yield Entry(found, Kind.LINK, partial(os.fsencode, member.linkname))
            elif member.isfile() or member.islnk():
                yield Entry(found, _kind(member.mode), partial(_content, tar, member))
            elif not member.isdir():
                raise FilesError(f"{found} is neither a file, a folder nor a link")


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    try:
        stream = tar.extractfile(member)
    except KeyError:
        stream = None
    if stream is None:
        raise FilesError(f"{member.name} is another name of {member.linkname}, which is not there")
    return stream.read()


def _of_zip(path: Path) -> Iterator[Entry]:
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            mode = member.external_attr >> 16
            found = PurePosixPath(member.filename)
            if stat.S_ISLNK(mode):
                yield Entry(found, Kind.LINK, partial(archive.read, member))
            elif not member.is_dir():
                yield Entry(found, _kind(mode), partial(archive.read, member))


def _kind(mode: int) -> Kind:
    return Kind.COMMAND if mode & stat.S_IXUSR else Kind.FILE


def _top(found: Mapping[PurePosixPath, object]) -> PurePosixPath:
    firsts = {path.parts[0] for path in found}
    nested = all(len(path.parts) > 1 for path in found)
    return PurePosixPath(*firsts) if len(firsts) == 1 and nested else PurePosixPath()


def _refuse_ways_out(
    found: Mapping[PurePosixPath, object], links: Mapping[PurePosixPath, str]
) -> None:
    for path in found:
        for parent in path.parents:
            if parent in found:
                raise FilesError(f"{path} would be written through {parent}, which is no folder")
    for path, target in links.items():
        if _follow(path, links) is None:
            raise FilesError(
                f"{path} is a link to {target}, which is not in the release; put a copy there"
            )


def _follow(path: PurePosixPath, links: Mapping[PurePosixPath, str]) -> PurePosixPath | None:
    """Where a path ends when links are followed; None outside of the folder, and in a circle."""
    reached, left, jumps = PurePosixPath(), list(path.parts), 0
    while left:
        part = left.pop(0)
        if part == "..":
            if not reached.parts:
                return None
            reached = reached.parent
            continue
        reached /= part
        if reached in links:
            target = PurePosixPath(links[reached])
            jumps += 1
            if target.is_absolute() or jumps > 40:  # as many as Linux follows
                return None
            reached, left = reached.parent, [*target.parts, *left]
    return reached
