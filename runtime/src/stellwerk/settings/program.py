"""Settings of the program that a service runs: what it is made of, on the control machine.

How it is built and put on the hosts is the deploy's matter.
"""

from pathlib import PurePosixPath
from typing import Annotated

from pydantic import Field

from stellwerk.settings.model import Model

LocalPath = Annotated[str, Field(pattern=r"^[^\n\r\x00]+$")]
ExtraName = Annotated[str, Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$")]


class Program(Model):
    """A wheel, a folder or an archive, with what it needs, relative to the inventory's folder."""

    source: LocalPath = Field(
        description="Wheel, folder or archive (.tar.gz, .tgz, .tar.xz, .tar.bz2, .zip), relative to"
        " the inventory's folder."
    )
    requirements: LocalPath | None = Field(
        None,
        description="Requirements file with the dependencies, relative to the inventory's folder;"
        " absent: what the program itself declares.",
    )
    extras: tuple[ExtraName, ...] = Field(
        (), description="Optional dependencies of the program to install."
    )


def is_inside(word: str) -> bool:
    """Whether a command's first word names a file of the release, not one of the host."""
    return not word.startswith("/")


def stays_inside(word: str) -> bool:
    """Whether a path within a release names a file there."""
    path = PurePosixPath(word)
    return bool(path.parts) and ".." not in path.parts
