"""A configuration goes live whole, or the host is as it was before (contract C2)."""

import errno
import fnmatch
import json
import os
import stat
import time
from pathlib import Path
from typing import Any

import pytest

from deploys.host import checks, facts, stamps, transaction
from deploys.host.command import Failure

from .conftest import Host, activating, configuration, file_of, python

UNIT = "sample.service"
REFUSES_BAD = "! grep -q bad {path}"
UNHEALTHY = {"kind": "command", "command": ["false"]}


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def stamp_of(host: Host) -> dict[str, Any]:
    found = json.loads((host.state / "stamps" / "sample.json").read_text())
    assert isinstance(found, dict)
    return found


def files_under(folder: Path) -> dict[str, bytes]:
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def test_an_installed_file_has_its_content_mode_and_stamp(host: Host) -> None:
    path = host.root / "etc" / "sample.conf"
    transaction.install(configuration(file_of(path, "new\n", mode=0o640)))
    assert path.read_text() == "new\n"
    assert mode_of(path) == 0o640
    assert stamp_of(host)["digest"] == "new"
    assert facts.files()[str(path)]["mode"] == 0o640


def test_a_file_that_is_refused_by_its_check_changes_nothing(host: Host) -> None:
    path = host.file("sample.conf", "old\n")
    check = python("import sys; sys.exit('line 3: unknown keyword')")
    document = configuration(file_of(path, "bad\n"), check=[check], activate=activating(UNIT))
    with pytest.raises(Failure, match=r"refused by python.*serves on") as caught:
        transaction.install(document)
    assert caught.value.detail == "line 3: unknown keyword"
    assert files_under(host.root) == {"sample.conf": b"old\n"}
    assert not (host.state / "stamps").exists()
    assert not host.calls("systemctl")


def test_a_check_sees_the_whole_tree_with_the_candidate_in_it(host: Host) -> None:
    host.file("etc/mime.types", "types")
    host.file("etc/gone.conf", "outdated")
    path = host.file("etc/main.conf", "old")
    seen = host.folder / "seen"
    check = ["sh", "-c", f"cd {{root}}{host.root}/etc && grep -r . * >{seen}"]
    document = configuration(
        file_of(path, "new"),
        check=[check],
        tree=str(host.root / "etc"),
        absent=[str(host.root / "etc/gone.conf")],
    )
    transaction.install(document)
    assert seen.read_text().splitlines() == ["main.conf:new", "mime.types:types"]


def test_a_checkers_words_do_not_name_the_staging_folder(host: Host) -> None:
    path = host.root / "sample.conf"
    check = ["sh", "-c", f"echo [ALERT] {{root}}{path}:3 unknown keyword >&2; exit 1"]
    with pytest.raises(Failure) as caught:
        transaction.install(configuration(file_of(path, "bad"), check=[check]))
    assert caught.value.detail == f"[ALERT] {path}:3 unknown keyword"


def test_a_candidate_is_private_and_gone_afterwards(host: Host) -> None:
    modes = host.folder / "modes"
    check = ["sh", "-c", f"stat -c %a {{root}} {{root}}/.. >{modes}"]
    path = host.root / "sample.conf"
    transaction.install(configuration(file_of(path, "secret"), check=[check]))
    assert modes.read_text().split() == ["700", "700"]
    assert not files_under(host.state / "staging")


def test_a_candidate_left_by_a_killed_run_is_removed_by_the_next(host: Host) -> None:
    left = host.state / "staging" / "other.4711" / "secret"
    left.parent.mkdir(parents=True)
    left.write_text("secret")
    path = host.root / "sample.conf"
    transaction.install(configuration(file_of(path, "new"), check=[["true"]]))
    assert not left.exists()


