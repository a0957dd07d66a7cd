"""The first run on six bare hosts: everything in one order, and to each host only its own."""

import base64
import json
import re
from collections.abc import Iterator

import pytest

from .conftest import ADDRESSES, GROUPS, MARKER, REPOSITORY, MakeSite, Outcome, obeyed, with_tools
from .fake_database import Database
from .fake_hosts import Facts, Sent

# Configurations that belong to the hosts of some groups; all others are every host's.
OWNED = {
    "redis-users": ("caches",),
    "redis-6379": ("caches",),
    "sentinel": ("sentinels",),
    "sentinel-redis-password": ("sentinels",),
    "redis.passwords": ("caches", "apps"),
    "sentinel.passwords": ("caches", "sentinels", "apps"),
    "postgresql": ("databases",),
    "event-store": ("databases",),
    "views": ("databases",),
    "sample-seed": ("databases",),
    "scaler": ("monitors",),
    "services": ("apps",),
    "cache": ("apps",),
    "cache-user": ("apps",),
    "haproxy": ("balancers",),
    "nginx": ("balancers",),
}
CORE = "aktienanalyse-core"


def declared_operations() -> Iterator[str]:
    """Every operation as its file and name, in the order of deploys/all.py."""
    for path in re.findall(
        r'^include\("(.+)"\)', (REPOSITORY / "deploys/all.py").read_text(), re.M
    ):
        source = (REPOSITORY / path).read_text()
        yield from (f"{path} | {name}" for name in re.findall(r'\bname="(.+?)"', source))


def operations(output: str) -> list[str]:
    return re.findall(r"--> Starting (?:serial )?operation: (.+?) *$", output, re.MULTILINE)


def configurations(sent: list[Sent]) -> set[str]:
    documents = (json.loads(one.stdin) for one in sent if one.tool == "install")
    return {config["name"] for document in documents for config in document["configs"]}


def test_it_succeeds(first_run: Outcome) -> None:
    assert first_run.code == 0, first_run.errors


def test_operations_go_over_all_hosts_in_the_order_of_the_deploys(first_run: Outcome) -> None:
    assert operations(first_run.errors) == list(declared_operations())


@pytest.mark.parametrize("host", GROUPS["sentinels"])
def test_a_host_can_ask_its_sentinel_before_that_is_started(first_run: Outcome, host: str) -> None:
    """A run that ended in between would be the last: the others could not ask it for the master."""
    documents = (json.loads(one.stdin) for one in first_run.to(host) if one.tool == "install")
    order = [config["name"] for document in documents for config in document["configs"]]
    assert order.count("sentinel.passwords") == 1
    assert order.index("sentinel.passwords") < order.index("sentinel")


def test_every_operation_is_named(first_run: Outcome) -> None:
    assert all(" | " in operation for operation in operations(first_run.errors))


def test_what_is_first_on_one_host_is_first_on_all(first_run: Outcome) -> None:
    order = [one.tool for one in first_run.changes if one.tool in ("packages", "install")]
    assert order == sorted(order, reverse=True)


def test_what_instances_are_to_run_is_declared_when_every_host_has_it(first_run: Outcome) -> None:
    last = first_run.changes[-1]
    assert (last.host, last.tool) == ("db-1", "postgresql")
    assert "stellwerk.generations" in last.stdin
    assert [one.tool for one in first_run.changes].count("release") == len(ADDRESSES)


@pytest.mark.parametrize("host", ADDRESSES)
def test_a_host_is_sent_what_its_groups_need_and_nothing_else(
    first_run: Outcome, host: str
) -> None:
    found = configurations(first_run.to(host))
    assert {name for name in found if name in OWNED} == {
        name for name, groups in OWNED.items() if any(host in GROUPS[one] for one in groups)
    }
    assert ("agent" in found) == (host in GROUPS["apps"] + GROUPS["balancers"])
    assert "monitor" in found
    tools = {one.tool for one in first_run.to(host)}
    assert ("postgresql" in tools) == (host in GROUPS["databases"])


def test_a_host_is_sent_only_secrets_of_its_groups(first_run: Outcome) -> None:
    for host in ADDRESSES:
        text = "".join(one.stdin for one in first_run.to(host) if not one.reads)
        assert (f"{MARKER}-postgresql-owner" in decoded(text)) == (host == "db-1")
        assert (f"{MARKER}-redis-admin" in decoded(text)) == (host in GROUPS["caches"])
        assert (f"{MARKER}-caching-token" in decoded(text)) == (host in GROUPS["apps"])


