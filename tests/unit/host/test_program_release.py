"""Releases of a service's program stand side by side; none goes that an instance may start."""

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


def archive(**modes: int) -> str:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, mode in {"bin/shop": 0o755, "page.py": 0o644, **modes}.items():
            content = b"A = 1\n"
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), mode
            tar.addfile(entry, io.BytesIO(content))
    return base64.b64encode(buffer.getvalue()).decode()


def install(host: Host, name: str, command: str = "bin/shop", **changed: Any) -> None:
    document = {
        "name": name,
        "prefix": str(prefix(host)),
        "keep": 3,
        "command": command,
        "archive": archive(),
        **changed,
    }
    release.install_program(document)


def prefix(host: Host) -> Path:
    return host.root / "services" / "shop"


def present(host: Host) -> list[str]:
    return release.programs(host.root)["shop"]


def test_a_release_is_put_beside_the_others_with_a_python_of_its_own(host: Host) -> None:
    install(host, "1-a")
    install(host, "2-b")
    assert sorted(present(host)) == ["1-a", "2-b"]
    for name in ("1-a", "2-b"):
        folder = prefix(host) / "releases" / name
        assert (folder / "bin" / "python3").readlink() == Path("/usr/bin/python3")
        assert list(folder.glob("__pycache__/page.*.pyc"))


def test_what_came_compiled_is_not_compiled_again(host: Host) -> None:
    install(host, "1-a", archive=archive(**{"__pycache__/page.cpython-311.pyc": 0o644}))
    cached = prefix(host) / "releases" / "1-a" / "__pycache__"
    assert [path.read_bytes() for path in cached.iterdir()] == [b"A = 1\n"]


@pytest.mark.parametrize("command", ["bin/other", "page.py"])
def test_a_release_without_the_command_it_is_to_run_is_refused(host: Host, command: str) -> None:
    install(host, "1-a")
    with pytest.raises(Failure, match=rf"release 2-b has no command {command}; the present ones"):
        install(host, "2-b", command)
    assert present(host) == ["1-a"]


def test_a_command_that_the_host_has_needs_none_in_the_release(host: Host) -> None:
    install(host, "1-a", command="")
    assert present(host) == ["1-a"]


def test_an_archive_that_arrived_incomplete_is_no_release(host: Host) -> None:
    with pytest.raises(Failure, match=r"1-a arrived incomplete; run again"):
        install(host, "1-a", archive=archive()[:80])
    assert present(host) == []


def age(host: Host, *names: str) -> None:
    for days, name in enumerate(reversed(names)):
        os.utime(prefix(host) / "releases" / name, (1_700_000_000 - days * 86400,) * 2)


def test_the_newest_few_are_kept_and_all_that_a_generation_runs(host: Host) -> None:
    names = ("1-a", "2-b", "3-c", "4-d")
    for name in names[:3]:
        install(host, name)
    age(host, *names[:3])
    generation = host.folder / "generations" / "shop" / ("0" * 16)
    generation.mkdir(parents=True)
    (generation / "release").write_text("1-a\n")
    install(host, "4-d")
    age(host, *names)
    install(host, "5-e")
    assert present(host) == ["1-a", "3-c", "4-d", "5-e"]


def test_a_release_that_is_there_is_not_unpacked_again_and_is_kept(host: Host) -> None:
    install(host, "1-a")
    install(host, "1-a", archive="")
    assert present(host) == ["1-a"]


def test_a_host_without_programs_has_none(host: Host) -> None:
    assert release.programs(host.root) == {}
