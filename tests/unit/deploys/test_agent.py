"""The agent is told what it needs, restarted only for that, and may do only what it must (C10)."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from deploys.components import agent
from stellwerk.instances import configuration
from stellwerk.settings.cluster import Cluster, load_cluster

from .conftest import REPOSITORY, Load, host_of

GENERATION = "0123456789abcdef"
CORE = "aktienanalyse-core"
needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="no JavaScript is here")
ALLOWED = [
    (f"{CORE}@8101.service", "start"),
    (f"{CORE}@8101.service", "stop"),
    (f"{CORE}@8101.service", "restart"),
    (f"{CORE}@8101.service", "reset-failed"),
    (f"{CORE}@8116.service", "start"),
    (f"stellwerk-pin@{CORE}:8101:{GENERATION}.service", "start"),
    (f"stellwerk-unpin@{CORE}:8101.service", "start"),
]
NEAR_MISSES = [
    (f"{CORE}@8100.service", "start"),
    (f"{CORE}@8117.service", "start"),
    (f"{CORE}@8201.service", "start"),
    (f"{CORE}@08101.service", "start"),
    (f"{CORE}@8101.service.evil", "start"),
    (f"{CORE}@8101.service\n", "start"),
    (f"x{CORE}@8101.service", "start"),
    (f"{CORE}@8101xservice", "start"),
    (f"{CORE}@8101.socket", "start"),
    (f"{CORE}@.service", "start"),
    (f"{CORE}.service", "start"),
    ("aktienanalyse_core@8101.service", "start"),
    ("AKTIENANALYSE-CORE@8101.service", "start"),
    (f"{CORE}@8101.service", "kill"),
    (f"{CORE}@8101.service", "set-property"),
    (f"{CORE}@8101.service", "START"),
    (f"{CORE}@8101.service", ""),
    (f"stellwerk-pin@{CORE}:8101:{GENERATION}.service", "stop"),
    (f"stellwerk-pin@{CORE}:8101:{GENERATION}0.service", "start"),
    (f"stellwerk-pin@{CORE}:8101:{GENERATION.upper()}.service", "start"),
    (f"stellwerk-pin@{CORE}:8101.service", "start"),
    (f"stellwerk-pin@{CORE}@8101:{GENERATION}.service", "start"),
    (f"stellwerk-pin@other:8101:{GENERATION}.service", "start"),
    (f"stellwerk-unpin@{CORE}:8100.service", "start"),
    (f"stellwerk-unpin@{CORE}:8101.service", "restart"),
    ("stellwerk-nginx-apply.service", "start"),
    ("stellwerk-agent.service", "restart"),
    ("ssh.service", "stop"),
    ("multi-user.target", "start"),
    ("", "start"),
]


def by_data(cluster: Cluster, group: str) -> Callable[[str, str], bool]:
    """The rule as its data says."""
    found = [*agent.permissions(host_of(cluster, group))]

    def allows(unit: str, verb: str) -> bool:
        # Python's `$` alone would take a newline at the end, JavaScript's does not.
        return any(
            re.search(one.pattern.removesuffix("$") + r"\Z", unit) and verb in one.verbs
            for one in found
        )

    return allows


@pytest.mark.parametrize(("unit", "verb"), ALLOWED)
def test_the_agent_may_run_declared_instances(cluster: Cluster, unit: str, verb: str) -> None:
    assert by_data(cluster, "apps")(unit, verb)


@pytest.mark.parametrize(("unit", "verb"), NEAR_MISSES)
def test_the_agent_may_do_nothing_that_only_looks_like_it(
    cluster: Cluster, unit: str, verb: str
) -> None:
    assert not by_data(cluster, "apps")(unit, verb)


def test_on_a_balancer_the_agent_may_apply_nginx_and_nothing_else(cluster: Cluster) -> None:
    allows = by_data(cluster, "balancers")
    assert allows("stellwerk-nginx-apply.service", "start")
    assert not allows("stellwerk-nginx-apply.service", "stop")
    assert not allows("stellwerk-nginx-applyXservice", "start")
    assert not any(allows(unit, verb) for unit, verb in ALLOWED)


def test_every_pattern_is_anchored(single: Cluster) -> None:
    for one in agent.permissions(host_of(single, "apps")):
        assert one.pattern[0] + one.pattern[-1] == "^$"


@needs_node
def test_polkits_own_language_reads_the_rule_as_it_is_meant(
    cluster: Cluster, tmp_path: Path
) -> None:
    (rules,) = (
        file.content
        for config in agent.configs(cluster, host_of(cluster, "apps"), "1")
        for file in config.files
        if file.path == agent.RULES
    )
    cases = [
        ("org.freedesktop.systemd1.manage-units", user, unit, verb)
        for user in (agent.USER, "nobody")
        for unit, verb in (*ALLOWED, *NEAR_MISSES)
    ]
    cases.append(("org.freedesktop.systemd1.reload-daemon", agent.USER, *ALLOWED[0]))
    script = f"""
        let rule;
        const polkit = {{Result: {{YES: "yes", NO: "no", NOT_HANDLED: "not handled"}},
                         addRule: (found) => {{ rule = found; }}}};
        {rules}
        const cases = {json.dumps(cases)};
        console.log(JSON.stringify(cases.map(([id, user, unit, verb]) =>
            rule({{id: id, lookup: (key) => ({{unit: unit, verb: verb}})[key]}}, {{user: user}}))));
    """
    path = tmp_path / "rule.js"
    path.write_text(script)
    done = subprocess.run(["node", path], capture_output=True, text=True, check=True)
    expected = ["yes"] * len(ALLOWED) + ["no"] * len(NEAR_MISSES)
    others = ["not handled"] * (len(ALLOWED) + len(NEAR_MISSES) + 1)
    assert json.loads(done.stdout) == expected + others


def test_an_agent_reads_back_what_it_is_told(cluster: Cluster, tmp_path: Path) -> None:
    written = agent.document(cluster, host_of(cluster, "apps"), "1")
    path = tmp_path / "agent.json"
    path.write_text(written.document())
    assert configuration.read(path) == written
    assert written.roles == ("apps",)
    assert written.services[CORE].ports == range(8101, 8117)
    assert [one.name for one in written.balancers] == ["lb-1"]


def test_a_host_in_both_groups_has_one_agent_with_both_roles(single: Cluster) -> None:
    assert agent.document(single, host_of(single, "apps"), "1").roles == ("apps", "balancers")


def test_a_host_that_runs_and_balances_nothing_has_no_agent(cluster: Cluster) -> None:
    assert agent.configs(cluster, host_of(cluster, "databases"), "1") == ()


def digests(cluster: Cluster, release: str = "1") -> dict[str, str]:
    configs = agent.configs(cluster, host_of(cluster, "apps"), release)
    return {one.name: one.digest for one in configs}


@pytest.mark.parametrize(
    ("overrides", "release", "changed"),
    [
        ({}, "1", set()),
        ({}, "2", {"agent"}),
        ({"redis.maxmemory": "512MB"}, "1", set()),
        ({f"services.{CORE}.memory": "600MB"}, "1", set()),
        ({f"services.{CORE}.drain_timeout_seconds": "5"}, "1", {"agent"}),
        ({f"services.{CORE}.max_instances": "20"}, "1", {"agent", "agent-permissions"}),
    ],
)
def test_the_agent_is_restarted_only_when_something_of_its_own_changed(
    cluster: Cluster, load: Load, overrides: dict[str, str], release: str, changed: set[str]
) -> None:
    before, after = digests(cluster), digests(load(overrides), release)
    assert {name for name in before if before[name] != after[name]} == changed


def test_the_agent_is_restarted_for_a_new_password(
    cluster: Cluster, folder: Path, tmp_path: Path
) -> None:
    secrets = yaml.safe_load((folder / "secrets.yaml").read_text())
    secrets["postgresql"]["passwords"]["agent"] = "another-password"
    (tmp_path / "secrets.yaml").write_text(yaml.safe_dump(secrets))
    (tmp_path / "secrets.yaml").chmod(0o600)
    shutil.copy(folder / "inventory", tmp_path)
    renewed = digests(load_cluster(tmp_path / "inventory", [REPOSITORY / "group_data"]))
    assert {name for name, digest in digests(cluster).items() if digest != renewed[name]} == {
        "agent"
    }