def decoded(text: str) -> str:
    """Requests with the contents of their files in the clear."""
    contents = re.findall(r'"content": "([A-Za-z0-9+/=]*)"', text)
    return text + "".join(base64.b64decode(one).decode() for one in contents)


def test_secrets_travel_on_standard_input_only(first_run: Outcome) -> None:
    assert MARKER in decoded("".join(one.stdin for one in first_run.sent))
    assert not [one.command for one in first_run.sent if MARKER in one.command]


def test_no_password_of_a_role_is_sent_in_the_clear(first_run: Outcome) -> None:
    roles, declaration = (one.stdin for one in first_run.sent if one.tool == "postgresql")
    assert "SCRAM-SHA-256$" in roles
    assert MARKER not in roles + declaration


@pytest.fixture(scope="module")
def second_run(make_site: MakeSite, first_run: Outcome, database: Database) -> Outcome:
    """The run after the first."""
    settled = obeyed(first_run, database)
    site = make_site({host: with_tools(facts) for host, facts in settled.items()})
    return site.run("-y", "--json")


def test_a_second_run_changes_nothing(second_run: Outcome) -> None:
    totals = json.loads(second_run.output)["results"]["totals"]
    assert second_run.code == 0, second_run.errors
    assert (totals["success"], totals["error"]) == (0, 0)
    assert second_run.changes == ()


def test_a_second_run_asks_each_host_twice(second_run: Outcome) -> None:
    for host in ADDRESSES:
        assert [one.reads for one in second_run.to(host)] == [True, True]


def test_a_lost_activation_and_a_changed_file_are_made_up_and_nothing_else_is_touched(
    make_site: MakeSite, settled: dict[str, Facts]
) -> None:
    changed = json.loads(json.dumps(settled))
    changed["lb-1"]["stamps"]["nginx"]["digest"] = ""
    changed["app-2"]["files"]["/etc/sysctl.d/90-stellwerk.conf"]["sha256"] = "edited by hand"
    changed["cache-1"]["redis"]["6379"]["config"]["maxmemory"] = "1"
    site = make_site({host: with_tools(facts) for host, facts in changed.items()})
    done = site.run("-y")
    assert done.code == 0, done.errors
    told = {(one.host, one.tool): json.loads(one.stdin) for one in done.changes}
    assert {config["name"] for config in told["lb-1", "install"]["configs"]} == {"nginx"}
    assert {config["name"] for config in told["app-2", "install"]["configs"]} == {"kernel"}
    assert list(told["cache-1", "redis"]["settings"]) == ["maxmemory"]
    assert len(told) == 3


def test_after_a_failover_a_run_changes_nothing(
    make_site: MakeSite, settled: dict[str, Facts]
) -> None:
    turned = json.loads(json.dumps(settled))
    new = ADDRESSES["cache-2"]
    for host in GROUPS["sentinels"]:
        for watched in turned[host]["sentinel"]["26379"]["masters"].values():
            watched["ip"] = new
    turned["cache-2"]["redis"]["6379"]["replication"] = {"role": "master"}
    turned["cache-1"]["redis"]["6379"]["replication"] = {
        "role": "slave",
        "master_host": new,
        "master_port": "6379",
    }
    done = make_site({host: with_tools(facts) for host, facts in turned.items()}).run("-y")
    assert done.code == 0, done.errors
    assert done.changes == ()


def test_what_the_scaler_started_is_left_running(
    make_site: MakeSite, settled: dict[str, Facts], database: Database
) -> None:
    database.want(CORE, "app-1", 3)
    settled["db-1"]["postgresql"] = database.facts()
    done = make_site({host: with_tools(facts) for host, facts in settled.items()}).run("-y")
    assert done.code == 0, done.errors
    assert done.changes == ()


def declared(outcome: Outcome) -> str:
    """What the ledger was told, if anything."""
    return "".join(one.stdin for one in outcome.changes if one.tool == "postgresql")


def test_another_setting_of_a_service_is_declared_when_it_is_on_every_host(
    make_site: MakeSite, settled: dict[str, Facts]
) -> None:
    site = make_site({host: with_tools(facts) for host, facts in settled.items()})
    site.write("all.py", f'services = {{"{CORE}": {{"memory": "600MB"}}}}\n')
    done = site.run("-y")
    assert done.code == 0, done.errors
    # Every host's settings file says it too; so does the configuration of what it runs.
    assert {one.host for one in done.changes} == set(ADDRESSES)
    assert CORE in declared(done)
    assert "aktienanalyse-events" not in declared(done)
    assert "stellwerk.desired" not in declared(done)


