"""A plan shows what a run would do and does none of it; drift tells by its exit code."""

import json
from typing import Any

import pytest

from . import fake_hosts
from .conftest import ADDRESSES, GROUPS, MARKER, MakeSite, Outcome, Site, with_tools, without_tools
from .fake_hosts import Facts

CORE = "aktienanalyse-core"
CHANGE = f'services = {{"{CORE}": {{"environment": {{"LEVEL": "high"}}}}}}\n'


def components(seen: dict[str, Any]) -> dict[str, set[str]]:
    """What would be changed, by host."""
    return {
        host: {one["component"] for one in about["changes"]}
        for host, about in seen["hosts"].items()
    }


def recorded(outcome: Outcome) -> dict[str, set[str]]:
    """What a run told the hosts to write down as changed."""
    found: dict[str, set[str]] = {host: set() for host in ADDRESSES}
    for one in outcome.changes:
        if one.tool:
            step = json.loads(one.stdin)["step"]
            found[one.host] |= {change["component"] for change in step["changes"]}
        elif "host record" in one.command:
            found[one.host].add("tools")
    return found


@pytest.fixture
def settled_site(make_site: MakeSite, settled: dict[str, Facts]) -> Site:
    """Hosts that did everything the first run told them."""
    return make_site({host: with_tools(facts) for host, facts in settled.items()})


@pytest.fixture(scope="module")
def bare_plan(bare_site: Site) -> tuple[Outcome, dict[str, Any]]:
    """The plan for six bare hosts."""
    outcome = bare_site.see("plan", "-v")
    return outcome, bare_site.seen


def test_a_plan_for_bare_hosts_changes_nothing_and_sends_no_tools(
    bare_plan: tuple[Outcome, dict[str, Any]],
) -> None:
    outcome, _ = bare_plan
    assert outcome.code == 0, outcome.errors
    assert outcome.changes == ()
    assert all(one.reads for one in outcome.sent)
    assert not [one for one in outcome.sent if one.command.endswith(("hold", "lease"))]


def test_a_plan_for_bare_hosts_is_what_the_first_run_does(
    bare_plan: tuple[Outcome, dict[str, Any]], first_run: Outcome
) -> None:
    assert recorded(first_run) == components(bare_plan[1])


def test_what_is_known_only_during_the_run_is_said(make_site: MakeSite) -> None:
    site = make_site({name: without_tools(fake_hosts.bare()) for name in ADDRESSES})
    plan = site.see("plan", "--limit", "databases")
    assert plan.code == 0, plan.errors
    later = {one["component"] for one in site.seen["hosts"]["db-1"]["later"]}
    assert later == {"roles and database", "instances"}
    assert "decided when PostgreSQL runs there (known during the run)" in plan.output


def test_a_plan_shows_no_secret(bare_plan: tuple[Outcome, dict[str, Any]]) -> None:
    outcome, seen = bare_plan
    assert MARKER not in outcome.said + json.dumps(seen)
    assert "/etc/stellwerk/credentials/postgresql.owner: new (secret)" in outcome.output
    assert not [one for one in outcome.sent if MARKER in one.command]


def test_where_all_is_as_declared_nothing_would_change_and_drift_is_0(settled_site: Site) -> None:
    plan = settled_site.see("plan")
    assert (plan.code, plan.output) == (0, "Nothing would change on 6 hosts.\n"), plan.errors
    drift = settled_site.see("drift")
    assert (drift.code, drift.output) == (0, "In step: 6 hosts as declared.\n"), drift.errors
    assert settled_site.seen["in_step"]


def test_a_setting_of_a_service_is_a_roll_out_with_its_reason(settled_site: Site) -> None:
    settled_site.write("all.py", CHANGE)
    plan = settled_site.see("plan")
    assert plan.code == 0, plan.errors
    seen = settled_site.seen
    (roll,) = seen["rollouts"]
    assert (roll["service"], roll["why"]) == (CORE, ["environment"])
    assert sum(roll["instances"].values()) == 2
    assert f"{CORE}: ROLL from {roll['before']} to {roll['after']} for environment" in plan.output
    assert recorded(settled_site.run("-y")) == components(seen)