def test_a_failed_activation_brings_back_bytes_mode_and_the_running_daemon(host: Host) -> None:
    path = host.file("sample.conf", "old\n", mode=0o604)
    host.unit(UNIT, accepts=REFUSES_BAD.format(path=path))
    document = configuration(file_of(path, "bad\n", mode=0o600), activate=activating(UNIT))
    with pytest.raises(Failure, match=f"{UNIT} did not reload.*restored and serves on") as caught:
        transaction.install(document)
    assert caught.value.detail == f"journal of {UNIT}"
    assert path.read_text() == "old\n"
    assert mode_of(path) == 0o604
    assert host.is_active(UNIT)
    assert len(host.calls(f"systemctl start {UNIT}")) == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_a_failed_activation_brings_back_the_owner(host: Host) -> None:
    path = host.file("sample.conf", "old")
    os.chown(path, 12345, 54321)
    with pytest.raises(Failure):
        transaction.install(configuration(file_of(path, "new"), health=[UNHEALTHY]))
    assert (path.stat().st_uid, path.stat().st_gid) == (12345, 54321)


def test_a_daemon_that_is_unhealthy_afterwards_gets_its_old_configuration_again(host: Host) -> None:
    path = host.file("sample.conf", "old")
    host.unit(UNIT)
    health = [{"kind": "command", "command": ["sh", "-c", "echo not well >&2; exit 1"]}]
    document = configuration(file_of(path, "new"), activate=activating(UNIT), health=health)
    with pytest.raises(Failure, match=r"not well; the old configuration was restored"):
        transaction.install(document)
    assert path.read_text() == "old"
    assert len(host.calls(f"systemctl reload {UNIT}")) == 2


def test_a_first_configuration_that_fails_leaves_neither_files_nor_a_running_unit(
    host: Host,
) -> None:
    path = host.root / "sample.conf"
    document = configuration(
        file_of(path, "new"), activate=activating(UNIT, "start"), health=[UNHEALTHY]
    )
    with pytest.raises(Failure, match=r"nothing was in its place before"):
        transaction.install(document)
    assert not path.exists()
    assert not host.is_active(UNIT)


def test_a_failed_command_of_an_activation_shows_what_it_said(host: Host) -> None:
    path = host.file("sample.conf", "old")
    failing = ["sh", "-c", "echo no such kernel parameter >&2; exit 1"]
    document = configuration(file_of(path, "new"), activate=activating("", commands=[failing]))
    with pytest.raises(Failure) as caught:
        transaction.install(document)
    assert "no such kernel parameter" in caught.value.detail


def test_an_old_configuration_that_cannot_be_activated_again_counts_as_not_active(
    host: Host,
) -> None:
    path = host.file("sample.conf", "old")
    transaction.install(configuration(file_of(path, "old"), digest="old"))
    host.unit(UNIT, accepts="false")
    document = configuration(file_of(path, "new"), activate=activating(UNIT))
    with pytest.raises(Failure, match=r"was restored, but"):
        transaction.install(document)
    assert path.read_text() == "old"
    assert stamp_of(host)["digest"] == ""


def test_the_stamp_of_a_restored_configuration_is_the_one_of_before(host: Host) -> None:
    path = host.file("sample.conf", "old")
    transaction.install(configuration(file_of(path, "old"), digest="old"))
    with pytest.raises(Failure):
        transaction.install(configuration(file_of(path, "new"), health=[UNHEALTHY]))
    assert stamp_of(host)["digest"] == "old"


@pytest.mark.parametrize("first", [True, False])
def test_a_run_killed_before_the_activation_makes_the_next_one_activate(
    host: Host, monkeypatch: pytest.MonkeyPatch, first: bool
) -> None:
    class Killed(BaseException):
        """Nothing catches it, as nothing catches SIGKILL."""

    def kill(_: dict[str, Any]) -> None:
        raise Killed

    path = host.root / "sample.conf"
    if not first:
        transaction.install(configuration(file_of(path, "old"), digest="old"))
    document = configuration(file_of(path, "new"), activate=activating(UNIT))
    with monkeypatch.context() as patched:
        patched.setattr(transaction, "_activate", kill)
        with pytest.raises(Killed):
            transaction.install(document)
    assert path.read_text() == "new"
    assert stamps.read_all().get("sample", {"digest": ""})["digest"] == ""
    transaction.install(document)
    assert host.calls(f"systemctl start {UNIT}")
    assert stamp_of(host)["digest"] == "new"


