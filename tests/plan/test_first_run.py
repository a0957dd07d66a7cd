"""The first run on six bare hosts: everything in one order, and to each host only its own."""

import base64
import json
import re
from collections.abc import Iterator

import pytest

from .conftest import ADDRESSES, GROUPS, MARKER, REPOSITORY, MakeSite, Outcome, with_tools
from .fake_hosts import Facts, Sent, obedient

# Configurations that belong to a group; all others are every host's.
OWNED = {
    "redis-users": "caches",
    "redis-6379": "caches",
    "sentinel": "sentinels",
    "sentinel-redis-password": "sentinels",
    "postgresql": "databases",
    "sample-seed": "databases",
    "services": "apps",
    "haproxy": "balancers",
    "nginx": "balancers",
}


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


def test_every_operation_is_named(first_run: Outcome) -> None:
    assert all(" | " in operation for operation in operations(first_run.errors))


def test_what_is_first_on_one_host_is_first_on_all(first_run: Outcome) -> None:
    for before, after in (("packages", "install"), ("release", "start"), ("start", "roll")):
        order = [one.tool for one in first_run.changes if one.tool in (before, after)]
        last = len(order) - 1 - order[::-1].index(before)
        assert last < order.index(after), (before, after)


@pytest.mark.parametrize("host", ADDRESSES)
def test_a_host_is_sent_what_its_groups_need_and_nothing_else(
    first_run: Outcome, host: str
) -> None:
    found = configurations(first_run.to(host))
    assert {name for name in found if name in OWNED} == {
        name for name, group in OWNED.items() if host in GROUPS[group]
    }
    tools = {one.tool for one in first_run.to(host)}
    assert ("start" in tools) == (host in GROUPS["apps"])
    assert ("postgresql" in tools) == (host in GROUPS["databases"])


def test_a_host_is_sent_only_secrets_of_its_groups(first_run: Outcome) -> None:
    for host in ADDRESSES:
        text = "".join(one.stdin for one in first_run.to(host) if not one.reads)
        assert (f"{MARKER}-postgresql-owner" in decoded(text)) == (host == "db-1")
        assert (f"{MARKER}-redis-admin" in decoded(text)) == (host in GROUPS["caches"])


def decoded(text: str) -> str:
    """Requests with the contents of their files in the clear."""
    contents = re.findall(r'"content": "([A-Za-z0-9+/=]*)"', text)
    return text + "".join(base64.b64decode(one).decode() for one in contents)


def test_secrets_travel_on_standard_input_only(first_run: Outcome) -> None:
    assert MARKER in decoded("".join(one.stdin for one in first_run.sent))
    assert not [one.command for one in first_run.sent if MARKER in one.command]


def test_no_password_of_a_role_is_sent_in_the_clear(first_run: Outcome) -> None:
    (script,) = (one.stdin for one in first_run.sent if one.tool == "postgresql")
    assert "SCRAM-SHA-256$" in script
    assert MARKER not in script


@pytest.fixture(scope="module")
def settled(first_run: Outcome) -> dict[str, Facts]:
    """The hosts as they are after they did all that the first run told them."""
    return {host: obedient(first_run.to(host)) for host in ADDRESSES}


@pytest.fixture(scope="module")
def second_run(make_site: MakeSite, settled: dict[str, Facts]) -> Outcome:
    """The run after the first."""
    return make_site({host: with_tools(facts) for host, facts in settled.items()}).run(
        "-y", "--json"
    )


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
    assert told["cache-1", "redis"]["commands"][0][:3] == ["CONFIG", "SET", "maxmemory"]
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
    make_site: MakeSite, settled: dict[str, Facts]
) -> None:
    scaled = json.loads(json.dumps(settled))
    running = scaled["app-1"]["instances"]
    name, state = next(item for item in running.items() if item[0].startswith("aktienanalyse-core"))
    running["aktienanalyse-core@8105"] = dict(state)
    done = make_site({host: with_tools(facts) for host, facts in scaled.items()}).run("-y")
    told = {one.tool for one in done.changes if one.host.startswith("app")}
    assert done.code == 0, done.errors
    assert name in running
    assert told == set()
