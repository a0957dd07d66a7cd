"""A program that checks files: what it says of them, and whether it takes them."""

import atexit
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
import yaml

from tests.debian import Programs, programs

_SECONDS = 60


@dataclass(frozen=True)
class Checker:
    """promtool or amtool."""

    programs: Programs
    name: str

    def passes(self, *arguments: str, given: str = "") -> str:
        """What it says of files, or of what it is given; a failed test if it refuses."""
        ran = subprocess.run(
            [self.programs.path(self.name), *arguments],
            env=self.programs.environment,
            input=given,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
        )
        said = f"{ran.stdout}{ran.stderr}"
        assert ran.returncode == 0, said
        return said


@cache
def checker(package: str, name: str) -> Checker:
    """A checker of a Debian package, unpacked once; without a mirror its tests are skipped."""
    folder = Path(tempfile.mkdtemp(prefix=f"{name}-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    found = programs(package, folder, alone=True)
    if found is None:
        pytest.skip(f"needs the package {package} from a Debian mirror")
    return Checker(found, name)


def written(path: Path, document: object) -> str:
    """The path of a file that now holds the document as YAML."""
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    return str(path)