def test_a_symbolic_link_is_replaced_by_the_file_and_comes_back_on_failure(host: Host) -> None:
    target = host.file("elsewhere", "kept")
    link = host.root / "sample.conf"
    link.symlink_to(target)
    with pytest.raises(Failure):
        transaction.install(configuration(file_of(link, "new"), health=[UNHEALTHY]))
    assert link.readlink() == target
    transaction.install(configuration(file_of(link, "new")))
    assert not link.is_symlink()
    assert target.read_text() == "kept"


def test_what_should_be_absent_goes_and_comes_back_on_failure(host: Host) -> None:
    gone = host.file("conf.d/default.conf", "default")
    document = configuration(file_of(host.root / "new", ""), absent=[str(gone)])
    with pytest.raises(Failure):
        transaction.install({**document, "health": [UNHEALTHY]})
    assert gone.read_text() == "default"
    transaction.install(document)
    assert not gone.exists()


def test_a_seed_is_written_once_and_then_left_to_its_daemon(host: Host) -> None:
    path = host.root / "redis.conf"
    transaction.install(configuration(file_of(path, "seed", seed=True)))
    path.write_text("rewritten by the daemon")
    transaction.install(configuration(file_of(path, "another seed", seed=True), digest="newer"))
    assert path.read_text() == "rewritten by the daemon"
    assert str(path) not in stamp_of(host)["files"]


def test_a_seed_whose_daemon_runs_is_left_to_it_even_without_a_stamp(host: Host) -> None:
    path = host.file("redis.conf", "rewritten by the daemon")
    host.unit(UNIT)
    document = configuration(file_of(path, "seed", seed=True), activate=activating(UNIT, "start"))
    transaction.install(document)
    assert path.read_text() == "rewritten by the daemon"


def test_a_seed_of_a_run_that_was_killed_before_the_daemon_ran_is_written_again(
    host: Host,
) -> None:
    path = host.file("redis.conf", "outdated seed")
    document = configuration(file_of(path, "seed", seed=True), activate=activating(UNIT, "start"))
    transaction.install(document)
    assert path.read_text() == "seed"


def test_a_daemon_whose_seed_was_left_is_not_stopped_when_it_is_unhealthy(host: Host) -> None:
    path = host.root / "redis.conf"
    document = configuration(file_of(path, "seed", seed=True), activate=activating(UNIT, "start"))
    transaction.install(document)
    with pytest.raises(Failure, match=r"none of its files was changed"):
        transaction.install({**document, "health": [UNHEALTHY]})
    assert path.exists()
    assert host.is_active(UNIT)


