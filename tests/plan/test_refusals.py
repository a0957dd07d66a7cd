"""What cannot be deployed is said in one sentence each, and no host is changed."""

import json

import pytest

from . import fake_hosts
from .conftest import ADDRESSES, MakeSite, Outcome, Site, with_tools, without_tools


@pytest.fixture(scope="module")
def wrong_settings(make_site: MakeSite) -> Outcome:
    """A run with a misspelt key, a wrong type, a value out of range and a file of no host."""
    site: Site = make_site({name: without_tools(fake_hosts.bare()) for name in ADDRESSES})
    site.write("redis.py", 'redis = {"maxmemmory": "1GB", "appendonly": "perhaps"}\n')
    site.write("apps.py", 'nginx = {"port": 70000}\n')
    site.write("app-3.py", 'redis = {"port": 6379}\n')
    return site.run("-y")


@pytest.mark.parametrize(
    ("file", "key", "said"),
    [
        ("redis.py", "maxmemmory", "maxmemory"),
        ("redis.py", "appendonly", "perhaps"),
        ("apps.py", "nginx.port", "70000"),
        ("app-3.py", "app-3", "app-2"),
    ],
)
def test_wrong_settings_are_one_sentence_with_file_key_and_what_to_do(
    wrong_settings: Outcome, file: str, key: str, said: str
) -> None:
    found = [line for line in wrong_settings.said.splitlines() if file in line and key in line]
    assert len(found) == 1
    assert said in found[0]


def test_wrong_settings_end_the_run_before_any_host_is_contacted(wrong_settings: Outcome) -> None:
    assert wrong_settings.code != 0
    assert wrong_settings.sent == ()
    assert "Traceback" not in wrong_settings.said


@pytest.fixture(scope="module")
def unfit_hosts(make_site: MakeSite) -> Outcome:
    """A run on hosts of which only one can be deployed to."""
    bare, gigabyte = fake_hosts.bare, fake_hosts.GIGABYTE
    answers = {
        "lb-1": without_tools(bare()),
        "app-1": without_tools(bare(memory_bytes=gigabyte // 2)),
        "app-2": without_tools(bare(version="11")),
        "cache-1": {"/host/DIGEST": "not-root"},
        "cache-2": with_tools(bare(disk_free_bytes={"/": 50 * gigabyte, "/var": 1})),
        "db-1": {"/host/DIGEST": {"success": False, "stderr": "sudo: a password is required"}},
    }
    return make_site(answers).run("-y")


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ("app-1", "has 512 MB of memory, but its settings need"),
        ("app-2", "runs debian 11; Stellwerk needs Debian 12 or 13"),
        ("cache-1", "the SSH user is not root and uses no sudo"),
        ("cache-2", "/var has 0 MB free"),
        ("db-1", "may not use sudo without a password"),
    ],
)
def test_an_unfit_host_is_one_sentence(unfit_hosts: Outcome, host: str, said: str) -> None:
    found = [line for line in unfit_hosts.said.splitlines() if f"{host}: " in line]
    assert len(found) == 1
    assert said in found[0]


def test_where_one_host_is_unfit_no_host_is_changed(unfit_hosts: Outcome) -> None:
    assert unfit_hosts.code != 0
    assert unfit_hosts.changes == ()
    assert {one.host for one in unfit_hosts.sent} == set(ADDRESSES)
    assert "Traceback" not in unfit_hosts.said


def test_an_unknown_master_ends_the_run_before_any_host_is_changed(make_site: MakeSite) -> None:
    facts = {name: fake_hosts.bare() for name in ADDRESSES}
    for name in ("cache-1", "cache-2"):
        config = {"replica-announce-ip": ADDRESSES[name], "replica-announce-port": "6379"}
        facts[name]["redis"]["6379"] = {
            "config": config,
            "replication": {"role": "master"},
            "keys": 7,
        }
    done = make_site(
        {name: without_tools(json.loads(json.dumps(it))) for name, it in facts.items()}
    )
    outcome = done.run("-y")
    assert outcome.code != 0
    assert outcome.changes == ()
    assert "the master of aktienanalyse-redis is not known" in outcome.said
    assert "Traceback" not in outcome.said


def test_a_host_whose_check_fails_at_the_end_fails_the_run_with_its_journal(
    make_site: MakeSite,
) -> None:
    failure = [{"problem": "nginx.service is failed", "unit": "nginx.service", "journal": "bind()"}]
    answers = {name: without_tools(fake_hosts.bare()) for name in ADDRESSES}
    answers["lb-1"]["/host verify"] = json.dumps(failure)
    done = make_site(answers).run("-y")
    assert done.code != 0
    assert "nginx.service is failed" in done.said
    assert "bind()" in done.said


def test_a_failed_host_ends_the_run_for_the_others(make_site: MakeSite) -> None:
    answers = {name: without_tools(fake_hosts.bare()) for name in ADDRESSES}
    answers["app-1"] = {
        "/host packages": {"success": False, "stderr": "apt's lock is held by apt (process 7)"},
        **answers["app-1"],
    }
    done = make_site(answers).run("-y")
    assert done.code != 0
    assert "apt's lock is held by apt (process 7)" in done.said
    assert not [one for one in done.sent if one.tool == "install"]


def test_a_host_that_is_not_in_the_inventory_is_refused_with_the_nearest(
    make_site: MakeSite,
) -> None:
    site = make_site({name: without_tools(fake_hosts.bare()) for name in ADDRESSES})
    outcome = site.run("-y", "--limit", "cachse")
    assert outcome.code != 0
    assert "cachse is no host and no group of the inventory; did you mean caches?" in outcome.said
    assert outcome.sent == ()


def test_instances_without_a_database_host_are_refused(make_site: MakeSite) -> None:
    site = make_site({name: without_tools(fake_hosts.bare()) for name in ADDRESSES})
    inventory = site.folder / "inventory"
    rows = inventory.read_text().splitlines()
    kept = [row for row in rows if not row.startswith("databases")]
    inventory.write_text("\n".join(kept) + "\n")
    outcome = site.run("-y")
    assert outcome.code != 0
    assert "group databases has no host" in outcome.said
    assert outcome.sent == ()
