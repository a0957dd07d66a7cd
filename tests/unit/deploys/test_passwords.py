"""A password of before counts as long as somebody may use it."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from deploys.components import passwords
from deploys.components.generations import Generation
from deploys.components.passwords import SESSION_END_SECONDS, Use, longest
from stellwerk.database.logins import login_of
from stellwerk.instances.model import Instance, InstanceKey, Purpose, Snapshot, State
from stellwerk.settings.cluster import Cluster
from tests.plan.fake_hosts import FRESH_POSTGRESQL

from .conftest import host_of

CORE = "aktienanalyse-core"
OLD, NEW = "a" * 16, "b" * 16
NOW = datetime(2026, 1, 1, tzinfo=UTC)
WANTED = {CORE: Generation(CORE, NEW, "1-abc")}
FORMER = "stellwerk_app_123"
INSTANCE = Instance(InstanceKey(CORE, 8101), "app-1", "10.0.0.1", NEW, 0, State.READY, NOW)


def answer(login: str = FORMER, sessions: int = 0) -> dict[str, Any]:
    """What a server with one login of stellwerk_app says."""
    role = {"name": login, "connection_limit": -1, "verifier": "x", "settings": []}
    more = {"attributes": ["LOGIN"], "memberships": ["stellwerk_app"], "sessions": sessions}
    return {**FRESH_POSTGRESQL, "roles": [{**role, **more}]}


@pytest.fixture
def ledger(monkeypatch: pytest.MonkeyPatch) -> dict[InstanceKey, Instance]:
    """The instances that the ledger knows, to be filled."""
    found: dict[InstanceKey, Instance] = {}
    monkeypatch.setattr(passwords, "snapshot_of", lambda _: Snapshot(at=NOW, instances=found))
    return found


def users(cluster: Cluster, said: dict[str, Any], *hosts: str) -> list[Use] | None:
    settings = host_of(cluster, "databases").settings
    found = passwords.uses(settings, said, WANTED, hosts)
    return [*found[FORMER]] if FORMER in found else None


@pytest.mark.usefixtures("ledger")
def test_without_a_password_of_before_there_is_nothing_to_withdraw(cluster: Cluster) -> None:
    given = host_of(cluster, "databases").settings.postgresql.passwords.app
    present = login_of("stellwerk_app", given.get_secret_value())
    assert users(cluster, answer(present)) is None
    assert users(cluster, {}) is None


def test_one_that_nobody_has_is_unused(
    cluster: Cluster, ledger: dict[InstanceKey, Instance]
) -> None:
    ledger[INSTANCE.key] = INSTANCE
    assert users(cluster, answer()) == []


def test_an_instance_of_another_generation_was_started_with_it(
    cluster: Cluster, ledger: dict[InstanceKey, Instance]
) -> None:
    ledger[INSTANCE.key] = replace(INSTANCE, generation=OLD)
    assert users(cluster, answer()) == [Use(f"{CORE}@8101 on app-1")]


def test_one_that_leaves_is_waited_for_as_long_as_it_may_take(
    cluster: Cluster, ledger: dict[InstanceKey, Instance]
) -> None:
    leaving = replace(INSTANCE, generation=OLD, state=State.DRAINING, purpose=Purpose.RETIRE)
    ledger[INSTANCE.key] = leaving
    found = users(cluster, answer())
    assert found is not None
    assert longest({FORMER: found}) == 60 + 30 + SESSION_END_SECONDS


@pytest.mark.usefixtures("ledger")
def test_sessions_are_waited_for_shortly_and_hosts_not_at_all(cluster: Cluster) -> None:
    found = users(cluster, answer(sessions=2), "app-2, which cannot be asked")
    assert found == [Use("app-2, which cannot be asked"), Use("2 sessions", SESSION_END_SECONDS)]