def test_the_last_three_backups_are_kept_where_no_daemon_reads_and_only_root_can(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = host.file("conf.d/site.conf", "0")
    for number in range(1, 6):
        stamp = f"20260101T00000{number}"
        monkeypatch.setattr(time, "strftime", lambda *_, stamp=stamp: stamp)
        transaction.install(configuration(file_of(path, str(number)), digest=str(number)))
    kept = files_under(host.state / "backups" / "sample")
    assert sorted(kept.values()) == [b"2", b"3", b"4"]
    assert list(path.parent.iterdir()) == [path]
    for copy in (host.state / "backups").rglob("*"):
        assert mode_of(copy) == (0o700 if copy.is_dir() else 0o600)


def test_while_a_file_is_written_no_include_glob_and_no_other_user_sees_it(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = host.root / "conf.d" / "site.conf"
    seen: list[tuple[str, int]] = []

    def look(descriptor: int, *_: int) -> None:
        names = [entry for entry in path.parent.iterdir() if entry != path]
        seen.extend((entry.name, stat.S_IMODE(os.fstat(descriptor).st_mode)) for entry in names)

    monkeypatch.setattr(os, "fchmod", look)
    transaction.install(configuration(file_of(path, "secret", mode=0o644)))
    (name, mode), *_ = seen
    assert mode == 0o600
    assert not any(fnmatch.fnmatch(name, glob) for glob in ("*.conf", "[!.]*", "*.service"))


def test_a_temporary_file_left_by_a_killed_run_is_replaced(host: Host) -> None:
    path = host.root / "sample.conf"
    left = path.with_name(f".{path.name}{transaction.STAGED_SUFFIX}")
    left.write_text("half")
    transaction.install(configuration(file_of(path, "new")))
    assert files_under(host.root) == {"sample.conf": b"new"}


def test_a_disk_that_is_full_at_the_second_file_leaves_both_old_ones(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = host.file("first", "old 1"), host.file("second", "old 2")
    host.unit(UNIT)
    synced: list[int] = []

    def full(descriptor: int) -> None:
        synced.append(descriptor)
        if len(synced) > 1:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    document = configuration(
        file_of(first, "new 1"), file_of(second, "new 2"), activate=activating(UNIT)
    )
    with pytest.raises(OSError, match=r"No space left"):
        transaction.install(document)
    assert files_under(host.root) == {"first": b"old 1", "second": b"old 2"}
    assert not host.calls("reload")


def test_a_disk_too_full_to_restore_is_said_with_where_the_content_is_kept(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = host.file("sample.conf", "old")

    def fill_the_disk(*_: object) -> tuple[checks.Check, str]:
        monkeypatch.setattr(os, "fsync", full)
        return UNHEALTHY, "not well"

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checks, "first_failure", fill_the_disk)
    with pytest.raises(Failure, match=r"could not be restored.*disk is full.*backups/sample"):
        transaction.install(configuration(file_of(path, "new")))
    assert list(files_under(host.state / "backups").values()) == [b"old"]


def test_of_several_configurations_those_after_a_failed_one_are_left_alone(host: Host) -> None:
    paths = [host.root / name for name in ("one", "two", "three")]
    documents = [configuration(file_of(path, "new"), name=path.name) for path in paths]
    documents[1]["check"] = [["false"]]
    with pytest.raises(Failure, match=r"two: refused"):
        transaction.install_all({"configs": documents})
    assert [path.exists() for path in paths] == [True, False, False]


def test_an_owner_that_does_not_exist_is_named_before_anything_changes(host: Host) -> None:
    first, second = host.file("first", "old"), host.root / "second"
    document = configuration(
        file_of(first, "new"), {**file_of(second, "new"), "owner": "no-such-user"}
    )
    with pytest.raises(Failure, match=r"second: .*no-such-user"):
        transaction.install(document)
    assert files_under(host.root) == {"first": b"old"}


def test_a_folder_gets_its_mode(host: Host) -> None:
    made = {"path": str(host.root / "made"), "mode": 0o750, "owner": "root", "group": "root"}
    if os.geteuid():
        pytest.skip("only root may give folders away")
    transaction.install(configuration(directories=[made]))
    assert mode_of(host.root / "made") == 0o750


def test_a_file_that_is_no_part_of_it_any_more_is_removed_and_comes_back_on_failure(
    host: Host,
) -> None:
    old, new = host.root / "old.conf", host.root / "new.conf"
    transaction.install(configuration(file_of(old, "old"), digest="old"))
    host.unit(UNIT, accepts="exit 1")
    failing = configuration(file_of(new, "new"), activate=activating(UNIT, "restart"))
    with pytest.raises(Failure):
        transaction.install(failing)
    assert files_under(host.root) == {"old.conf": b"old"}
    transaction.install(configuration(file_of(new, "new")))
    assert files_under(host.root) == {"new.conf": b"new"}
    assert b"old" in files_under(host.state / "backups").values()


def test_a_seed_that_is_no_part_of_it_any_more_is_removed(host: Host) -> None:
    seed, other = host.root / "a.servers", host.root / "other"
    transaction.install(configuration(file_of(seed, "seed", seed=True), digest="old"))
    transaction.install(configuration(file_of(other, "other")))
    assert files_under(host.root) == {"other": b"other"}


def test_a_file_that_another_configuration_took_over_stays(host: Host) -> None:
    path = host.root / "shared"
    transaction.install(configuration(file_of(path, "shared"), digest="old"))
    transaction.install(configuration(file_of(path, "shared"), name="other"))
    transaction.install(configuration())
    assert path.exists()


def test_files_in_lasting_folders_stay_until_they_are_removed_by_others(host: Host) -> None:
    path = host.root / "generations" / "1"
    transaction.install(configuration(file_of(path, "one"), digest="old"))
    lasting = [str(path.parent)]
    transaction.install(configuration(lasting=lasting))
    assert path.exists()
    assert stamps.read("sample")["former"] == [str(path)]
    path.unlink()
    transaction.install(configuration(lasting=lasting))
    assert stamps.read("sample")["former"] == []