def test_what_was_changed_by_hand_is_drift_and_exits_2(
    make_site: MakeSite, settled: dict[str, Facts]
) -> None:
    changed = json.loads(json.dumps(settled))
    changed["lb-1"]["files"]["/etc/nginx/nginx.conf"]["mode"] = 0o666
    changed["app-1"]["units"]["stellwerk-agent.service"]["UnitFileState"] = "disabled"
    changed["app-2"]["folders"]["/etc/stellwerk/credentials"]["mode"] = 0o755
    changed["cache-1"]["redis"]["6379"]["config"]["maxmemory"] = "1"
    changed["cache-2"]["sentinel"]["26379"]["masters"]["aktienanalyse-redis"]["quorum"] = "7"
    del changed["db-1"]["packages"]["postgresql-15"]
    site = make_site({host: with_tools(facts) for host, facts in changed.items()})
    drift = site.see("drift")
    assert drift.code == 2, drift.errors
    assert components(site.seen) == {
        "lb-1": {"nginx"},
        "app-1": {"agent"},
        "app-2": {"folders", "credentials"},
        "cache-1": {"redis 6379"},
        "cache-2": {"sentinel 26379"},
        "db-1": {"packages"},
    }
    for said in (
        "nginx.conf has mode 0666, not 0644",
        "stellwerk-agent.service is disabled",
        "credentials has mode 0755, not 0700",
        "quorum: 7 -> 2",
    ):
        assert said in drift.output
    assert drift.changes == ()


def test_a_check_that_does_not_hold_and_a_wrong_pin_are_drift(
    make_site: MakeSite, settled: dict[str, Facts]
) -> None:
    failures = [
        {"unit": "haproxy.service", "problem": "http://127.0.0.1 answers 503", "journal": ""}
    ]
    settled["app-1"]["pins"][f"{CORE}@8108"] = "0000000000000000"
    answers = {host: with_tools(facts) for host, facts in settled.items()}
    answers["lb-1"]["/host look"] = json.dumps({"contents": {}, "failures": failures})
    drift = make_site(answers).see("drift")
    assert drift.code == 2, drift.errors
    assert "lb-1: haproxy.service: http://127.0.0.1 answers 503" in drift.output
    assert f"{CORE}@8108: is pinned on app-1, and the ledger does not know it" in drift.output


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"success": False, "stderr": "sudo: a password is required"}, "sudo"),
        ("not-root", "the SSH user is not root"),
    ],
)
def test_drift_that_cannot_be_told_exits_1(
    make_site: MakeSite, settled: dict[str, Facts], facts: object, said: str
) -> None:
    answers = {host: with_tools(found) for host, found in settled.items()}
    answers["app-1"] = {"/host/DIGEST": facts}
    drift = make_site(answers).see("drift")
    assert drift.code == 1
    assert said in drift.errors


def test_a_database_that_does_not_answer_is_not_called_in_step(
    make_site: MakeSite, settled: dict[str, Facts]
) -> None:
    settled["db-1"]["postgresql"] = {"error": "PostgreSQL refused: no"}
    drift = make_site({host: with_tools(one) for host, one in settled.items()}).see("drift")
    assert drift.code == 1, drift.errors
    assert "PostgreSQL refused: no" in drift.output


def test_a_limit_shows_only_its_hosts(settled_site: Site) -> None:
    settled_site.write("all.py", CHANGE)
    plan = settled_site.see("plan", "--limit", "apps")
    assert plan.code == 0, plan.errors
    assert set(settled_site.seen["hosts"]) == set(GROUPS["apps"])
    assert settled_site.seen["rollouts"] == []
    assert {one.host for one in plan.sent} == {*GROUPS["apps"], "db-1"}  # for its ledger


def test_wrong_settings_are_refused_by_a_plan_as_by_a_run(bare_site: Site) -> None:
    outcome = bare_site.see("plan", "--data", "redis.maxmemroy=1GB")
    assert outcome.code == 1
    assert "did you mean maxmemory?" in outcome.errors
    assert outcome.sent == ()


@pytest.fixture
def busy_site(make_site: MakeSite, settled: dict[str, Facts]) -> Site:
    """A run of somebody else works on lb-1, where something is to be done."""
    other = {"run": "other", "who": "alice on desk", "since": "noon", "last": ""}
    settled["lb-1"]["stamps"]["nginx"]["digest"] = ""
    settled["lb-1"]["run"] = other
    answers = {host: with_tools(facts) for host, facts in settled.items()}
    answers["lb-1"] = {"/host lease": json.dumps(other), **answers["lb-1"]}
    return make_site(answers)


