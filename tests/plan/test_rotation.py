"""All passwords are changed: the servers take the new ones before anybody is given one."""

import pytest

from .conftest import ADDRESSES, GROUPS, MARKER, MakeSite, Outcome, Site, with_tools
from .fake_hosts import Facts, obedient

OLD = "0" * 64
USERS = ("admin", "app", "monitor", "replication", "sentinel")


def other_passwords(first_run: Outcome) -> dict[str, Facts]:
    """The hosts after the first run; the servers know other passwords than are wanted now."""
    found = {host: obedient(first_run.to(host)) for host in ADDRESSES}
    for host, facts in found.items():
        for path, file in facts["files"].items():
            if path.startswith("/etc/stellwerk/credentials/") or path == "/etc/redis/users.acl":
                file["sha256"] = OLD
        accepted = {user: [OLD] for user in USERS} if host in GROUPS["caches"] else {}
        facts["passwords"] = {"accepted": accepted, "used": {}}
        for server in facts["redis"].values():
            server["config"]["masterauth"] = OLD
        for sentinel in facts["sentinel"].values():
            sentinel |= {"accepts": [OLD], "tells": OLD}
    return found


@pytest.fixture
def before(first_run: Outcome) -> dict[str, Facts]:
    """The hosts with passwords of before, for a test to change."""
    return other_passwords(first_run)


def site_of(make_site: MakeSite, facts: dict[str, Facts]) -> Site:
    return make_site({host: with_tools(known) for host, known in facts.items()})


def hosts_told(done: Outcome, what: str) -> list[tuple[int, str]]:
    """Where in the order, and to which host, requests went that hold some words."""
    return [(place, one.host) for place, one in enumerate(done.changes) if what in one.stdin]


@pytest.fixture(scope="module")
def changed(make_site: MakeSite, first_run: Outcome) -> Outcome:
    """The run that changes the passwords."""
    done = site_of(make_site, other_passwords(first_run)).run("-y")
    assert done.code == 0, done.errors
    return done


@pytest.mark.parametrize(
    ("accept", "files", "use"),
    [
        ('"redis-users"', '"redis.passwords"', '"masterauth"'),
        ('["ACL", "SETUSER", "default", "#', '"sentinel.passwords"', '"sentinel-pass"'),
    ],
)
def test_servers_take_a_password_before_files_have_it_and_these_before_it_is_used(
    changed: Outcome, accept: str, files: str, use: str
) -> None:
    servers = [place for place, _ in hosts_told(changed, accept)][: len(hosts_told(changed, use))]
    given = [place for place, _ in hosts_told(changed, files)]
    users = [place for place, _ in hosts_told(changed, use)]
    assert max(servers) < min(given) <= max(given) < min(users)


def test_every_host_is_given_the_passwords_of_its_groups_only(changed: Outcome) -> None:
    assert {host for _, host in hosts_told(changed, '"redis.passwords"')} == {
        *GROUPS["caches"],
        *GROUPS["apps"],
    }
    assert {host for _, host in hosts_told(changed, '"sentinel.passwords"')} == {
        *GROUPS["caches"],
        *GROUPS["apps"],
        *GROUPS["sentinels"],
    }
    assert MARKER not in changed.said


def test_a_password_of_before_is_kept_and_its_user_named_while_it_is_used(
    make_site: MakeSite, before: dict[str, Facts]
) -> None:
    before["app-2"]["passwords"]["used"] = {OLD: ["aktienanalyse-core@8102.service"]}
    done = site_of(make_site, before).run("-y")
    assert done.code == 0, done.errors
    assert "is used by aktienanalyse-core@8102.service on app-2" in done.said
    assert not any(f"!{OLD}" in one.stdin for one in done.changes)


def test_a_limit_that_leaves_servers_out_is_refused_before_anything_is_changed(
    make_site: MakeSite, before: dict[str, Facts]
) -> None:
    done = site_of(make_site, before).run("-y", "--limit", "@fake/app-1")
    assert done.code != 0
    assert "this run leaves out cache-1, cache-2, which would refuse it" in done.said
    assert done.changes == ()
