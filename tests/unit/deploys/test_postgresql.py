"""PostgreSQL's files: tuned for the host, open to the cluster's hosts and to nobody else (C4)."""

from typing import Any

import pytest

from deploys.components import postgresql
from deploys.engine.preflight import problems_of
from deploys.engine.resources import ConfigSet
from stellwerk.database.logins import login_of
from stellwerk.settings.cluster import Cluster
from tests.plan.fake_hosts import FRESH_POSTGRESQL

from .conftest import Load, host_of

GIGABYTE = 1024**3


def facts(release: str = "12", memory: int = 4 * GIGABYTE, **changed: Any) -> dict[str, Any]:
    return {"system": {"version": release, "memory_bytes": memory, "cpus": 4}, **changed}


def config(cluster: Cluster, found: dict[str, Any] | None = None) -> ConfigSet:
    return postgresql.config(cluster, host_of(cluster, "databases"), found or facts())


def parameters(cluster: Cluster, found: dict[str, Any] | None = None) -> dict[str, str]:
    rows = config(cluster, found).files[0].content.splitlines()
    pairs = (row.split("#")[0].partition("=") for row in rows if not row.startswith("#"))
    return {name.strip(): value.strip(" '") for name, _, value in pairs if value}


def admitted(cluster: Cluster) -> set[tuple[str, str]]:
    rows = postgresql.hba(cluster, host_of(cluster, "databases")).splitlines()
    hosts = (row.split() for row in rows if row.startswith("host"))
    return {(row[2], row[3]) for row in hosts}


@pytest.mark.parametrize(("release", "version"), [("12", 15), ("13", 17)])
def test_each_debian_has_its_postgresql(cluster: Cluster, release: str, version: int) -> None:
    wanted = config(cluster, facts(release))
    assert postgresql.packages(facts(release)) == (f"postgresql-{version}",)
    assert wanted.activation.unit == f"postgresql@{version}-main.service"
    assert wanted.files[0].path == f"/etc/postgresql/{version}/main/conf.d/90-stellwerk.conf"


def test_it_listens_to_the_host_and_the_cluster_only(cluster: Cluster) -> None:
    assert parameters(cluster)["listen_addresses"] == "localhost, 198.18.0.41"


def test_more_memory_gives_more_buffers(cluster: Cluster) -> None:
    small, large = (
        parameters(cluster, facts(memory=memory * GIGABYTE))["shared_buffers"] for memory in (2, 16)
    )
    assert small != large


def test_a_parameter_that_is_given_has_the_last_word(load: Load) -> None:
    found = load({"postgresql.parameters.shared_buffers": "123MB"})
    assert parameters(found)["shared_buffers"] == "123MB"


def test_every_role_is_admitted_from_where_it_is_needed_and_from_nowhere_else(
    cluster: Cluster,
) -> None:
    apps, balancer, database = ("198.18.0.21", "198.18.0.22"), "198.18.0.11", "198.18.0.41"
    assert admitted(cluster) == {
        *(('+"stellwerk_app"', f"{address}/32") for address in apps),
        *(('+"stellwerk_agent"', f"{address}/32") for address in (*apps, balancer)),
        ('+"stellwerk_ledger"', f"{database}/32"),
    }


def test_lines_of_the_user_come_after_ours(load: Load) -> None:
    line = "host all reader 192.0.2.0/24 scram-sha-256"
    found = load({"postgresql.hba_extra": f'["{line}"]'})
    assert postgresql.hba(found, host_of(found, "databases")).splitlines()[-1] == line


def restarts(cluster: Cluster, stamps: dict[str, Any]) -> bool:
    (command,) = config(cluster, facts(stamps=stamps)).activation.commands
    return command[-1] == "may-restart"


def test_it_is_restarted_on_a_first_install_and_later_only_where_that_is_allowed(
    cluster: Cluster, load: Load
) -> None:
    installed = {"postgresql": {"digest": "x"}}
    assert restarts(cluster, {})
    assert not restarts(cluster, installed)
    assert restarts(load({"postgresql.allow_restart": "true"}), installed)
    assert not restarts(load({"postgresql.allow_restart": "false"}), {})


def test_a_server_that_does_not_answer_is_sent_no_statement(cluster: Cluster) -> None:
    settings = host_of(cluster, "databases").settings
    assert not list(postgresql.statements(settings, {}))
    assert not list(postgresql.statements(settings, {"error": "no answer"}))


def test_a_first_run_makes_the_ledger_after_its_roles_and_database(cluster: Cluster) -> None:
    settings = host_of(cluster, "databases").settings
    said = [one.summary for one in postgresql.statements(settings, FRESH_POSTGRESQL)]
    steps = (
        "create role stellwerk_agent",
        "create database",
        "create schema stellwerk of postgres",
        "ledger to version 1",
        "what stellwerk_agent may do",
    )
    places = [next(n for n, line in enumerate(said) if step in line) for step in steps]
    assert places == sorted(places)


def test_an_agent_that_hangs_cannot_keep_the_ledger_locked(cluster: Cluster) -> None:
    settings = host_of(cluster, "databases").settings
    (agent,) = (one for one in postgresql.roles(settings) if one.name == "stellwerk_agent")
    assert agent.settings == {
        "idle_in_transaction_session_timeout": "10s",
        "lock_timeout": "5s",
        "statement_timeout": "10s",
    }


def test_only_a_server_that_knows_a_password_of_before_is_told_of_a_new_one_ahead(
    cluster: Cluster,
) -> None:
    settings = host_of(cluster, "databases").settings
    assert not [*postgresql.new_logins(settings, {})]
    assert not [*postgresql.new_logins(settings, FRESH_POSTGRESQL)]
    known: dict[str, list[str]] = {key: [] for key in ("attributes", "settings", "memberships")}
    role = {"name": "stellwerk_app", "connection_limit": -1, "verifier": None, "sessions": 0}
    answer = {**FRESH_POSTGRESQL, "roles": [{**role, **known}]}
    login = login_of("stellwerk_app", settings.postgresql.passwords.app.get_secret_value())
    first, *_ = postgresql.new_logins(settings, answer)
    assert first.summary.startswith(f"create role {login}: LOGIN")


def test_a_ledger_of_a_newer_release_stops_the_run_before_it_changes_anything(
    cluster: Cluster,
) -> None:
    system = {"id": "debian", "disk_free_bytes": {}, **facts(memory=16 * GIGABYTE)["system"]}
    newer = {"version": 99, "privileges": [], "snapshot": None}
    found = {"system": system, "postgresql": {**FRESH_POSTGRESQL, "ledger": newer}}
    (problem,) = problems_of(cluster, host_of(cluster, "databases"), found)
    assert problem.startswith("db-1: the ledger in database aktienanalyse is at version 99")
    assert not problems_of(cluster, host_of(cluster, "databases"), {"system": system})


def test_no_password_is_in_the_files_or_in_what_is_shown_of_roles(cluster: Cluster) -> None:
    settings = host_of(cluster, "databases").settings
    shown = "".join(file.content for file in config(cluster).files)
    shown += repr(postgresql.roles(settings))
    for name in ("owner", "app", "monitor", "ledger", "agent"):
        assert getattr(settings.postgresql.passwords, name).get_secret_value() not in shown