def test_a_run_that_may_not_wait_names_the_other_run_and_changes_nothing(
    busy_site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STELLWERK_LOCK_WAIT", "0")
    outcome = busy_site.run("-y")
    assert outcome.code != 0
    assert "lb-1: a run by alice on desk works on it since noon" in outcome.errors
    assert "Traceback" not in outcome.errors
    assert outcome.changes == ()


def test_a_run_on_other_hosts_is_not_disturbed(busy_site: Site) -> None:
    outcome = busy_site.run("-y", "--limit", "apps")
    assert outcome.code == 0, outcome.errors
    assert "alice" not in outcome.errors


def test_a_plan_does_not_wait_but_says_that_a_run_is_at_work(busy_site: Site) -> None:
    outcome = busy_site.see("plan")
    assert outcome.code == 0, outcome.errors
    assert "lb-1: a run by alice on desk works on it since noon" in outcome.errors
    assert components(busy_site.seen)["lb-1"] == {"nginx"}


def test_only_hosts_of_the_run_are_locked_and_all_of_them_before_the_first_change(
    make_site: MakeSite, settled: dict[str, Facts]
) -> None:
    settled["app-1"]["stamps"]["kernel"]["digest"] = ""
    site = make_site({host: with_tools(facts) for host, facts in settled.items()})
    outcome = site.run("-y", "--limit", "apps")
    assert outcome.code == 0, outcome.errors
    held = [one for one in outcome.sent if one.command.endswith("/host hold")]
    assert {one.host for one in held} == set(GROUPS["apps"])
    (change,) = outcome.changes
    assert outcome.sent.index(change) > max(outcome.sent.index(one) for one in held)
    released = [one for one in outcome.sent if one.command.endswith("/host release-run")]
    assert {json.loads(one.stdin)["result"]["outcome"] for one in released} == {"ok"}
    (run,) = {json.loads(one.stdin)["run"] for one in (*held, *released, change)}
    assert run


def test_a_failed_run_says_so_to_all_its_hosts(make_site: MakeSite) -> None:
    answers = {name: without_tools(fake_hosts.bare()) for name in ADDRESSES}
    answers["app-1"] = {
        "/host packages": {"success": False, "stderr": "no"},
        **answers["app-1"],
    }
    outcome = make_site(answers).run("-y")
    assert outcome.code != 0
    results = [
        json.loads(one.stdin.splitlines()[-1])["result"]
        for one in outcome.sent
        if one.command.endswith("release-run")
    ]
    assert len(results) == len(ADDRESSES)
    assert {one["outcome"] for one in results} == {"failed"}
    assert all("app-1 failed" in one["error"] for one in results)


def test_a_group_that_a_host_leaves_is_taken_off_it_when_instances_have_left(
    make_site: MakeSite, settled: dict[str, Facts]
) -> None:
    settled["cache-1"]["stamps"]["haproxy"] = {"units": ["haproxy.service"], "files": []}
    settled["cache-1"]["pins"] = {f"{CORE}@8101": "0000000000000000"}
    site = make_site({host: with_tools(facts) for host, facts in settled.items()})
    outcome = site.run("-y")
    assert outcome.code == 0, outcome.errors
    assert [(one.host, one.tool) for one in outcome.changes] == [
        ("cache-1", "remove-instances"),
        ("cache-1", "remove"),
    ]
    kept = site.run("-y", "--limit", "caches")
    assert kept.changes == ()
    assert "run on until a run includes db-1, lb-1" in kept.errors


EVENTS = "aktienanalyse-events"
WITHOUT_EVENTS = tuple(
    word
    for section in ("services", "scaling.services")
    for word in ("--data", f"{section}.{EVENTS}=null")
)


@pytest.fixture
def left_behind(make_site: MakeSite, settled: dict[str, Facts]) -> Site:
    """A service's instances run; when the ledger is asked again, its agents have let them go."""
    answers = {host: with_tools(facts) for host, facts in settled.items()}
    snapshot = json.loads(json.dumps(settled["db-1"]["postgresql"]["ledger"]["snapshot"]))
    snapshot["instances"] = [one for one in snapshot["instances"] if one["service"] != EVENTS]
    answers["db-1"]["/host query"] = json.dumps(snapshot)
    return make_site(answers)


def test_a_service_that_is_declared_no_more_leaves_before_anything_else_of_it_goes(
    left_behind: Site,
) -> None:
    plan = left_behind.see("plan", *WITHOUT_EVENTS)
    assert plan.code == 0, plan.errors
    assert f"{EVENTS}: 0 on app-1" in plan.output
    assert f"STOP {EVENTS}@8301.service" in plan.output
    outcome = left_behind.run("-y", *WITHOUT_EVENTS)
    assert outcome.code == 0, outcome.errors
    assert "it is stopped as it is" not in outcome.said
    asked = next(place for place, one in enumerate(outcome.sent) if "host query" in one.command)
    told = [place for place, one in enumerate(outcome.sent) if '"name": "haproxy"' in one.stdin]
    told += [place for place, one in enumerate(outcome.sent) if '"name": "agent"' in one.stdin]
    assert len(told) == len(GROUPS["balancers"]) + 1 + len(GROUPS["apps"])
    assert asked < min(told)
