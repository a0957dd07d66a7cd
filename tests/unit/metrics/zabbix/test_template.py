"""Claims about the host template."""

import re
import uuid
from collections.abc import Iterator
from typing import Any

import yaml

from stellwerk.metrics.registry import METRICS
from stellwerk.metrics.zabbix import items
from stellwerk.metrics.zabbix.template import template
from stellwerk.settings.root import Settings

SETTINGS = Settings.model_validate(
    {
        "scaling": {"export": {"zabbix": {"template": "Shop"}}},
        "monitoring": {"alerts": {"disabled": ["system.memory_percent"]}},
    }
)
EXPORT = template(SETTINGS)["zabbix_export"]
TEMPLATE = EXPORT["templates"][0]


def _items() -> Iterator[dict[str, Any]]:
    yield from TEMPLATE["items"]
    for rule in TEMPLATE["discovery_rules"]:
        yield from rule["item_prototypes"]


def _triggers() -> Iterator[dict[str, Any]]:
    for item in _items():
        yield from item.get("triggers", item.get("trigger_prototypes", []))


def _identities(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        if "uuid" in value:
            yield value["uuid"]
        for below in value.values():
            yield from _identities(below)
    if isinstance(value, list):
        for below in value:
            yield from _identities(below)


def test_every_metric_of_one_number_has_an_item() -> None:
    keys = [item["key"] for item in _items()]
    assert len(keys) == len(set(keys))
    wanted = {items.prototype_key(one) for one in METRICS if items.is_sent(one)}
    assert wanted | {"stellwerk.own[{#SERVICE},{#INSTANCE},{#NAME}]"} == set(keys)


def test_a_discovered_item_has_all_that_its_discovery_finds_in_its_key() -> None:
    for rule in TEMPLATE["discovery_rules"]:
        macros = {frozenset(re.findall(r"{#\w+}", one["key"])) for one in rule["item_prototypes"]}
        assert len(macros) == 1


def test_every_identity_is_of_version_4_its_own_and_the_same_next_time() -> None:
    found = list(_identities(EXPORT))
    assert len(found) == len(set(found))
    assert all(uuid.UUID(one).version == 4 for one in found)
    assert found == list(_identities(template(SETTINGS)["zabbix_export"]))


def test_triggers_have_the_thresholds_and_times_of_the_alerts() -> None:
    expressions = {one["expression"] for one in _triggers()}
    assert "min(/Shop/stellwerk.system.cpu_percent,120s)>=95" in expressions
    assert "max(/Shop/stellwerk.redis.availability[{#PORT}],30s)<=0" in expressions
    assert "max(/Shop/stellwerk.redis.hit_rate_percent[{#PORT}],120s)<=70" in expressions
    assert not any("system.memory_percent" in one for one in expressions)


def test_what_is_an_alert_at_once_is_one_of_the_latest_value() -> None:
    settings = Settings.model_validate({"monitoring": {"alerts": {"down_seconds": 0}}})
    text = yaml.safe_dump(template(settings))
    assert "last(/Stellwerk Auto Scaling/stellwerk.redis.availability[{#PORT}])<=0" in text
    assert ",0s)" not in text


def test_a_trigger_is_of_an_item_beside_it() -> None:
    for item in _items():
        for trigger in item.get("triggers", item.get("trigger_prototypes", [])):
            function, name, key, seconds, rest = _parts(trigger["expression"])
            assert (function in ("min", "max"), name, key) == (True, "Shop", item["key"])
            assert int(seconds) >= 0
            assert re.fullmatch(r"(>=|<=)\d+(\.\d+)?", rest)


def _parts(expression: str) -> tuple[str, ...]:
    """Function, template, key, seconds, and what the value is compared with."""
    match = re.fullmatch(r"(\w+)\(/([^/]+)/(.+),(\d+)s\)(.+)", expression)
    assert match, expression
    return match.groups()


def test_nothing_is_longer_than_zabbix_takes() -> None:
    for item in _items():
        assert len(item["name"]) <= 255
        assert len(item["key"]) <= 2048
    assert all(len(one["name"]) <= 255 for one in _triggers())


def test_a_warning_depends_on_what_is_critical() -> None:
    known = {(one["name"], one["expression"]) for one in _triggers()}
    for trigger in _triggers():
        needed = [(one["name"], one["expression"]) for one in trigger.get("dependencies", [])]
        assert set(needed) <= known
        if trigger["priority"] == "WARNING" and "cpu_percent" in trigger["expression"]:
            assert needed


def test_it_is_one_file_of_yaml() -> None:
    assert yaml.safe_load(yaml.safe_dump(template(SETTINGS), sort_keys=False)) == template(SETTINGS)
