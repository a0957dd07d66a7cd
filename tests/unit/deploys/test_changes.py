"""What a change does to units, and how it is told without secrets."""

from typing import Any, Literal

import pytest

from deploys.engine.changes import Effect, Verb, config_change, effects_of, redis_change
from deploys.engine.resources import Activation, ConfigSet, Facts, RedisRequest, Restart, Secret

UNIT = "sample.service"
ACTIVE: Facts = {"units": {UNIT: {"ActiveState": "active"}}}
IDLE: Facts = {"units": {}}


@pytest.mark.parametrize(
    ("activation", "facts", "verbs"),
    [
        (Activation(unit=UNIT, how="reload"), ACTIVE, [Verb.RELOAD]),
        (Activation(unit=UNIT, how="reload"), IDLE, [Verb.START]),
        (Activation(unit=UNIT, how="restart"), ACTIVE, [Verb.RESTART]),
        (Activation(unit=UNIT, how="start"), ACTIVE, []),
        (Activation(unit=UNIT, how="start"), IDLE, [Verb.START]),
        (Activation(commands=(("systemctl", "restart", UNIT),)), IDLE, [Verb.RESTART]),
        (Activation(commands=(("systemctl", "try-restart", UNIT),)), IDLE, []),
        (Activation(commands=(("systemctl", "try-restart", UNIT),)), ACTIVE, [Verb.RESTART]),
        (Activation(commands=(("systemctl", "enable", "--quiet", UNIT),)), ACTIVE, []),
        (Activation(reloads=(UNIT,)), ACTIVE, [Verb.RELOAD]),
        (Activation(reloads=(UNIT,)), IDLE, []),
        (Activation(unit=UNIT, how="start", reloads=(UNIT,)), ACTIVE, [Verb.RELOAD]),
        (Activation(unit=UNIT, how="start", reloads=(UNIT,)), IDLE, [Verb.START]),
        (Activation(daemon_reload=True), ACTIVE, []),
    ],
)
def test_an_activation_does_to_units_what_they_need_as_they_are(
    activation: Activation, facts: Facts, verbs: list[Verb]
) -> None:
    assert list(effects_of(activation, facts)) == [Effect(verb, UNIT) for verb in verbs]


@pytest.mark.parametrize(("allowed", "verb"), [(True, Verb.RESTART), (False, Verb.RELOAD)])
def test_a_restart_that_settings_take_is_foretold_where_it_is_allowed(
    allowed: bool, verb: Verb
) -> None:
    activation = Activation(
        unit=UNIT,
        how="start",
        reloads=(UNIT,),
        restart=Restart(UNIT, ("shared_buffers",), ("max_wal_senders",), allowed),
    )
    change = config_change(ConfigSet("sample", files=(), activation=activation), "why", ACTIVE)
    assert change.effects == (Effect(verb, UNIT),)
    assert "shared_buffers" in change.details[0]
    assert ("waits until that is allowed" in change.details[0]) != allowed
    assert "max_wal_senders" in change.details[1]


def request(
    tool: Literal["redis", "restart-redis", "remove-redis"], **document: Any
) -> RedisRequest:
    return RedisRequest(tool, "redis 6379", "why", {"port": 6379, **document})


def test_what_is_set_on_a_redis_is_told_from_what_to_what() -> None:
    facts: Facts = {"redis": {"6379": {"config": {"maxmemory": "1", "requirepass": "old"}}}}
    settings = {
        "maxmemory": "2",
        "save": "",
        "masterauth": Secret("redis.replication").document(),
        "requirepass": "planted",
    }
    change = redis_change(request("redis", settings=settings, to_default=["timeout"]), facts)
    assert change.details == (
        "maxmemory: 1 -> 2",
        "save: (empty) -> (empty)",
        "masterauth: differs (secret)",
        "requirepass: differs (secret)",
        "timeout: (empty) -> as Redis has it by default",
    )
    assert change.effects == ()


def test_what_is_set_on_a_sentinel_is_told_from_what_to_what() -> None:
    facts: Facts = {"sentinel": {"6379": {"masters": {"main": {"quorum": "1"}}}}}
    commands = [
        ["SENTINEL", "SET", "main", "quorum", "2"],
        ["ACL", "SETUSER", "default", "#0123"],
        ["SENTINEL", "FLUSHCONFIG"],
    ]
    assert redis_change(request("redis", commands=commands), facts).details == ("quorum: 1 -> 2",)


@pytest.mark.parametrize(("role", "hands_over"), [("master", True), ("slave", False)])
@pytest.mark.parametrize(
    ("tool", "verb"), [("restart-redis", Verb.RESTART), ("remove-redis", Verb.STOP)]
)
def test_a_redis_that_restarts_or_leaves_is_foretold_and_that_a_master_hands_over(
    tool: Literal["restart-redis", "remove-redis"], verb: Verb, role: str, hands_over: bool
) -> None:
    facts: Facts = {"redis": {"6379": {"replication": {"role": role}}}}
    change = redis_change(request(tool, unit=UNIT, replicas=[["192.0.2.1", 6379]]), facts)
    assert change.effects == (Effect(verb, UNIT),)
    assert any("a replica takes over" in line for line in change.details) == hands_over


def test_the_record_of_a_change_holds_no_files() -> None:
    config = ConfigSet("sample", files=())
    assert set(config_change(config, "why", IDLE).record()) == {
        "component",
        "reason",
        "details",
        "units",
    }