def test_without_the_database_host_nothing_is_declared_and_a_warning_says_so(
    make_site: MakeSite, settled: dict[str, Facts]
) -> None:
    site = make_site({host: with_tools(facts) for host, facts in settled.items()})
    site.write("all.py", f'services = {{"{CORE}": {{"memory": "600MB"}}}}\n')
    done = site.run("-y", "--limit", "apps")
    assert done.code == 0, done.errors
    assert {one.host for one in done.changes} == set(GROUPS["apps"])
    assert done.said.count("the roll-out waits for a run that includes db-1") == 1


def test_a_generation_that_an_app_host_lacks_is_not_declared(
    make_site: MakeSite, settled: dict[str, Facts]
) -> None:
    site = make_site({host: with_tools(facts) for host, facts in settled.items()})
    site.write("all.py", f'services = {{"{CORE}": {{"memory": "600MB"}}}}\n')
    done = site.run("-y", "--limit", "@fake/app-1", "--limit", "databases")
    assert done.code == 0, done.errors
    assert f"{CORE}: app-2 may not have generation" in done.said
    assert declared(done) == ""


def test_a_generation_that_this_run_does_not_install_is_not_declared(
    make_site: MakeSite, settled: dict[str, Facts]
) -> None:
    site = make_site({host: with_tools(facts) for host, facts in settled.items()})
    site.write("all.py", f'services = {{"{CORE}": {{"memory": "600MB"}}}}\n')
    done = site.run("-y", deploy="deploys/instances.py")
    assert done.code == 0, done.errors
    assert f"{CORE}: app-1, app-2 may not have generation" in done.said
    assert done.changes == ()


def test_a_rollout_that_fails_ends_the_run_with_its_reason_and_the_journal(
    make_site: MakeSite, settled: dict[str, Facts], database: Database
) -> None:
    answers = {host: with_tools(facts) for host, facts in settled.items()}
    database.roll(CORE, "running")
    answers["db-1"] = with_tools({**settled["db-1"], "postgresql": database.facts()})
    database.roll(CORE, "failed", reason="app-1 is not healthy", journal="boom")
    answers["db-1"] = {"/host query": database.ledger(), **answers["db-1"]}
    done = make_site(answers).run("-y")
    assert done.code != 0
    assert "app-1 is not healthy" in done.said
    assert "    boom" in done.said
    assert not [one for one in done.sent if one.command.endswith("/host verify")]


def test_a_run_waits_for_the_agents_and_shows_how_they_get_on(
    make_site: MakeSite, settled: dict[str, Facts], database: Database
) -> None:
    answers = {host: with_tools(facts) for host, facts in settled.items()}
    database.roll(CORE, "running")
    answers["db-1"] = with_tools({**settled["db-1"], "postgresql": database.facts()})
    database.roll(CORE, "done")
    answers["db-1"] = {"/host query": database.ledger(), **answers["db-1"]}
    done = make_site(answers).run("-y", "--json")
    assert done.code == 0, done.errors
    assert re.search(f"{CORE}: (\\d) of \\1 are ready", done.said)
    assert json.loads(done.output)["results"]["totals"]["success"] == 0


def test_an_instance_that_is_declared_no_more_is_stopped(
    make_site: MakeSite, settled: dict[str, Facts]
) -> None:
    settled["app-1"]["pins"] = {f"{CORE}@8101": "a", f"{CORE}@9999": "a", "gone@8101": "a"}
    done = make_site({host: with_tools(facts) for host, facts in settled.items()}).run("-y")
    (told,) = done.changes
    assert (told.host, told.tool) == ("app-1", "remove-instances")
    assert json.loads(told.stdin)["instances"] == [f"{CORE}@9999", "gone@8101"]


def test_a_health_path_that_instances_do_not_answer_at_reaches_no_balancer_and_no_agent(
    make_site: MakeSite, settled: dict[str, Facts]
) -> None:
    problem = "http://192.0.2.1:20001/nothing-there answers 404, not 200"
    failure = {"problem": problem, "unit": f"{CORE}@20001.service", "journal": ""}
    settled["lb-1"]["health_paths"] = {CORE: "/health"}
    answers = {host: with_tools(facts) for host, facts in settled.items()}
    answers["lb-1"]["/host verify"] = json.dumps([failure])
    site = make_site(answers)
    site.write("all.py", f'services = {{"{CORE}": {{"health_path": "/nothing-there"}}}}\n')
    done = site.run("-y")
    assert done.code != 0
    assert f"{CORE}@20001: {problem}, so its health is asked where it was" in done.said
    assert configurations([*done.changes]) & {"haproxy", "agent"} == set()
