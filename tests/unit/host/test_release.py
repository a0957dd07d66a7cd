"""A release is in use when it is complete and runs here; until then the old one is (C7)."""

import base64
import io
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest

from deploys.host import release
from deploys.host.command import Failure

from .conftest import Host

RUNS = "print('stellwerk 1')\n"
BREAKS = "raise SystemExit('no module named stellwerk')\n"


def archive(command: str = RUNS) -> str:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in (("bin/stellwerk", command), ("lib/python3/module.py", "A = 1\n")):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o755
            tar.addfile(entry, io.BytesIO(content.encode()))
    return base64.b64encode(buffer.getvalue()).decode()


def wanted(host: Host, name: str, content: str | None = None) -> dict[str, Any]:
    shown = archive() if content is None else content
    return {"name": name, "prefix": str(host.root), "keep": 3, "archive": shown}


def test_a_release_that_runs_is_switched_to(host: Host) -> None:
    release.install(wanted(host, "1-a"))
    assert release.state(host.root) == {"current": "1-a", "releases": ["1-a"]}
    assert (host.folder / "stellwerk").readlink() == host.root / "current" / "bin" / "stellwerk"
    assert (host.root / "current" / "bin" / "python3").is_symlink()


def test_a_release_that_does_not_run_here_leaves_the_old_one_in_use(host: Host) -> None:
    release.install(wanted(host, "1-a"))
    with pytest.raises(Failure, match=r"2-b does not run on this host") as caught:
        release.install(wanted(host, "2-b", archive(BREAKS)))
    assert "no module named stellwerk" in caught.value.detail
    assert release.state(host.root) == {"current": "1-a", "releases": ["1-a"]}


@pytest.mark.parametrize(
    "content", ["", archive()[:100], "AAAA"], ids=["empty", "cut off", "something else"]
)
def test_an_archive_that_arrived_incomplete_is_no_release(host: Host, content: str) -> None:
    with pytest.raises(Failure, match=r"1-a arrived incomplete; run again"):
        release.install(wanted(host, "1-a", content))
    assert release.state(host.root) == {"current": "", "releases": []}


def test_an_unpacking_that_was_killed_is_no_release_and_is_cleared_away(host: Host) -> None:
    left = host.root / "releases" / ".0-z.partial" / "bin"
    left.mkdir(parents=True)
    assert release.state(host.root) == {"current": "", "releases": []}
    release.install(wanted(host, "1-a"))
    assert [path.name for path in (host.root / "releases").iterdir()] == ["1-a"]


def age(host: Host, *names: str) -> None:
    for days, name in enumerate(reversed(names)):
        os.utime(host.root / "releases" / name, (1_700_000_000 - days * 86400,) * 2)


def test_the_three_newest_are_kept(host: Host) -> None:
    names = ("1-a", "2-b", "3-c")
    for name in names:
        release.install(wanted(host, name))
    age(host, *names)
    release.install(wanted(host, "4-d"))
    assert release.state(host.root) == {"current": "4-d", "releases": ["2-b", "3-c", "4-d"]}


def test_the_one_in_use_is_kept_however_old_it_is(host: Host) -> None:
    names = ("1-a", "2-b", "3-c")
    for name in names:
        release.install(wanted(host, name))
    age(host, *names)
    release.install(wanted(host, "1-a", ""))
    assert release.state(host.root) == {"current": "1-a", "releases": ["1-a", "2-b", "3-c"]}


def test_a_release_that_a_generation_runs_is_kept_however_old_it_is(host: Host) -> None:
    names = ("1-a", "2-b", "3-c", "4-d")
    for name in names:
        release.install(wanted(host, name))
        age(host, name)
    generation = host.folder / "generations" / "shop" / "0123456789abcdef"
    generation.mkdir(parents=True)
    (generation / "release").write_text("2-b\n")
    age(host, "2-b", "3-c", "4-d")
    for name in ("5-e", "6-f"):
        release.install(wanted(host, name))
    assert release.state(host.root)["releases"] == ["2-b", "4-d", "5-e", "6-f"]


def test_a_full_disk_is_said_and_leaves_nothing(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tarfile.TarFile, "extractall", full)
    with pytest.raises(Failure, match=r"1-a cannot be unpacked: the disk is full"):
        release.install(wanted(host, "1-a"))
    assert not list(Path(host.root / "releases").iterdir())
