"""What is declared no more goes, and only that: what stamps do not name is somebody else's."""

from pathlib import Path
from typing import Any

import pytest

from deploys.host import removal, stamps, transaction

from .conftest import Host, activating, configuration, file_of

UNIT = "sample.service"


@pytest.fixture(autouse=True)
def units(host: Host, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where drop-ins for the time of a drain are put."""
    folder = host.folder / "runtime-units"
    monkeypatch.setattr(removal, "RUNTIME_UNITS", folder)
    return folder


def part(*names: str, **changed: Any) -> dict[str, Any]:
    return {
        "stamps": names,
        "drain": {},
        "users": [],
        "folders": [],
        "keeps_files": False,
        **changed,
    }


def remove(*parts: dict[str, Any], **rest: Any) -> None:
    removal.remove({"parts": parts, "former": [], "folders": [], **rest})


def install(host: Host, name: str = "sample", **changed: Any) -> Path:
    path = host.root / name / f"{name}.conf"
    owner = file_of(path, "content")
    folder = {"path": str(path.parent), "mode": 0o755, **{k: owner[k] for k in ("owner", "group")}}
    transaction.install(
        configuration(
            owner,
            name=name,
            directories=[folder],
            activate=activating(UNIT),
            **changed,
        )
    )
    return path


def test_its_unit_is_stopped_and_disabled_and_its_files_are_gone_but_kept(host: Host) -> None:
    path = install(host)
    remove(part("sample"))
    assert not host.is_active(UNIT)
    assert host.calls(f"systemctl disable --quiet {UNIT}")
    assert not path.parent.exists()
    assert stamps.names() == set()
    kept = [copy for copy in (host.state / "backups" / "sample").rglob("*") if copy.is_file()]
    assert [copy.read_text() for copy in kept] == ["content"]


def test_what_lies_beside_its_files_stays(host: Host) -> None:
    path = install(host)
    foreign = path.with_name("foreign.conf")
    foreign.write_text("mine")
    remove(part("sample"))
    assert not path.exists()
    assert foreign.read_text() == "mine"


def test_a_file_that_another_configuration_has_too_stays(host: Host) -> None:
    path = install(host)
    transaction.install(configuration(file_of(path, "content"), name="other"))
    remove(part("sample"))
    assert path.exists()


def test_a_part_that_keeps_its_files_is_only_stopped_and_masked(host: Host) -> None:
    path = install(host)
    remove(part("sample", keeps_files=True))
    assert path.exists()
    assert not host.is_active(UNIT)
    assert host.calls(f"systemctl mask --quiet {UNIT}")
    assert stamps.names() == set()


def test_a_unit_that_drains_is_stopped_by_its_signal_and_nothing_of_that_is_left(
    host: Host, units: Path
) -> None:
    install(host)
    drop_in = units / f"{UNIT}.d" / removal.DROP_IN
    host.program(
        "systemctl",
        f'case "$1 $2" in "stop {UNIT}") cp {drop_in} {host.folder}/seen;'
        f" rm {host.units}/{UNIT};; show*) echo Id={UNIT}; echo ActiveState=active;; esac",
    )
    remove(part("sample", drain={UNIT: "SIGUSR1"}))
    assert "KillSignal=SIGUSR1" in (host.folder / "seen").read_text()
    assert list(units.iterdir()) == []


def test_a_removal_that_was_cut_off_is_completed(host: Host) -> None:
    path = install(host)
    path.unlink()
    host.units.joinpath(UNIT).unlink()
    remove(part("sample"))
    assert stamps.names() == set()


def test_one_that_is_gone_already_is_no_failure(host: Host) -> None:
    remove(part("sample", "more"))
    assert not host.calls("disable")


def test_a_file_of_before_goes_from_a_configuration_that_stays(host: Host) -> None:
    first, second = host.root / "first", host.root / "second"
    lasting = [str(host.root)]
    for files in ((first, second), (second,)):
        given = [file_of(path, "secret") for path in files]
        transaction.install(configuration(*given, lasting=lasting, digest=str(len(files))))
    assert first.exists()
    foreign = host.file("foreign", "mine")
    for path in (first, foreign):
        remove(former=[("sample", str(path))])
    assert not first.exists()
    assert foreign.exists()
    assert stamps.files("sample", former=True) == [str(second)]


def test_folders_that_are_ours_alone_go_whole(host: Host) -> None:
    folder = host.root / "releases"
    (folder / "1").mkdir(parents=True)
    remove(folders=[str(folder)])
    assert not folder.exists()
